"""One worker: a process with one event loop, one listener, one journal, that answers callers and does nothing else."""

import asyncio
import gc
import os
import signal
import socket
from time import perf_counter

import uvloop

from headworks.assembly import Assembly
from headworks.config import Project, Server, parse
from headworks.endpoints import KNOWN_PATHS, PATHS_BEFORE_A_NAME
from headworks.errors import HeadworksError
from headworks.hot_path import as_source
from headworks.hull import Hull
from headworks.secrets import Kept, references_of, unpack
from headworks.server.listening import HttpServer, bind
from headworks.server.messages import FrameReader, Word, frame
from headworks.server.settings import ServerLimits
from headworks.server.tls import tls_context
from headworks.settings import Settings, read_settings
from headworks.shedding import Load
from headworks.telemetry import RUN_FOLDER, Metrics, MetricsShare, report
from headworks.wheel import Timer, TimerWheel

READINESS_LEAD_S = 0.3
"""Between readiness going false and the listener closing, so that a load balancer's next probe sees it first."""

_PUBLISH_S = 1.0

_GC_YOUNG = 20_000
"""Allocations between collections of the youngest generation. A call's objects die by reference count; what is left
for the collector are rare cycles, and a collection every 700 allocations (CPython's default) finds none."""


_M_TRIM_THRESHOLD = -1
"""As malloc.h of glibc has it."""

_KEPT_BYTES = 4 * 1024 * 1024


def run_worker(settings: Settings, name: str, port: int, control: socket.socket, kept: Kept) -> int:
    """Serve until SIGTERM, or until the supervisor is gone; returns the exit code.

    Arguments:
        kept: the provider keys that are known.
    """
    _keep_freed_memory()
    uvloop.run(_Worker(settings, name, port, control, kept).serve())
    return 0


def _keep_freed_memory() -> None:
    """Have the C library keep what is free at the end of its heap, up to a bound.

    glibc gives back all beyond 128 KiB. What a batch of calls with large bodies frees is more, so that it went to the
    kernel and was fetched anew, page by page, for the next: a quarter of such a call's time (`mallopt(3)`).
    """
    import ctypes  # by who serves alone

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not there but in glibc
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def server_limits(server: Server) -> ServerLimits:
    """The server's limits out of configuration, where they have the same names."""
    return ServerLimits(**{field: getattr(server, field) for field in ServerLimits.__struct_fields__})


def fixed_part(project: Project) -> dict[tuple[str, ...], object]:
    """What a reload cannot change, by its place in the file: a running process is bound to it."""
    config = project.config
    return {
        **{("server", field): getattr(config.server, field) for field in ("host", "port", "workers", "tls")},
        **{("admin", field): getattr(config.admin, field) for field in ("port", "host", "tls")},
        **{("storage", field): getattr(config.storage, field) for field in config.storage.__struct_fields__},
        **{("records", field): getattr(config.records, field) for field in ("store", "store_password", "days")},
        ("access", "secret"): config.access.secret,
        ("audit",): config.audit,
    }


