"""No cutting of Google's streams shows, a stream says what the whole answer says, and what goes up keeps its words."""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES
from headworks.dialects.bridging import TranslatedStream
from headworks.dialects.canonical import (
    FunctionCall,
    FunctionCallOutput,
    InputText,
    Message,
    ModelRequest,
    OutputText,
    Reasoning,
)
from headworks.dialects.gemini_requests import encode_gemini_request
from headworks.dialects.sealing import GeminiSeal, sealed_signature

RESPONSES, CHAT, MESSAGES, GEMINI = Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_NAME = st.text("abcXYZ_019-", min_size=1, max_size=12)
_SIGNATURE = st.sampled_from([{}, {}, {"thoughtSignature": "c2ln"}])
_PART = st.one_of(
    st.builds(lambda text, sign: {"text": text} | sign, _TEXT, _SIGNATURE),
    st.builds(lambda text: {"text": text, "thought": True}, _TEXT),
    st.builds(lambda name, sign: {"functionCall": {"name": name, "args": {"é": 1}}} | sign, _NAME, _SIGNATURE),
)
_PARTS = st.lists(_PART, max_size=6)
_USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2}
_FIELDS = {
    RESPONSES: {"model": "m", "input": "x"},
    CHAT: {"model": "m", "messages": [], "stream_options": {"include_usage": True}},
    MESSAGES: {"model": "m", "max_tokens": 9, "messages": []},
}


def _chunk(parts, finish=None, usage=_USAGE):
    candidate = {"content": {"role": "model", "parts": parts}} | ({"finishReason": finish} if finish else {})
    return {"candidates": [candidate], "usageMetadata": usage, "responseId": "r-1", "modelVersion": "m-1"}


def _stream(parts, finish, line_end):
    chunks = [_chunk([part], usage={"promptTokenCount": 9}) for part in parts] + [_chunk([], finish)]
    return b"".join(b"data: %b%b%b" % (json.dumps(one).encode(), line_end, line_end) for one in chunks)


def _cut(data, places):
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _bridge(called, **more):
    body = json.dumps(_FIELDS[called] | more).encode()
    return BRIDGES[called, GEMINI](body, new_id=lambda: "x", now=lambda: 7.0)


def _events(data):
    lines = [line.removeprefix(b"data: ") for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


_FINISH = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"])


@settings(deadline=None)
@given(
    parts=_PARTS,
    finish=_FINISH,
    line_end=st.sampled_from([b"\n", b"\r\n"]),
    places=st.lists(st.integers(0, 10_000), max_size=12),
    called=st.sampled_from([RESPONSES, CHAT, MESSAGES]),
)
def test_a_stream_says_the_same_however_it_is_cut(parts, finish, line_end, places, called):
    data = _stream(parts, finish, line_end)
    steps = [_bridge(called, stream=True).stream() for _ in range(2)]
    whole = steps[0].feed(data)
    cut = b"".join(steps[1].feed(piece) for piece in _cut(data, places))

    assert cut == whole
    assert all(one.is_complete for one in steps)
    assert isinstance(steps[0], TranslatedStream)
    usage = steps[0].summary().usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (9, 6, 2)


@settings(deadline=None)
@given(parts=_PARTS, finish=_FINISH)
def test_a_stream_says_and_bills_what_the_whole_answer_does(parts, finish):
    data = _bridge(RESPONSES, stream=True).stream().feed(_stream(parts, finish, b"\n"))
    streamed = _events(data)[-1]["response"]
    whole = json.loads(_bridge(RESPONSES).answer(json.dumps(_chunk(parts, finish)).encode())[0])

    def said(response):
        texts = [part.get("text") or part.get("refusal") for item in response["output"]
                 if item["type"] == "message" for part in item["content"]]  # fmt: skip
        calls = [(item["name"], item["arguments"], item["call_id"]) for item in response["output"]
                 if item["type"] == "function_call"]  # fmt: skip
        thoughts = [part["text"] for item in response["output"] if item["type"] == "reasoning"
                    for part in item["content"]]  # fmt: skip
        seals = [item["encrypted_content"] for item in response["output"] if item.get("encrypted_content")]
        return "".join(text or "" for text in texts), calls, "".join(thoughts), seals

    assert said(streamed) == said(whole)
    assert streamed["status"] == whole["status"]
    assert streamed["usage"] == whole["usage"]


@st.composite
def _turns(draw):
    """A conversation, and the parts that it must be at Google's."""
    items, parts = [], []
    for turn in range(draw(st.integers(1, 3))):
        text = draw(_TEXT)
        items.append(Message("user", (InputText(text),)))
        parts.append({"text": text})
        if draw(st.booleans()):
            said = draw(_TEXT)
            items.append(Message("assistant", (OutputText(said),)))
            parts.append({"text": said})
        names = draw(st.lists(_NAME, max_size=3))
        if names and draw(st.booleans()):
            items.append(Reasoning(encrypted_content=sealed_signature(GeminiSeal("c2ln", "call"))))
            signature = {"thoughtSignature": "c2ln"}
        else:
            signature = {}
        for place, name in enumerate(names):
            call = {"name": name, "args": {"é": 1}, "id": f"c{turn}{place}"}
            items.append(FunctionCall(call["id"], name, '{"é":1}'))
            parts.append({"functionCall": call} | (signature if place == 0 else {}))
        outputs = [FunctionCallOutput(f"c{turn}{place}", f"r{place}") for place in range(len(names))]
        items += draw(st.permutations(outputs))
        for place, name in enumerate(names):
            returned = {"name": name, "response": {"output": f"r{place}"}, "id": f"c{turn}{place}"}
            parts.append({"functionResponse": returned})
    return tuple(items), parts


@given(_turns())
def test_every_word_call_and_result_goes_up_once_in_its_order_with_sides_taking_turns(turns):
    items, parts = turns
    request = ModelRequest("gemini-2.5-flash", items)
    contents = json.loads(encode_gemini_request(request))["contents"]

    assert [part for content in contents for part in content["parts"]] == parts
    roles = [content["role"] for content in contents]
    assert all(one != other for one, other in pairwise(roles))
