"""No cutting of Google's streams shows, a stream says what the whole answer says, and what goes up keeps its words."""

import json
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Endpoint, Usage
from headworks.dialects import BRIDGES
from headworks.dialects.bridging import TranslatedStream
from headworks.dialects.canonical import (
    AllowedTools,
    AnswerCall,
    AnswerMessage,
    AnswerText,
    Audio,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    InputImage,
    InputText,
    JsonObjectFormat,
    JsonSchemaFormat,
    Message,
    ModelAnswer,
    ModelRequest,
    OutputText,
    Reasoning,
    ToolName,
)
from headworks.dialects.gemini_answers import decode_gemini_answer
from headworks.dialects.gemini_decoding import decode_gemini_request
from headworks.dialects.gemini_encoding import encode_gemini_answer
from headworks.dialects.gemini_requests import encode_gemini_request
from headworks.dialects.reading import read_fields
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


_SCHEMA = st.builds(
    lambda title: msgspec.Raw(json.dumps({"type": "object", "title": title}).encode()), st.text(max_size=5)
)
_IMAGE = st.builds(InputImage, image_url=st.just("data:image/png;base64,AA=="), detail=st.just("auto"))
_SOUND = st.builds(InputAudio, input_audio=st.just(Audio("AA==", "wav")))
_CONFIGURED = st.builds(
    ModelRequest,
    model=st.just("gemini-2.5-flash"),
    input=st.lists(st.one_of(st.builds(InputText, text=_TEXT), _IMAGE, _SOUND), min_size=1, max_size=4).map(
        lambda parts: (Message("user", tuple(parts)),)
    ),
    max_output_tokens=st.one_of(st.none(), st.integers(1, 10_000)),
    temperature=st.sampled_from([None, 0.0, 1.5]),
    top_p=st.sampled_from([None, 0.1]),
    stop=st.lists(_TEXT, max_size=2).map(tuple),
    seed=st.one_of(st.none(), st.integers(0, 9)),
    frequency_penalty=st.sampled_from([None, 0.5]),
    presence_penalty=st.sampled_from([None, -0.5]),
    tools=st.lists(
        st.builds(FunctionTool, name=_NAME, parameters=_SCHEMA, strict=st.just(False), description=_TEXT),
        min_size=1,
        max_size=3,
    ).map(tuple),
    tool_choice=st.sampled_from(
        [None, "auto", "none", "required", ToolName("function", "f")]
        + [AllowedTools(mode, (ToolName("function", "f"), ToolName("function", "g"))) for mode in ("auto", "required")]
    ),
    text_format=st.one_of(
        st.none(),
        st.just(JsonObjectFormat()),
        st.builds(JsonSchemaFormat, name=st.just("answer"), schema=_SCHEMA, strict=st.just(False)),
    ),
    reasoning_effort=st.sampled_from([None, "none", "low", "medium", "high"]),
    shows_reasoning=st.booleans(),
    wants_logprobs=st.booleans(),
    service_tier=st.sampled_from([None, "default", "flex", "priority"]),
)


@settings(deadline=None)
@given(_CONFIGURED)
def test_a_request_is_the_same_after_googles_dialect(request):
    again = decode_gemini_request(read_fields(encode_gemini_request(request)))

    for name in (
        "input", "max_output_tokens", "temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty",
        "tools", "tool_choice", "text_format", "shows_reasoning", "wants_logprobs", "service_tier",
    ):  # fmt: skip
        assert getattr(again, name) == getattr(request, name), name
    # A budget tells efforts apart as coarsely as Google's own figures do.
    assert again.reasoning_effort == request.reasoning_effort
    assert again.extras == ()


@settings(deadline=None)
@given(
    texts=st.lists(_TEXT, max_size=1),
    names=st.lists(_NAME, max_size=3),
    end_reason=st.sampled_from(["", "max_output_tokens"]),
    reasoning_tokens=st.integers(0, 5),
)
def test_an_answer_is_the_same_after_googles_dialect(texts, names, end_reason, reasoning_tokens):
    said = [AnswerMessage((AnswerText(text),)) for text in texts]
    calls = [AnswerCall("function", f"c{place}", name, '{"a":1}') for place, name in enumerate(names)]
    usage = Usage(10, 5, 0, 9, reasoning_tokens, "provider")
    output = (*said, *calls) or (AnswerMessage((AnswerText(""),)),)
    answer = ModelAnswer("r-1", "m", 0, output, end_reason, usage)

    assert decode_gemini_answer(encode_gemini_answer(answer)) == answer
