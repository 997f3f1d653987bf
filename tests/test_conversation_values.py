"""What stands behind tokens is found again by whoever goes on, and nothing goes up where it cannot be read."""

import asyncio
import functools
import sqlite3
import threading
from contextlib import closing

import msgspec
import pytest

from headworks.calls import Caller
from headworks.conversation_values import ConversationValues, goes_on_from, note_screened
from headworks.screening.privacy import KINDS, ScreeningFailed, TokenVault
from headworks.screening.privacy import vault as vault_module
from headworks.settlement import OpenCall


def in_a_loop(test):
    @functools.wraps(test)
    def run(*arguments, **named):
        asyncio.run(test(*arguments, **named))

    return run


EMAIL = KINDS["email"]
MAIL = "ada.lovelace@example.org"


def a_call(team="search"):
    return OpenCall("call_1", Caller("key_1", "ann", team), "responses", 0, 0, 0.0)


def values_in(folder, **options):
    return ConversationValues(b"s" * 32, folder / "privacy.db", now=lambda: 1.0, **options)


async def saved(values, book, call=None, conversation="", response_id="resp_1"):
    call = call or a_call()
    values.save(call, conversation, book, life_s=100, response_id=response_id)
    if call.saving is not None:
        await call.saving


@in_a_loop
async def test_who_goes_on_from_a_response_finds_the_values_and_another_team_does_not(tmp_path):
    values = values_in(tmp_path)
    book = values.passing_book(a_call())
    token = book.token_for(EMAIL, MAIL)
    await saved(values, book)
    await values.close()

    again = values_in(tmp_path)
    assert (await again.book(a_call(), "resp_1")).value_of(token) == MAIL
    assert (await again.book(a_call("other"), "resp_1")).value_of(token) is None
    assert (await again.book(a_call(), "")).value_of(token) is None
    await again.close()


@in_a_loop
async def test_values_that_cannot_be_read_close_the_door(tmp_path, capsys):
    (tmp_path / "privacy.db").mkdir()
    values = values_in(tmp_path)

    with pytest.raises(ScreeningFailed):
        await values.book(a_call(), "resp_1")
    assert "cannot be read" in capsys.readouterr().err
    await values.close()


@in_a_loop
async def test_values_that_cannot_be_kept_are_told_and_harm_no_answer(tmp_path, capsys):
    (tmp_path / "privacy.db").mkdir()
    values = values_in(tmp_path)
    book = values.passing_book(a_call())
    book.token_for(EMAIL, MAIL)
    await saved(values, book)

    said = capsys.readouterr().err
    assert "could not be kept" in said
    assert MAIL not in said


@in_a_loop
async def test_without_a_file_nothing_is_kept():
    values = ConversationValues(b"s" * 32)
    book = values.passing_book(a_call())
    token = book.token_for(EMAIL, MAIL)
    await saved(values, book)

    assert (await values.book(a_call(), "resp_1")).value_of(token) is None
    await values.close()


@in_a_loop
async def test_what_has_expired_is_taken_out_now_and_then(tmp_path):
    now = 1.0
    values = ConversationValues(b"s" * 32, tmp_path / "privacy.db", now=lambda: now)
    book = values.passing_book(a_call())
    book.token_for(EMAIL, MAIL)
    await saved(values, book)
    now = 200.0
    for number in range(256):
        await saved(values, values.passing_book(a_call()), response_id=f"resp_{number + 2}")
    await values.close()

    with closing(sqlite3.connect(tmp_path / "privacy.db")) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)


