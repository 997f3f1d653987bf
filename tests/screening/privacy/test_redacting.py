"""What goes up holds no clear value, wherever it stood, and comes back as it was."""

import json
import random

import pytest
from corpus import BETWEEN, CHECKED
from hypothesis import given
from hypothesis import strategies as st

from headworks.config.privacy import CustomPattern, Privacy, WordList
from headworks.errors import ConfigError
from headworks.screening.privacy import (
    Finding,
    Kind,
    PersonalDataBlocked,
    PrivacyPolicy,
    Redactor,
    Restorer,
    ScreeningFailed,
    TokenBook,
)

policy = PrivacyPolicy.compile(Privacy())
redactor = Redactor(policy)
MAIL = "john.doe@example.com"


def a_book():
    return TokenBook(b"t" * 32)


def redacted(body, book=None, used=redactor):
    return used.redact(json.dumps(body).encode(), a_book() if book is None else book)


@st.composite
def entities(draw):
    """A text with any words around any values, and the values."""
    rng = random.Random(draw(st.integers(0, 1_000_000)))
    pieces, values = [], []
    for kind in draw(st.lists(st.sampled_from(sorted(CHECKED)), max_size=4)):
        made = CHECKED[kind](rng)
        phrase, value = made if isinstance(made, tuple) else (made, made)
        pieces += [draw(st.text(max_size=15)), rng.choice(BETWEEN[:4]).format(phrase), " "]
        values.append(value)
    return "".join([*pieces, draw(st.text(max_size=15))]), values


@given(entities())
def test_redact_echo_restore_is_the_identity_for_any_text(made):
    text, _ = made
    book = a_book()

    up, _ = redactor.redact_text(text, book)

    assert Restorer(book, policy.form).text(up) == text


@given(entities())
def test_no_value_that_was_found_stays_in_what_goes_up(made):
    text, _ = made

    up, counts = redactor.redact_text(text, a_book())

    found = policy.finder.find(text)
    assert sum(counts.values()) >= len(found)
    for one in found:
        value = text[one.start : one.end]
        if len(value) >= 8:
            assert value not in up


@given(entities())
def test_where_tokens_are_not_turned_back_redacting_again_changes_none_of_them(made):
    text, _ = made
    used, book = with_policy(restore="nothing"), a_book()
    once, _ = used.redact_text(text, book)

    again, _ = used.redact_text(once, book)

    tokens = [written for _, _, written in policy.form.find(once)]
    assert [written for _, _, written in policy.form.find(again) if written in tokens] == tokens


SCALARS = st.none() | st.booleans() | st.integers(-999_999, 999_999) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=12) | st.sampled_from([MAIL, "4111 1111 1111 1111", '{"a": "x@y.co"}', "[1, 2]"])
BODIES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(BODIES)
def test_any_body_comes_back_the_same_from_redact_and_restore(body):
    book = a_book()

    up = redacted({"messages": body}, book).body

    assert MAIL.encode() not in up
    assert b"4111 1111" not in up
    restored = json.loads(Restorer(book, policy.form).json(up.decode()))
    assert normal(restored) == normal({"messages": body})


def normal(value):
    """JSON within strings may have lost its white space."""
    if isinstance(value, str):
        try:
            return normal(json.loads(value)) if value[:1] in "{[" and value else value
        except ValueError:
            return value
    if isinstance(value, dict):
        return {key: normal(inner) for key, inner in value.items()}
    return [normal(inner) for inner in value] if isinstance(value, list) else value


def test_a_body_in_which_nothing_is_found_is_the_same_object():
    body = b'{ "model":"gpt-5",\n "messages" : [{"role":"user","content":"Hello there, how are you?"}] }'

    assert redactor.redact(body, a_book()).body is body


PLACES = [
    {"messages": [{"role": "user", "content": MAIL}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": MAIL}]}]},
    {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": MAIL}]},
    {"messages": [{"role": "user", "name": MAIL, "content": "x"}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {
        "name": "send", "arguments": json.dumps({"to": MAIL})}}]}]},
    {"input": MAIL},
    {"instructions": MAIL, "input": "x"},
    {"input": [{"type": "function_call_output", "call_id": "call_1", "output": json.dumps({"a": [{"b": MAIL}]})}]},
    {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({MAIL: 1})}]},
    {"input": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": MAIL}]}]},
    {"tools": [{"type": "function", "name": "f", "description": MAIL, "parameters": {"type": "object", "properties": {
        "to": {"type": "string", "enum": [MAIL], "default": MAIL}}}}]},
    {"metadata": {"customer": MAIL, MAIL: "x"}},
    {"user": MAIL},
    {"safety_identifier": MAIL},
    {"prompt_cache_key": MAIL},
    {"id": MAIL, "type": MAIL, "role": MAIL},
    {"a_field_of_tomorrow": {"deep": [[{"er": MAIL}]]}},
    {"prompt": {"id": "p", "variables": {"mail": MAIL}}},
    {"contents": [{"parts": [{"text": MAIL}]}], "systemInstruction": {"parts": [{"text": MAIL}]}},
    {"system": [{"type": "text", "text": MAIL}], "stop_sequences": [MAIL]},
    {"input": json.dumps({"a": json.dumps({"b": json.dumps([MAIL])})})},
    {"input": [{"type": "input_image", "image_url": f"https://x.test/?u={MAIL}"}]},
]  # fmt: skip


