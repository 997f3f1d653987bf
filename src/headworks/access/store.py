"""The virtual keys of an installation, in an SQLite file of their own: who holds them, what they may call, till when.

Keys are never deleted, only revoked, so that records can be traced to them. Every change gets the next number of one
counter, the *revision*; a reader that knows a revision asks for what has changed since.
"""

import hmac
import json
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headworks.access.key_records import Change, Granted, KeyRecord, Version, budget_text, limits_text, record_of
from headworks.access.keys import Random, is_well_formed, key_digest, make_key, make_key_id, secret_id
from headworks.access.roles import Role
from headworks.calls import NO_BUDGET, NO_LIMITS, Budget, Endpoint, Limits
from headworks.database import open_database, storage_errors, transaction
from headworks.errors import CommandError, OutOfDate, UnknownName

_BUSY_S = 1.0
"""Changes are one row long; waiting longer than this for one means that something is wrong."""

_SHOWN = 5

_COLUMNS = ", ".join(KeyRecord.__struct_fields__)

_MIGRATIONS = (
    """
    CREATE TABLE keys (
        key_id TEXT PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        secret_id TEXT NOT NULL,
        name TEXT NOT NULL,
        owner TEXT NOT NULL,
        team TEXT NOT NULL,
        models TEXT NOT NULL,
        endpoints TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL,
        revoked_at REAL,
        replaces TEXT NOT NULL,
        revision INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX keys_by_revision ON keys (revision)
    """,
    "ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE keys ADD COLUMN priority INTEGER",
    "ALTER TABLE keys ADD COLUMN budget TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE keys ADD COLUMN networks TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE keys ADD COLUMN role TEXT NOT NULL DEFAULT 'caller'",
    "ALTER TABLE keys ADD COLUMN organisation TEXT NOT NULL DEFAULT ''",
)


