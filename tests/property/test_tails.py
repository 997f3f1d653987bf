"""A relayed stream comes out as it came in, and says the same of itself, however it was cut."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import UnreadableAnswer, Usage
from headworks.dialects import ChatTail, ResponsesTail, encode_event

_TEXT = st.text(max_size=12)
_PLACES = st.lists(st.integers(0, 50_000), max_size=15)
_ENDS = st.sampled_from([b"\n", b"\r\n"])
_USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def _chunk(delta, finish_reason=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": choices,
    } | more


@st.composite
def _chat_streams(draw):
    texts = draw(st.lists(_TEXT, max_size=6))
    is_ascii = draw(st.booleans())
    chunks = [_chunk({"role": "assistant"})]
    for text in texts:
        chunk = _chunk({"content": text})
        if draw(st.booleans()):
            chunk["obfuscation"] = draw(st.text("abc", max_size=5))
        chunks.append(chunk)
    chunks.append(_chunk({}, "stop"))
    before = [encode_event(None, json.dumps(chunk, ensure_ascii=is_ascii).encode()) for chunk in chunks]
    if draw(st.booleans()):
        before.insert(draw(st.integers(0, len(before))), b": heartbeat\n\n")
    usage = encode_event(None, json.dumps(_chunk(None, usage=_USAGE)).encode())
    return b"".join(before), usage, b"data: [DONE]\n\n", "".join(texts)


def _fed(tail, data, places):
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return b"".join(tail.feed(data[start:end]) for start, end in zip([0, *ends], ends, strict=False))


@settings(deadline=None)
@given(stream=_chat_streams(), places=_PLACES, end=_ENDS)
def test_a_chat_stream_is_passed_on_byte_for_byte(stream, places, end):
    before, usage, done, text = stream
    data = (before + usage + done).replace(b"\n", end)
    tail = ChatTail()

    assert _fed(tail, data, places) == data
    summary = tail.summary()
    assert (summary.text, summary.finish_reason, summary.terminal) == (text, "stop", "done")
    assert summary.usage == Usage(input_tokens=3, output_tokens=4, source="provider")
    assert tail.is_complete


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_chat_stream_is_passed_on_whole_wherever_it_is_cut_in_two(end):
    data = (encode_event(None, json.dumps(_chunk({"content": "x"})).encode()) + b"data: [DONE]\n\n").replace(b"\n", end)

    for place in range(1, len(data)):
        tail = ChatTail()
        assert _fed(tail, data, [place]) == data, place
        assert tail.is_complete, place


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_end_mark_without_its_blank_line_is_given_one(end):
    tail = ChatTail()
    tail.feed(b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n')

    assert tail.feed(b"data: [DONE]" + end) == b"data: [DONE]" + end + end
    assert tail.is_complete


def test_a_stream_that_ends_before_anything_came_is_no_answer():
    with pytest.raises(UnreadableAnswer):
        ChatTail().feed(b"data: [DONE]\n\n")


@settings(deadline=None)
@given(stream=_chat_streams(), places=_PLACES)
def test_only_the_usage_that_we_asked_for_is_kept_back(stream, places):
    before, usage, done, _ = stream
    tail = ChatTail(hides_usage=True)

    out = _fed(tail, before + usage + done, places)

    assert usage not in out
    assert [line for line in out.split(b"\n") if line.startswith(b"data")] == [
        line for line in (before + done).split(b"\n") if line.startswith(b"data")
    ]
    assert tail.summary().usage == Usage(input_tokens=3, output_tokens=4, source="provider")


@settings(deadline=None)
@given(stream=_chat_streams(), kept=st.floats(0, 1), places=_PLACES)
def test_a_stream_that_is_cut_off_has_no_end(stream, kept, places):
    before, usage, _, _ = stream
    data = (before + usage)[: int(len(before + usage) * kept)]
    tail = ChatTail()

    assert data.startswith(_fed(tail, data, places))
    assert not tail.is_complete
    assert tail.summary().terminal == "none"


@settings(deadline=None)
@given(texts=st.lists(_TEXT, max_size=6), places=_PLACES, end=_ENDS)
def test_a_responses_stream_is_passed_on_byte_for_byte(texts, places, end):
    usage = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11, "input_tokens_details": {"cached_tokens": 2}}
    response = {"id": "resp_1", "model": "m", "output": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events = [{"type": "response.created", "response": response | {"status": "in_progress"}}]
    events += [{"type": "response.output_text.delta", "delta": text, "logprobs": [], **place} for text in texts]
    events.append({"type": "response.completed", "response": response | {"status": "completed", "usage": usage}})
    data = b"".join(encode_event(event["type"], json.dumps(event).encode()) for event in events).replace(b"\n", end)
    tail = ResponsesTail()

    assert _fed(tail, data, places) == data
    summary = tail.summary()
    assert (summary.text, summary.finish_reason, summary.terminal) == ("".join(texts), "completed", "completed")
    assert summary.usage == Usage(input_tokens=5, cached_tokens=2, output_tokens=6, source="provider")
    assert summary.response_id == "resp_1"


@settings(deadline=None)
@given(
    numbers=st.lists(st.one_of(st.none(), st.integers(0, 99)), min_size=1, max_size=6),
    heartbeats=st.sets(st.integers(0, 6)),
    kept=st.floats(0, 1),
    places=_PLACES,
    end=_ENDS,
)
def test_the_error_of_a_broken_response_has_the_number_after_what_went_on(numbers, heartbeats, kept, places, end):
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    data = b""
    for index, number in enumerate(numbers):
        event = {"type": "response.output_text.delta", "delta": "Hello", **place}
        data += b": still there\n\n" if index in heartbeats else b""
        data += encode_event(
            event["type"], json.dumps(event if number is None else event | {"sequence_number": number}).encode()
        )
    data = data.replace(b"\n", end)
    tail = ResponsesTail()

    out = _fed(tail, data[: int(len(data) * kept)], places)

    sent = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data")]
    last = sent[-1].get("sequence_number") if sent else None
    told = json.loads(tail.broken("upstream_broken", "No.").split(b"data: ")[1])
    assert told["sequence_number"] == (2**31 - 1 if last is None else last + 1)
    assert (told["type"], told["code"], told["error"]["code"]) == ("error", "upstream_broken", "upstream_broken")


@pytest.mark.parametrize("number", [-1, 2**31, 10**40, "3", True, None])
def test_a_number_that_is_none_is_not_gone_on_with(number):
    tail = ResponsesTail()
    tail.feed(encode_event("response.created", json.dumps({"type": "x", "sequence_number": number}).encode()))

    assert b'"sequence_number":2147483647' in tail.broken("upstream_broken", "No.")