@pytest.mark.parametrize("body", PLACES)
def test_a_value_at_any_place_of_any_dialect_is_replaced(body):
    up = redacted(body)

    assert b"john.doe" not in up.body
    assert up.counts["email"] >= 1


@pytest.mark.parametrize("twin", ['{"a": "%s", "a": "x"}', '{"messages": [{"content": "%s", "content": "x"}]}'])
def test_the_first_of_two_twins_does_not_go_up_unseen(twin):
    assert b"john.doe" not in redactor.redact((twin % MAIL).encode(), a_book()).body
    inner = json.dumps({"arguments": twin % MAIL}).encode()
    assert b"john.doe" not in redactor.redact(inner, a_book()).body


def test_structure_is_left_alone():
    body = {
        "model": "claude-sonnet-4-20250514",
        "input": [
            {"type": "function_call", "id": "fc_1234567890", "call_id": "call_4111111111111111", "name": "look_up"},
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAA" + "Ab0/" * 100},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo" + "4111111111111111" * 4},
        ],
        "tool_choice": {"type": "function", "name": "look_up"},
        "tools": [{"type": "function", "name": "look_up", "parameters": {"type": "object", "required": ["a"]}}],
        "seed": 4111111111111111,
    }
    up = redacted(body)

    assert json.loads(up.body) == body
    assert up.opaque == 2


def test_the_name_of_a_property_is_read_before_its_value():
    up = redacted({"metadata": {"ssn": "219099998", "password": "hunter2!", "date_of_birth": "1980-03-12"}})

    assert set(up.counts) == {"us_ssn", "secret", "date_of_birth"}


def test_a_number_is_read_as_well():
    up = redacted({"metadata": {"card": 4111111111111111}, "max_tokens": 100})

    assert b"4111" not in up.body
    assert up.counts == {"card": 1}


def test_what_words_gave_away_once_is_replaced_everywhere():
    up = redacted({"messages": [{"content": "my SSN is 219099998"}, {"content": "again: 219099998"}]})

    assert b"219099998" not in up.body
    assert up.counts == {"us_ssn": 2}


def test_numbers_of_a_changed_body_keep_their_digits():
    body = b'{"a":"x@y.co","b":[1.10,12345678901234567890123,1E400,-0.0]}'

    assert redactor.redact(body, a_book()).body.endswith(b"[1.10,12345678901234567890123,1E+400,-0.0]}")


def test_json_in_a_string_stays_as_it_is_byte_for_byte_where_nothing_is_found():
    inner = '{ "to" :  "nobody" }'
    up = json.loads(redacted({"input": [{"arguments": inner}, {"content": MAIL}]}).body)

    assert up["input"][0]["arguments"] == inner


def test_a_typed_token_comes_back_as_it_was_typed_and_gives_no_value():
    book = a_book()
    up, _ = redactor.redact_text(MAIL, book)
    text = f"what is {up}, {up.lower().replace('_', ' ')} and PII_EMAIL_b2cdefg?"

    again, _ = redactor.redact_text(text, book)

    assert up not in again
    assert Restorer(book, policy.form).text(again) == text


def with_policy(**settings):
    return Redactor(PrivacyPolicy.compile(Privacy(**settings)))


@pytest.mark.parametrize(
    ("action", "expected"),
    [("mask", "card **** **** **** 1111!"), ("remove", "card !"), ("allow", "card 4111 1111 1111 1111!")],
)
def test_the_policy_of_a_kind_says_what_becomes_of_it(action, expected):
    up, _ = with_policy(kinds={"card": action}).redact_text("card 4111 1111 1111 1111!", a_book())

    assert up == expected


def test_a_hash_is_the_same_in_every_conversation_of_a_tenant_and_in_no_other():
    used = with_policy(kinds={"email": "hash"})
    words = {used.redact_text(MAIL, TokenBook.of_tenant(b"s", t))[0] for t in ("1", "2") for _ in range(2)}

    assert len(words) == 2


