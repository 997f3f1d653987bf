"""What stands behind tokens is found again by whoever goes on, and nothing goes up where it cannot be read."""

import sqlite3
from contextlib import closing

import msgspec
import pytest

from headworks.calls import Caller
from headworks.conversation_values import ConversationValues, goes_on_from, note_screened
from headworks.screening.privacy import KINDS, ScreeningFailed
from headworks.settlement import OpenCall

EMAIL = KINDS["email"]
MAIL = "ada.lovelace@example.org"


def a_call(team="search"):
    return OpenCall("call_1", Caller("key_1", "ann", team), "responses", 0, 0, 0.0)


def values_in(folder):
    return ConversationValues(b"s" * 32, folder / "privacy.db", now=lambda: 1.0)


def test_who_goes_on_from_a_response_finds_the_values_and_another_team_does_not(tmp_path):
    values = values_in(tmp_path)
    book = values.book(a_call(), "")
    token = book.token_for(EMAIL, MAIL)
    values.save(a_call(), "", book, life_s=100, response_id="resp_1")
    values.close()

    again = values_in(tmp_path)
    assert again.book(a_call(), "resp_1").value_of(token) == MAIL
    assert again.book(a_call("other"), "resp_1").value_of(token) is None
    assert again.book(a_call(), "").value_of(token) is None
    again.close()


def test_values_that_cannot_be_read_close_the_door(tmp_path, capsys):
    (tmp_path / "privacy.db").mkdir()
    values = values_in(tmp_path)

    with pytest.raises(ScreeningFailed):
        values.book(a_call(), "resp_1")
    assert "cannot be read" in capsys.readouterr().err


def test_values_that_cannot_be_kept_are_told_and_harm_no_answer(tmp_path, capsys):
    (tmp_path / "privacy.db").mkdir()
    values = values_in(tmp_path)
    book = values.book(a_call(), "")
    book.token_for(EMAIL, MAIL)
    values.save(a_call(), "", book, life_s=100, response_id="resp_1")

    said = capsys.readouterr().err
    assert "could not be kept" in said
    assert MAIL not in said


def test_without_a_file_nothing_is_kept():
    values = ConversationValues(b"s" * 32)
    book = values.book(a_call(), "")
    token = book.token_for(EMAIL, MAIL)
    values.save(a_call(), "", book, life_s=100, response_id="resp_1")

    assert values.book(a_call(), "resp_1").value_of(token) is None
    values.close()


def test_what_has_expired_is_taken_out_now_and_then(tmp_path):
    now = 1.0
    values = ConversationValues(b"s" * 32, tmp_path / "privacy.db", now=lambda: now)
    book = values.book(a_call(), "")
    book.token_for(EMAIL, MAIL)
    values.save(a_call(), "", book, life_s=100, response_id="resp_1")
    now = 200.0
    for number in range(256):
        values.save(a_call(), "", values.book(a_call(), ""), life_s=100, response_id=f"resp_{number + 2}")
    values.close()

    with closing(sqlite3.connect(tmp_path / "privacy.db")) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)


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
