"""The process that serves the admin API: one event loop, one listener, threads that read and write the state folder.

It hears of a new configuration as the workers do. What it is asked to have reloaded it asks of the supervisor.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import uvloop

from headworks.access import server_secret
from headworks.access.discovery import Document, read_found
from headworks.access.issuers import key_set_file
from headworks.admin.api.operation import Levers
from headworks.admin.application import AdminApplication, Record
from headworks.admin.authenticating import Authenticator
from headworks.admin.configuration import LookOver, NotTaken, fingerprint
from headworks.admin.memory import Memory
from headworks.admin.renewing import Renewals
from headworks.admin.sessions import Seals
from headworks.admin.signing_in import SignInFlow
from headworks.auditing import event, record
from headworks.config import Project, Secret, read_secret
from headworks.config.sections.administration import SignIn
from headworks.errors import ConfigError, HeadworksError, SecretError, StorageError
from headworks.secrets import HttpAsker
from headworks.server.listening import HttpServer, bind
from headworks.server.messages import FrameReader, Word, frame
from headworks.server.settings import ServerLimits
from headworks.server.tls import tls_context
from headworks.telemetry import report
from headworks.wheel import TimerWheel

THREADS = 4
"""Requests that are worked on at one time: administration is seldom, and what is long waits for disks."""

RELOAD_S = 15.0
"""How long the supervisor may take over a new configuration, in seconds: it may have to ask secret managers."""

_REFRESH_S = 1.0
_GRACE_S = 5.0
_NICENESS = 5
"""Callers cannot wait, and administration can."""

_LIMITS = ServerLimits(
    body_bytes=262_144,
    upload_bytes=262_144,
    buffered_bytes=8_388_608,
    connections=200,
    idle_timeout_s=30.0,
)


Given = Callable[[bytes], Project]
"""Takes what the supervisor gives; returns the configuration in it. Raises ConfigError."""


def run_admin(project: Project, control: socket.socket, look_over: LookOver, given: Given) -> int:
    """Serve the admin API of a project until SIGTERM, or until the supervisor is gone; returns the exit code.

    Arguments:
        control: to the supervisor.
        look_over: finds what is wrong in what a project refers to.
        given: takes the next configuration.

    Raises:
        ConfigError, SecretError: what it needs of the configuration cannot be read.
        StorageError: it cannot listen.
    """
    os.nice(_NICENESS)
    # Ctrl-C reaches the whole process group; the supervisor decides when this one stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    uvloop.run(AdminProcess(project, control, look_over, given, ask_supervisor=_ask_parent()).serve())
    return 0


def _ask_parent() -> Callable[[], None]:
    parent = os.getppid()
    return lambda: os.kill(parent, signal.SIGHUP)


class AdminProcess:
    """State: the configuration in force, and who waits for the next one.

    Arguments:
        project, control, look_over, given: as for `run_admin`.
        ask_supervisor: has the supervisor look at the configuration's file.

    Attributes:
        address: where it listens, once it does.
    """

    def __init__(
        self,
        project: Project,
        control: socket.socket,
        look_over: LookOver,
        given: Given,
        *,
        ask_supervisor: Callable[[], None],
    ) -> None:
        self._project = project
        self._control = control
        self._look_over = look_over
        self._given = given
        self._ask_supervisor = ask_supervisor
        self._frames = FrameReader()
        self.address = ""
        self._memory = Memory(project.storage)
        self._renewals = Renewals(time.time)
        self._recording = Lock()
        self._taking = Lock()
        self._waiting: Future[str] | None = None
        self._executor = ThreadPoolExecutor(THREADS, "admin")

    async def serve(self) -> None:
        """Serve until told to stop."""
        loop = self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        wheel = TimerWheel(loop)
        self._authenticator, application = self._build(self._project)
        # Nobody who only waits may keep out who has to revoke a key.
        server = self._server = HttpServer(application, limits=_LIMITS, wheel=wheel, loop=loop, drops_waiting=True)
        admin = self._project.config.admin
        try:
            listener = bind(admin.host, admin.port or 0, shared=False)
        except OSError as error:
            raise StorageError(
                f"the admin API cannot listen on {admin.host}:{admin.port}: {error.strerror or error}; `admin.port` in "
                "headworks.yaml says where"
            ) from None
        await server.listen(listener, tls_context(self._project, admin.tls))
        host = f"[{admin.host}]" if ":" in admin.host else admin.host
        self.address = f"{'https' if admin.tls else 'http'}://{host}:{listener.getsockname()[1]}"
        report(f"the admin API is on {self.address}")
        self._control.setblocking(False)
        self._control.send(frame(Word.READY))  # a few bytes into an empty socket pair: there is room
        loop.add_reader(self._control.fileno(), self._hear)
        refreshing = loop.create_task(self._keep_fresh())
        await self._stop.wait()
        loop.remove_reader(self._control.fileno())
        self._answer_waiting(NotTaken("the gateway is stopping"))
        await server.stop(_GRACE_S)
        refreshing.cancel()
        self._authenticator.close()
        self._executor.shutdown(wait=True)
        wheel.close()
        self._control.close()

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            self._authenticator.refresh()

    # -- one configuration --------------------------------------------------------------------------------------------

    def _build(self, project: Project) -> tuple[Authenticator, AdminApplication]:
        config = project.config
        secret = server_secret(config.access.secret, project.folder, os.environ)
        seals = Seals(secret)
        authenticator = Authenticator(project, secret, seals, self._memory, self._renewals, say=report)
        flow = None
        if config.admin.sign_in is not None:
            asker = HttpAsker(config.secrets.timeout_s)
            find = _discovered(project, config.admin.sign_in)
            flow = SignInFlow(config.admin.sign_in, _client_secret(project), seals, asker, time.time, find)
        levers = Levers(self._look_over, self._take)
        application = AdminApplication(
            project,
            levers,
            authenticator,
            flow,
            seals,
            self._memory,
            self._renewals,
            self._recorder(project),
            self._executor,
            report,
        )
        return authenticator, application

    def _recorder(self, project: Project) -> Record:
        def tell(
            action: str, actor: str, origin: str, target: str, detail: Mapping[str, str | int], outcome: str
        ) -> None:
            done = event(action, actor=actor, origin=origin, target=target, outcome=outcome, detail=detail)
            with self._recording:  # a journal is of one writer
                record(project, done)

        return tell

    # -- the supervisor -----------------------------------------------------------------------------------------------

    def _take(self) -> str:
        """Have the supervisor take the file; returns the fingerprint of what is in force then. From a thread."""
        if not self._taking.acquire(blocking=False):
            raise NotTaken("another reload is under way: see what comes of it")
        try:
            waiting: Future[str] = Future()
            self._loop.call_soon_threadsafe(self._wait_for_answer, waiting)
            try:
                return waiting.result(RELOAD_S)
            except TimeoutError:
                raise NotTaken(f"the gateway has said nothing for {RELOAD_S:g} s: see its log") from None
        finally:
            self._taking.release()

    def _wait_for_answer(self, waiting: "Future[str]") -> None:
        self._waiting = waiting
        try:
            self._ask_supervisor()
        except OSError:
            self._answer_waiting(NotTaken("the gateway's supervisor is gone"))

    def _answer_waiting(self, answer: str | NotTaken) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            return
        if isinstance(answer, str):
            waiting.set_result(answer)
        else:
            waiting.set_exception(answer)

    def _hear(self) -> None:
        try:
            data = self._control.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._stop.set()  # the supervisor is gone, however it went
            self._loop.remove_reader(self._control.fileno())
            return
        for word, content in self._frames.feed(data):
            if word is Word.GIVEN:
                self._reload(content)
            elif word is Word.KEPT:
                self._answer_waiting(NotTaken(f"the gateway keeps its configuration: {content.decode()}"))

    def _reload(self, content: bytes) -> None:
        """Take the new configuration, or keep the old one and say why."""
        try:
            project = self._given(content)
            built = self._build(project)
        except (HeadworksError, OSError, ValueError) as error:
            report(f"admin: the old configuration stays: {error}")
            self._answer_waiting(NotTaken(f"the gateway has taken the file, and the admin API has not: {error}"))
            return
        self._authenticator.close()
        self._authenticator, self._server.application = built
        self._project = project
        self._answer_waiting(fingerprint(project))


def _discovered(project: Project, sign_in: SignIn) -> Callable[[], Document | None]:
    file = key_set_file(project.storage, sign_in.issuer, None)
    return lambda: read_found(file, sign_in.issuer)


def _client_secret(project: Project) -> Secret | None:
    sign_in = project.config.admin.sign_in
    if sign_in is None or sign_in.client_secret is None:
        return None
    try:
        return read_secret(sign_in.client_secret, base=project.folder, environment=os.environ)
    except SecretError as error:
        raise ConfigError(project.problem(("admin", "sign_in", "client_secret"), str(error))) from None
