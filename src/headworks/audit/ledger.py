"""The audit log's own state, in one SQLite file: data keys, legal holds, and what is on its way into the archive.

What is drained from the journals and how far they are read become durable here in one transaction, so that every entry
is taken in once whatever is killed when. `waiting` lines are ciphertext already; they stay until the archive has them.
Keys that are destroyed are overwritten (`secure_delete`), in the write-ahead log as well.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hmac import digest
from pathlib import Path
from secrets import token_hex

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headworks.audit.keys import KEY_BYTES, MasterKeys
from headworks.database import open_database, storage_errors, transaction
from headworks.errors import CommandError

ROW_ENTRIES = 4096
"""Most entries in one row, and so under one checkpoint."""

_BUSY_S = 10.0
_MOST_CACHED = 10_000

_MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE TABLE keys (
        key_id TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        workload TEXT NOT NULL,
        month TEXT NOT NULL,
        master TEXT NOT NULL,
        wrapped BLOB,
        newest_us INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX keys_in_use ON keys (subject, workload, month) WHERE wrapped IS NOT NULL;
    CREATE INDEX keys_by_workload ON keys (workload, newest_us) WHERE wrapped IS NOT NULL;
    CREATE TABLE holds (
        hold_id TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        workload TEXT NOT NULL,
        reason TEXT NOT NULL,
        placed_by TEXT NOT NULL,
        placed_us INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE journals (name TEXT PRIMARY KEY, offset INTEGER NOT NULL, is_finished INTEGER NOT NULL) STRICT;
    CREATE TABLE calls_open (call_id TEXT PRIMARY KEY, writer TEXT NOT NULL, entry BLOB NOT NULL) STRICT;
    CREATE INDEX calls_open_by_writer ON calls_open (writer);
    CREATE TABLE waiting (number INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT
    """,
    # Of many entries, line after line, under the number of the first: a row each was what most of the time went into.
    "ALTER TABLE waiting RENAME COLUMN line TO lines",
)


class Hold(msgspec.Struct, frozen=True):
    """A legal hold: nothing that it covers is erased, nor removed when its time is over.

    It covers one person (`subject`, a pseudonym), or one workload, or one person in one workload; with neither, all.
    """

    hold_id: str
    subject: str
    workload: str
    reason: str
    placed_by: str
    placed_us: int

    def covers(self, subject: str, workload: str) -> bool:
        """Whether it holds what has this subject and this workload."""
        return self.subject in ("", subject) and self.workload in ("", workload)


class DataKey(msgspec.Struct, frozen=True):
    """A key that entries are encrypted under, as the cipher that it makes."""

    key_id: str
    cipher: AESGCM


