"""The vault: the books of conversations in an SQLite file, encrypted, shared by all workers, and gone after a time.

Neither the tenant nor the conversation stands in it by name. A value is sealed with AES-256-GCM under a key of its
tenant; the tenant, the conversation, the token and the kind are authenticated with it, so that no row can be passed off
as another's. A token alone is no secret: it leads to a value only in the book of its own conversation.
"""

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable
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


class _Kept(msgspec.Struct):
    """A book in memory, with the last row that it has, and when it ends."""

    book: TokenBook
    last_row: int
    expires_at: float


class TokenVault:
    """Books by tenant and conversation. For one thread at a time, in any number of processes.

    State: the file; the keys of some tenants; the books of some conversations, brought up to date at every use.

    Arguments:
        path: the file, which is made when missing; its folder must exist.
        secret: the server secret; every key is derived from it by HKDF-SHA256 (RFC 5869).
        now: the Unix time in seconds.

    Raises (here and in every method):
        StorageError: the file cannot be used, or a value cannot be opened.
    """

    def __init__(self, path: Path, secret: bytes, *, now: Callable[[], float], random: Random = os.urandom) -> None:
        self._path = path
        self._secret = secret
        self._now = now
        self._random = random
        self._tenants: OrderedDict[str, _TenantKeys] = OrderedDict()
        self._books: OrderedDict[bytes, _Kept] = OrderedDict()
        self._connection = open_database(path, _MIGRATIONS, busy_s=_BUSY_S)

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        self._connection.close()

    def passing_book(self, tenant: str) -> TokenBook:
        """A book for a call without a conversation: it is never written anywhere."""
        return TokenBook.of_tenant(self._secret, tenant)

    def book(self, tenant: str, conversation: str) -> TokenBook:
        """The book of a conversation, with what every worker has saved; an empty one if there is none, or no more."""
        keys = self._keys(tenant)
        with storage_errors(self._path):
            name = self._find(keys, conversation)
            row = self._connection.execute(
                "SELECT expires_at FROM books WHERE book = ? AND expires_at > ?", (name, self._now())
            ).fetchone()
            kept = self._books.get(name)
            if kept is None or row is None or kept.expires_at <= self._now():
                kept = _Kept(TokenBook.of_tenant(self._secret, tenant), 0, 0.0)
            if row is not None:
                kept.expires_at = row[0]
                self._read(keys, name, kept)
        self._books[name] = kept
        self._books.move_to_end(name)
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
        keys = self._keys(tenant)
        new = book.take_new()
        now = self._now()
        with storage_errors(self._path), transaction(self._connection):
            name = self._find(keys, conversation)
            if link and link != conversation:
                self._connection.execute(
                    "INSERT INTO links (reference, book) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (_name(keys, link), name),
                )
            kept = self._books.get(name)
            row = self._connection.execute("SELECT expires_at FROM books WHERE book = ?", (name,)).fetchone()
            if row is not None and row[0] <= now:
                # The time was over and the sweep has not come by: what was kept must not come to life again.
                self._connection.execute("DELETE FROM entries WHERE book = ?", (name,))
                if kept is not None:
                    kept.last_row = 0
            # A write for nothing new only when half the time has gone.
            elif row is not None and not new and row[0] - now > life_s / 2:
                return True
            if not self._insert(keys, name, new):
                self._books.pop(name, None)
                return False
            self._connection.execute(
                "INSERT INTO books (book, expires_at) VALUES (?, ?) "
                "ON CONFLICT (book) DO UPDATE SET expires_at = excluded.expires_at",
                (name, now + life_s),
            )
        return True

    def forget(self, tenant: str, conversation: str) -> int:
        """Take a conversation out; returns how many values it had."""
        with storage_errors(self._path), transaction(self._connection):
            name = self._find(self._keys(tenant), conversation)
            self._books.pop(name, None)
            self._connection.execute("DELETE FROM links WHERE book = ?", (name,))
            self._connection.execute("DELETE FROM books WHERE book = ?", (name,))
            return self._connection.execute("DELETE FROM entries WHERE book = ?", (name,)).rowcount

    def sweep(self) -> int:
        """Take out everything whose time is over; returns how many values. For a background task, now and then."""
        now = self._now()
        for name in [name for name, kept in self._books.items() if 0 < kept.expires_at <= now]:
            del self._books[name]
        with storage_errors(self._path), transaction(self._connection):
            gone = self._connection.execute(
                "DELETE FROM entries WHERE book IN (SELECT book FROM books WHERE expires_at <= ?)", (now,)
            ).rowcount
            self._connection.execute(
                "DELETE FROM links WHERE book IN (SELECT book FROM books WHERE expires_at <= ?)", (now,)
            )
            self._connection.execute("DELETE FROM books WHERE expires_at <= ?", (now,))
        return gone

    def _find(self, keys: _TenantKeys, conversation: str) -> bytes:
        """The name of the book that a conversation, or a response of one, leads to."""
        name = _name(keys, conversation)
        row = self._connection.execute("SELECT book FROM links WHERE reference = ?", (name,)).fetchone()
        return name if row is None else bytes(row[0])

    def _insert(self, keys: _TenantKeys, name: bytes, new: list[Entry]) -> bool:
        """Write entries; False, and none of them written, if a token stands for another value already."""
        for entry in new:
            row = self._connection.execute(
                "SELECT kind, sealed FROM entries WHERE book = ? AND token = ?", (name, entry.token)
            ).fetchone()
            if row is not None and self._open(keys, name, entry.token, row[0], row[1]) != entry:
                return False
        for entry in new:
            nonce = self._random(_NONCE_BYTES)
            bound = _bound(name, entry.token, entry.kind)
            sealed = _VERSION + nonce + keys.cipher.encrypt(nonce, entry.value.encode("utf-8", "surrogatepass"), bound)
            self._connection.execute(
                "INSERT INTO entries (book, token, kind, sealed) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (name, entry.token, entry.kind, sealed),
            )
        return True

    def _read(self, keys: _TenantKeys, name: bytes, kept: _Kept) -> None:
        rows = self._connection.execute(
            "SELECT number, token, kind, sealed FROM entries WHERE book = ? AND number > ? ORDER BY number",
            (name, kept.last_row),
        )
        for number, token, kind, sealed in rows:
            kept.book.learn(self._open(keys, name, token, kind, sealed))
            kept.last_row = number

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


def _name(keys: _TenantKeys, conversation: str) -> bytes:
    return hmac.digest(keys.names, conversation.encode(), hashlib.sha256)


def _bound(name: bytes, token: str, kind: str) -> bytes:
    """What is authenticated beside a value. Neither a token nor a kind holds a NUL."""
    return b"\0".join((_VERSION + name, token.encode(), kind.encode()))
