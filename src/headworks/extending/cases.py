"""The suite: what is asked of a provider, and how its answer is judged.

A case asks in one of OpenAI's APIs. It reaches the provider in whatever API that speaks, by the same codecs as calls,
and its answer comes back the same way. So what is measured is what callers get.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from headworks.calls import Endpoint

Outcome = Literal["supported", "refused", "untranslated", "wrong", "failed"]
"""Of a case: `refused` by the provider, with a 4xx; `untranslated`, its API has no words for it; `wrong`, it was
answered well and did not happen; `failed`, no answer, or one that is none."""

JsonObject = Mapping[str, Any]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""

_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>> endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>> endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>> endobj\n"
    b"4 0 obj<</Length 58>>stream\nBT /F 12 Tf 10 50 Td (The mill stands by the river.) Tj ET\nendstream endobj\n"
    b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj\nxref\n0 6\n0000000000 65535 f \n"
    + b"".join(b"%010d 00000 n \n" % at for at in (9, 53, 103, 213, 317))
    + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n379\n%%EOF\n"
)
"""A page with one sentence."""

_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "is_capital": {"type": "boolean"}},
    "required": ["city", "is_capital"],
    "additionalProperties": False,
}
_PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": _PARAMETERS,
    "strict": True,
}
_OSLO = "What is the weather in Oslo?"
_CALLED = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
_CALLED_TOO = {**_CALLED, "call_id": "call_2", "arguments": '{"city":"Bergen"}'}
_RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny, 20 degrees."}
_BY_SCHEMA: JsonObject = {
    "input": "Is Oslo a capital?",
    "text": {"format": {"type": "json_schema", "name": "city", "schema": _SCHEMA, "strict": True}},
}


class Told(msgspec.Struct, frozen=True):
    """An answer, in the API that the case asks in. A stream is told as its last event has it.

    Attributes:
        answer: the response or the chat completion.
        pieces: how many events or chunks with text a stream had; 0 if it was none.
        streamed: the text of those.
    """

    answer: JsonObject
    pieces: int = 0
    streamed: str = ""

    @property
    def text(self) -> str:
        """What the model said."""
        if "choices" in self.answer:
            return "".join(choice["message"].get("content") or "" for choice in self.answer["choices"])
        return "".join(
            part.get("text", "")
            for item in self.answer.get("output", ())
            if item["type"] == "message"
            for part in item["content"]
        )

    @property
    def calls(self) -> list[JsonObject]:
        """The functions that a response calls."""
        return [item for item in self.answer.get("output", ()) if item["type"] == "function_call"]


class Case(msgspec.Struct, frozen=True):
    """One thing that is asked.

    Attributes:
        name: as reports and `--only` have it.
        fields: of the request, without the model.
        judge: what is wrong with the answer, in a few words that quote nothing of it; "" if nothing.
        called: the API that is asked in.
        is_needed: a provider without it is none that Headworks can serve.
        expects_error: a refusal is what is to come.
        then: of a right answer, the fields of what is asked next, which is to be answered, too.
    """

    name: str
    fields: JsonObject
    judge: Callable[[Told], str]
    called: Endpoint = Endpoint.RESPONSES
    is_needed: bool = False
    expects_error: bool = False
    then: Callable[[Told], JsonObject] | None = None


def _says_something(told: Told) -> str:
    return "" if told.text.strip() else "the answer has no text"


def _counts(told: Told) -> str:
    usage = told.answer.get("usage") or {}
    if not usage.get("input_tokens") or not usage.get("output_tokens"):
        return "the answer does not say how many tokens it took"
    return ""


def _streams(told: Told) -> str:
    if not told.pieces:
        return "the stream has no text"
    return "" if told.streamed == told.text else "its pieces are not its whole"


def _calls_function(told: Told) -> str:
    if not told.calls:
        return "no function is called"
    for call in told.calls:
        try:
            arguments = json.loads(call["arguments"])
        except ValueError:
            return "the arguments are no JSON"
        if not isinstance(arguments, dict) or not isinstance(arguments.get("city"), str):
            return "the arguments are not what the schema asks for"
    return ""


def _calls_once(told: Told) -> str:
    return _calls_function(told) or ("" if len(told.calls) == 1 else "several functions are called")


def _is_by_schema(told: Told) -> str:
    value = _json(told)
    if not isinstance(value, dict):
        return "the answer is no JSON object"
    fits = isinstance(value.get("city"), str) and isinstance(value.get("is_capital"), bool) and len(value) == 2
    return "" if fits else "the answer does not satisfy the schema"


def _is_streamed_by_schema(told: Told) -> str:
    return _is_by_schema(told) or _streams(told)


def _is_json(told: Told) -> str:
    return "" if isinstance(_json(told), dict) else "the answer is no JSON object"


def _json(told: Told) -> object:
    try:
        return json.loads(told.text)
    except ValueError:
        return None


def _is_cut(told: Told) -> str:
    details = told.answer.get("incomplete_details") or {}
    if told.answer.get("status") == "incomplete" and details.get("reason") == "max_output_tokens":
        return ""
    used = (told.answer.get("usage") or {}).get("output_tokens", 0)
    return "" if used <= _CUT_TOKENS else "the answer is longer than its limit"


def _stops(told: Told) -> str:
    return "the answer goes on behind the stop sequence" if "5" in told.text else ""


def _has_logprobs(told: Told) -> str:
    logprobs = told.answer["choices"][0].get("logprobs") or {}
    return "" if logprobs.get("content") else "the answer has no log probabilities"


def _with_results(told: Told) -> JsonObject:
    """What is said to the functions' own calls: reasoning that came with them goes back with them."""
    results = [{**_RESULT, "call_id": call["call_id"]} for call in told.calls]
    return {"input": [{"role": "user", "content": _OSLO}, *told.answer["output"], *results], "tools": [_TOOL]}


