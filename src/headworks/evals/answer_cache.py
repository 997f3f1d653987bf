"""What was answered before, by what was asked: no run pays for what an earlier one has paid for."""

import hashlib
import time
from pathlib import Path

import msgspec

from headworks.database import open_database, storage_errors
from headworks.evals.golden import GoldenCase
from headworks.evals.runs import Reply

CACHE_FILE = "answers.db"

_MIGRATIONS = (
    "CREATE TABLE answers (key BLOB PRIMARY KEY, reply BLOB NOT NULL, at_us INTEGER NOT NULL) WITHOUT ROWID, STRICT",
)
_decode = msgspec.json.Decoder(Reply).decode


def cache_key(request: str, case: GoldenCase, repeat: int) -> bytes:
    """What an answer depends on: the request, what the case asks, and which time it is asked: repeats are drawn anew,
    and not copies of the first.

    Arguments:
        request: tells apart what is sent of a prompt, and beside it.
    """
    return hashlib.sha256(msgspec.json.encode([request, case.asked_hash, repeat])).digest()


class AnswerCache:
    """A SQLite file. For one thread; several processes may use it at once.

    Arguments:
        is_fresh: what was answered before this moment is not given out; what is answered now takes its place.
    """

    def __init__(self, folder: Path, *, is_fresh: bool = False) -> None:
        """Raises StorageError: it cannot be used."""
        self._since_us = time.time_ns() // 1000 if is_fresh else 0
        self._path = folder / CACHE_FILE
        with storage_errors(self._path):
            folder.mkdir(parents=True, exist_ok=True)
        self._connection = open_database(self._path, _MIGRATIONS, busy_s=10)
        # The run's own log is what must outlive a power cut: here it would cost a wait for the disk each time.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def get(self, key: bytes) -> Reply | None:
        """What was answered; None if nothing is known."""
        with storage_errors(self._path):
            wanted = (key, self._since_us)
            row = self._connection.execute("SELECT reply FROM answers WHERE key = ? AND at_us >= ?", wanted).fetchone()
        return None if row is None else _decode(row[0])

    def put(self, key: bytes, reply: Reply) -> None:
        """Remember what was answered."""
        values = (key, msgspec.json.encode(reply), time.time_ns() // 1000)
        with storage_errors(self._path):
            self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", values)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
