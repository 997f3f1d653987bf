"""Streams that are not what they promise: each of these once raised something that nobody expected."""

import pytest

from headworks.calls import Endpoint, UnreadableAnswer
from headworks.dialects import BRIDGES, ChatTail

CHAT = b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}'
RESPONSES = b'{"model":"m","input":"x","stream":true}'
DELTA = b'{"type":"response.output_text.delta","item_id":"a","output_index":0,"content_index":0,"delta":"x"}'


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + DELTA + b"\n\n",
        b'data: {"type":7,\xb2}\n\n',
        b'data: {"type":"response.created"\n\n',
    ],
)
def test_a_responses_stream_without_a_beginning_or_json_is_unreadable(stream):
    steps = BRIDGES[Endpoint.CHAT, Endpoint.RESPONSES](CHAT).stream()
    with pytest.raises(UnreadableAnswer):
        steps.feed(stream)


def test_a_chat_stream_that_ends_before_it_began_is_unreadable():
    steps = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](RESPONSES).stream()
    with pytest.raises(UnreadableAnswer):
        steps.feed(b"data: [DONE]\n\n")


def test_a_relayed_chunk_with_half_a_surrogate_pair_is_passed_on():
    tail = ChatTail()
    chunk = b'data: {"id":"\\ud800","model":"m","choices":[{"index":0,"delta":{"content":"\\ud800"}}]}\n\n'

    assert tail.feed(chunk) == chunk
    assert tail.summary().terminal == "none"


def test_a_relayed_stream_whose_first_event_is_not_json_can_still_be_summed_up():
    tail = ChatTail()
    with pytest.raises(UnreadableAnswer):
        tail.feed(b"data: {nothing}\n\n")

    assert tail.summary().response_id == ""
    assert tail.summary().terminal == "none"
