"""What is measured: a process (or none) between the load and the stub, how to start it and how to speak to it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks import processes, wire
from benchmarks.cores import Cores, on_core

HOST = "127.0.0.1"
_REPOSITORY = Path(__file__).resolve().parent.parent


class CannotMeasure(Exception):
    """Something that the benchmarks need is missing or does not work; the message says what to do."""


class Target(msgspec.Struct, frozen=True):
    """A running thing to send load to.

    Attributes:
        name: as the report calls it.
        port: where it listens on 127.0.0.1.
        headers: what a client sends, in order.
        pid: the process that was started; its descendants belong to it. 0 for nothing of our own.
        workers: the processes that hold the callers' connections.
        folder: where it keeps its files.
        ready_s: from start until it took calls.
    """

    name: str
    port: int
    headers: dict[str, str]
    pid: int
    workers: tuple[int, ...]
    folder: Path
    ready_s: float

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    def everyone(self) -> list[int]:
        """All processes of the target: supervisors and helpers too."""
        return processes.family(self.pid)


class Start(msgspec.Struct, frozen=True):
    """How to start a target: the command, what to wait for, how to call it.

    Attributes:
        ready_line: a line of the command's output that contains this says that it takes calls; when empty, it is
            ready when the port accepts connections.
    """

    name: str
    command: Sequence[str]
    port: int
    headers: dict[str, str]
    folder: Path
    environment: dict[str, str] = {}
    ready_line: str = ""
    patience_s: float = 20.0
    version: str = ""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def stub(core: int, *, python: Path | None = None, is_bare: bool = False, interval_s: float = 0.05) -> Iterator[Target]:
    """The upstream, as a process on this core; it is also the target of the direct rounds.

    Arguments:
        python: an interpreter that has uvloop; the one that runs this if None.
        is_bare: leaves out the headers that the OpenAI API adds to its answers.
        interval_s: between two chunks of a stream.
    """
    command = [
        str(python or sys.executable),
        "-m",
        "benchmarks.stub",
        "--interval",
        str(interval_s),
        *(["--bare"] if is_bare else []),
    ]
    started = time.monotonic()
    with on_core(core):
        process = subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Target(
            name="direct",
            port=port,
            headers=wire.sdk_headers("none"),
            pid=process.pid,
            workers=(process.pid,),
            folder=_REPOSITORY,
            ready_s=time.monotonic() - started,
        )
    finally:
        _end(process)


def stub_counters(port: int) -> dict[str, int]:
    """What the stub has served since it started."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/bench/counters")
        counters: dict[str, int] = json.loads(connection.getresponse().read())
        return counters


@contextlib.contextmanager
def running(start: Start, cores: Cores) -> Iterator[Target]:
    """Start a target on the gateway's core, wait until it answers a call, end it with all its processes.

    Raises CannotMeasure when it does not get ready or answers the first call with anything but 200.
    """
    output = start.folder / f"{start.name}.log"
    with on_core(cores.gateway), output.open("w") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            list(start.command),
            cwd=start.folder,
            env=os.environ | start.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        ready_s = _wait_until_ready(start, process, output) - started
        yield Target(
            name=start.name,
            port=start.port,
            headers=start.headers,
            pid=process.pid,
            workers=_workers(start, process, output),
            folder=start.folder,
            ready_s=ready_s,
        )
    finally:
        _end(process)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for configurations, logs and journals, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="headworks-bench-") as folder:
        yield Path(folder)


def status_of_a_call(target: Target, *, headers: dict[str, str]) -> int:
    """Make one plain call with these headers; the status of its answer."""
    with contextlib.closing(http.client.HTTPConnection(HOST, target.port, timeout=60)) as connection:
        return _call(connection, headers)[0]


def _wait_until_ready(start: Start, process: subprocess.Popen[bytes], output: Path) -> float:
    """The time at which it was ready, looked for every few milliseconds."""
    deadline = time.monotonic() + start.patience_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotMeasure(f"{start.name} ended with {process.returncode}: {_tail(output)}")
        if start.ready_line:
            if start.ready_line in output.read_text(errors="replace"):
                return time.monotonic()
        else:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection((HOST, start.port), 1):
                return time.monotonic()
        time.sleep(0.002)
    raise CannotMeasure(f"{start.name} was not ready after {start.patience_s} s: {_tail(output)}")


def _workers(start: Start, process: subprocess.Popen[bytes], output: Path) -> tuple[int, ...]:
    """Make a call that must be right, and see which processes hold its connection."""
    with contextlib.closing(http.client.HTTPConnection(HOST, start.port, timeout=60)) as connection:
        status, body = _call(connection, start.headers)
        if status != 200:
            raise CannotMeasure(f"{start.name} answered {status}: {body[:300]!r}; its log: {_tail(output)}")
        if json.loads(body)["usage"]["total_tokens"] != json.loads(wire.chat_answer())["usage"]["total_tokens"]:
            raise CannotMeasure(f"{start.name} did not relay the stub's answer: {body[:300]!r}")
        return tuple(processes.holders(processes.family(process.pid), start.port))


def _call(connection: http.client.HTTPConnection, headers: dict[str, str]) -> tuple[int, bytes]:
    sent = {**headers, "Accept-Encoding": "identity"}
    connection.request("POST", wire.CHAT_PATH, body=wire.chat_body(), headers=sent)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _tail(output: Path) -> str:
    return " | ".join(output.read_text(errors="replace").splitlines()[-5:])


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Ask it to stop, then make it."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()
    for pid in processes.family(process.pid):
        # Whatever outlives its parent must not disturb the next round.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
