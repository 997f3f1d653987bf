import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from headworks.calls import Opened, Settled
from headworks.records import Journal
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment
from headworks.records.stores import Store
from headworks.records.stores.postgres import PostgresStore
from headworks.records.stores.sqlite import SqliteStore

NOON_US = 1_795_435_200_000_000  # 2026-11-23 12:00 UTC


class Calls:
    """Makes calls to put on record; `n` makes them different."""

    def opened(self, n: int = 0, **fields: object) -> Opened:
        opened = Opened(
            call_id=f"call_{n:06d}",
            opened_us=NOON_US + n * 1_000_000,
            endpoint="chat.completions",
            requested_model="fast",
            key_id="key_a",
            owner="ann",
            team="search",
            user="u-1",
            provider="sim",
            model="gpt-6-luna",
            request_bytes=900,
        )
        return msgspec.structs.replace(opened, **fields)

    def settled(self, n: int = 0, **fields: object) -> Settled:
        of_opened = {name: fields[name] for name in fields if name in Opened.__struct_fields__}
        fields = {name: value for name, value in fields.items() if name not in of_opened or name == "workload"}
        settled = Settled(
            opened=self.opened(n, **of_opened),
            outcome="answered",
            status=200,
            total_us=1_200_000,
            first_token_us=300_000,
            finish_reason="stop",
            served_model="gpt-6-luna-2026-08-20",
            response_id=f"resp_{n}",
            input_tokens=100,
            cached_tokens=40,
            output_tokens=20,
            usage_source="provider",
            attempts=1,
            response_bytes=1200,
        )
        return msgspec.structs.replace(settled, **fields)


@pytest.fixture(scope="session")
def calls() -> Calls:
    return Calls()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def journal(tmp_path, loop) -> Iterator[Callable[..., Journal]]:
    """Opens journals in `tmp_path`; closes what the test left open."""
    opened: list[Journal] = []

    def open_journal(worker: str = "worker-1", **settings: object) -> Journal:
        defaults = {"segment_bytes": 65_536, "limit_bytes": 1_048_576, "loop": loop, "now": lambda: 1_795_435_200.0}
        opened.append(Journal(tmp_path, worker=worker, **(defaults | settings)))
        return opened[-1]

    yield open_journal
    for one in opened:
        one.close()


class PassingPostgresStore(PostgresStore):
    """Its database, where the tables are there already, is gone when it is closed: a hundred of them are a gigabyte."""

    def __init__(self, server, database: str) -> None:
        super().__init__(server.store_url(database), "here")
        self._server, self._database = server, database

    def close(self) -> None:
        super().close()
        self._server.drop(self._database)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_store(request, tmp_path_factory) -> Callable[[], Store]:
    """Makes stores of each engine, every one with nothing in it. Who has one closes it."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path_factory.mktemp("store") / "records.db")
    server = request.getfixturevalue("postgresql")
    with_tables = server.new_database()
    PostgresStore(server.store_url(with_tables), "here").close()
    return lambda: PassingPostgresStore(server, server.new_database(template=with_tables))


@pytest.fixture
def new_postgres_store(postgresql) -> Iterator[Callable[..., PostgresStore]]:
    """Makes stores in one database, which has nothing in it at first; closes them."""
    url = postgresql.store_url(postgresql.new_database())
    opened: list[PostgresStore] = []

    def open_one(site: str = "here", **settings: object) -> PostgresStore:
        opened.append(PostgresStore(url, site, **settings))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def store(new_store) -> Iterator[Store]:
    store = new_store()
    yield store
    store.close()


@pytest.fixture
def sqlite_store(tmp_path) -> Iterator[SqliteStore]:
    """For what is of this engine only; its file is `records.db`."""
    store = SqliteStore(tmp_path / "records.db")
    yield store
    store.close()


@pytest.fixture(scope="session")
def write_segment() -> Callable[..., Segment]:
    """Writes a segment as a dead writer leaves it, with `tail` after its entries."""

    def write(folder: Path, *entries, number: int = 0, worker: str = "worker-1", tail: bytes = b"") -> Segment:
        folder.mkdir(exist_ok=True)
        segment = Segment(worker, 1_795_435_200_000_000, number)
        (folder / segment.name).write_bytes(MAGIC + b"".join(map(frame, entries)) + tail)
        return segment

    return write