def _nothing(_: Told) -> str:
    return ""


_CUT_TOKENS = 16
"""The least that the Responses API takes (OpenAI API reference, 2026-11)."""

_HELLO: JsonObject = {"input": "Say hello in three words."}


def _chat(text: str, **fields: Any) -> JsonObject:
    return {"messages": [{"role": "user", "content": text}], **fields}


CASES = (
    Case("text", _HELLO, _says_something, is_needed=True),
    Case("usage", _HELLO, _counts, is_needed=True),
    Case("instructions", {**_HELLO, "instructions": "You are polite."}, _says_something, is_needed=True),
    Case("stream", {**_HELLO, "stream": True}, _streams, is_needed=True),
    Case("stream usage", {**_HELLO, "stream": True}, _counts),
    Case(
        "several turns",
        {
            "input": [
                {"role": "user", "content": "My name is Ada."},
                {"role": "assistant", "content": "Hello, Ada."},
                {"role": "user", "content": "What is my name?"},
            ]
        },
        _says_something,
        is_needed=True,
    ),
    Case("error for an unknown model", _HELLO, _nothing, expects_error=True),
    Case("function", {"input": _OSLO, "tools": [_TOOL], "tool_choice": "required"}, _calls_function),
    Case(
        "function, streamed",
        {"input": _OSLO, "tools": [_TOOL], "tool_choice": "required", "stream": True},
        _calls_function,
    ),
    Case(
        "this function",
        {"input": _OSLO, "tools": [_TOOL], "tool_choice": {"type": "function", "name": "get_weather"}},
        _calls_function,
    ),
    Case(
        "one function at a time",
        {"input": _OSLO, "tools": [_TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        _calls_once,
    ),
    Case(
        "function's result",
        {
            "input": [
                {"role": "user", "content": _OSLO},
                _CALLED,
                _RESULT,
            ],
            "tools": [_TOOL],
        },
        _nothing,
    ),
    Case(
        "two functions' results",
        {
            "input": [
                {"role": "user", "content": "What is the weather in Oslo and in Bergen?"},
                _CALLED,
                _CALLED_TOO,
                _RESULT,
                {**_RESULT, "call_id": "call_2", "output": "Rain, 12 degrees."},
            ],
            "tools": [_TOOL],
        },
        _nothing,
    ),
    Case(
        "its own call, answered",
        {"input": _OSLO, "tools": [_TOOL], "tool_choice": "required"},
        _calls_function,
        then=_with_results,
    ),
    Case("JSON by a schema", _BY_SCHEMA, _is_by_schema),
    Case("JSON by a schema, streamed", {**_BY_SCHEMA, "stream": True}, _is_streamed_by_schema),
    Case(
        "JSON without a schema",
        {"input": "Name a city, as a JSON object.", "text": {"format": {"type": "json_object"}}},
        _is_json,
    ),
    Case(
        "image, inline",
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is this?"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
                    ],
                }
            ]
        },
        _says_something,
    ),
    Case(
        "file, inline",
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Where is the mill?"},
                        {
                            "type": "input_file",
                            "filename": "mill.pdf",
                            "file_data": f"data:application/pdf;base64,{b64encode(_PDF).decode()}",
                        },
                    ],
                }
            ]
        },
        _says_something,
    ),
    Case("reasoning effort", {**_HELLO, "reasoning": {"effort": "low"}}, _says_something),
    Case("output limit", {"input": "Tell a long story.", "max_output_tokens": _CUT_TOKENS}, _is_cut),
    Case("temperature", {**_HELLO, "temperature": 0.5}, _says_something),
    Case("stop sequences", _chat("Count from 1 to 9.", stop=["5"]), _stops, Endpoint.CHAT),
    Case("seed", _chat("Say hello.", seed=7), _says_something, Endpoint.CHAT),
    Case("log probabilities", _chat("Say hello.", logprobs=True, top_logprobs=2), _has_logprobs, Endpoint.CHAT),
)
"""In the order in which they are asked. Those that are alike are asked once (`fields`, `called`)."""
