"""What a call is expected to take of a quota of tokens."""

import base64

import msgspec
import pytest

from headworks.calls import Caller, Usage
from headworks.catalogue import load_tokenizer, tokenizer_for
from headworks.limits import Expectations
from headworks.settlement import OpenCall
from headworks.weighing import MOST_BYTES, expected_tokens, learn_tokens, weigh

TEXT = "The customer asks whether the parcel that was sent on Monday has left the warehouse. "
PICTURE = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1024).to_bytes(4, "big") + (1024).to_bytes(4, "big") + bytes(1_500_000)
).decode()


def weighed(content, model="gpt-4o", **more):
    earlier = {"previous_response_id": more.pop("earlier")} if "earlier" in more else {}
    body = msgspec.json.encode({"messages": [{"role": "user", "content": content}], **earlier})
    return weigh(msgspec.json.decode(body, type=dict[str, msgspec.Raw]), model, len(body), **more)


def picture():
    return [
        {"type": "text", "text": TEXT},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
    ]


@pytest.fixture
def call():
    def make(weight, **usage):
        made = OpenCall("c", Caller(), "chat.completions", 0, 2_000_000, 0.0)
        made.weight = weight
        made.usage = Usage(**usage, source="provider") if usage else made.usage
        return made

    return make


@pytest.mark.parametrize(
    ("model", "tokens"), [("gpt-4o", 765), ("claude-sonnet-4-5", 1_399), ("gemini-2.5-pro", 1_032)]
)
def test_a_picture_of_two_megabytes_is_expected_to_take_what_it_will_be_billed(call, model, tokens):
    weight = weighed(picture(), model)

    assert weight.media_tokens == tokens
    assert weight.text_bytes < 300
    assert expected_tokens(Expectations(), "k", call(None)) > 400_000
    assert expected_tokens(Expectations(), "k", call(weight)) < tokens + 700


def test_text_is_counted_by_the_tokenizer_where_it_is_loaded():
    load_tokenizer("gpt-4o")
    weight = weighed(TEXT * 100)

    assert weight.text_tokens == tokenizer_for("gpt-4o").count(TEXT * 100) + 7


def test_a_model_without_a_tokenizer_is_judged_by_its_bytes():
    assert weighed(TEXT * 100, "claude-sonnet-4-5") is None


def test_little_text_and_text_of_a_request_that_is_yet_to_be_made_are_not_tokenized():
    load_tokenizer("gpt-4o")
    assert weighed(TEXT) is None
    assert weighed(TEXT * 100, is_whole=False) is None
    assert weighed(TEXT * 100, earlier="resp_1") is None


def test_of_much_text_a_part_stands_for_the_whole():
    load_tokenizer("gpt-4o")
    text = TEXT * (4 * MOST_BYTES // len(TEXT))

    assert weighed(text).text_tokens == pytest.approx(tokenizer_for("gpt-4o").count(text), rel=0.01)


def test_a_bill_teaches_what_the_next_call_takes(call):
    load_tokenizer("gpt-4o")
    weight = weighed(TEXT * 100)
    expectations = Expectations()
    billed = 2 * (weight.text_tokens or 0)
    for _ in range(100):
        learn_tokens(expectations, "k", call(weight, input_tokens=billed, output_tokens=1))

    assert expected_tokens(expectations, "k", call(weight)) == pytest.approx(billed, rel=0.02, abs=5)
