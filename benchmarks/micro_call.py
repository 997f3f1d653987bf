"""What a plain call and a chunk of a relayed stream cost in Python alone: no sockets, no kernel.

    .venv/bin/python -m benchmarks.micro_call [--profile call|chunk]

The real server, gateway and transport, with transports that keep what is written instead of sending it. It is the
quick look while the hot path is being worked on; the figure that counts is `make bench`. The best of several runs is
shown: noise only ever adds.
"""

import argparse
import asyncio
import contextlib
import cProfile
import functools
import gc
import platform
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop

from benchmarks import wire
from benchmarks.gateways import UPSTREAM_KEY, headworks_config
from headworks.access import KEYS_FILE, KeyStore
from headworks.assembly import Assembly
from headworks.config import load
from headworks.endpoints import KNOWN_PATHS
from headworks.hull import Hull
from headworks.server.connection import Connection
from headworks.server.listening import HttpServer
from headworks.server.settings import ServerLimits
from headworks.settings import read_settings
from headworks.telemetry import Metrics
from headworks.transport import UpstreamPool
from headworks.transport.connection import UpstreamConnection
from headworks.unary import UnaryCalls
from headworks.wheel import TimerWheel

_RUNS = 7
_CALLS = 4_000
_CHUNKS = 10_000


class _Transport(asyncio.Transport):
    """Keeps what is written last."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written = bytes(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


def main() -> int:
    """Print the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=["call", "chunk"], help="show where the time goes instead")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {sys.executable}")
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_measure(Path(folder), profiled=options.profile))
    return 0


async def _measure(folder: Path, *, profiled: str | None) -> None:
    rig = _rig(folder)
    for _ in range(500):
        rig.call()
    gc.freeze()
    if profiled != "chunk":
        await _time("a plain call", lambda: rig.calls(_CALLS), _CALLS, is_profiled=profiled is not None)
    if profiled == "call":
        return
    for name, path, body, start, chunk, end in (
        (
            "a chunk of a chat stream",
            wire.CHAT_PATH,
            wire.chat_body(chunks=9),
            wire.chat_stream_start(),
            wire.chat_chunk,
            wire.chat_stream_end(),
        ),
        (
            "a chunk of a responses stream",
            wire.RESPONSES_PATH,
            wire.responses_body(chunks=9),
            wire.responses_stream_start(),
            wire.responses_chunk,
            wire.responses_stream_end(9),
        ),
    ):
        chunks = [_framed(chunk(n, time.monotonic_ns())) for n in range(_CHUNKS)]
        with rig.stream(path, body, start, chunks[0], end):
            await _time(name, functools.partial(rig.pass_on, chunks), _CHUNKS, is_profiled=profiled is not None)


async def _time(name: str, work: Callable[[], None], count: int, *, is_profiled: bool) -> None:
    work()
    if is_profiled:
        profile = cProfile.Profile()
        profile.enable()
        work()
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    best = float("inf")
    for _ in range(_RUNS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
        await asyncio.sleep(0)  # what was scheduled and has nothing left to do goes
    print(f"{name + ', without sockets':<50} {best / count * 1e6:8.2f} us")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Rig:
    """A client connection and an upstream connection of one gateway, and what comes in on them."""

    def __init__(self, client: Connection, upstream: UpstreamConnection, calls: UnaryCalls, key: str) -> None:
        self._client = client
        self._upstream = upstream
        self._calls = calls
        self._sent = _Transport()
        self._answered = _Transport()
        upstream.connection_made(self._sent)
        client.connection_made(self._answered)
        self._key = key
        self._request = self._asking(wire.CHAT_PATH, wire.chat_body())
        body = wire.chat_answer()
        self._answer = self._head(b"application/json", b"content-length: %d" % len(body)) + body

    def calls(self, count: int) -> None:
        for _ in range(count):
            self.call()

    def call(self) -> None:
        """One call: what the event loop would hand in, in its order."""
        self._client.data_received(self._request)
        self._calls._enter_all()  # noqa: SLF001 - the loop would do it in its next turn
        self._calls._start_all()  # noqa: SLF001
        self._upstream.data_received(self._answer)
        self._calls._end_all()  # noqa: SLF001
        assert self._answered.written.startswith(b"HTTP/1.1 200"), (self._answered.written, self._sent.written)
        self._answered.written = b""

    @contextlib.contextmanager
    def stream(self, path: str, body: bytes, start: bytes, first: bytes, end: bytes) -> Iterator[None]:
        """A stream under way, which is read to its end."""
        self._client.data_received(self._asking(path, body))
        self._upstream.data_received(self._head(b"text/event-stream", b"transfer-encoding: chunked") + _framed(start))
        self._upstream.data_received(first)  # with content, or nothing has begun
        assert self._answered.written.startswith(b"HTTP/1.1 200"), self._answered.written
        yield
        self._upstream.data_received(_framed(end) + b"0\r\n\r\n")

    def pass_on(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            self._upstream.data_received(chunk)
        assert self._answered.written == chunks[-1], self._answered.written

    def _asking(self, path: str, body: bytes) -> bytes:
        return wire.request_bytes("127.0.0.1", path, wire.sdk_headers(self._key), body)

    @staticmethod
    def _head(content_type: bytes, framing: bytes) -> bytes:
        lines = wire.answer_headers(as_openai=True)
        return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n%b\r\n" % (content_type, framing, lines)


def _rig(folder: Path) -> _Rig:
    config = folder / "headworks.yaml"
    config.write_text(headworks_config(9), encoding="utf-8")
    settings = read_settings(load(config), {UPSTREAM_KEY: "upstream-key"})
    with contextlib.closing(KeyStore.below(settings.project.storage, KEYS_FILE)) as store:
        _, key = store.create(secret=settings.secret, now=time.time())
    loop = asyncio.get_running_loop()
    wheel = TimerWheel(loop)
    hull = Hull(settings, worker="bench", loop=loop, wheel=wheel, metrics=Metrics())
    assembly = Assembly(settings, hull)
    server = HttpServer(assembly.gateway, limits=ServerLimits(), wheel=wheel, loop=loop, known_paths=KNOWN_PATHS)
    pool = assembly._upstreams[0]  # noqa: SLF001 - nobody else needs to reach a pool's connections
    assert isinstance(pool, UpstreamPool)
    upstream = UpstreamConnection(pool)
    rig = _Rig(Connection(server), upstream, assembly.gateway._unary_calls, key)  # noqa: SLF001
    pool.adopt(upstream)
    return rig


if __name__ == "__main__":
    sys.exit(main())
