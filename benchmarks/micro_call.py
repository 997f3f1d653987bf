"""What one plain call costs in Python alone: no sockets, no kernel.

    .venv/bin/python -m benchmarks.micro_call [--profile]

The real server, gateway and transport, with transports that keep what is written instead of sending it. It is the
quick look while the hot path is being worked on; the figure that counts is `make bench`. The best of several runs is
shown: noise only ever adds.
"""

import argparse
import asyncio
import contextlib
import cProfile
import gc
import platform
import pstats
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from benchmarks import wire
from benchmarks.gateways import UPSTREAM_KEY, headworks_config
from headworks.access import KEYS_FILE, KeyStore
from headworks.assembly import Assembly, Hull, read_settings
from headworks.config import load
from headworks.endpoints import KNOWN_PATHS
from headworks.records import Journal
from headworks.server.connection import Connection
from headworks.server.listening import HttpServer
from headworks.server.settings import ServerLimits
from headworks.telemetry import Metrics
from headworks.transport import UpstreamPool
from headworks.transport.connection import UpstreamConnection
from headworks.wheel import TimerWheel

_RUNS = 7
_CALLS = 4_000


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
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {sys.executable}")
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_measure(Path(folder), profiled=options.profile))
    return 0


async def _measure(folder: Path, *, profiled: bool) -> None:
    rig = _rig(folder)
    for _ in range(500):
        rig.call()
    gc.freeze()
    if profiled:
        profile = cProfile.Profile()
        profile.enable()
        for _ in range(_CALLS):
            rig.call()
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    best = float("inf")
    for _ in range(_RUNS):
        start = time.process_time()
        for _ in range(_CALLS):
            rig.call()
        best = min(best, time.process_time() - start)
        await asyncio.sleep(0)  # what was scheduled and has nothing left to do goes
    print(f"{'a plain call without sockets':<50} {best / _CALLS * 1e6:8.2f} us")


class _Rig:
    """A client connection and an upstream connection of one gateway, and what comes in on them."""

    def __init__(self, client: Connection, upstream: UpstreamConnection, journal: Journal, key: str) -> None:
        self._client = client
        self._upstream = upstream
        self._journal = journal
        self._sent = _Transport()
        self._answered = _Transport()
        upstream.connection_made(self._sent)
        client.connection_made(self._answered)
        self._request = wire.request_bytes("127.0.0.1", wire.CHAT_PATH, wire.sdk_headers(key), wire.chat_body())
        body = wire.chat_answer()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
        self._answer = head % (len(body), wire.answer_headers(as_openai=True)) + body

    def call(self) -> None:
        """One call: what the event loop would hand in, in its order."""
        self._client.data_received(self._request)
        self._upstream.data_received(self._answer)
        assert self._answered.written.startswith(b"HTTP/1.1 200"), (self._answered.written, self._sent.written)
        self._answered.written = b""


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
    rig = _Rig(Connection(server), upstream, hull.journal, key)
    pool.adopt(upstream)
    return rig


if __name__ == "__main__":
    sys.exit(main())