class Locked:
    """The file of others who are in the middle of a write."""

    def __init__(self, folder):
        self._connection = sqlite3.connect(folder / "privacy.db", isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def let_go(self):
        self._connection.execute("ROLLBACK")
        self._connection.close()


class SlowDisk:
    """Takes its time over every read, until it is let go."""

    def __init__(self, monkeypatch):
        self._is_let_go = threading.Event()
        read = TokenVault.read
        monkeypatch.setattr(
            TokenVault, "read", lambda vault, lookup: (self._is_let_go.wait(60), read(vault, lookup))[1]
        )

    def let_go(self):
        self._is_let_go.set()


class LockedWhole(Locked):
    """The same of others who let nobody read either: a copy that is put back, say."""

    def __init__(self, folder):
        self._connection = sqlite3.connect(folder / "privacy.db", isolation_level=None)
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("BEGIN EXCLUSIVE")


async def with_a_file(folder, **options):
    values = values_in(folder, **options)
    book = values.passing_book(a_call())
    book.token_for(EMAIL, "first@example.org")
    await saved(values, book, response_id="resp_0")
    return values


@in_a_loop
async def test_a_disk_that_takes_its_time_keeps_nobody_waiting_but_the_answer(tmp_path):
    values = await with_a_file(tmp_path)
    others = Locked(tmp_path)
    call, book = a_call(), values.passing_book(a_call())
    token = book.token_for(EMAIL, MAIL)
    values.save(call, "", book, life_s=100, response_id="resp_1")

    assert not call.saving.done()
    assert (await values.book(a_call(), "resp_0")).has_entries  # what is read waits for no writer
    others.let_go()
    await call.saving
    assert (await values.book(a_call(), "resp_1")).value_of(token) == MAIL
    await values.close()


@in_a_loop
async def test_saves_are_written_in_their_order_and_before_the_file_is_let_go(tmp_path):
    values = await with_a_file(tmp_path)
    others = Locked(tmp_path)
    tokens = []
    for number in range(20):
        book = await values.book(a_call(), f"resp_{number}")
        tokens.append(book.token_for(EMAIL, f"ada{number}@example.org"))
        values.save(a_call(), f"resp_{number}", book, life_s=100, response_id=f"resp_{number + 1}")
    others.let_go()
    await values.close()

    again = values_in(tmp_path)
    last = await again.book(a_call(), "resp_20")
    assert [last.value_of(token) for token in tokens] == [f"ada{number}@example.org" for number in range(20)]
    await again.close()


@in_a_loop
async def test_an_answer_waits_for_a_disk_that_hangs_only_so_long_and_it_is_told(tmp_path, capsys):
    values = await with_a_file(tmp_path, patience_s=0.05)
    others = Locked(tmp_path)
    call, book = a_call(), values.passing_book(a_call())
    book.token_for(EMAIL, MAIL)
    values.save(call, "", book, life_s=100, response_id="resp_1")
    await call.saving
    said = capsys.readouterr().err
    others.let_go()
    await values.close()

    assert "its answer waits no longer" in said
    assert MAIL not in said


@pytest.mark.parametrize("is_known", [False, True], ids=["at its first opening", "when it is open"])
@in_a_loop
async def test_a_file_that_nobody_may_read_keeps_no_other_call_waiting(tmp_path, monkeypatch, is_known):
    monkeypatch.setattr("headworks.screening.privacy.vault._BUSY_S", 60.0)
    values = await with_a_file(tmp_path, patience_s=60.0)
    if not is_known:
        await values.close()
        values = values_in(tmp_path, patience_s=60.0)
    others = None if is_known else LockedWhole(tmp_path)
    if others is None:  # who has it open keeps others from taking it whole: the disk is what is slow then
        others = SlowDisk(monkeypatch)
    going_on = asyncio.ensure_future(values.book(a_call(), "resp_0"))
    for _ in range(100):  # others have turn after turn
        await asyncio.sleep(0)
    assert not going_on.done()
    assert not (await values.book(a_call(), "")).has_entries  # a call that goes on from nothing waits for nobody

    others.let_go()
    assert (await going_on).has_entries
    await values.close()


@in_a_loop
async def test_a_call_waits_for_what_it_goes_on_from_only_so_long_and_then_goes_nowhere(tmp_path, capsys, monkeypatch):
    values = await with_a_file(tmp_path, patience_s=0.05)
    disk = SlowDisk(monkeypatch)

    with pytest.raises(ScreeningFailed):
        await values.book(a_call(), "resp_0")

    disk.let_go()
    said = capsys.readouterr().err
    assert "cannot be read: the disk has not given them for 0.05 s" in said
    await values.close()


@in_a_loop
async def test_a_call_that_is_given_up_waits_no_longer(tmp_path, monkeypatch):
    values = await with_a_file(tmp_path)
    disk = SlowDisk(monkeypatch)
    going_on = asyncio.ensure_future(values.book(a_call(), "resp_0"))
    await asyncio.sleep(0)
    going_on.cancel()

    with pytest.raises(asyncio.CancelledError):
        await going_on
    disk.let_go()
    await values.close()


@in_a_loop
async def test_two_calls_that_go_on_from_one_response_at_a_time_have_all_of_it(tmp_path):
    values = await with_a_file(tmp_path)
    books = await asyncio.gather(*(values.book(a_call(), "resp_0") for _ in range(20)))
    await values.close()

    assert all(book.has_entries for book in books)


@in_a_loop
async def test_no_more_saves_wait_than_there_is_room_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("headworks.conversation_values._MOST_SAVES", 2)
    values = await with_a_file(tmp_path)
    others = Locked(tmp_path)
    calls = [a_call() for _ in range(3)]
    for number, call in enumerate(calls):
        book = values.passing_book(a_call())
        book.token_for(EMAIL, MAIL)
        values.save(call, "", book, life_s=100, response_id=f"resp_{number + 1}")
    others.let_go()
    await asyncio.gather(*(call.saving for call in calls if call.saving is not None))

    assert [call.saving is None for call in calls] == [False, False, True]
    assert "the disk is too slow" in capsys.readouterr().err
    assert (await values.book(a_call(), "resp_2")).has_entries
    assert not (await values.book(a_call(), "resp_3")).has_entries
    await values.close()


@in_a_loop
async def test_the_thread_of_the_loop_neither_reads_nor_writes_nor_opens_a_file(tmp_path, monkeypatch):
    touched = []
    for name in ("open_database", "_find"):
        do = getattr(vault_module, name)
        seen = lambda *given, do=do, **named: (touched.append(threading.get_ident()), do(*given, **named))[1]  # noqa: E731
        monkeypatch.setattr(vault_module, name, seen)
    values = await with_a_file(tmp_path)
    assert (await values.book(a_call(), "resp_0")).has_entries
    await values.close()

    assert len(touched) == 4  # opened and searched, to write and to read
    assert threading.get_ident() not in touched


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"previous_response_id": "resp_1"}, "resp_1"),
        ({"conversation": "conv_1"}, "conv_1"),
        ({"conversation": {"id": "conv_1"}}, "conv_1"),
        ({"previous_response_id": None, "conversation": 3}, ""),
        ({}, ""),
    ],
)
def test_what_a_call_goes_on_from(fields, expected):
    assert goes_on_from({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}) == expected


def test_what_was_found_stands_before_the_attempts_once():
    call = a_call()
    note_screened(call, up={}, own={})
    assert call.work is None
    note_screened(call, up={"email": 2}, own={})
    call.work.note_attempt("stub/m")
    note_screened(call, up={"email": 2}, own={"card": 1}, unread=1, unknown=2, has_failed=True)

    assert call.work.course == (
        "screened: 2 email up, 1 card of the model's own, 1 files unread, 2 unknown tokens, "
        "failed, sent up unscreened; stub/m"
    )
