"""Where the audit log of a project is, what it is sealed with, and how what is done gets there. Light: `audit_intake`
does the sealing.

An event goes the way of a call: into a journal, durable when `record` returns, and from there into the log by whoever
drains for it (the control plane; without one, `headworks audit`).
"""

import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

import msgspec

from headworks.access import server_secret
from headworks.calls import AuditEvent
from headworks.config import Project, Secret, read_secret
from headworks.database import storage_errors
from headworks.errors import ConfigError, SecretError
from headworks.records import JOURNAL_FOLDER, MARKS_FOLDER, report_outcomes

AUDIT_FOLDER = "audit"
"""Where ledger and archive lie, below the storage folder."""

_JOURNAL_BYTES = 1_073_741_824
"""The default of `storage.journal_bytes`."""

_one_writer = threading.Lock()
"""A journal is of one writer, and all threads of a process have one name as such."""

_LEAST_CHARACTERS = 32
"""As of the server secret: 128 bits, if they were written in hexadecimal."""


class AnchorTerms(msgspec.Struct, frozen=True):
    """A place for checkpoints, its token read."""

    file: Path | None
    url: str
    token: Secret | None


class AuditTerms(msgspec.Struct, frozen=True):
    """What a project says of its audit log, secrets read.

    `days` is how long entries of a workload without its own can be read; None is for ever.
    """

    storage: Path
    secret: Secret
    earlier: tuple[Secret, ...]
    days: int | None
    workload_days: Mapping[str, int]
    anchors: tuple[AnchorTerms, ...]
    anchor_every_s: float

    @property
    def folder(self) -> Path:
        """Where the log is."""
        return self.storage / AUDIT_FOLDER

    def days_of(self, workload: str) -> int | None:
        """How long entries of a workload can be read; None is for ever."""
        return self.workload_days.get(workload, self.days)


def audit_terms(project: Project, environment: Mapping[str, str] = os.environ) -> AuditTerms | None:
    """The terms of a project's audit log; None where it has none.

    Raises:
        ConfigError: a secret cannot be read, or protects nothing; with its place in the file.
        SecretError: the server secret cannot be read.
    """
    audit = project.config.audit
    if not audit.enabled:
        return None

    def secret(reference: str, *place: str | int) -> Secret:
        try:
            found = read_secret(reference, base=project.folder, environment=environment)
        except SecretError as error:
            raise ConfigError(project.problem(("audit", *place), str(error))) from None
        if place[-1] != "token" and len(found.reveal()) < _LEAST_CHARACTERS:
            short = f"{reference} is too short to protect anything: at least {_LEAST_CHARACTERS} characters"
            raise ConfigError(project.problem(("audit", *place), short))
        return found

    if audit.key is None:
        own = Secret(server_secret(project.config.access.secret, project.folder, environment).decode())
    else:
        own = secret(audit.key, "key")
    anchors = [
        AnchorTerms(
            None if anchor.file is None else project.path(anchor.file),
            anchor.url or "",
            None if anchor.token is None else secret(anchor.token, "anchors", number, "token"),
        )
        for number, anchor in enumerate(audit.anchors)
    ]
    return AuditTerms(
        project.storage,
        own,
        tuple(secret(reference, "previous_keys", number) for number, reference in enumerate(audit.previous_keys)),
        audit.days,
        audit.workload_days,
        tuple(anchors),
        audit.anchor_every_s,
    )


def operator() -> str:
    """Who runs this process, as the system knows it."""
    import getpass  # only who records that loads it

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as containers have
        return f"uid {os.getuid()}"


def terminal(environment: Mapping[str, str] = os.environ) -> str:
    """From where a command is given: the address of who is logged in from elsewhere, or this machine."""
    remote = environment.get("SSH_CONNECTION", "").partition(" ")[0]
    return remote or f"{socket.gethostname()}, command line"


def keep_for_audit(storage: Path, *, is_on: bool) -> None:
    """Have journals kept until the audit log has read them, or not.

    Raises:
        StorageError: the folder that says so cannot be made or removed.
    """
    marks = storage / JOURNAL_FOLDER / MARKS_FOLDER
    with storage_errors(marks):
        if is_on:
            for folder in (storage, storage / JOURNAL_FOLDER, marks):  # each with its mode, whoever is first
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif marks.exists():
            import shutil  # a megabyte, for who turns the log off

            shutil.rmtree(marks)


def event(
    action: str,
    *,
    actor: str,
    origin: str,
    target: str = "",
    outcome: str = "done",
    detail: Mapping[str, str | int] | None = None,
) -> AuditEvent:
    """An event that happens now. `detail` holds names and figures: no prompt, no secret, no value of a person."""
    shown = msgspec.json.encode(dict(detail)).decode() if detail else ""
    return AuditEvent(f"event_{token_hex(12)}", time.time_ns() // 1000, action, actor, origin, target, outcome, shown)


def record(project: Project, *events: AuditEvent) -> None:
    """Have events in a journal, from which they come into the audit log. For commands, outside of an event loop.

    Raises:
        StorageError: they cannot be written. What they tell of may have been done.
    """
    if project.config.audit.enabled:
        record_in(project.storage, *events, limit_bytes=project.config.storage.journal_bytes)


def record_in(storage: Path, *events: AuditEvent, limit_bytes: int = _JOURNAL_BYTES) -> None:
    """The same for a storage folder whose project has an audit log. Raises StorageError."""
    keep_for_audit(storage, is_on=True)
    with _one_writer:
        report_outcomes(storage, events, limit_bytes=limit_bytes)
