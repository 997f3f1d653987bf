"""The supervisor: starts workers and the control plane, replaces what dies, reloads, stops.

It has one thread and no event loop, so that it may fork at any time; it waits in one place (`_wait`) for signals, for
words of its workers and for their deaths. Callers never meet it.
"""

import errno
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from headworks.auditing import audit_terms, event, keep_for_audit, operator, record
from headworks.config import Project, Secret, is_token, load_with_text, open_access_problem, parse, read_text
from headworks.console import ControlTerms, alert_terms, pack_terms, sink_terms
from headworks.errors import ConfigError, HeadworksError, StorageError
from headworks.secrets import Kept, forget, look_at_keys, pack, references_of, unpack, with_known
from headworks.server.children import Child, tell
from headworks.server.fresh import bare_environment, become, environment_of_control, given
from headworks.server.keeper import NAME as KEEPER
from headworks.server.keeper import key_sets_of, run_keeper
from headworks.server.listening import bind
from headworks.server.messages import FrameReader, Word
from headworks.server.tls import tls_context
from headworks.server.worker import READINESS_LEAD_S, fixed_part, run_worker
from headworks.settings import Settings, read_settings
from headworks.state_claim import StateClaim, claim_state
from headworks.telemetry import RUN_FOLDER, forget_figures, forget_gauges, report

_START_S = 30.0
"""A worker that is not ready by then has failed to start."""

_QUICK_DEATH_S = 2.0
_BACKOFF_S = (0.0, 0.2, 1.0, 5.0)
"""A process that dies young is replaced later and later."""

_CONTROL_PLANE = "control-plane"
_CONTROL_PLANE_ARGUMENTS = ("-m", "headworks.server.control_process")
_ADMIN = "admin"

OPEN_MODE = "headworks: access.mode is `open`: whoever reaches this port may call, without a key"
"""Said whenever it begins to be so."""


