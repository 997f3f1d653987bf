import copy
import json
import os
import pickle
import traceback

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import Secret, look_at_secret, read_secret
from headworks.config.secrets import MAX_BYTES, is_readable_by_others, looks_like_secret
from headworks.errors import SecretError

VALUE = "sk-proj-Q7Z9-hidden"


def test_a_secret_shows_itself_to_nobody_but_who_reveals_it():
    secret = Secret(VALUE)

    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", f"{secret}", str([secret])]

    assert not any(VALUE in text for text in shown)
    assert secret.reveal() == VALUE


@pytest.mark.parametrize(
    "leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode, vars, dict, hash]
)
def test_a_secret_cannot_be_copied_or_serialised(leak):
    with pytest.raises(TypeError) as raised:
        leak(Secret(VALUE))

    assert VALUE not in str(raised.value)


def test_secrets_are_equal_by_value_only_to_secrets():
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret(VALUE[:-1])
    assert Secret(VALUE) != VALUE


def test_a_secret_is_read_from_the_environment_that_is_passed_in(tmp_path):
    assert read_secret("env:KEY", base=tmp_path, environment={"KEY": VALUE}).reveal() == VALUE


@pytest.mark.parametrize("content", [VALUE, VALUE + "\n", VALUE + "\r\n", f"  {VALUE}\n\n"])
def test_a_secret_is_the_only_line_of_its_file_beside_the_configuration(tmp_path, content):
    (tmp_path / "key").write_text(content)

    assert read_secret("file:key", base=tmp_path, environment={}).reveal() == VALUE
    assert read_secret(f"file:{tmp_path / 'key'}", base=tmp_path / "elsewhere", environment={}).reveal() == VALUE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "file:key is empty"),
        (b" \n", "file:key is empty"),
        (b"sk-hidden\nsk-hidden", "one line of visible ASCII"),
        (b"sk hidden", "one line of visible ASCII"),
        (b"hidden\xff", "one line of visible ASCII"),
        (b"hidden\0", "one line of visible ASCII"),
        (b"hidden" * MAX_BYTES, "is larger than"),
    ],
)
def test_a_file_that_does_not_hold_a_secret_is_refused_without_showing_it(tmp_path, content, words):
    (tmp_path / "key").write_bytes(content)

    with pytest.raises(SecretError, match=words) as raised:
        read_secret("file:key", base=tmp_path, environment={})

    assert "hidden" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:MISSING", "env:MISSING is not set"),
        ("env:EMPTY", "env:EMPTY is empty"),
        ("file:missing", "file:missing cannot be read: No such file"),
        ("file:.", "file:. is not a regular file"),
        ("file:pipe", "file:pipe is not a regular file"),
        ("file:a\0b", "cannot be read: not a usable path"),
        ("sk-hidden", "not a secret reference"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named_and_says_why(tmp_path, reference, words):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(SecretError, match=words) as raised:
        read_secret(reference, base=tmp_path, environment={"EMPTY": ""})

    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(("mode", "expected"), [(0o600, False), (0o640, True), (0o604, True), (0o400, False)])
def test_a_file_that_others_may_read_is_found(tmp_path, mode, expected):
    (tmp_path / "key").touch()
    (tmp_path / "key").chmod(mode)

    assert is_readable_by_others(tmp_path / "key") is expected


def test_a_file_that_does_not_exist_is_read_by_nobody(tmp_path):
    assert not is_readable_by_others(tmp_path / "key")


@pytest.mark.parametrize(
    "text", ["sk-1", "hw-1", "AKIAX", "ghp_x", "Bearer x", "eyJhbGciOi", "d41d8cd98f00b204e9800998ecf8427e"]
)
def test_a_key_looks_like_one(text):
    assert looks_like_secret(text)


@pytest.mark.parametrize("text", ["openai", "gpt-6-luna", "text-embedding-3-small", "org-abc", "a value, with words"])
def test_a_name_does_not_look_like_a_key(text):
    assert not looks_like_secret(text)


@given(st.text())
def test_whatever_the_environment_holds_is_a_secret_or_an_error_that_does_not_show_it(value):
    try:
        secret = read_secret("env:KEY", base=None, environment={"KEY": value})
    except SecretError as error:
        text = str(error)
    else:
        text = repr(secret)
        assert secret.reveal() == value.strip(" \t\r\n")
    assert text in (
        "Secret(hidden)",
        "env:KEY is empty",
        "env:KEY does not hold one line of visible ASCII characters",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"sk-1\n", ""), (b"", "is empty"), (b"x" * 16_385, "is larger than 16384 bytes")],
)
def test_a_file_is_looked_at_without_reading_it(tmp_path, monkeypatch, content, words):
    (tmp_path / "key").write_bytes(content)
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("it was read"))

    if not words:
        look_at_secret("file:key", base=tmp_path, environment={})
        return
    with pytest.raises(SecretError, match=f"file:key {words}"):
        look_at_secret("file:key", base=tmp_path, environment={})


def test_a_look_says_what_reading_would_of_what_is_not_there(tmp_path):
    (tmp_path / "folder").mkdir()

    for reference, words in (("file:no", "cannot be read"), ("file:folder", "not a regular"), ("env:NO", "not set")):
        with pytest.raises(SecretError, match=words):
            look_at_secret(reference, base=tmp_path, environment={})
