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
    book = values.book(a_call(), "")
    token = book.token_for(EMAIL, MAIL)
    await saved(values, book)
    await values.close()

    again = values_in(tmp_path)
    assert again.book(a_call(), "resp_1").value_of(token) == MAIL
    assert again.book(a_call("other"), "resp_1").value_of(token) is None
    assert again.book(a_call(), "").value_of(token) is None
    await again.close()


def test_values_that_cannot_be_read_close_the_door(tmp_path, capsys):
    (tmp_path / "privacy.db").mkdir()
    values = values_in(tmp_path)

    with pytest.raises(ScreeningFailed):
        values.book(a_call(), "resp_1")
    assert "cannot be read" in capsys.readouterr().err


@in_a_loop
async def test_values_that_cannot_be_kept_are_told_and_harm_no_answer(tmp_path, capsys):
    (tmp_path / "privacy.db").mkdir()
    values = values_in(tmp_path)
    book = values.book(a_call(), "")
    book.token_for(EMAIL, MAIL)
    await saved(values, book)

    said = capsys.readouterr().err
    assert "could not be kept" in said
    assert MAIL not in said


@in_a_loop
async def test_without_a_file_nothing_is_kept():
    values = ConversationValues(b"s" * 32)
    book = values.book(a_call(), "")
    token = book.token_for(EMAIL, MAIL)
    await saved(values, book)

    assert values.book(a_call(), "resp_1").value_of(token) is None
    await values.close()


@in_a_loop
async def test_what_has_expired_is_taken_out_now_and_then(tmp_path):
    now = 1.0
    values = ConversationValues(b"s" * 32, tmp_path / "privacy.db", now=lambda: now)
    book = values.book(a_call(), "")
    book.token_for(EMAIL, MAIL)
    await saved(values, book)
    now = 200.0
    for number in range(256):
        await saved(values, values.book(a_call(), ""), response_id=f"resp_{number + 2}")
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


async def with_a_file(folder, **options):
    values = values_in(folder, **options)
    book = values.book(a_call(), "")
    book.token_for(EMAIL, "first@example.org")
    await saved(values, book, response_id="resp_0")
    return values


@in_a_loop
async def test_a_disk_that_takes_its_time_keeps_nobody_waiting_but_the_answer(tmp_path):
    values = await with_a_file(tmp_path)
    others = Locked(tmp_path)
    call, book = a_call(), values.book(a_call(), "")
    token = book.token_for(EMAIL, MAIL)
    values.save(call, "", book, life_s=100, response_id="resp_1")

    assert not call.saving.done()
    assert values.book(a_call(), "resp_0").has_entries  # what is read waits for no writer
    others.let_go()
    await call.saving
    assert values.book(a_call(), "resp_1").value_of(token) == MAIL
    await values.close()


@in_a_loop
async def test_saves_are_written_in_their_order_and_before_the_file_is_let_go(tmp_path):
    values = await with_a_file(tmp_path)
    others = Locked(tmp_path)
    tokens = []
    for number in range(20):
        book = values.book(a_call(), f"resp_{number}")
        tokens.append(book.token_for(EMAIL, f"ada{number}@example.org"))
        values.save(a_call(), f"resp_{number}", book, life_s=100, response_id=f"resp_{number + 1}")
    others.let_go()
    await values.close()

    again = values_in(tmp_path)
    last = again.book(a_call(), "resp_20")
    assert [last.value_of(token) for token in tokens] == [f"ada{number}@example.org" for number in range(20)]
    await again.close()


@in_a_loop
async def test_an_answer_waits_for_a_disk_that_hangs_only_so_long_and_it_is_told(tmp_path, capsys):
    values = await with_a_file(tmp_path, patience_s=0.05)
    others = Locked(tmp_path)
    call, book = a_call(), values.book(a_call(), "")
    book.token_for(EMAIL, MAIL)
    values.save(call, "", book, life_s=100, response_id="resp_1")
    await call.saving
    said = capsys.readouterr().err
    others.let_go()
    await values.close()

    assert "its answer waits no longer" in said
    assert MAIL not in said


@in_a_loop
async def test_no_more_saves_wait_than_there_is_room_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("headworks.conversation_values._MOST_SAVES", 2)
    values = await with_a_file(tmp_path)
    others = Locked(tmp_path)
    calls = [a_call() for _ in range(3)]
    for number, call in enumerate(calls):
        book = values.book(a_call(), "")
        book.token_for(EMAIL, MAIL)
        values.save(call, "", book, life_s=100, response_id=f"resp_{number + 1}")
    others.let_go()
    await asyncio.gather(*(call.saving for call in calls if call.saving is not None))

    assert [call.saving is None for call in calls] == [False, False, True]
    assert "the disk is too slow" in capsys.readouterr().err
    assert values.book(a_call(), "resp_2").has_entries
    assert not values.book(a_call(), "resp_3").has_entries
    await values.close()


@in_a_loop
async def test_nothing_is_written_by_the_thread_of_the_loop(tmp_path, monkeypatch):
    wrote = set()
    write = TokenVault.write
    monkeypatch.setattr(
        TokenVault, "write", lambda vault, save: (wrote.add(threading.get_ident()), write(vault, save))[1]
    )
    values = await with_a_file(tmp_path)
    await values.close()

    assert len(wrote) == 1
    assert threading.get_ident() not in wrote


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
