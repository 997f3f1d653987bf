"""What is passed unread is bytes and words of the API, and nothing else."""

import json

import pytest

from headworks.config.privacy import Privacy
from headworks.screening.privacy import PrivacyPolicy, Redactor, Restorer, TokenBook
from headworks.screening.privacy.places import is_opaque

POLICY = PrivacyPolicy.compile(Privacy())
REDACTOR = Redactor(POLICY)
BYTES = "iVBORw0KGgo="
IBAN = "DE89370400440532013000"


@pytest.mark.parametrize(
    "head",
    [
        "data:image/png;base64",
        "data:;base64",
        "data:application/vnd.openxmlformats-officedocument.wordprocessingml.document;base64",
        "data:text/plain;charset=utf-8;base64",
        "data:audio/L16;rate=24000;channels=1;base64",
        'data:audio/ogg;codecs="opus";base64',
        "data:image/svg+xml;base64",
        "data:video/3gpp;base64",
    ],
)
def test_bytes_under_a_media_type_are_not_read(head):
    assert is_opaque("image_url", f"{head},{BYTES}")


@pytest.mark.parametrize(
    "head",
    [
        "data:ada.lovelace@example.org;base64",
        "data:image/ada.lovelace@example.org;base64",
        "data:image/4111111111111111;base64",
        "data:image/png;name=ada.lovelace@example.org;base64",
        "data:image/png;name=4111111111111111;base64",
        "data:image/png;name=Ada Lovelace;base64",
        "data:DE89370400440532013000/x;base64",
        "data:image/png",
    ],
)
def test_what_is_no_media_type_is_read(head):
    assert not is_opaque("image_url", f"{head},{BYTES}")


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "name": IBAN, "content": "x"}]},
        {"input": [{"name": IBAN, "role": "user", "content": "x"}]},
        {"tools": [{"type": "function", "name": "pay", "parameters": {"properties": {"from": {"enum": ["x", IBAN]}}}}]},
        {"tools": [{"type": "function", "name": "pay", "parameters": {"properties": {"from": {"const": IBAN}}}}]},
    ],
)
def test_names_of_people_and_what_a_schema_lists_are_no_words_of_the_api(body):
    redacted = REDACTOR.redact(json.dumps(body).encode(), TokenBook(b"t" * 32))

    assert IBAN.encode() not in redacted.body
    assert redacted.counts == {"iban": 1}
    assert Restorer(book_of(body), POLICY.form).json(redacted.body.decode()) == json.dumps(body, separators=(",", ":"))


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "function", "name": IBAN}], "tool_choice": {"type": "function", "name": IBAN}},
        {"messages": [{"role": "tool", "tool_call_id": IBAN, "content": "x"}]},
        {"tools": [{"name": "f", "parameters": {"properties": {"size": {"enum": ["1.5", "SKU-12345678", "en-US"]}}}}]},
        {"messages": [{"role": "user", "name": "example_user", "content": "x"}, {"role": "user", "name": "Ada"}]},
    ],
)
def test_names_of_functions_ids_and_ordinary_choices_stay_what_they_are(body):
    data = json.dumps(body).encode()

    assert REDACTOR.redact(data, TokenBook(b"t" * 32)).body is data


def book_of(body):
    book = TokenBook(b"t" * 32)
    REDACTOR.redact(json.dumps(body).encode(), book)
    return book