class Supervisor:
    """Runs one gateway on one machine.

    Arguments:
        settings: a configuration that has been read and found good.
        text: of its file.
        kept: the provider keys that are known.
        overrides: fields of `server` that the command line sets; they hold for reloads too.
        say: prints a line for the operator.
        prepare: called when the address is ours and nothing has started: a start that fails has changed nothing.
        announce: called once with the address when every worker takes calls.
        admin: the arguments with which our interpreter begins the process that serves the admin API, where the
            configuration asks for one.
    """

    def __init__(
        self,
        settings: Settings,
        text: str,
        kept: Kept,
        *,
        overrides: dict[str, object],
        say: Callable[[str], None],
        prepare: Callable[[], None],
        announce: Callable[[str], None],
        admin: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._text = text
        self._alerts = alert_terms(settings.project)
        self._sinks = sink_terms(settings.project)
        self._kept = kept
        self._prepare = prepare
        self._overrides = overrides
        self._say = say
        self._announce = announce
        self._storage = settings.project.storage
        self._audit = audit_terms(settings.project, with_known(os.environ, kept))
        self._run_folder = self._storage / RUN_FOLDER
        self._workers = [Child(f"worker_{index + 1}") for index in range(settings.project.config.server.workers)]
        self._control_plane = Child(_CONTROL_PLANE)
        self._keeper: Child | None = Child(KEEPER) if kept or key_sets_of(settings.project) else None
        self._admin_arguments = admin
        has_admin = bool(admin) and settings.project.config.admin.port is not None
        self._admin: Child | None = Child(_ADMIN) if has_admin else None
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._wake, self._wake_in = socket.socketpair()
        self._placeholder: socket.socket | None = None
        self._claim: StateClaim | None = None
        self._is_announced = False

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit code: 0 after a clean stop, 1 if it could not start.

        Raises:
            StorageError: another gateway has the state folder, or that or the address cannot be used.
        """
        server = self._settings.project.config.server
        self._make_folders()
        self._claim = self._claim_state()
        try:
            return self._serve(server.host, server.port, self._claim)
        finally:
            self._claim.close()

    def _serve(self, host: str, port: int, claim: StateClaim) -> int:
        self._reserve(host, port)
        claim.tell(host, self._port)
        self._forget_figures()
        keep_for_audit(self._storage, is_on=self._audit is not None)
        self._prepare()
        self._record("gateway.started", self._settings.project)
        self._listen_for_signals()
        gc.freeze()
        self._start_control_plane(self._control_plane)
        if self._keeper is not None:
            self._start_keeper(self._keeper)
        if self._admin is not None:
            self._start_admin(self._admin)
        for worker in self._workers:
            self._start_worker(worker)
        code = self._watch()
        if code == 0:
            grace_s = self._settings.project.config.server.grace_s
            self._say(
                f"headworks: stopping; calls under way may take {grace_s:g} s to finish, a second signal ends them now"
            )
        self._stop()
        return code

    # -- starting -------------------------------------------------------------------------------------------------

    def _make_folders(self) -> None:
        try:
            self._storage.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._run_folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _claim_state(self) -> StateClaim:
        try:
            return claim_state(self._storage)
        except OSError as error:
            raise self._unwritable(error) from error

    def _forget_figures(self) -> None:
        """Those of the run before; the folder is ours by now, so that they are not those of a gateway that runs."""
        try:
            forget_figures(self._run_folder)
            forget(self._run_folder)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StorageError:
        return StorageError(
            f"{error.filename or self._storage} cannot be written ({error.strerror}); "
            "`storage.path` in headworks.yaml says where state is kept"
        )

    def _reserve(self, host: str, port: int) -> None:
        """Hold the port without listening: workers share it, and no other gateway can slip in beside them."""
        try:
            if port:
                bind(host, port, shared=False).close()
            self._placeholder = bind(host, port, shared=True)
        except OSError as error:
            why = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            raise StorageError(
                f"cannot listen on {host}:{port}: {why}; choose another with --port or --host"
            ) from error
        self._port = int(self._placeholder.getsockname()[1])

    def _listen_for_signals(self) -> None:
        self._wake_in.setblocking(False)
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda received, _: self._signals.append(received))
        self._selector.register(self._wake, selectors.EVENT_READ)

    def _start_worker(self, child: Child) -> None:
        self._start_heard(
            child, lambda control: run_worker(self._settings, child.name, self._port, control, self._kept)
        )

    def _start_keeper(self, child: Child) -> None:
        self._start_heard(child, lambda control: run_keeper(self._settings.project, self._kept, control))

    def _start_admin(self, child: Child) -> None:
        """As a program of its own: what is in our memory is not for who can be reached with an admin's rights."""
        environment = bare_environment(os.environ)
        self._start_heard(child, lambda control: become(self._admin_arguments, control, environment))
        tell(child, Word.GIVEN, self._given())

    def _given(self) -> bytes:
        return given(self._settings.project, self._text, self._overrides, os.environ, self._kept)

    def _start_control_plane(self, child: Child) -> None:
        """As a program of its own, too: sinks are code of others, and nothing of this process needs a provider's key.

        A stop that comes before it listens for one waits until it does, for it is the last to drain the journals.
        """
        environment = environment_of_control(self._settings.project, os.environ)

        with _held_back(signal.SIGTERM):
            self._start_heard(child, lambda control: become(_CONTROL_PLANE_ARGUMENTS, control, environment))
        tell(child, Word.GIVEN, pack_terms(self._control_terms()))

    def _control_terms(self) -> ControlTerms:
        return ControlTerms(
            self._storage,
            Secret(self._settings.store_url),
            self._settings.project.config.records.days,
            not self._settings.valkey,
            self._alerts,
            self._audit,
            self._sinks,
        )

    def _start_heard(self, child: Child, body: Callable[[socket.socket], int]) -> None:
        """Start a child that is given a socket to us, and listen to it."""
        ours, theirs = socket.socketpair()
        child.is_ready = False
        child.control, child.frames = ours, FrameReader()

        def with_control() -> int:
            ours.close()
            return body(theirs)

        self._start(child, with_control)
        theirs.close()
        ours.setblocking(False)
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _start(self, child: Child, body: Callable[[], int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        child.started_s = time.monotonic()
        child.pid = os.fork()
        if child.pid:
            return
        code = 1
        try:
            self._become_child()
            code = body()
        except HeadworksError as error:
            report(f"{child.name}: {error}")
        except BaseException:  # noqa: BLE001 - a fork must never return into the supervisor's code
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        self._wake.close()
        self._wake_in.close()
        if self._placeholder is not None:
            self._placeholder.close()
        if self._claim is not None:
            self._claim.close()  # or the lock would outlive a supervisor that is killed
        for child in self._children():
            if child.control is not None and child.pid:
                child.control.close()

    # -- watching -------------------------------------------------------------------------------------------------

    def _watch(self) -> int:
        """Until told to stop (0), or until it is clear that it cannot start (1)."""
        due_s = time.monotonic() + _START_S
        while True:
            self._wait(0.5 if self._pending() else 5.0)
            while self._signals:
                number = self._signals.pop(0)
                if number in (signal.SIGTERM, signal.SIGINT):
                    return 0
                if number == signal.SIGHUP:
                    self._reload()
            self._reap()
            if not self._is_announced:
                if any(not worker.pid for worker in self._workers):
                    return 1  # its reason stands on standard error already
                if time.monotonic() > due_s:
                    self._say("headworks: the workers did not become ready in time")
                    return 1
            self._replace_dead()

    def _pending(self) -> bool:
        return any(not child.pid for child in self._children()) or not self._is_announced

    def _children(self) -> tuple[Child, ...]:
        others = (child for child in (self._keeper, self._admin) if child is not None)
        return (*self._workers, self._control_plane, *others)

    def _wait(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                try:
                    self._wake.recv(4096)
                except BlockingIOError:
                    continue
            else:
                self._hear(key.data)

    def _hear(self, child: Child) -> None:
        assert child.control is not None
        try:
            data = child.control.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._forget_control(child)
            return
        for word, content in child.frames.feed(data):
            if word is Word.READY:
                child.is_ready = True
                self._announce_once()
            elif word is Word.SECRETS:
                # It may not have heard of the newest configuration yet: what only that one names stays.
                fresh = unpack(content)
                self._record_rotated(fresh)
                self._kept = {**self._kept, **fresh}
                self._tell_workers(Word.SECRETS, content)
            elif word is Word.KEPT:
                self._say(f"headworks: {child.name} keeps the old configuration: {content.decode()}")

    def _announce_once(self) -> None:
        """When all that takes requests does. An admin API that cannot start keeps no caller waiting."""
        waits_for_admin = self._admin is not None and self._admin.pid and not self._admin.is_ready
        if self._is_announced or waits_for_admin or not all(worker.is_ready for worker in self._workers):
            return
        self._is_announced = True
        self._announce(self._address())

    def _forget_control(self, child: Child) -> None:
        if child.control is not None:
            self._selector.unregister(child.control)
            child.control.close()
            child.control = None

    def _reap(self) -> None:
        for child in self._children():
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            code = os.waitstatus_to_exitcode(status)
            lived_s = time.monotonic() - child.started_s
            child.pid = 0
            child.is_ready = False
            self._forget_control(child)
            self._forget_gauges(child)
            child.deaths = child.deaths + 1 if lived_s < _QUICK_DEATH_S else 0
            child.start_at_s = time.monotonic() + _BACKOFF_S[min(child.deaths, len(_BACKOFF_S) - 1)]
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            self._say(f"headworks: {child.name} {how}" + ("; starting another" if self._is_announced else ""))
            self._announce_once()

    def _forget_gauges(self, child: Child) -> None:
        try:
            forget_gauges(self._run_folder, child.name)
        except OSError as error:
            report(f"{child.name}: its last metrics cannot be written: {error.strerror}")

    def _replace_dead(self) -> None:
        if not self._control_plane.pid and time.monotonic() >= self._control_plane.start_at_s:
            self._start_control_plane(self._control_plane)
        if self._keeper is not None and not self._keeper.pid and time.monotonic() >= self._keeper.start_at_s:
            self._start_keeper(self._keeper)
        if self._admin is not None and not self._admin.pid and time.monotonic() >= self._admin.start_at_s:
            self._start_admin(self._admin)
        for worker in self._workers:
            if not worker.pid and time.monotonic() >= worker.start_at_s:
                self._start_worker(worker)

    # -- reloading ------------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Check the file here, once; then hand its very text to every worker."""
        project = self._settings.project
        try:
            text = read_text(project.file)
            fresh = _with_overrides(parse(text, file=str(project.file), base=project.folder), self._overrides)
            fixed = fixed_part(project)
            changed = [place for place, value in fixed_part(fresh).items() if value != fixed[place]]
            if changed:
                raise ConfigError(*(fresh.problem(place, "a change of this needs a restart") for place in changed))
            kept = look_at_keys(fresh, os.environ, self._kept)
            settings = read_settings(fresh, os.environ, kept)
            alerts, sinks = alert_terms(fresh), sink_terms(fresh)
        except (HeadworksError, OSError, ValueError) as error:
            self._record("config.reloaded", project, outcome="refused")
            self._tell_admin(Word.KEPT, str(error).encode())
            self._say("headworks: the old configuration stays, for the new one is not usable:")
            for line in str(error).splitlines():
                self._say(f"headworks: {line}")
            return
        if settings.project.config.access.mode == "open" != project.config.access.mode:
            self._say(OPEN_MODE)
        is_other = alerts != self._alerts or sinks != self._sinks
        self._record_rotated(kept)
        self._settings, self._alerts, self._sinks, self._kept = settings, alerts, sinks, kept
        self._text = text
        if is_other and self._control_plane.pid:
            os.kill(self._control_plane.pid, signal.SIGTERM)  # the next one goes by the new ones
        self._tell_workers(Word.SECRETS, pack(kept))
        self._tell_workers(Word.RELOAD, text.encode())
        self._tell_keeper(text)
        self._tell_admin(Word.GIVEN, self._given())
        self._record("config.reloaded", fresh, before=project)
        self._say("headworks: configuration reloaded")

    def _tell_workers(self, word: Word, content: bytes) -> None:
        for worker in self._workers:
            tell(worker, word, content)

    def _tell_keeper(self, text: str) -> None:
        """Have it look at the keys that the new configuration names; have one, where it names the first."""
        project = self._settings.project
        if self._keeper is None and (references_of(project) or key_sets_of(project)):
            self._keeper = Child(KEEPER)
            self._start_keeper(self._keeper)
        elif self._keeper is not None:
            tell(self._keeper, Word.SECRETS, pack(self._kept))
            tell(self._keeper, Word.RELOAD, text.encode())

    def _tell_admin(self, word: Word, content: bytes) -> None:
        if self._admin is not None:
            tell(self._admin, word, content)

    def _record(self, action: str, project: Project, *, before: Project | None = None, outcome: str = "done") -> None:
        """Tell the audit log which configuration is in force; by its hash, and by the names of what has changed."""
        detail: dict[str, str | int] = {"configuration": _fingerprint(project)}
        if before is not None:
            detail["before"] = _fingerprint(before)
            fields = project.config.__struct_fields__
            changed = [name for name in fields if getattr(project.config, name) != getattr(before.config, name)]
            detail["changed"] = ", ".join(changed)
        self._tell_audit(action, operator(), project.file.name, detail, outcome)

    def _record_rotated(self, fresh: Kept) -> None:
        """Tell the audit log which keys are others now, and which are not used any more, or again: by their references,
        and what their managers call the versions. Tokens are left out, which are others every hour by their nature."""
        for reference, held in fresh.items():
            known = self._kept.get(reference)
            if known is None or is_token(reference):
                continue
            version: dict[str, str | int] = {"version": held.versions[0].name}
            if known.versions[0].secret != held.versions[0].secret:
                self._tell_audit("provider.key_rotated", "headworks", reference, version)
            if known.is_expired != held.is_expired:
                action = "provider.key_expired" if held.is_expired else "provider.key_renewed"
                self._tell_audit(action, "headworks", reference, version)

    def _tell_audit(
        self, action: str, actor: str, target: str, detail: dict[str, str | int], outcome: str = "done"
    ) -> None:
        done = event(action, actor=actor, origin="server", target=target, outcome=outcome, detail=detail)
        try:
            record(self._settings.project, done)
        except StorageError as error:
            report(f"the audit log does not know of {action}: {error}")

    # -- stopping -------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Workers first, so that the control plane sees their last records; a second signal makes it quick."""
        grace_s = self._settings.project.config.server.grace_s + READINESS_LEAD_S + 5.0
        self._signals.clear()
        self._end(self._workers, grace_s)
        others = (self._control_plane, self._keeper, self._admin)
        self._end([child for child in others if child is not None], 10.0)
        if self._placeholder is not None:
            self._placeholder.close()

    def _end(self, children: list[Child], patience_s: float) -> None:
        due_s = time.monotonic() + patience_s
        for child in children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        while any(child.pid for child in children):
            for child in children:
                if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                    child.pid = 0
                    self._forget_control(child)
            impatient = signal.SIGINT in self._signals or signal.SIGTERM in self._signals
            if time.monotonic() > due_s or impatient:
                for child in children:
                    if child.pid:
                        os.kill(child.pid, signal.SIGKILL)
            if any(child.pid for child in children):
                self._wait(0.05)

    def _address(self) -> str:
        server = self._settings.project.config.server
        host = f"[{server.host}]" if ":" in server.host else server.host
        return f"{'https' if server.tls else 'http'}://{host}:{self._port}"


def serve(
    file: Path,
    *,
    overrides: dict[str, object],
    say: Callable[[str], None],
    prepare: Callable[[Settings], None],
    announce: Callable[[Settings, str], None],
    admin: Sequence[str] = (),
) -> int:
    """Serve the project of a configuration file; returns the exit code.

    Arguments:
        overrides: fields of `server` that the command line sets (`host`, `port`, `workers`).
        prepare: called with the settings when the address is ours, before anything starts.
        announce: called with the settings and the address when calls are taken.
        admin: as for `Supervisor`.

    Raises:
        ConfigError, SecretError: the configuration cannot be used.
        StorageError: the state folder or the address cannot be used.
    """
    project, text = load_with_text(file)
    project = _with_overrides(project, overrides)
    try:
        place = ("server", "tls")
        tls_context(project, project.config.server.tls)
        place = ("admin", "tls")
        tls_context(project, project.config.admin.tls)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(project.problem(place, f"the listener's TLS files cannot be used: {error}")) from error
    kept = look_at_keys(project, os.environ)
    settings = read_settings(project, os.environ, kept)
    supervisor = Supervisor(
        settings,
        text,
        kept,
        overrides=overrides,
        say=say,
        prepare=lambda: prepare(settings),
        announce=lambda address: announce(settings, address),
        admin=admin,
    )
    return supervisor.run()


@contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """The signal is not delivered to this process meanwhile, nor to one that is forked until that lets it in itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (number,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fingerprint(project: Project) -> str:
    return sha256(msgspec.json.encode(project.config)).hexdigest()


def _with_overrides(project: Project, overrides: dict[str, object]) -> Project:
    server = msgspec.structs.replace(project.config.server, **overrides)
    fresh = msgspec.structs.replace(project, config=msgspec.structs.replace(project.config, server=server))
    problem = open_access_problem(fresh.config)
    if problem:
        raise ConfigError(fresh.problem(("access", "mode"), problem))
    return fresh
