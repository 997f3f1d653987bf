"""Plain calls: many at once with wrk, which costs little beside what it loads, and one after another for latency.

wrk (https://github.com/wg/wrk, from Debian) keeps N connections busy for a time. The exact number of calls that the
gateway made comes from the stub; wrk tells how many were answered and whether any was not answered with 2xx.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import figures, processes, targets, wire
from benchmarks.cores import on_core
from benchmarks.targets import CannotMeasure, Target

_WAIT_MORE_S = 10.0
_IDLE_WATCH_S = 0.2
_IDLE_SHARE = 0.1
"""A target is idle when it uses less than a tenth of a core: a resting supervisor looks after its children."""


class Burst(msgspec.Struct, frozen=True):
    """What one round of calls cost.

    Attributes:
        calls: that reached the upstream.
        seconds: of the round.
        worker_us: CPU microseconds a call of the processes that hold the connections.
        all_us: the same for every process of the target.
        per_s: calls a second that were answered.
        failures: calls answered with anything but 2xx, and connections that broke.
        resident_bytes: of the workers, afterwards.
    """

    calls: int
    seconds: float
    worker_us: float
    all_us: float
    per_s: float
    failures: int
    resident_bytes: int


class Latencies(msgspec.Struct, frozen=True):
    """Microseconds from the first byte sent to the last byte received, one call after another."""

    p50_us: float
    p99_us: float
    calls: int


def burst(
    target: Target,
    upstream: Target,
    *,
    path: str,
    body: bytes,
    connections: int,
    seconds: float,
    folder: Path,
    core: int,
) -> Burst:
    """Keep this many connections busy for a time. Raises CannotMeasure when wrk is missing or answers were wrong."""
    binary = shutil.which("wrk")
    if binary is None:
        raise CannotMeasure("wrk makes the load and is not installed: apt-get install wrk")
    script = folder / "wrk.lua"
    script.write_text(_lua(target.headers, body), encoding="utf-8")
    command = [binary, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", f"{_WAIT_MORE_S:.0f}s"]
    command += ["-s", str(script), f"http://{target.host}{path}"]
    calls_before = targets.stub_counters(upstream.port)["calls"]
    workers_before = processes.cpu_seconds(target.workers)
    all_before = processes.cpu_seconds(target.everyone(), with_ended_children=True)
    with on_core(core):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    workers_s = processes.cpu_seconds(target.workers) - workers_before
    _wait_until_idle(target)
    all_s = processes.cpu_seconds(target.everyone(), with_ended_children=True) - all_before
    calls = targets.stub_counters(upstream.port)["calls"] - calls_before
    if done.returncode != 0 or not done.stdout:
        raise CannotMeasure(f"wrk against {target.name} failed: {done.stderr.strip()}")
    summary = json.loads(done.stdout.rpartition("SUMMARY ")[2])
    if calls < summary["answered"] - summary["failures"]:
        raise CannotMeasure(f"{target.name} answered {summary['answered']} calls of which the stub saw only {calls}")
    if not calls:
        raise CannotMeasure(f"{target.name} made no call to the stub in {seconds} s; wrk says {summary}")
    return Burst(
        calls=calls,
        seconds=summary["seconds"],
        worker_us=workers_s / calls * 1e6,
        all_us=all_s / calls * 1e6,
        per_s=summary["answered"] / summary["seconds"],
        failures=summary["failures"],
        resident_bytes=processes.resident_bytes(target.workers),
    )


def one_by_one(target: Target, calls: int) -> list[int]:
    """Nanoseconds of each of these calls, made over one connection; every answer is compared with the first.

    Raises CannotMeasure when an answer is not 200 or has another length than the others.
    """
    request = wire.request_bytes(target.host, wire.CHAT_PATH, target.headers, wire.chat_body())
    taken = []
    sizes = set()
    with contextlib.closing(socket.create_connection((targets.HOST, target.port), _WAIT_MORE_S)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(calls):
            begun = time.perf_counter_ns()
            connection.sendall(request)
            body_bytes = _read_answer(connection, target.name)
            taken.append(time.perf_counter_ns() - begun)
            sizes.add(body_bytes)
    if len(sizes) != 1:
        raise CannotMeasure(f"{target.name} gave the same answer in different lengths: {sorted(sizes)}")
    return taken


def latencies(taken_ns: Sequence[int]) -> Latencies:
    """Percentiles of what `one_by_one` returned."""
    p50, p99 = (figures.percentile(taken_ns, percent) / 1000 for percent in (50, 99))
    return Latencies(p50_us=p50, p99_us=p99, calls=len(taken_ns))


def _wait_until_idle(target: Target) -> None:
    """Let background work end that the calls have caused, so that it is counted and not left to the next round."""
    deadline = time.monotonic() + _WAIT_MORE_S
    used = processes.cpu_seconds(target.everyone())
    while time.monotonic() < deadline:
        time.sleep(_IDLE_WATCH_S)
        before, used = used, processes.cpu_seconds(target.everyone())
        if used - before < _IDLE_SHARE * _IDLE_WATCH_S:
            return


def _read_answer(connection: socket.socket, name: str) -> int:
    """Read one whole answer; the length of its body."""
    data = connection.recv(65536)
    while (head_end := data.find(b"\r\n\r\n")) < 0:
        data += _more(connection, name)
    head = data[: head_end + 2].lower()
    if not head.startswith(b"http/1.1 200"):
        raise CannotMeasure(f"{name} answered {head[:40]!r}")
    _, has_size, rest = head.partition(b"\r\ncontent-length:")
    if has_size:
        body_bytes = int(rest[: rest.index(b"\r\n")])
        while len(data) < head_end + 4 + body_bytes:
            data += _more(connection, name)
        return body_bytes
    while not data.endswith(b"0\r\n\r\n"):
        data += _more(connection, name)
    return len(data) - head_end - 4


def _more(connection: socket.socket, name: str) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise CannotMeasure(f"{name} closed the connection in the middle of an answer")
    return data


def _lua(headers: dict[str, str], body: bytes) -> str:
    """A wrk script: one fixed request, and a summary as JSON. JSON strings of ASCII are Lua strings too."""
    lines = ['wrk.method = "POST"', f"wrk.body = {_lua_string(body.decode())}"]
    lines += [f"wrk.headers[{_lua_string(name)}] = {_lua_string(value)}" for name, value in headers.items()]
    return "\n".join(lines) + _LUA_SUMMARY


def _lua_string(text: str) -> str:
    return json.dumps(text)


_LUA_SUMMARY = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('SUMMARY {"answered": %d, "seconds": %f, "failures": %d}', summary.requests,
    summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
"""
