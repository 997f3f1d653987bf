"""Answers in a SQLite file of their own, which all workers of a machine share."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from headworks.database import open_database, storage_errors, transaction
from headworks.errors import StorageError
from headworks.response_cache.keys import KEY_BYTES
from headworks.response_cache.stores import StoreAway

T = TypeVar("T")

CACHE_FILE = "response-cache.db"
"""Below the storage folder."""

_MIGRATIONS = (
    """
    CREATE TABLE entries (
        key BLOB PRIMARY KEY,
        workload TEXT NOT NULL,
        expires_us INTEGER NOT NULL,
        stored_us INTEGER NOT NULL,
        sealed BLOB NOT NULL
    );
    CREATE INDEX entries_by_expiry ON entries (expires_us);
    CREATE INDEX entries_by_workload ON entries (workload, stored_us, length(sealed))
    """,
    """
    CREATE TABLE leases (
        key BLOB PRIMARY KEY,
        holder BLOB NOT NULL,
        expires_us INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
)

_BUSY_S = 1.0
"""A call waits no longer for another worker's lock: it can go up instead."""

_PURGED = 200
"""Most expired entries that one write removes."""

_WEIGHED_EVERY = 32
"""Writes after which the whole is weighed: that looks at all entries of a workload."""


_ANSWERS = f"length(key) = {KEY_BYTES}"
"""Which entries are answers: what is kept beside them has longer keys."""


class CacheStats(msgspec.Struct, frozen=True):
    """What the file holds of one workload: answers that have not expired, the bytes of them and of what is kept beside
    them, the time of the oldest in microseconds since the Unix epoch."""

    workload: str
    entries: int
    sealed_bytes: int
    oldest_us: int


class SqliteStore:
    """Implements `Store`. State: one thread with one connection, made when they are needed.

    Arguments:
        most_bytes: that a workload's sealed entries may take together; the oldest go first.
        now: Unix seconds.
    """

    is_outside = True

    def __init__(self, path: Path, most_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._now = now
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._writes = 0

    async def get(self, key: bytes) -> bytes | None:
        """See `Store`."""
        now_us = int(self._now() * 1e6)
        return await self._do(lambda connection: _select(connection, key, now_us))

    async def put(self, key: bytes, workload: str, data: bytes, lives_s: float) -> None:
        """See `Store`."""
        now_us = int(self._now() * 1e6)
        self._writes += 1
        most = self._most_bytes if self._writes % _WEIGHED_EVERY == 1 else None
        entry = (key, workload, now_us + int(lives_s * 1e6), now_us, data)
        await self._do(lambda connection: _insert(connection, entry, most))

    async def claim(self, key: bytes, holder: bytes, lives_s: float) -> bool:
        """See `Store`."""
        now_us = int(self._now() * 1e6)
        return await self._do(lambda connection: _claim(connection, key, holder, now_us, int(lives_s * 1e6)))

    async def release(self, key: bytes, holder: bytes) -> None:
        """See `Store`."""
        await self._do(
            lambda connection: connection.execute("DELETE FROM leases WHERE key = ? AND holder = ?", (key, holder))
        )

    async def close(self) -> None:
        """See `Store`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._let_go)
            thread.shutdown(wait=False)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="response-cache")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = _open(self._path)
            with storage_errors(self._path):
                return work(self._connection)
        except StorageError as error:
            raise StoreAway(str(error)) from error

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def stats_of_file(path: Path, now: Callable[[], float] = time.time) -> list[CacheStats]:
    """What the file holds, by workload; nothing where there is none.

    Raises:
        StorageError: it cannot be used.
    """
    if not path.exists():
        return []
    connection = _open(path)
    try:
        with storage_errors(path):
            rows = connection.execute(
                f"SELECT workload, count(*) FILTER (WHERE {_ANSWERS}), sum(length(sealed)), min(stored_us) "  # noqa: S608
                "FROM entries WHERE expires_us > ? "
                "GROUP BY workload ORDER BY workload",
                (int(now() * 1e6),),
            ).fetchall()
        return [CacheStats(*row) for row in rows]
    finally:
        connection.close()


def clear_file(path: Path, workload: str = "") -> int:
    """Remove the entries of a workload, or all of them; how many answers there were among them.

    Raises:
        StorageError: it cannot be used.
    """
    if not path.exists():
        return 0
    connection = _open(path)
    try:
        with storage_errors(path), transaction(connection):
            counted = f"SELECT count(*) FROM entries WHERE ? IN ('', workload) AND {_ANSWERS}"  # noqa: S608
            (answers,) = connection.execute(counted, (workload,)).fetchone()
            connection.execute("DELETE FROM entries WHERE ? IN ('', workload)", (workload,))
            return int(answers)
    finally:
        connection.close()


def purge_file(path: Path, now_s: float) -> int:
    """Remove what has expired; how many entries. Raises StorageError."""
    if not path.exists():
        return 0
    connection = _open(path)
    try:
        now_us = int(now_s * 1e6)
        with storage_errors(path), transaction(connection):
            connection.execute("DELETE FROM leases WHERE expires_us <= ?", (now_us,))
            return connection.execute("DELETE FROM entries WHERE expires_us <= ?", (now_us,)).rowcount
    finally:
        connection.close()


def _open(path: Path) -> sqlite3.Connection:
    with storage_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = open_database(path, _MIGRATIONS, busy_s=_BUSY_S)
    # What a power cut takes is asked for again: no answer waits for the disk.
    connection.execute("PRAGMA synchronous = OFF")
    # What is removed is overwritten, sealed as it is.
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _select(connection: sqlite3.Connection, key: bytes, now_us: int) -> bytes | None:
    row = connection.execute("SELECT sealed FROM entries WHERE key = ? AND expires_us > ?", (key, now_us)).fetchone()
    return None if row is None else bytes(row[0])


def _claim(connection: sqlite3.Connection, key: bytes, holder: bytes, now_us: int, lives_us: int) -> bool:
    taken = connection.execute(
        "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, "
        "expires_us = excluded.expires_us WHERE holder = excluded.holder OR expires_us <= ?",
        (key, holder, now_us + lives_us, now_us),
    )
    return taken.rowcount == 1


def _insert(connection: sqlite3.Connection, entry: tuple[bytes, str, int, int, bytes], most_bytes: int | None) -> None:
    _, workload, _, now_us, _ = entry
    with transaction(connection):
        connection.execute(
            "DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE expires_us <= ? LIMIT ?)",
            (now_us, _PURGED),
        )
        connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", entry)
        if most_bytes is not None:
            connection.execute(
                "DELETE FROM entries WHERE key IN (SELECT key FROM (SELECT key, sum(length(sealed)) OVER "
                "(ORDER BY stored_us DESC, key) AS held FROM entries WHERE workload = ?) WHERE held > ?)",
                (workload, most_bytes),
            )
