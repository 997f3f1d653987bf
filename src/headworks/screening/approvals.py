"""Tool calls that wait for a person, in an SQLite file: held with the answer they stand in, decided once, used once.

An approval binds to one tool, the exact arguments and the key that the call came with. Every step, refused ones
included, is an audit row, and stays. The answer and the arguments are sealed by who holds them, and are removed when
their time is over.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Self, TypeAlias

import msgspec

from headworks.database import open_database, storage_errors, transaction
from headworks.errors import CommandError, UnknownName
from headworks.screening.actions import approval_hash

APPROVALS_FILE = "approvals.db"
"""Where held calls lie, below the storage folder."""

_BUSY_S = 1.0
"""Changes are a few rows long; waiting longer than this for one means that something is wrong."""

_ID_BYTES = 16
"""128 random bits: an id cannot be guessed (OWASP asks for 64 in session ids)."""

_MIGRATIONS = (
    """
    CREATE TABLE answers (
        call_id TEXT PRIMARY KEY,
        workload TEXT NOT NULL,
        key_id TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        held_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        sealed BLOB NOT NULL
    );
    CREATE TABLE approvals (
        approval_id TEXT PRIMARY KEY,
        call_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        workload TEXT NOT NULL,
        tool TEXT NOT NULL,
        sealed BLOB NOT NULL,
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
    CREATE INDEX approvals_by_call ON approvals (call_id, number);
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

_ANSWER_COLUMNS = "call_id, workload, key_id, endpoint, held_at, expires_at, sealed"
_COLUMNS = (
    "approval_id, call_id, workload, tool, sealed, hash, key_id, held_at, expires_at, state, decided_at, "
    "decided_by, reason, consumed_at"
)

ApprovalState = Literal["pending", "approved", "denied", "consumed"]
HeldState = Literal["pending", "approved", "denied", "expired"]
"""Of a whole answer: what all of its held calls together come to."""

Random: TypeAlias = Callable[[int], bytes]


class HeldCall(msgspec.Struct, frozen=True):
    """A tool call to hold: its arguments as JSON, the same sealed, and until when (Unix seconds) it may be decided."""

    tool: str
    arguments: str
    sealed: bytes
    expires_at: float


class HeldAnswer(msgspec.Struct, frozen=True):
    """The answer that held calls stand in: whose it is, in which dialect, and its body, sealed; empty when it has been
    removed. Times are Unix seconds."""

    call_id: str
    workload: str
    key_id: str
    endpoint: str
    held_at: float
    expires_at: float
    sealed: bytes


class Approval(msgspec.Struct, frozen=True):
    """A held call and what has become of it. Times are Unix seconds.

    `sealed` are its arguments, empty when they have been removed; `hash` is what it binds to (`approval_hash`). One
    that is pending or approved after `expires_at` is good for nothing any more. `decided_by` and `reason` are empty
    until it is decided.
    """

    approval_id: str
    call_id: str
    workload: str
    tool: str
    sealed: bytes
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


def held_state(approvals: Sequence[Approval], now: float) -> HeldState:
    """What an answer's approvals come to: one denied is enough to keep it, all have to be good to let it go."""
    if any(each.state == "denied" for each in approvals):
        return "denied"
    if any(each.is_expired(now) for each in approvals):
        return "expired"
    return "pending" if any(each.state == "pending" for each in approvals) else "approved"


class ApprovalStore:
    """The held calls in one file, which is made when missing. For one thread at a time, in any number of processes.

    Raises (here and in every method):
        StorageError: the file cannot be used.
    """

    def __init__(self, path: Path, *, random: Random = os.urandom) -> None:
        self._path = path
        self._random = random
        self._connection = open_database(path, _MIGRATIONS, busy_s=_BUSY_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        self._connection.close()

    def hold(self, answer: HeldAnswer, calls: Sequence[HeldCall]) -> list[str]:
        """Keep an answer until its calls are decided; returns an approval's id for each call.

        Raises:
            CommandError: arguments are not JSON that means one thing.
        """
        bound = [approval_hash(call.tool, call.arguments) for call in calls]
        ids = [f"appr_{self._random(_ID_BYTES).hex()}" for _ in calls]
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                f"INSERT INTO answers ({_ANSWER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                msgspec.structs.astuple(answer),
            )
            for number, (approval_id, call, hash_) in enumerate(zip(ids, calls, bound, strict=True)):
                self._connection.execute(
                    "INSERT INTO approvals (approval_id, call_id, number, workload, tool, sealed, hash, key_id, "
                    "held_at, expires_at, state, decided_by, reason) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', '', '')",
                    (
                        approval_id,
                        answer.call_id,
                        number,
                        answer.workload,
                        call.tool,
                        call.sealed,
                        hash_,
                        answer.key_id,
                        answer.held_at,
                        call.expires_at,
                    ),
                )
                self._note(approval_id, answer.held_at, answer.key_id, "held", f"until {_moment(call.expires_at)}")
        return ids

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
                what = "approved" if approval.state == "consumed" else approval.state
                refused = f"{approval.approval_id} was {what} already, by {approval.decided_by}; it is decided once"
            elif approval.is_expired(now):
                refused = f"{approval.approval_id} has expired; the call has to be made again"
            if refused:
                self._note(approval.approval_id, now, by, "refused", f"to be {state}: {refused}")
            else:
                self._connection.execute(
                    "UPDATE approvals SET state = ?, decided_at = ?, decided_by = ?, reason = ? WHERE approval_id = ?",
                    (state, now, by, reason, approval.approval_id),
                )
                self._note(approval.approval_id, now, by, state, reason)
                approval = self._one(approval.approval_id)
        if refused:
            raise CommandError(refused)
        return approval

    def held(self, call_id: str, key_id: str) -> tuple[HeldAnswer, list[Approval]] | None:
        """A held answer with its approvals, in the order of its calls; None where this key holds none of this id."""
        with storage_errors(self._path):
            row = self._connection.execute(
                f"SELECT {_ANSWER_COLUMNS} FROM answers WHERE call_id = ? AND key_id = ?",  # noqa: S608
                (call_id, key_id),
            ).fetchone()
            if row is None:
                return None
            answer = msgspec.convert(dict(zip(HeldAnswer.__struct_fields__, row, strict=True)), HeldAnswer)
            return answer, self._of_call(call_id)

    def release(self, call_id: str, calls: Sequence[tuple[str, str]], *, key_id: str, now: float) -> None:
        """Use the approvals of an answer up: after this its calls may run. Harmless again, for the same calls.

        Arguments:
            calls: tool and arguments of each held call, as they are about to go out.

        Raises:
            CommandError: one is not approved, expired, or was given for another tool, other arguments or another key.
        """
        refused = ""
        with storage_errors(self._path), transaction(self._connection):
            approvals = self._of_call(call_id)
            if len(approvals) != len(calls):
                refused = f"{call_id} holds {len(approvals)} calls, and {len(calls)} were to be used"
            for approval, (tool, arguments) in zip(approvals, calls, strict=False):
                refused = refused or _why_not(approval, tool, arguments, key_id, now)
            for approval in approvals:
                if refused:
                    self._note(approval.approval_id, now, key_id, "refused", f"to be consumed: {refused}")
                elif approval.state != "consumed":
                    self._connection.execute(
                        "UPDATE approvals SET state = 'consumed', consumed_at = ? WHERE approval_id = ?",
                        (now, approval.approval_id),
                    )
                    self._note(approval.approval_id, now, key_id, "consumed", "")
        if refused:
            raise CommandError(refused)

    def get(self, approval_id: str) -> Approval:
        """One approval. The beginning of its id is enough if it is unique.

        Raises:
            CommandError: there is none of this id, or more than one.
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

    def recent(self, limit: int) -> Sequence[Approval]:
        """Whatever has become of them, the newest first."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM approvals ORDER BY held_at DESC, approval_id LIMIT ?",  # noqa: S608
                (limit,),
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

    def purge(self, now: float) -> int:
        """Remove the answers and arguments whose time is over; how many answers. The audit stays."""
        with storage_errors(self._path), transaction(self._connection):
            gone = self._connection.execute(
                "UPDATE answers SET sealed = x'' WHERE expires_at <= ? AND sealed <> x''", (now,)
            ).rowcount
            self._connection.execute(
                "UPDATE approvals SET sealed = x'' WHERE expires_at <= ? AND sealed <> x''", (now,)
            )
        return gone

    def _one(self, approval_id: str) -> Approval:
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM approvals WHERE approval_id = ?",  # noqa: S608
            (approval_id,),
        ).fetchone()
        if row is not None:
            return _approval(row)
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM approvals WHERE substr(approval_id, 1, ?) = ? LIMIT 2",  # noqa: S608
            (len(approval_id), approval_id),
        ).fetchall()
        if len(rows) > 1 and approval_id:
            raise CommandError(f"more than one approval begins with {approval_id!r}: give more of its id")
        if not rows or not approval_id:
            raise UnknownName(f"there is no approval {approval_id!r}")
        return _approval(rows[0])

    def _of_call(self, call_id: str) -> list[Approval]:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM approvals WHERE call_id = ? ORDER BY number",  # noqa: S608
            (call_id,),
        )
        return [_approval(row) for row in rows]

    def _note(self, approval_id: str, at: float, by: str, what: str, detail: str) -> None:
        self._connection.execute(
            "INSERT INTO steps (approval_id, at, by, what, detail) VALUES (?, ?, ?, ?, ?)",
            (approval_id, at, by, what, detail),
        )


def _why_not(approval: Approval, name: str, arguments: str, key_id: str, now: float) -> str:
    """Why an approval cannot be used so; empty if it can."""
    if approval.key_id != key_id:
        return "it belongs to another key"
    if approval.state not in ("approved", "consumed"):
        return f"{approval.approval_id} is {approval.state}, not approved"
    if approval.is_expired(now):
        return f"{approval.approval_id} has expired; the call has to be made again"
    try:
        bound = approval_hash(name, arguments)
    except CommandError as error:
        return f"the arguments cannot be compared with those approved: {error}"
    if bound != approval.hash:
        return f"{approval.approval_id} was given for another tool or other arguments; what is new has to be approved"
    return ""


def _approval(row: sqlite3.Row | tuple[object, ...]) -> Approval:
    return msgspec.convert(dict(zip(Approval.__struct_fields__, row, strict=True)), Approval)


def _moment(at: float) -> str:
    """A time for people, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
