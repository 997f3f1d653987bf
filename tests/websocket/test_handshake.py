import base64

import pytest

from headworks.errors import Refusal
from headworks.websocket import accept_key, answer_headers, check_answer, read_offer, request_headers

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {b"sec-websocket-version": b"13", b"sec-websocket-key": KEY}


def test_the_example_of_the_rfc_is_accepted_as_it_says():
    """RFC 6455 §1.3."""
    assert accept_key(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer_headers(read_offer(GOOD))


def test_both_sides_understand_each_other():
    key, block = request_headers(bytes(range(16)), ("realtime",))
    asked = dict(line.split(b": ") for line in block.strip().split(b"\r\n"))
    offer = read_offer(asked)
    assert offer.protocols == ("realtime",)
    lines = answer_headers(offer, "realtime").strip().split(b"\r\n")
    answered = {b"upgrade": b"WebSocket", **dict(line.split(b": ") for line in lines)}
    assert check_answer(answered, key, ("realtime",)) == ""


def test_another_version_is_told_which_one_is_served():
    with pytest.raises(Refusal) as caught:
        read_offer({**GOOD, b"sec-websocket-version": b"8"})
    assert caught.value.status == 426
    assert ("sec-websocket-version", "13") in caught.value.headers


@pytest.mark.parametrize("key", [b"", b"short", base64.b64encode(bytes(15)), KEY + b"!"])
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(Refusal) as caught:
        read_offer({**GOOD, b"sec-websocket-key": key})
    assert caught.value.status == 400


@pytest.mark.parametrize("offered", [b"a b", b"a,,b", b"a\xffb", b",".join([b"a"] * 17)])
def test_a_list_of_subprotocols_that_is_none_is_refused_without_being_shown(offered):
    with pytest.raises(Refusal) as caught:
        read_offer({**GOOD, b"sec-websocket-protocol": offered})
    assert "a b" not in str(caught.value)


def test_an_offer_does_not_show_what_may_be_a_key():
    offer = read_offer({**GOOD, b"sec-websocket-protocol": b"realtime, openai-insecure-api-key.hw-secret"})
    assert offer.protocols == ("realtime", "openai-insecure-api-key.hw-secret")
    assert "secret" not in repr(offer)


@pytest.mark.parametrize(
    "change",
    [
        {b"upgrade": b"h2c"},
        {b"sec-websocket-accept": b"AAAA"},
        {b"sec-websocket-extensions": b"permessage-deflate"},
        {b"sec-websocket-protocol": b"other"},
    ],
)
def test_an_answer_that_is_not_to_what_was_asked_is_told(change):
    good = {b"upgrade": b"websocket", b"sec-websocket-accept": accept_key(KEY)}
    assert check_answer(good, KEY) == ""
    assert check_answer({**good, **change}, KEY) != ""