class KeyStore:
    """The keys in one file, which is made when missing. For one thread at a time.

    Raises (here and in every method):
        StorageError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own_changes = 0
        self._open()

    @classmethod
    def below(cls, storage: Path, name: str) -> "KeyStore":
        """The store with this file name in the storage folder, which is made when missing."""
        with storage_errors(storage):
            storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(storage / name)

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        self._connection.close()

    def create(
        self,
        *,
        secret: bytes,
        now: float,
        name: str = "",
        owner: str = "",
        team: str = "",
        models: Sequence[str] = (),
        endpoints: Sequence[Endpoint] = (),
        expires_at: float | None = None,
        replaces: str = "",
        limits: Limits = NO_LIMITS,
        priority: int | None = None,
        budget: Budget = NO_BUDGET,
        networks: Sequence[str] = (),
        role: Role = Role.CALLER,
        organisation: str = "",
        random: Random = os.urandom,
    ) -> tuple[KeyRecord, str]:
        """Make a key; returns its record, and the key itself, which is known nowhere else from then on."""
        grant = Granted(
            name, owner, team, tuple(models), tuple(endpoints), limits, priority, budget, tuple(networks), role
        )
        with storage_errors(self._path), transaction(self._connection):
            made = self._insert(secret, random, grant, now, expires_at, replaces, organisation)
        self._own_changes += 1
        return made

    def rotate(
        self,
        key_id: str,
        *,
        secret: bytes,
        now: float,
        overlap_s: float,
        expires_at: float | None = None,
        organisation: str = "",
        random: Random = os.urandom,
    ) -> tuple[KeyRecord, str]:
        """Make a new key with the grant of an old one, which stays good for `overlap_s` more seconds at most.

        Arguments:
            organisation: in which the new key has its role.
            expires_at: when the new key expires; None means when the old one would have.

        Raises:
            CommandError: there is no such key, or it is no longer good.
        """
        with storage_errors(self._path), transaction(self._connection):
            old = self._one(key_id)
            if not old.is_good(now):
                raise CommandError(f"{key_id} is no longer good, so there is nothing to rotate; create a key instead")
            grant = Granted(*(getattr(old, name) for name in Granted.__struct_fields__))
            made = self._insert(secret, random, grant, now, expires_at or old.expires_at, key_id, organisation)
            ends_at = now + overlap_s if old.expires_at is None else min(old.expires_at, now + overlap_s)
            self._connection.execute(
                "UPDATE keys SET expires_at = ?, revision = ? WHERE key_id = ?",
                (ends_at, self._next_revision(), key_id),
            )
        self._own_changes += 1
        return made

    def revoke(self, key_id: str, *, now: float) -> KeyRecord:
        """Make a key useless, for good. One that was revoked before keeps its time.

        Raises:
            CommandError: there is no such key.
        """
        with storage_errors(self._path), transaction(self._connection):
            if self._one(key_id).revoked_at is None:
                self._connection.execute(
                    "UPDATE keys SET revoked_at = ?, revision = ? WHERE key_id = ?",
                    (now, self._next_revision(), key_id),
                )
            revoked = self._one(key_id)
        self._own_changes += 1
        return revoked

    def change(self, key_id: str, change: Change, *, revision: int | None = None) -> KeyRecord:
        """Change what a key may do; all of it or nothing.

        Arguments:
            revision: the key must not have changed since; None: whatever has become of it.

        Raises:
            UnknownName: there is no such key.
            OutOfDate: it has changed since.
        """
        columns = change.columns()
        with storage_errors(self._path), transaction(self._connection):
            found = self._one(key_id)
            if revision is not None and found.revision != revision:
                raise OutOfDate(f"{key_id} has been changed since you looked: look again, and then decide")
            if columns:
                names = "".join(f"{name} = ?, " for name in columns)  # names of ours
                self._connection.execute(
                    f"UPDATE keys SET {names}revision = ? WHERE key_id = ?",  # noqa: S608
                    (*columns.values(), self._next_revision(), key_id),
                )
            changed = self._one(key_id)
        self._own_changes += 1
        return changed

    def list(self) -> Sequence[KeyRecord]:
        """Every key, the oldest first."""
        return self.changes_since(0)

    def get(self, key_id: str) -> KeyRecord:
        """One key.

        Raises:
            CommandError: there is no such key.
        """
        with storage_errors(self._path):
            return self._one(key_id)

    def find(self, text: str, *, now: float) -> KeyRecord:
        """The key with this id, with the only id that begins so, or with this name.

        Of several keys of one name, the only one that is good at the time `now`; where one was made from another by
        `rotate` and both are good, the newer one.

        Raises:
            CommandError: there is none, or more than one; names the nearest.
        """
        records = self.list()
        named = [record for record in records if record.name == text and text]
        for candidates in (
            [record for record in records if record.key_id == text],
            [record for record in records if record.key_id.startswith(text) and len(text) > len("key_")],
            _not_replaced([record for record in named if record.is_good(now)]) or named,
        ):
            if len(candidates) == 1:
                return candidates[0]
            if candidates:
                raise CommandError(
                    f"{text!r} may be several keys: {', '.join(record.key_id for record in candidates[:_SHOWN])}"
                    + (", ..." if len(candidates) > _SHOWN else "")
                )
        known = {record.key_id: record for record in records} | {record.name: record for record in records}
        import difflib  # only who looks for a key by hand loads it

        near = difflib.get_close_matches(text, [name for name in known if name], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`headworks keys list` shows them all"
        raise UnknownName(f"there is no key {text!r}; {hint}")

    def identify(self, key: str, secret: bytes) -> KeyRecord:
        """The record of a key itself, whatever its state: to learn whose a found key is.

        Raises:
            CommandError: it is not a key of this installation.
        """
        found = self.of_key(key.encode(), secret)
        if found is not None:
            return found
        why = "it was made elsewhere" if is_well_formed(key) else "its checksum is wrong: it is mistyped or cut off"
        raise CommandError(f"that is not a key of this installation; {why}")

    def of_key(self, key: bytes, secret: bytes) -> KeyRecord | None:
        """The record of a key itself, whatever its state; None where it is not one of this installation."""
        digest = key_digest(key, secret)
        with storage_errors(self._path):
            row = self._connection.execute(
                f"SELECT {_COLUMNS} FROM keys WHERE digest = ?",  # noqa: S608
                (digest,),
            ).fetchone()
        found = None if row is None else record_of(row)
        return found if found is not None and hmac.compare_digest(found.digest, digest) else None

    def changes_since(self, revision: int) -> Sequence[KeyRecord]:
        """Every key that was made or changed after that revision, in the order of creation."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM keys WHERE revision > ? ORDER BY created_at, revision",  # noqa: S608
                (revision,),
            )
            return [record_of(row) for row in rows]

    def version(self) -> Version:
        """Something that is equal as long as nothing has changed. Costs microseconds.

        A file that was replaced (restored from a backup, removed) is opened anew.
        """
        with storage_errors(self._path):
            try:
                inode = self._path.stat().st_ino
            except FileNotFoundError:
                inode = -1
            if inode != self._inode:
                self.close()
                self._open()
            row = self._connection.execute("PRAGMA data_version").fetchone()
        return Version(self._inode, (row[0], self._own_changes))

    def revision(self) -> int:
        """The number of the last change; 0 before the first."""
        with storage_errors(self._path):
            return self._next_revision() - 1

    def _open(self) -> None:
        self._connection = open_database(self._path, _MIGRATIONS, busy_s=_BUSY_S)
        self._inode = self._path.stat().st_ino

    def _insert(
        self,
        secret: bytes,
        random: Random,
        grant: Granted,
        now: float,
        expires_at: float | None,
        replaces: str,
        organisation: str,
    ) -> tuple[KeyRecord, str]:
        key = make_key(random)
        record = KeyRecord(
            key_id=make_key_id(random),
            digest=key_digest(key.encode(), secret),
            secret_id=secret_id(secret),
            name=grant.name,
            owner=grant.owner,
            team=grant.team,
            models=grant.models,
            endpoints=grant.endpoints,
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
            replaces=replaces,
            revision=self._next_revision(),
            limits=grant.limits,
            priority=grant.priority,
            budget=grant.budget,
            networks=grant.networks,
            role=grant.role,
            organisation=organisation,
        )
        values = msgspec.structs.asdict(record)
        values |= {
            "models": json.dumps(grant.models),
            "endpoints": json.dumps(grant.endpoints),
            "limits": limits_text(grant.limits),
            "budget": budget_text(grant.budget),
            "networks": json.dumps(grant.networks),
        }
        marks = ", ".join("?" * len(values))
        self._connection.execute(f"INSERT INTO keys ({_COLUMNS}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
        return record, key

    def _one(self, key_id: str) -> KeyRecord:
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM keys WHERE key_id = ?",  # noqa: S608
            (key_id,),
        ).fetchone()
        if row is None:
            raise UnknownName(f"there is no key {key_id!r}")
        return record_of(row)

    def _next_revision(self) -> int:
        row = self._connection.execute("SELECT max(revision) FROM keys").fetchone()
        return (row[0] or 0) + 1


def _not_replaced(records: list[KeyRecord]) -> list[KeyRecord]:
    """Those that none of the others was made from."""
    replaced = {record.replaces for record in records}
    return [record for record in records if record.key_id not in replaced]