class _Worker:
    def __init__(self, settings: Settings, name: str, port: int, control: socket.socket, kept: Kept) -> None:
        self._settings = settings
        self._kept = kept
        self._name = name
        self._port = port
        self._control = control
        self._frames = FrameReader()
        self._is_ready = False
        self._retiring: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        # Ctrl-C reaches the whole process group; the supervisor decides when workers stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        project = self._settings.project
        load = Load()
        wheel = self._wheel = TimerWheel(loop, load.note_lag)
        metrics = Metrics()
        self._share = MetricsShare(metrics, project.storage / RUN_FOLDER, self._name)
        hull = self._hull = Hull(
            self._settings,
            worker=self._name,
            loop=loop,
            wheel=wheel,
            metrics=metrics,
            load=load,
            render_metrics=self._share.render,
            is_ready=lambda: self._is_ready,
        )
        self._assembly = Assembly(self._settings, hull)
        self._assembly.rekey(self._kept)  # they may be newer than the settings
        server = self._server = HttpServer(
            self._assembly.gateway,
            limits=server_limits(project.config.server),
            wheel=wheel,
            loop=loop,
            known_paths=KNOWN_PATHS,
            slashes_below=PATHS_BEFORE_A_NAME,
        )
        metrics.gauge("calls_in_flight", "Calls under way.", lambda: self._assembly.gateway.in_flight)
        metrics.gauge("realtime_sessions", "Open Realtime sessions.", lambda: self._assembly.gateway.sessions)
        metrics.gauge("client_connections", "Open client connections.", lambda: len(server.connections))
        metrics.gauge("buffered_bytes", "Request bodies held in memory.", lambda: server.buffered_bytes)
        metrics.gauge(
            "calls_waiting",
            "Calls that wait for room in a quota, or a budget.",
            lambda: hull.limiter.waiting + hull.wallet.waiting,
        )
        metrics.gauge("quotas_away", "Whether nobody grants leases of quotas.", lambda: float(hull.limiter.is_away))
        metrics.gauge("budgets_away", "Whether nobody keeps the books of budgets.", lambda: float(hull.wallet.is_away))
        metrics.gauge("event_loop_lag_seconds", "How late timers fire, smoothed.", lambda: load.lag_s)
        described = "Pools whose newest provider key is refused, so that an older one is used, in all workers."
        metrics.gauge("provider_keys_refused", described, lambda: self._assembly.keys_refused)
        metrics.standing = lambda: self._assembly.standing(perf_counter(), is_ready=self._is_ready)
        metrics.gauge("workers", "Workers that are running.", lambda: 1)
        is_compiled = float(not as_source())
        metrics.gauge("workers_compiled", "Those of them whose hot path runs compiled.", lambda: is_compiled)
        self._publish_timer = Timer(self._publish)
        self._publish()
        await server.listen(
            bind(project.config.server.host, self._port, shared=True), tls_context(project, project.config.server.tls)
        )
        _tune_memory()
        self._is_ready = True
        self._publish()  # before anybody is told: who looks then must see it
        self._control.setblocking(False)
        loop.add_reader(self._control.fileno(), self._hear)
        self._tell(Word.READY)
        await self._stop.wait()
        await self._shut_down()

    async def _shut_down(self) -> None:
        self._is_ready = False
        await asyncio.sleep(READINESS_LEAD_S)
        await self._server.stop(self._assembly.settings.project.config.server.grace_s)
        await self._assembly.retire()
        if self._retiring:
            await asyncio.gather(*self._retiring)
        self._publish_timer.disarm()
        self._share.end()
        await self._hull.stop_limiting()
        self._hull.close()
        self._wheel.close()
        self._loop.remove_reader(self._control.fileno())
        self._control.close()

    def _publish(self) -> None:
        try:
            self._share.publish()
        except OSError as error:
            report(f"{self._name}: metrics cannot be written: {error.strerror}")
        self._wheel.arm(self._publish_timer, _PUBLISH_S)

    def _hear(self) -> None:
        try:
            data = self._control.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._stop.set()  # the supervisor is gone, however it went: finish and leave
            self._loop.remove_reader(self._control.fileno())
            return
        for word, content in self._frames.feed(data):
            if word is Word.RELOAD:
                self._reload(content.decode())
            elif word is Word.SECRETS:
                self._rekey(unpack(content))

    def _rekey(self, kept: Kept) -> None:
        # Together with those that only the configuration in force names: the next one may be on its way.
        self._kept = {**self._kept, **kept}
        try:
            self._assembly.rekey(self._kept)
        except (HeadworksError, ValueError) as error:
            report(f"{self._name}: the provider keys stay as they were: {error}")

    def _reload(self, text: str) -> None:
        """Take the new configuration whole, or keep the old one and say why."""
        old = self._assembly
        project = old.settings.project
        try:
            fresh = parse(text, file=str(project.file), base=project.folder)
            assembly = Assembly(read_settings(fresh, os.environ, self._kept, asks=False), self._hull)
            assembly.rekey(self._kept)  # which of them are expired, the settings do not say
        except (HeadworksError, OSError, ValueError) as error:
            self._tell(Word.KEPT, str(error).encode())
            return
        named = references_of(fresh)
        self._kept = {name: held for name, held in self._kept.items() if name in named}
        self._assembly = assembly
        self._server.application = assembly.gateway
        self._server.limits = server_limits(fresh.config.server)
        task = self._loop.create_task(old.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        self._tell(Word.RELOADED)

    def _tell(self, word: Word, content: bytes = b"") -> None:
        # A few bytes into an empty socket pair: there is always room; if the supervisor is gone, `_hear` knows.
        try:
            self._control.send(frame(word, content))
        except OSError as error:
            report(f"{self._name}: the supervisor does not hear: {error.strerror}")


def _tune_memory() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_YOUNG, 50, 50)


__all__ = ["READINESS_LEAD_S", "fixed_part", "run_worker", "server_limits"]