class Ledger:
    """The state of one audit log. For one thread at a time.

    Arguments:
        path: the file, made when missing; its folder exists.
        masters: what data keys are wrapped with.
        is_writer: wrap what earlier master keys have wrapped with the one in use.

    Raises (as does every method):
        StorageError: the file cannot be used, or no master key at hand opens it.
    """

    def __init__(self, path: Path, masters: MasterKeys, *, is_writer: bool = False) -> None:
        self._path = path
        self._masters = masters
        self.connection = open_database(path, _MIGRATIONS, busy_s=_BUSY_S)
        self._cache: dict[tuple[str, str, str], DataKey] = {}
        self._by_id: dict[str, bytes | None] = {}
        self._version = -1
        try:
            with self.errors():
                self.connection.execute("PRAGMA secure_delete = ON")
                with transaction(self.connection):
                    self.log_id = self._meta("log", lambda: os.urandom(16)).hex()
                    self._pepper = self._wrapped_meta("pepper")
                if is_writer:
                    self._rewrap()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        self.connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What SQLite says, as a `StorageError` that names the file."""
        with storage_errors(self._path):
            yield

    # -- people and their keys ------------------------------------------------------------------------------------

    def subject_of(self, user: str) -> str:
        """The pseudonym of a person, which nobody can turn back; "" for nobody."""
        return digest(self._pepper, user.encode("utf-8", "surrogatepass"), "sha256").hex()[:32] if user else ""

    def key_for(self, subject: str, workload: str, month: str, at_us: int) -> DataKey:
        """The key in use for entries of a subject and workload in a month, made when there is none.

        Within a transaction of the caller's, which makes a new one durable.
        """
        which = (subject, workload, month)
        known = self._cache.get(which)
        if known is not None:
            return known
        row = self.connection.execute(
            "SELECT key_id, master, wrapped FROM keys WHERE subject = ? AND workload = ? AND month = ? "
            "AND wrapped IS NOT NULL",
            which,
        ).fetchone()
        if row is None:
            key, key_id = os.urandom(KEY_BYTES), token_hex(8)
            found = DataKey(key_id, AESGCM(key))
            master = self._masters.current
            self.connection.execute(
                "INSERT INTO keys (key_id, subject, workload, month, master, wrapped, newest_us) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key_id, *which, master.name, master.wrap(key, key_id.encode()), at_us),
            )
        else:
            found = DataKey(row[0], AESGCM(self._masters.unwrap(row[2], row[0].encode(), row[1])))
        if len(self._cache) >= _MOST_CACHED:
            self._cache.clear()
        self._cache[which] = found
        return found

    @contextmanager
    def taking(self) -> Iterator[None]:
        """A transaction in which entries are taken in. No key that another process has destroyed is used in it."""
        version = self.connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._forget_cache()
            self._version = version
        try:
            with self.errors(), transaction(self.connection):
                yield
        except BaseException:
            self._forget_cache()  # of keys that were made within it and are not there now
            raise

    def _forget_cache(self) -> None:
        self._cache.clear()
        self._by_id.clear()

    def data_key(self, key_id: str) -> bytes | None:
        """The key with this id; None if it was destroyed."""
        if key_id not in self._by_id:
            with self.errors():
                row = self.connection.execute(
                    "SELECT master, wrapped FROM keys WHERE key_id = ? AND wrapped IS NOT NULL", (key_id,)
                ).fetchone()
            self._by_id[key_id] = None if row is None else self._masters.unwrap(row[1], key_id.encode(), row[0])
        return self._by_id[key_id]

    def erase(self, user: str) -> int:
        """Destroy every key of a person; returns how many there were.

        Raises:
            CommandError: a legal hold forbids it.
        """
        subject = self.subject_of(user)
        holds = self.holds()
        with self.errors(), transaction(self.connection):
            rows = self.connection.execute(
                "SELECT workload FROM keys WHERE subject = ? AND wrapped IS NOT NULL", (subject,)
            ).fetchall()
            for hold in holds:
                if hold.covers(subject, hold.workload) and (
                    not hold.workload or any(workload == hold.workload for (workload,) in rows)
                ):
                    raise CommandError(
                        f"the legal hold {hold.hold_id} forbids it: `headworks audit hold list` says why it is there"
                    )
            self._destroy("subject = ?", (subject,))
        if not self._scrub():
            raise CommandError(
                "the keys are destroyed, but another process that reads the ledger keeps its write-ahead log from "
                "being cleared: do it again, to be sure that no copy stays there"
            )
        return len(rows)

    def expire(self, workload: str, before_us: int) -> int:
        """Destroy the keys of a workload whose last entry is older than that and that no hold covers; how many."""
        holds = self.holds()
        with self.errors(), transaction(self.connection):
            rows = self.connection.execute(
                "SELECT key_id, subject FROM keys WHERE workload = ? AND newest_us < ? AND wrapped IS NOT NULL",
                (workload, before_us),
            ).fetchall()
            gone = [key_id for key_id, subject in rows if not any(hold.covers(subject, workload) for hold in holds)]
            for key_id in gone:
                self._destroy("key_id = ?", (key_id,))
        if gone:
            self._scrub()
        return len(gone)

    def workloads(self) -> list[str]:
        """The workloads that have keys; "" is calls without one, and events."""
        with self.errors():
            rows = self.connection.execute("SELECT DISTINCT workload FROM keys WHERE wrapped IS NOT NULL")
            return [workload for (workload,) in rows]

    def _destroy(self, where: str, values: tuple[str, ...]) -> None:
        self.connection.execute(f"UPDATE keys SET wrapped = NULL WHERE {where}", values)  # noqa: S608 - words of ours
        self._cache.clear()
        self._by_id.clear()

    def _scrub(self) -> bool:
        """Leave nothing of what was destroyed in the write-ahead log; whether no reader kept us from it."""
        with self.errors():
            return bool(self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)

    # -- holds ----------------------------------------------------------------------------------------------------

    def hold(self, *, user: str, workload: str, reason: str, by: str, now_us: int) -> Hold:
        """Place a legal hold."""
        placed = Hold(f"hold_{token_hex(6)}", self.subject_of(user), workload, reason, by, now_us)
        with self.errors():
            self.connection.execute("INSERT INTO holds VALUES (?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(placed))
        return placed

    def holds(self) -> list[Hold]:
        """Every hold in force, the oldest first."""
        with self.errors():
            rows = self.connection.execute("SELECT * FROM holds ORDER BY placed_us, hold_id")
            return [Hold(*row) for row in rows]

    def release(self, hold_id: str) -> Hold:
        """End a hold.

        Raises:
            CommandError: there is none with this id.
        """
        found = next((hold for hold in self.holds() if hold.hold_id == hold_id), None)
        if found is None:
            raise CommandError(f"there is no legal hold {hold_id!r}; `headworks audit hold list` shows them")
        with self.errors():
            self.connection.execute("DELETE FROM holds WHERE hold_id = ?", (hold_id,))
        return found

    # -- on the way into the archive ------------------------------------------------------------------------------

    def next_number(self) -> int:
        """The number that the next entry gets. Within a transaction of the caller's."""
        row = self.connection.execute("SELECT value FROM meta WHERE name = 'next'").fetchone()
        return int.from_bytes(row[0], "big") if row else 0

    def put_waiting(self, first: int, lines: Sequence[bytes]) -> None:
        """Keep the lines of entries until the archive has them. Within a transaction of the caller's."""
        self.connection.executemany(
            "INSERT INTO waiting VALUES (?, ?)",
            [
                (first + start, b"\n".join(lines[start : start + ROW_ENTRIES]))
                for start in range(0, len(lines), ROW_ENTRIES)
            ],
        )
        self._set_meta("next", (first + len(lines)).to_bytes(8, "big"))

    def waiting(self) -> tuple[int, list[bytes]] | None:
        """Entries that the archive may not have yet: the number of the first, and the lines of some, in order."""
        with self.errors():
            row = self.connection.execute("SELECT number, lines FROM waiting ORDER BY number LIMIT 1").fetchone()
        return None if row is None else (row[0], row[1].split(b"\n"))

    def archived(self, first: int) -> None:
        """The archive has what `waiting` gave under this number."""
        with self.errors():
            # It is ciphertext that lies in the archive for good: to overwrite it here would double what is written.
            self.connection.execute("PRAGMA secure_delete = OFF")
            try:
                self.connection.execute("DELETE FROM waiting WHERE number = ?", (first,))
            finally:
                self.connection.execute("PRAGMA secure_delete = ON")

    def touch(self, newest: dict[str, int]) -> None:
        """Note of keys when their newest entry was. Within a transaction of the caller's."""
        self.connection.executemany(
            "UPDATE keys SET newest_us = max(newest_us, ?) WHERE key_id = ?", [(at, key) for key, at in newest.items()]
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    def _meta(self, name: str, make: Callable[[], bytes]) -> bytes:
        row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is not None:
            return bytes(row[0])
        value = make()
        self._set_meta(name, value)
        return value

    def _set_meta(self, name: str, value: bytes) -> None:
        self.connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
        )

    def _wrapped_meta(self, name: str) -> bytes:
        master = self._masters.current
        stored = self._meta(name, lambda: master.name.encode() + master.wrap(os.urandom(KEY_BYTES), name.encode()))
        return self._masters.unwrap(stored[16:], name.encode(), stored[:16].decode())

    def _rewrap(self) -> None:
        """Wrap everything with the master key in use, so that earlier ones can be taken away."""
        master = self._masters.current
        with transaction(self.connection):
            rows = self.connection.execute(
                "SELECT key_id, master, wrapped FROM keys WHERE wrapped IS NOT NULL AND master <> ?", (master.name,)
            ).fetchall()
            for key_id, name, wrapped in rows:
                key = self._masters.unwrap(wrapped, key_id.encode(), name)
                self.connection.execute(
                    "UPDATE keys SET master = ?, wrapped = ? WHERE key_id = ?",
                    (master.name, master.wrap(key, key_id.encode()), key_id),
                )
            if self._meta("pepper", lambda: b"")[:16] != master.name.encode():
                self._set_meta("pepper", master.name.encode() + master.wrap(self._pepper, b"pepper"))
        if rows:
            self._scrub()
