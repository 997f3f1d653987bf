"""SQLite files: the one way in which they are opened, made and brought up to date.

Every file is in WAL mode, so that readers never wait for a writer nor a writer for readers. Transactions are begun
by hand (`transaction`). Who builds SQL text from values has no business here: values are bound, always.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from headworks.errors import StorageError

_making = threading.Lock()
"""So that no other thread has the file open while the one that made it closes it."""


def open_database(path: Path, migrations: Sequence[str], *, busy_s: float) -> sqlite3.Connection:
    """A connection to the file, which is made or brought up to date first. For one thread at a time.

    Arguments:
        path: the file; its folder must exist.
        migrations: SQL scripts, statements divided by `;` (which nothing else in them may be); the schema's version is
            how many have been run. Only ever append to them.
        busy_s: how long to wait for another connection's lock, in seconds.

    Raises:
        StorageError: not usable, not a database, or made by a newer release.
    """
    with storage_errors(path):
        connection = _connect(path, busy_s)
        try:
            version = _version(connection)
            if version < len(migrations):
                version = _migrate(connection, path, migrations)
        except BaseException:
            connection.close()
            raise
    if version > len(migrations):
        connection.close()
        raise StorageError(
            f"{path} was made by a newer release of Headworks (its schema is {version}, this one knows "
            f"{len(migrations)}); use that release"
        )
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; the right to write is taken at the beginning, so that nothing fails half way for want of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # SQLite has rolled back by itself after some errors (a full disk).
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Whatever SQLite or the system says about the file, as a `StorageError` that names it."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"{path}: {error}") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error


def _connect(path: Path, busy_s: float) -> sqlite3.Connection:
    # Made by hand, for SQLite would let everyone read it. A file that is there is never opened here: closing it would
    # drop every lock this process holds on it, those of its other connections too; the next command that leaves the
    # file then takes itself for the last one and removes the write-ahead log, with all that is written from then on.
    with _making, suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    # FULL: what has been committed survives a power cut. Commits are rare or batched, so it costs little.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> int:
    """Run what is missing; returns the version.

    One process at a time: SQLite does not wait for a lock when it changes to WAL mode.
    """
    lock = os.open(path.with_name(f"{path.name}.migration"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection.execute("PRAGMA journal_mode = WAL")
        with transaction(connection):
            for number in range(_version(connection), len(migrations)):
                for statement in migrations[number].split(";"):
                    connection.execute(statement)
                # A pragma takes no bound value; this is a number of our own.
                connection.execute(f"PRAGMA user_version = {number + 1:d}")
        return _version(connection)
    finally:
        os.close(lock)
