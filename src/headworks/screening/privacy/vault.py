"""The vault: the books of conversations in an SQLite file, encrypted, shared by all workers, and gone after a time.

Neither the tenant nor the conversation stands in it by name. A value is sealed with AES-256-GCM under a key of its
tenant; the tenant, the conversation, the token and the kind are authenticated with it, so that no row can be passed off
as another's. A token alone is no secret: it leads to a value only in the book of its own conversation.
"""

import hashlib
import hmac
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headworks.database import open_database, storage_errors, transaction
from headworks.errors import StorageError
from headworks.screening.privacy.books import Entry, TokenBook

VAULT_FILE = "privacy.db"
"""The vault's file, below the storage folder."""

Random: TypeAlias = Callable[[int], bytes]

_BUSY_S = 1.0
_NONCE_BYTES = 12  # 96 bits: NIST SP 800-38D §8.2
_VERSION = b"\x01"
_MOST_TENANTS = 256
_MOST_BOOKS = 1024
_MOST_FORGOTTEN = 100
"""Conversations that are taken out in one transaction: who saves waits for less than it would notice."""

_MIGRATIONS = (
    """
    CREATE TABLE books (
        book BLOB PRIMARY KEY,
        expires_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX books_by_end ON books (expires_at);
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        book BLOB NOT NULL,
        token TEXT NOT NULL,
        kind TEXT NOT NULL,
        sealed BLOB NOT NULL,
        UNIQUE (book, token)
    )
    """,
    """
    CREATE TABLE links (
        reference BLOB PRIMARY KEY,
        book BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX links_by_book ON links (book)
    """,
)


class _TenantKeys(msgspec.Struct, frozen=True):
    """What a tenant's values are sealed with, and what its conversations' names are derived from."""

    cipher: AESGCM
    names: bytes


class Save(msgspec.Struct, frozen=True):
    """What is to be kept of a book: made where calls are, written where a disk may be waited for.

    Attributes:
        keys: of the tenant.
        conversation, link: as they are named in the file; `link` is b"" where there is none.
        new: the values that were not kept before.
    """

    keys: _TenantKeys
    conversation: bytes
    link: bytes
    new: tuple[Entry, ...]
    life_s: float


class Written(msgspec.Struct, frozen=True):
    """What has come of it. `is_kept` is False where another worker has given one of the tokens to another value at the
    same moment: then nothing was kept."""

    book: bytes
    is_kept: bool


class Lookup(msgspec.Struct, frozen=True):
    """Which book is asked for: the tenant, its keys, and the conversation as it is named in the file."""

    tenant: str
    keys: _TenantKeys
    conversation: bytes


class Found(msgspec.Struct, frozen=True):
    """What the file has of a book.

    Attributes:
        book: as it is named in the file.
        expires_at: Unix time in seconds; None where there is none, or no more.
        after: the number of the last row that was known when it was read.
        rows: those behind it, each with its number.
    """

    tenant: str
    book: bytes
    expires_at: float | None
    after: int
    rows: tuple[tuple[int, Entry], ...]


class _Kept(msgspec.Struct):
    """A book in memory, with the last row that it has, and when it ends."""

    book: TokenBook
    last_row: int
    expires_at: float


