"""PostgreSQL: the one way in which a database is connected to, brought up to date, and connected to again.

Who builds SQL text from values has no business here: values are bound, always. The password is in no message.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo

from headworks.errors import StorageError

Connection = psycopg.Connection[tuple[Any, ...]]

_T = TypeVar("_T")

_DEFAULTS = {
    "application_name": "headworks",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""Of libpq, for what the URL leaves out: a server that cannot be reached any more is given up within half a minute."""

SILENCE_S = 60.0
"""A server that says nothing for so many seconds in the middle of a question is given up: it may be reached, and stand
still. No question of ours takes as long, and a lock is waited for less."""

_LOCK_TIMEOUT = "10s"
"""Longest wait for a lock of others: a batch of theirs takes less than a second, a migration is tried again."""

_MIGRATION_LOCK = 0x4865_6164_776F_0001
"""Advisory lock of who brings the schema up to date. Such locks are of one database only."""


class _Silent(psycopg.OperationalError):
    """The server said nothing for too long."""


class _Patient(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed when the server is silent for too long. libpq has no such limit of its own, and one
    that the server keeps (`statement_timeout`) does not help where it has stopped."""

    silence_s = SILENCE_S

    def wait(self, gen: Generator[Any, Any, _T], *arguments: Any, **named: Any) -> _T:
        return super().wait(self._unless_silent(gen), *arguments, **named)

    def _unless_silent(self, gen: Generator[Any, Any, _T]) -> Generator[Any, Any, _T]:
        """The same dialogue with the socket, which is asked now and then with nothing being ready (0)."""
        try:
            wish = next(gen)
            heard_s = time.monotonic()
            while True:
                ready = yield wish
                now_s = time.monotonic()
                if ready:
                    heard_s = now_s
                elif now_s - heard_s > self.silence_s:
                    self.close()
                    raise _Silent(f"no answer for {self.silence_s:g} seconds")
                wish = gen.send(ready)
        except StopIteration as end:
            value: _T = end.value
            return value


class Link:
    """A connection to one database, made when first needed and again after it was lost. For one thread at a time.

    Arguments:
        url: `postgresql://...`, with the password if there is one.
        migrations: scripts of SQL; the schema's version is how many have been run. Only ever append to them. Without
            any, the schema is left as it is.
        silence_s: for how many seconds the server may be silent in the middle of a question.

    Raises:
        StorageError: no URL, not to be reached, not of UTF-8, or its schema was made by a newer release.
    """

    def __init__(self, url: str, migrations: Sequence[str], *, silence_s: float = SILENCE_S) -> None:
        self._parameters = _parameters(url)
        self._silence_s = silence_s
        self._migrations = migrations
        self._connection: Connection | None = None
        self._is_closed = False
        self.ask(lambda _: None)

    def close(self) -> None:
        """Let go of the connection for good. Harmless to call twice."""
        self._is_closed = True
        self._drop()

    def ask(self, question: Callable[[Connection], _T]) -> _T:
        """The answer to a question that changes nothing, or may be asked twice.

        A connection that was cut while nobody used it is noticed by the next question: it is then asked once more.

        Raises:
            StorageError: it cannot be answered.
        """
        with self._errors():
            was_connected = self._connection is not None
            try:
                return question(self._connected())
            except _Silent:
                raise
            except psycopg.Error:
                if not was_connected or (self._connection is not None and not self._connection.closed):
                    raise
            return question(self._connected())

    def write(self, work: Callable[[Connection], _T]) -> _T:
        """What work comes to that is one transaction: all or nothing.

        Never done twice here: where the connection is lost at the end, nobody knows whether it was committed.

        Raises:
            StorageError: it was not done, or it is not known whether it was.
        """
        with self._errors():
            connection = self._connected()
            with connection.transaction():
                return work(connection)

    def _connected(self) -> Connection:
        if self._is_closed:
            raise StorageError(f"{self.name}: this store has been closed")
        if self._connection is not None and self._connection.closed:
            self._drop()
        if self._connection is None:
            connection = _Patient.connect(**self._parameters, autocommit=True)
            connection.silence_s = self._silence_s
            try:
                # Who waited for a lock must see what was committed meanwhile, whatever the server's default is.
                connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
                connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
                self._bring_up_to_date(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _bring_up_to_date(self, connection: Connection) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StorageError(f"{self.name}: its encoding is {encoding}; make a database of UTF8 for Headworks")
        known = len(self._migrations)
        if not known:
            return
        version = schema_version(connection)
        if version < known:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
                version = schema_version(connection)
                if version < known:
                    connection.execute("CREATE TABLE IF NOT EXISTS headworks_schema (version integer PRIMARY KEY)")
                for number in range(version, known):
                    connection.execute(self._migrations[number])
                    connection.execute("INSERT INTO headworks_schema (version) VALUES (%s)", (number + 1,))
                version = max(version, known)
        if version > known:
            raise StorageError(
                f"{self.name} was made by a newer release of Headworks (its schema is {version}, this one knows "
                f"{known}); use that release"
            )

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def name(self) -> str:
        """Which database it is, without user and password."""
        host = self._parameters.get("host") or self._parameters.get("hostaddr") or "localhost"
        port = self._parameters.get("port")
        name = self._parameters.get("dbname") or self._parameters.get("user") or ""
        return f"PostgreSQL {host}{f':{port}' if port else ''}/{name}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever PostgreSQL says, as a `StorageError` that names the database."""
        try:
            yield
        except psycopg.Error as error:
            # The details of an error quote values, which are the callers'.
            text = " ".join((error.diag.message_primary or str(error)).split())
            password = self._parameters.get("password")
            if password:
                text = text.replace(password, "(password)")
            raise StorageError(f"{self.name}: {text}") from error


def _parameters(url: str) -> dict[str, Any]:
    """What libpq is told: the URL's parameters, and ours for those that it leaves out."""
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        # What libpq says of it quotes it, the password included.
        raise StorageError("the URL of the store is not one of PostgreSQL: postgresql://user@host:port/name") from None
    return _DEFAULTS | given


def schema_version(connection: Connection) -> int:
    """How many migrations have been run on the database; 0 where Headworks has no tables."""
    if not has_table(connection, "headworks_schema"):
        return 0
    row = connection.execute("SELECT coalesce(max(version), 0) FROM headworks_schema").fetchone()
    assert row is not None
    return int(row[0])


def has_table(connection: Connection, name: str) -> bool:
    """Whether there is such a table, as of this moment.

    Not by `to_regclass`: within a transaction it may go on saying what was so before a lock was waited for.
    """
    query = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = %s AND pg_table_is_visible(oid))"
    row = connection.execute(query, (name,)).fetchone()
    assert row is not None
    return bool(row[0])