def test_what_is_blocked_is_named_by_kind_and_not_by_value():
    with pytest.raises(PersonalDataBlocked, match="card") as caught:
        redacted({"input": "4111 1111 1111 1111"}, used=with_policy(kinds={"card": "block"}))

    assert caught.value.kinds == ("card",)
    assert "4111" not in str(caught.value)


def test_files_can_be_blocked():
    with pytest.raises(PersonalDataBlocked, match="file"):
        redacted({"image_url": "data:image/png;base64,AAAA"}, used=with_policy(opaque="block"))


class Names:
    kinds = (Kind("person", "PERSON", "a name"),)

    def __init__(self, error=None):
        self.error = error

    def find(self, text):
        if self.error:
            raise self.error
        start = text.find("Ada Lovelace")
        return [Finding(start, start + 12, "person", 0.9)] if start >= 0 else []


def test_a_recogniser_finds_what_has_no_form():
    used = Redactor(PrivacyPolicy.compile(Privacy(), recognisers=[Names()]))

    up, counts = used.redact_text("Ask Ada Lovelace.", a_book())

    assert up.startswith("Ask PII_PERSON_")
    assert counts == {"person": 1}


@pytest.mark.parametrize("error", [RuntimeError("Ada Lovelace"), MemoryError(), RecursionError(), ValueError("x")])
def test_a_detector_that_fails_closes_the_door_and_tells_nothing_of_the_text(error):
    used = Redactor(PrivacyPolicy.compile(Privacy(), recognisers=[Names(error)]))

    with pytest.raises(ScreeningFailed) as caught:
        redacted({"input": "Ask Ada Lovelace."}, used=used)

    assert "Ada" not in str(caught.value)
    assert caught.value.status == 500


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": "\xff"}', b"[" * 100_000])
def test_a_body_that_cannot_be_read_does_not_go_up(body):
    with pytest.raises(ScreeningFailed):
        redactor.redact(body, a_book())


def test_patterns_and_words_of_the_contract_are_found():
    used = with_policy(
        patterns={
            "employee": CustomPattern(regex="EMP-[0-9]{6}"),
            "room": CustomPattern(regex="([0-9]{3})", context=("room",)),
        },
        words={"project": WordList(words=("Blue Falcon", "Zürich Plan"))},
    )
    up, counts = used.redact_text(
        "EMP-123456 of blue  falcon in room 123; ZURICH plan, which is not about any of the rooms, 124 say", a_book()
    )

    assert counts == {"employee": 1, "project": 2, "room": 1}
    assert "124" in up


def test_words_of_any_script_are_told_from_other_words():
    used = with_policy(words={"client": WordList(words=("Иванов", "株式会社青空"))})

    assert used.redact_text("пишет Иванов, не Петров", a_book())[1] == {"client": 1}
    assert used.redact_text("пишет Петров", a_book())[1] == {}
    assert used.redact_text("株式会社青空 / 株式会社赤空", a_book())[1] == {"client": 1}


def test_values_that_are_nobodys_secret_go_up():
    assert with_policy(never=(MAIL.upper(),)).redact_text(MAIL, a_book())[0] == MAIL


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kinds": {"emial": "mask"}}, "emial"),
        ({"patterns": {"own": CustomPattern(regex="(")}}, "own"),
        ({"patterns": {"own": CustomPattern(regex="(?=a)")}}, "own"),
        ({"patterns": {"own": CustomPattern(regex="[\u0430-\u044f]{3}")}}, "Latin"),
        ({"identifiers": ("zz.nothing",)}, "zz.nothing"),
    ],
)
def test_a_contract_that_cannot_be_used_says_why(settings, words):
    with pytest.raises(ConfigError, match=words):
        with_policy(**settings)


@pytest.mark.parametrize("regex", ["(a+)+$", "a*b", r"(a)\1", "(a{1,5}){1,5}", "a{1,200}a{1,200}b"])
def test_without_re2_a_pattern_that_could_take_long_is_refused(regex):
    with pytest.raises(ConfigError, match="own"):
        PrivacyPolicy.compile(Privacy(patterns={"own": CustomPattern(regex=regex)}), prefers_re2=False)


def test_without_re2_a_bounded_pattern_is_taken():
    used = Redactor(
        PrivacyPolicy.compile(Privacy(patterns={"own": CustomPattern(regex="[A-Z]{2,3}-[0-9]{4}")}), prefers_re2=False)
    )

    assert used.redact_text("AB-1234", a_book())[1] == {"own": 1}


def test_further_identifiers_come_from_python_stdnum():
    used = with_policy(identifiers=("ch.ssn", "at.vnr"))

    assert used.redact_text("AHV 756.9217.0769.85", a_book())[1] == {"national_id": 1}
