"""The books of budgets behind the socket of a control plane, as a worker reaches them."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import LimitsUnavailable
from headworks.limits import local
from headworks.limits.budgets import Account, Books, Claim, PurseFile
from headworks.limits.budgets.socket_books import SocketBooks
from headworks.limits.budgets.sqlite_ledger import SqliteLedger
from headworks.limits.budgets.wire import Claims, Settling, frame_claims, frame_settling, read_allowed, read_claims
from headworks.limits.local import LeaseServer
from headworks.limits.wire import HEAD_BYTES, FrameError

ACCOUNT = Account("team/one/day/2026-11-26", 1000, is_hard=True, alert_at=(), begins_us=0, ends_us=2 * 10**15)


@contextlib.asynccontextmanager
async def serving(storage):
    def make_books():
        return Books(SqliteLedger(storage, now=lambda: 1.0), lambda account: 0, lambda crossing: None)

    server = LeaseServer(storage, None, say=pytest.fail, make_books=make_books)
    await server.start()
    books = SocketBooks(storage)
    try:
        yield books
    finally:
        await books.close()
        await server.close()


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


async def room(books, holder="w"):
    (allowance,) = await books.claim(holder, [Claim(ACCOUNT, 0, 0, 1000)])
    await books.claim(holder, [Claim(ACCOUNT, 0, 0, 0)])
    return allowance.held


def test_what_was_set_aside_for_a_batch_is_settled_through_the_socket(tmp_path):
    async def scenario():
        async with serving(tmp_path) as books:
            await books.claim("batch/main/b1", [Claim(ACCOUNT, 0, 600, 0)])
            assert await room(books) == 400
            for _ in range(2):
                await books.settle("main/b1", 150)
            assert await room(books) == 850

    run(scenario())


def test_what_a_killed_worker_left_is_seen_to_while_others_are_served(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_BURY_EVERY_S", 0.01)

    async def scenario():
        async with serving(tmp_path) as books:
            file = PurseFile(tmp_path / "purses", "dead")
            await books.claim("dead", [Claim(ACCOUNT, 0, 100, 500)])
            assert await room(books) == 400
            file.slot(ACCOUNT.name).note(30, 20)
            file.close(is_told=False)
            while list((tmp_path / "purses").iterdir()):
                await asyncio.sleep(0.01)
            assert await room(books) == 950
            with pytest.raises(LimitsUnavailable, match="found dead"):
                await books.claim("dead", [Claim(ACCOUNT, 0, 100, 500)])

    run(scenario())


def test_what_a_worker_left_that_died_last_is_seen_to_before_the_end(tmp_path):
    async def scenario():
        file = PurseFile(tmp_path / "purses", "dead")
        async with serving(tmp_path) as books:
            await books.claim("dead", [Claim(ACCOUNT, 0, 100, 500)])
            file.close(is_told=False)
        assert list((tmp_path / "purses").iterdir()) == []

    run(scenario())


def test_files_that_cannot_be_read_are_said_and_stop_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_BURY_EVERY_S", 0.01)
    said = []

    async def scenario():
        (tmp_path / "purses" / "x.purse").mkdir(parents=True)
        server = LeaseServer(
            tmp_path,
            None,
            say=said.append,
            make_books=lambda: Books(SqliteLedger(tmp_path, now=lambda: 1.0), lambda account: 0, lambda crossing: None),
        )
        await server.start()
        while not said:
            await asyncio.sleep(0.01)
        await server.close()

    run(scenario())
    assert "what dead workers held of budgets stays set aside for now" in said[0]


@given(st.integers(0, 2**60), st.floats(0, 1e12), st.text(min_size=1, max_size=200), st.integers(-1, 2**60))
def test_what_is_settled_is_read_as_it_was_written(number, due_s, batch, spent):
    body = frame_settling(number, due_s, batch, spent)[HEAD_BYTES:]
    assert read_claims(body) == Settling(number, due_s, batch, spent)
    claims = read_claims(frame_claims(number, due_s, "w", [Claim(ACCOUNT, 1, 2, 3)])[HEAD_BYTES:])
    assert isinstance(claims, Claims)
    assert claims.values() == (Claim(ACCOUNT, 1, 2, 3),)
    with pytest.raises(FrameError):
        read_allowed(body)
