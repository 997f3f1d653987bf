"""Tool calls that wait for a person, in an SQLite file: held, decided once, used once.

An approval binds to one tool, the exact arguments and the key that the call came with. Every step, refused ones
included, is an audit row. Arguments are kept as they are, for who decides has to read them: the file is as confidential
as the calls are, and readable by its owner only.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from headworks.database import open_database, storage_errors, transaction
from headworks.errors import CommandError
from headworks.screening.actions import approval_hash

_BUSY_S = 1.0
"""Changes are a few rows long; waiting longer than this for one means that something is wrong."""

_ID_BYTES = 16
"""128 random bits: an id cannot be guessed (OWASP asks for 64 in session ids)."""

_MIGRATIONS = (
    """
    CREATE TABLE approvals (
        approval_id TEXT PRIMARY KEY,
        call_id TEXT NOT NULL,
        workload TEXT NOT NULL,
        tool TEXT NOT NULL,
        arguments TEXT NOT NULL,
        hash TEXT NOT NULL,
        key_id TEXT NOT NULL,
        held_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        state TEXT NOT NULL,
        decided_at REAL,
        decided_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        consumed_at REAL
    );
    CREATE INDEX approvals_by_state ON approvals (state, expires_at);
    CREATE TABLE steps (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        approval_id TEXT NOT NULL,
        at REAL NOT NULL,
        by TEXT NOT NULL,
        what TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE INDEX steps_by_approval ON steps (approval_id, number)
    """,
)

_COLUMNS = (
    "approval_id, call_id, workload, tool, arguments, hash, key_id, held_at, expires_at, state, decided_at, "
    "decided_by, reason, consumed_at"
)

ApprovalState = Literal["pending", "approved", "denied", "consumed"]
Random: TypeAlias = Callable[[int], bytes]


class Approval(msgspec.Struct, frozen=True):
    """A held call and what has become of it. Times are Unix seconds.

    `hash` is what it binds to (`approval_hash`). One that is pending or approved after `expires_at` is good for
    nothing any more. `decided_by` and `reason` are empty until it is decided.
    """

    approval_id: str
    call_id: str
    workload: str
    tool: str
    arguments: str
    hash: str
    key_id: str
    held_at: float
    expires_at: float
    state: ApprovalState
    decided_at: float | None
    decided_by: str
    reason: str
    consumed_at: float | None

    def is_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return now >= self.expires_at


class ApprovalStep(msgspec.Struct, frozen=True):
    """One row of the audit: who did what to an approval, and when.

    `what` is `held`, `approved`, `denied`, `consumed`, or `refused` with the reason in `detail`. `by` is a person for
    decisions, a key's id for the rest.
    """

    approval_id: str
    at: float
    by: str
    what: str
    detail: str


class ApprovalStore:
    """The held calls in one file, which is made when missing. For one thread at a time, in any number of processes.

    Raises (here and in every method):
        StorageError: the file cannot be used.
    """

    def __init__(self, path: Path, *, random: Random = os.urandom) -> None:
        self._path = path
        self._random = random
        self._connection = open_database(path, _MIGRATIONS, busy_s=_BUSY_S)

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        self._connection.close()

    def hold(
        self, *, call_id: str, workload: str, tool: str, arguments: str, key_id: str, now: float, expires_at: float
    ) -> str:
        """Keep a call until it is decided; returns the approval's id.

        Raises:
            CommandError: the arguments are not JSON that means one thing.
        """
        approval_id = f"appr_{self._random(_ID_BYTES).hex()}"
        bound = approval_hash(tool, arguments)
        row = (approval_id, call_id, workload, tool, arguments, bound, key_id, now, expires_at)
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                f"INSERT INTO approvals ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', NULL, '', '', NULL)",  # noqa: S608
                row,
            )
            self._note(approval_id, now, key_id, "held", f"until {expires_at:.0f}")
        return approval_id

    def decide(self, approval_id: str, *, approve: bool, by: str, reason: str, now: float) -> Approval:
        """Approve or deny a held call, once.

        Arguments:
            by: who decides; a person, for the audit.

        Raises:
            CommandError: there is no such approval, nobody is named, it has been decided before, or its time is over.
        """
        if not by:
            raise CommandError("say who decides: an approval without a name is worth nothing in an audit")
        state: ApprovalState = "approved" if approve else "denied"
        refused = ""
        with storage_errors(self._path), transaction(self._connection):
            approval = self._one(approval_id)
            if approval.state != "pending":
                refused = f"{approval_id} was {_told(approval)} already, by {approval.decided_by}; it is decided once"
            elif approval.is_expired(now):
                refused = f"{approval_id} has expired; the call has to be made again"
            if refused:
                self._note(approval_id, now, by, "refused", f"to be {state}: {refused}")
            else:
                self._connection.execute(
                    "UPDATE approvals SET state = ?, decided_at = ?, decided_by = ?, reason = ? WHERE approval_id = ?",
                    (state, now, by, reason, approval_id),
                )
                self._note(approval_id, now, by, state, reason)
                approval = self._one(approval_id)
        if refused:
            raise CommandError(refused)
        return approval

    def consume(self, approval_id: str, *, name: str, arguments: str, key_id: str, now: float) -> Approval:
        """Use an approval up: after this the call may run, once.

        Raises:
            CommandError: it is not approved, used up, expired, or for another tool, other arguments or another key. To
                another key there is no such approval.
        """
        refused = ""
        with storage_errors(self._path), transaction(self._connection):
            approval = self._one(approval_id)
            refused = _why_not(approval, name, arguments, key_id, now)
            if refused:
                self._note(approval_id, now, key_id, "refused", f"to be consumed: {refused}")
            else:
                self._connection.execute(
                    "UPDATE approvals SET state = 'consumed', consumed_at = ? WHERE approval_id = ?", (now, approval_id)
                )
                self._note(approval_id, now, key_id, "consumed", "")
                approval = self._one(approval_id)
        if refused:
            raise CommandError(refused if approval.key_id == key_id else _unknown(approval_id))
        return approval

    def get(self, approval_id: str) -> Approval:
        """One approval.

        Raises:
            CommandError: there is none of this id.
        """
        with storage_errors(self._path):
            return self._one(approval_id)

    def pending(self, now: float) -> Sequence[Approval]:
        """What can be decided at this time, the oldest first."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM approvals WHERE state = 'pending' AND expires_at > ? "  # noqa: S608
                "ORDER BY held_at, approval_id",
                (now,),
            )
            return [_approval(row) for row in rows]

    def steps(self, approval_id: str) -> Sequence[ApprovalStep]:
        """The audit of one approval, in order."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT approval_id, at, by, what, detail FROM steps WHERE approval_id = ? ORDER BY number",
                (approval_id,),
            )
            return [ApprovalStep(*row) for row in rows]

    def _one(self, approval_id: str) -> Approval:
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM approvals WHERE approval_id = ?",  # noqa: S608
            (approval_id,),
        ).fetchone()
        if row is None:
            raise CommandError(_unknown(approval_id))
        return _approval(row)

    def _note(self, approval_id: str, at: float, by: str, what: str, detail: str) -> None:
        self._connection.execute(
            "INSERT INTO steps (approval_id, at, by, what, detail) VALUES (?, ?, ?, ?, ?)",
            (approval_id, at, by, what, detail),
        )


def _why_not(approval: Approval, name: str, arguments: str, key_id: str, now: float) -> str:
    """Why an approval cannot be used so; empty if it can."""
    if approval.key_id != key_id:
        return "it belongs to another key"
    if approval.state != "approved":
        return f"{approval.approval_id} is {_told(approval)}, not approved"
    if approval.is_expired(now):
        return f"{approval.approval_id} has expired; the call has to be made again"
    try:
        bound = approval_hash(name, arguments)
    except CommandError as error:
        return f"the arguments cannot be compared with those approved: {error}"
    if bound != approval.hash:
        return f"{approval.approval_id} was given for another tool or other arguments; what is new has to be approved"
    return ""


def _told(approval: Approval) -> str:
    return "used up" if approval.state == "consumed" else approval.state


def _unknown(approval_id: str) -> str:
    return f"there is no approval {approval_id!r}"


def _approval(row: sqlite3.Row | tuple[object, ...]) -> Approval:
    return msgspec.convert(dict(zip(Approval.__struct_fields__, row, strict=True)), Approval)
