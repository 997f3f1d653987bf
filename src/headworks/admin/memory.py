"""What the admin API remembers between requests, in an SQLite file of its own: which requests were made already, and
which sessions were ended before their time, which sign-ins have come back. No secret is in it.
"""

import sqlite3
from pathlib import Path

import msgspec

from headworks.database import open_database, storage_errors, transaction

MEMORY_FILE = "admin.db"

KEPT_S = 86_400.0
"""How long a request is known by its `Idempotency-Key`, in seconds: clients give up long before."""

_BUSY_S = 2.0

_MIGRATIONS = (
    """
    CREATE TABLE repeats (
        who TEXT NOT NULL,
        name TEXT NOT NULL,
        digest BLOB NOT NULL,
        status INTEGER NOT NULL DEFAULT 0,
        answer BLOB NOT NULL DEFAULT x'',
        at_s REAL NOT NULL,
        PRIMARY KEY (who, name)
    ) WITHOUT ROWID;
    CREATE TABLE ended (
        session TEXT PRIMARY KEY,
        until_s REAL NOT NULL
    ) WITHOUT ROWID
    """,
)


class Repeat(msgspec.Struct, frozen=True):
    """A request that was made before. `status` is 0 while nobody knows what became of it."""

    is_same: bool
    status: int
    answer: bytes


class Memory:
    """The memory of one admin API. For any thread, one at a time: each use opens the file.

    Raises (in every method):
        StorageError: the file cannot be used.
    """

    def __init__(self, storage: Path) -> None:
        self._path = storage / MEMORY_FILE

    def begin(self, who: str, name: str, digest: bytes, now_s: float) -> Repeat | None:
        """Note that a request begins; what is known of it, if it was made before.

        Arguments:
            who: makes it; others' names are not theirs.
            name: its `Idempotency-Key`.
            digest: of all that it asks for.
        """
        connection = self._open()
        try:
            with storage_errors(self._path), transaction(connection):
                connection.execute("DELETE FROM repeats WHERE at_s < ?", (now_s - KEPT_S,))
                row = connection.execute(
                    "SELECT digest, status, answer FROM repeats WHERE who = ? AND name = ?", (who, name)
                ).fetchone()
                if row is not None:
                    return Repeat(row[0] == digest, row[1], row[2])
                connection.execute(
                    "INSERT INTO repeats (who, name, digest, at_s) VALUES (?, ?, ?, ?)", (who, name, digest, now_s)
                )
        finally:
            connection.close()
        return None

    def finish(self, who: str, name: str, status: int, answer: bytes) -> None:
        """Note what became of it. `answer` holds no secret."""
        self._do("UPDATE repeats SET status = ?, answer = ? WHERE who = ? AND name = ?", (status, answer, who, name))

    def forget(self, who: str, name: str) -> None:
        """It came to nothing: it may be made again."""
        self._do("DELETE FROM repeats WHERE who = ? AND name = ?", (who, name))

    def spend(self, name: str, until_s: float, now_s: float) -> bool:
        """Whether something that is good once, until `until_s`, is good now; it is not again."""
        connection = self._open()
        try:
            with storage_errors(self._path), transaction(connection):
                connection.execute("DELETE FROM ended WHERE until_s < ?", (now_s,))
                noted = "INSERT OR IGNORE INTO ended (session, until_s) VALUES (?, ?)"
                return connection.execute(noted, (name, until_s)).rowcount == 1
        finally:
            connection.close()

    def end_session(self, session: str, until_s: float, now_s: float) -> None:
        """A session is over. `until_s` is when it would have been over by itself."""
        self._do("DELETE FROM ended WHERE until_s < ?", (now_s,))
        self._do("INSERT OR REPLACE INTO ended (session, until_s) VALUES (?, ?)", (session, until_s))

    def has_ended(self, session: str) -> bool:
        """Whether a session was ended before its time."""
        if not self._path.exists():
            return False
        connection = self._open()
        try:
            with storage_errors(self._path):
                found = connection.execute("SELECT 1 FROM ended WHERE session = ?", (session,)).fetchone()
        finally:
            connection.close()
        return found is not None

    def _do(self, statement: str, values: tuple[object, ...]) -> None:
        connection = self._open()
        try:
            with storage_errors(self._path), transaction(connection):
                connection.execute(statement, values)
        finally:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        with storage_errors(self._path.parent):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_database(self._path, _MIGRATIONS, busy_s=_BUSY_S)