class TokenVault:
    """Books by tenant and conversation. For one thread at a time, in any number of processes; but for what waits for
    the disk: `read` may have a thread of its own, and `write` and `sweep_file` may have another.

        book:  look_up -> read -> learn         save:  ready -> write -> take

    State: the file, by two connections, each made when it is needed: one for what is read, one for what is written; the
    keys of some tenants; the books of some conversations, brought up to date at every use.

    Arguments:
        path: the file, which is made when missing and needed; its folder must exist.
        secret: the server secret; every key is derived from it by HKDF-SHA256 (RFC 5869).
        now: the Unix time in seconds.

    Raises (in every method that reads or writes):
        StorageError: the file cannot be used, or a value cannot be opened.
    """

    def __init__(self, path: Path, secret: bytes, *, now: Callable[[], float], random: Random = os.urandom) -> None:
        self._path = path
        self._secret = secret
        self._now = now
        self._random = random
        self._tenants: OrderedDict[str, _TenantKeys] = OrderedDict()
        self._books: OrderedDict[bytes, _Kept] = OrderedDict()
        self._reading: sqlite3.Connection | None = None
        self._writing: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file; nothing may be read or written just now. Harmless to call twice."""
        connections = self._reading, self._writing
        self._reading = self._writing = None
        for connection in connections:
            if connection is not None:
                connection.close()

    def passing_book(self, tenant: str) -> TokenBook:
        """A book for a call without a conversation: it is never written anywhere."""
        return TokenBook.of_tenant(self._secret, tenant)

    def book(self, tenant: str, conversation: str) -> TokenBook:
        """The book of a conversation, with what every worker has saved; an empty one if there is none, or no more."""
        lookup = self.look_up(tenant, conversation)
        while True:
            book = self.learn(self.read(lookup))
            if book is not None:
                return book

    def look_up(self, tenant: str, conversation: str) -> Lookup:
        """What `book` is to read."""
        keys = self._keys(tenant)
        return Lookup(tenant, keys, _name(keys, conversation))

    def read(self, lookup: Lookup) -> Found:
        """Read what is not known of it yet. In any thread, one after the other."""
        with storage_errors(self._path):
            if self._reading is None:
                self._reading = open_database(self._path, _MIGRATIONS, busy_s=_BUSY_S)
            connection, now = self._reading, self._now()
            name = _find(connection, lookup.conversation)
            row = connection.execute(
                "SELECT expires_at FROM books WHERE book = ? AND expires_at > ?", (name, now)
            ).fetchone()
            if row is None:
                return Found(lookup.tenant, name, None, 0, ())
            # Another thread changes what is known: one look at it, of which `learn` judges whether it still holds.
            kept = self._books.get(name)
            after = 0 if kept is None or kept.expires_at <= now else kept.last_row
            return Found(lookup.tenant, name, row[0], after, tuple(self._rows(connection, lookup.keys, name, after)))

    def learn(self, found: Found) -> TokenBook | None:
        """The book with what was found; None where it is to be read again, for what was known of it then is gone."""
        kept = self._books.get(found.book)
        if kept is None or found.expires_at is None or kept.expires_at <= self._now():
            kept = _Kept(TokenBook.of_tenant(self._secret, found.tenant), 0, 0.0)
        if found.after > kept.last_row:
            return None
        if found.expires_at is not None:
            kept.expires_at = found.expires_at
        for number, entry in found.rows:
            if number > kept.last_row:
                kept.book.learn(entry)
                kept.last_row = number
        self._books[found.book] = kept
        self._books.move_to_end(found.book)
        if len(self._books) > _MOST_BOOKS:
            self._books.popitem(last=False)
        return kept.book

    def save(self, tenant: str, conversation: str, book: TokenBook, *, life_s: float, link: str = "") -> bool:
        """Keep what is new in a book, before anybody can go on from it; its time begins anew.

        Arguments:
            link: another name that leads to the same book from now on: the response that one goes on from next.

        Returns:
            False if another worker has given one of the tokens to another value at the same moment: then nothing was
            kept, and the body has to be redacted again with a book that is asked for anew.
        """
        return self.take(self.write(self.ready(tenant, conversation, book, life_s=life_s, link=link)))

    def ready(self, tenant: str, conversation: str, book: TokenBook, *, life_s: float, link: str = "") -> Save:
        """What `save` is to write. Whatever becomes of it, the book does not hold it as new any more."""
        keys = self._keys(tenant)
        other = _name(keys, link) if link and link != conversation else b""
        return Save(keys, _name(keys, conversation), other, tuple(book.take_new()), life_s)

    def write(self, save: Save) -> Written:
        """Write it; durable when this returns. In any thread, one after the other."""
        with storage_errors(self._path):
            connection = self._to_write()
            with transaction(connection):
                return self._written(connection, save)

    def take(self, written: Written) -> bool:
        """Go by what was written; returns whether it was kept."""
        if not written.is_kept:
            self._books.pop(written.book, None)
        return written.is_kept

    def _written(self, connection: sqlite3.Connection, save: Save) -> Written:
        now = self._now()
        name = _find(connection, save.conversation)
        if save.link:
            connection.execute(
                "INSERT INTO links (reference, book) VALUES (?, ?) ON CONFLICT DO NOTHING", (save.link, name)
            )
        row = connection.execute("SELECT expires_at FROM books WHERE book = ?", (name,)).fetchone()
        if row is not None and row[0] <= now:
            # The time was over and the sweep has not come by: what was kept must not come to life again.
            connection.execute("DELETE FROM entries WHERE book = ?", (name,))
        # A write for nothing new only when half the time has gone.
        elif row is not None and not save.new and row[0] - now > save.life_s / 2:
            return Written(name, is_kept=True)
        if not self._insert(connection, save.keys, name, save.new):
            return Written(name, is_kept=False)
        connection.execute(
            "INSERT INTO books (book, expires_at) VALUES (?, ?) "
            "ON CONFLICT (book) DO UPDATE SET expires_at = excluded.expires_at",
            (name, now + save.life_s),
        )
        return Written(name, is_kept=True)

    def forget(self, conversations: Sequence[tuple[str, str]]) -> int:
        """Take conversations out, each with its tenant, by whatever name; returns how many values they had.

        What is freed is overwritten, in the file and in the log that is written ahead of it.

        Raises:
            StorageError: as everywhere; and the latter could not be cleared, for somebody reads it. To be done again.
        """
        removed = 0
        with storage_errors(self._path):
            connection = self._to_write()
            connection.execute("PRAGMA secure_delete = ON")
            for begin in range(0, len(conversations), _MOST_FORGOTTEN):
                some = conversations[begin : begin + _MOST_FORGOTTEN]
                with transaction(connection):
                    removed += sum(self._forget(connection, tenant, conversation) for tenant, conversation in some)
            connection.execute("PRAGMA secure_delete = OFF")
            is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise StorageError(f"{self._path} is read by another process, so its write-ahead log could not be cleared")
        return removed

    def _forget(self, connection: sqlite3.Connection, tenant: str, conversation: str) -> int:
        name = _find(connection, _name(self._keys(tenant), conversation))
        self._books.pop(name, None)
        connection.execute("DELETE FROM links WHERE book = ?", (name,))
        connection.execute("DELETE FROM books WHERE book = ?", (name,))
        return connection.execute("DELETE FROM entries WHERE book = ?", (name,)).rowcount

    def drop_books(self) -> None:
        """Have no value in memory but those that calls have in hand: what is asked for next is read anew."""
        self._books.clear()

    def sweep(self) -> int:
        """Take out everything whose time is over; returns how many values. For a background task, now and then."""
        self.forget_expired()
        return self.sweep_file()

    def forget_expired(self) -> None:
        """Take what has expired out of memory."""
        now = self._now()
        for name in [name for name, kept in self._books.items() if 0 < kept.expires_at <= now]:
            del self._books[name]

    def sweep_file(self) -> int:
        """Take it out of the file; returns how many values. In whichever thread writes."""
        now = self._now()
        with storage_errors(self._path):
            connection = self._to_write()
            with transaction(connection):
                gone = connection.execute(
                    "DELETE FROM entries WHERE book IN (SELECT book FROM books WHERE expires_at <= ?)", (now,)
                ).rowcount
                connection.execute(
                    "DELETE FROM links WHERE book IN (SELECT book FROM books WHERE expires_at <= ?)", (now,)
                )
                connection.execute("DELETE FROM books WHERE expires_at <= ?", (now,))
        return gone

    def _to_write(self) -> sqlite3.Connection:
        if self._writing is None:
            self._writing = open_database(self._path, _MIGRATIONS, busy_s=_BUSY_S)
        return self._writing

    def _insert(self, connection: sqlite3.Connection, keys: _TenantKeys, name: bytes, new: tuple[Entry, ...]) -> bool:
        """Write entries; False, and none of them written, if a token stands for another value already."""
        for entry in new:
            row = connection.execute(
                "SELECT kind, sealed FROM entries WHERE book = ? AND token = ?", (name, entry.token)
            ).fetchone()
            if row is not None and self._open(keys, name, entry.token, row[0], row[1]) != entry:
                return False
        for entry in new:
            nonce = self._random(_NONCE_BYTES)
            bound = _bound(name, entry.token, entry.kind)
            sealed = _VERSION + nonce + keys.cipher.encrypt(nonce, entry.value.encode("utf-8", "surrogatepass"), bound)
            connection.execute(
                "INSERT INTO entries (book, token, kind, sealed) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (name, entry.token, entry.kind, sealed),
            )
        return True

    def _rows(
        self, connection: sqlite3.Connection, keys: _TenantKeys, name: bytes, after: int
    ) -> Iterator[tuple[int, Entry]]:
        rows = connection.execute(
            "SELECT number, token, kind, sealed FROM entries WHERE book = ? AND number > ? ORDER BY number",
            (name, after),
        )
        for number, token, kind, sealed in rows:
            yield number, self._open(keys, name, token, kind, sealed)

    def _open(self, keys: _TenantKeys, name: bytes, token: str, kind: str, sealed: bytes) -> Entry:
        head = len(_VERSION) + _NONCE_BYTES
        # What has another version fails the check as well: the version is authenticated.
        try:
            value = keys.cipher.decrypt(sealed[1:head], sealed[head:], _bound(name, token, kind))
        except InvalidTag:
            raise StorageError(
                f"{self._path}: a value cannot be opened: the server secret (access.secret) is not the one that it was "
                "sealed with, or the file was changed"
            ) from None
        return Entry(token, kind, value.decode("utf-8", "surrogatepass"))

    def _keys(self, tenant: str) -> _TenantKeys:
        keys = self._tenants.get(tenant)
        if keys is None:
            made = HKDF(SHA256(), 64, None, b"headworks privacy 1\0" + tenant.encode()).derive(self._secret)
            keys = self._tenants[tenant] = _TenantKeys(AESGCM(made[:32]), made[32:])
            if len(self._tenants) > _MOST_TENANTS:
                self._tenants.popitem(last=False)
        return keys


def _find(connection: sqlite3.Connection, name: bytes) -> bytes:
    """The name of the book that a conversation, or a response of one, leads to."""
    row = connection.execute("SELECT book FROM links WHERE reference = ?", (name,)).fetchone()
    return name if row is None else bytes(row[0])


def _name(keys: _TenantKeys, conversation: str) -> bytes:
    return hmac.digest(keys.names, conversation.encode(), hashlib.sha256)


def _bound(name: bytes, token: str, kind: str) -> bytes:
    """What is authenticated beside a value. Neither a token nor a kind holds a NUL."""
    return b"\0".join((_VERSION + name, token.encode(), kind.encode()))
