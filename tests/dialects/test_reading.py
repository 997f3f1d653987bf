"""The head of a request: what is read of it, and that everything else goes up byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Endpoint
from headworks.dialects import read_head
from headworks.errors import Refusal

_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
_NAMES = st.one_of(st.text(max_size=6), st.sampled_from(["temperature", "tools", "Model", "model ", "modèle"]))
_OTHERS = st.dictionaries(_NAMES.filter(lambda name: name not in ("model", "messages", "stream")), _JSON, max_size=5)


def refusal(body, endpoint=Endpoint.CHAT):
    with pytest.raises(Refusal) as refused:
        read_head(body, endpoint)
    return refused.value


@given(
    others=_OTHERS, model=st.text(min_size=1, max_size=10), ascii_only=st.booleans(), indent=st.sampled_from([None, 2])
)
def test_only_the_model_changes_and_every_other_value_is_the_same_bytes(others, model, ascii_only, indent):
    others.pop("stream_options", None)
    body = json.dumps(
        {"messages": [{"model": "inner"}], "model": model} | others, ensure_ascii=ascii_only, indent=indent
    )

    head = read_head(body.encode(), Endpoint.CHAT)
    sent = head.splice(model="upstream")

    assert head.model == model
    assert json.loads(sent) == {"messages": [{"model": "inner"}], "model": "upstream"} | others
    for name, raw in head.fields.items():
        assert name == "model" or bytes(raw) in sent


def test_of_a_name_given_twice_the_last_counts_and_only_that_goes_up():
    head = read_head(b'{"model":"a","messages":[],"model":"b"}', Endpoint.CHAT)

    assert head.model == "b"
    assert head.splice(model=head.model).count(b'"model"') == 1


def test_an_escaped_name_is_the_same_name():
    head = read_head(b'{"mod\\u0065l":"a\\/b","messages":[]}', Endpoint.CHAT)

    assert head.model == "a/b"
    assert json.loads(head.splice(model="x"))["model"] == "x"


def test_numbers_that_no_float_holds_go_up_as_they_came():
    body = b'{"model":"a","messages":[],"seed":123456789012345678901234567890,"x":1e400,"y":0.1000000000000000055}'

    assert body.split(b'"messages":[],')[1][:-1] in read_head(body, Endpoint.CHAT).splice(model="a")


def test_usage_is_asked_for_beside_what_the_caller_asked():
    plain = read_head(b'{"model":"a","messages":[],"stream":true}', Endpoint.CHAT)
    assert (plain.is_streamed, plain.includes_usage) == (True, False)
    assert json.loads(plain.splice(include_usage=True))["stream_options"] == {"include_usage": True}

    given_options = b'{"model":"a","messages":[],"stream":true,"stream_options":{"include_usage":false,"x":[1]}}'
    options = read_head(given_options, Endpoint.CHAT)
    assert json.loads(options.splice(include_usage=True))["stream_options"] == {"include_usage": True, "x": [1]}


@pytest.mark.parametrize(
    ("body", "code", "param", "words"),
    [
        (b"", "invalid_json", None, "empty"),
        (b"  \n", "invalid_json", None, "empty"),
        (b'{"model": "a",\n "messages": [1,]}', "invalid_json", None, "line 2, column 17"),
        (b'{"model": "a"', "invalid_json", None, "byte 13"),
        (b'{"model": "a"} x', "invalid_json", None, "line 1"),
        (b'\xef\xbb\xbf{"model": "a"}', "invalid_json", None, "byte 0"),
        (b'{"a":' + b"[" * 100_000, "invalid_json", None, "nested too deeply"),
        (b"[]", "invalid_type", None, "an array"),
        (b'"x"', "invalid_type", None, "a string"),
        (b"null", "invalid_type", None, "null"),
        (b'{"messages": []}', "missing_required_parameter", "model", "model"),
        (b'{"model": null, "messages": []}', "invalid_type", "model", "null"),
        (b'{"model": 7, "messages": []}', "invalid_type", "model", "a number"),
        (b'{"model": "", "messages": []}', "invalid_value", "model", "empty"),
        (b'{"model": "\xff", "messages": []}', "invalid_json", None, "UTF-8"),
        (b'{"model": "a"}', "missing_required_parameter", "messages", "messages"),
        (b'{"model": "a", "messages": "x"}', "invalid_type", "messages", "an array"),
        (b'{"model": "a", "messages": [], "stream": "yes"}', "invalid_type", "stream", "a boolean"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(body, code, param, words):
    refused = refusal(body)

    assert (refused.status, refused.code, refused.param) == (400, code, param)
    assert words in refused.message


def test_a_response_needs_input_or_something_instead():
    assert refusal(b'{"model":"a"}', Endpoint.RESPONSES).param == "input"
    assert refusal(b'{"model":"a","input":5}', Endpoint.RESPONSES).code == "invalid_type"
    for other in ("prompt", "previous_response_id", "conversation"):
        assert read_head(json.dumps({"model": "a", other: "x"}).encode(), Endpoint.RESPONSES).model == "a"


def test_the_user_is_the_safety_identifier_or_its_forerunner():
    def user(**fields):
        return read_head(json.dumps({"model": "a", "messages": []} | fields).encode(), Endpoint.CHAT).user

    assert user() is None
    assert user(user="old") == "old"
    assert user(user="old", safety_identifier="new") == "new"
    assert user(user=None) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_head_or_a_refusal_that_repeats_none_of_them(body):
    secret = b"prompt-" + body.hex().encode()
    data = b'{"model":"a","messages":[],"x":"' + secret + b'"' + body
    try:
        read_head(data, Endpoint.CHAT)
    except Refusal as refused:
        assert secret.decode() not in refused.message  # noqa: PT017 - either way is right


def test_bytes_that_are_not_utf8_are_refused_with_their_place_wherever_they_stand():
    body = b'{"model": "m",\n "input": "a\xff"}'

    with pytest.raises(Refusal) as refused:
        read_head(body, Endpoint.RESPONSES)

    assert (refused.value.status, refused.value.code) == (400, "invalid_json")
    assert "line 2, column 13 (byte 27)" in refused.value.message


def test_a_body_that_ends_too_soon_is_refused_with_its_place():
    with pytest.raises(Refusal, match=r"it ends, at line 2, column 5 \(byte 19\)"):
        read_head(b'{"model": "m",\n "in', Endpoint.RESPONSES)
