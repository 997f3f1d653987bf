"""Structured output where an upstream does not know `json_schema`: asked for in its own way, answered as if it did.

    bridge = SchemaBridge(Endpoint.CHAT, body, "tool")     # used as every bridge is, see `bridging`

`grammar` sends the schema as `response_format: {type: json_object, schema}`, from which llama.cpp makes a grammar, and
which Together and Fireworks take; `tool` has the model call a tool whose parameters the schema is, and turns the call's
arguments into the answer's text; `json_object` asks for JSON and puts the schema into the instructions. None of them
promises what strict structured output does: that is what the validation here is for.
"""

import secrets
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.answer_tool import (
    ANSWER_TOOL,
    ANSWER_TOOL_SAYS,
    AnswerDecoder,
    AnswerToolBridge,
    name_taken,
    said,
)
from headworks.dialects.bridging import ASKED, BRIDGES, Bridge, TranslatedStream, succeeded, summary_of_answer
from headworks.dialects.chat_answers import decode_chat_answer
from headworks.dialects.chat_streams import ChatDecoder
from headworks.dialects.reading import Fields, read_fields
from headworks.dialects.summary import AnswerSummary
from headworks.dialects.wishes import Wished
from headworks.errors import Refusal

SchemaMode = Literal["grammar", "tool", "json_object"]
StructuredOutput = Literal["json_schema"] | SchemaMode

_encode = msgspec.json.Encoder().encode


class _Wanted(msgspec.Struct, frozen=True):
    schema: msgspec.Raw


class _Format(msgspec.Struct, frozen=True):
    type: str = ""
    json_schema: _Wanted | None = None


class _Text(msgspec.Struct, frozen=True):
    format: _Format | None = None


class _ToolHead(msgspec.Struct, frozen=True):
    function: dict[str, msgspec.Raw] | None = None


class _Message(msgspec.Struct, frozen=True):
    role: str = ""


_decode_format = msgspec.json.Decoder(_Format).decode
_decode_text = msgspec.json.Decoder(_Text).decode
_decode_tools = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_tool = msgspec.json.Decoder(_ToolHead).decode
_decode_messages = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_message = msgspec.json.Decoder(_Message).decode


def wants_schema(endpoint: Endpoint, fields: Fields) -> bool:
    """Whether a request asks for an answer that satisfies a JSON Schema."""
    return _format_type(endpoint, fields) == "json_schema"


def wants_json(endpoint: Endpoint, fields: Fields) -> bool:
    """Whether a request asks for an answer that is JSON."""
    return _format_type(endpoint, fields) in ("json_schema", "json_object")


def _format_type(endpoint: Endpoint, fields: Fields) -> str:
    raw = fields.get("text" if endpoint is Endpoint.RESPONSES else "response_format")
    if raw is None:
        return ""
    try:
        found = _decode_text(raw).format if endpoint is Endpoint.RESPONSES else _decode_format(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""  # its shape is for whoever reads it to judge
    return "" if found is None else found.type


def emulated_by(speaks: frozenset[Endpoint], mode: StructuredOutput) -> Endpoint | None:
    """The dialect in which an upstream that speaks these is asked for a schema in another way than the API's own; None
    where it is asked in that."""
    if mode == "json_schema":
        return None
    if Endpoint.CHAT in speaks:
        return Endpoint.CHAT
    return Endpoint.CONVERSE if mode == "tool" and Endpoint.CONVERSE in speaks else None


def schema_bridge(
    called: Endpoint, spoken: Endpoint, body: bytes, mode: StructuredOutput, *, wished: Wished | None = None
) -> Bridge:
    """What asks an upstream in that dialect."""
    assert mode != "json_schema", "that is nothing to emulate"
    if spoken is Endpoint.CHAT:
        return SchemaBridge(called, body, mode, wished=wished)
    return AnswerToolBridge(called, spoken, body, wished=wished)


class SchemaBridge:
    """A `bridging.Bridge` to an upstream that speaks Chat, for a request that wants a schema.

    Arguments:
        endpoint: the caller's dialect.
        body: the caller's request.
        mode: how this upstream is asked.
        new_id: makes an id for an answer whose upstream gives none.
        now: Unix seconds, for an answer whose upstream does not say when it was made.
        wished: what a caller of Responses asks for beside it; see `wishes`.
    """

    __slots__ = ("_asked", "_endpoint", "_fields", "_mode", "_new_id", "_now", "_wished")

    def __init__(
        self,
        endpoint: Endpoint,
        body: bytes,
        mode: SchemaMode,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
        now: Callable[[], float] = time.time,
        *,
        wished: Wished | None = None,
    ) -> None:
        self._wished = wished
        self._endpoint = endpoint
        self._fields = read_fields(body)
        self._mode = mode
        self._asked = ASKED[endpoint](self._fields)
        self._new_id = new_id
        self._now = now

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens", stands_for: str = "") -> bytes:
        """The chat request; see `bridging.Bridge`.

        Raises:
            Refusal: 400, also for a tool that has the name of ours.
        """
        if self._endpoint is Endpoint.RESPONSES:
            bridge = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](body, wished=self._wished)
            body = bridge.request(body, model, limit_name=limit_name, stands_for=stands_for)
            fields = dict(read_fields(body))
        else:
            fields = {**self._fields, "model": msgspec.Raw(_encode(model))}
            if "stream" in fields and bytes(fields["stream"]) == b"true":
                fields["stream_options"] = msgspec.Raw(b'{"include_usage":true}')
        wanted = _decode_format(fields.pop("response_format")).json_schema
        if wanted is None:
            raise Refusal(400, "missing_required_parameter", "Missing 'response_format.json_schema'.")
        match self._mode:
            case "grammar":
                asked = {"type": "json_object", "schema": wanted.schema}
                fields["response_format"] = msgspec.Raw(_encode(asked))
            case "json_object":
                fields["response_format"] = msgspec.Raw(b'{"type":"json_object"}')
                fields["messages"] = _with_instruction(fields["messages"], wanted.schema)
            case "tool":
                _offer(fields, wanted.schema)
        return _encode(fields)

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The body to answer with; see `bridging.Bridge`."""
        answer = succeeded(decode_chat_answer(body), self._new_id, self._now)
        if self._mode == "tool":
            answer = msgspec.structs.replace(answer, output=tuple(said(answer)))
        return self._asked.answer(answer), summary_of_answer(self._endpoint, answer)

    def error(self, body: bytes, status: int) -> bytes:  # noqa: ARG002 - Responses and Chat say it alike
        """The error in the caller's words; see `bridging.Bridge`."""
        return body

    def stream(self) -> TranslatedStream:
        """Fresh steps for a stream; see `bridging.Bridge`."""
        decoder = AnswerDecoder(ChatDecoder()) if self._mode == "tool" else ChatDecoder()
        return TranslatedStream(self._endpoint, decoder, self._asked.encoder(), self._new_id, now=self._now)


def _offer(fields: dict[str, msgspec.Raw], schema: msgspec.Raw) -> None:
    """Have the model answer by a tool. Where it has others, it has to call one of them, ours included."""
    tools = _decode_tools(fields["tools"]) if "tools" in fields else []
    if any(bytes((_decode_tool(tool).function or {}).get("name", b"")) == _encode(ANSWER_TOOL) for tool in tools):
        raise name_taken()
    function = {
        "name": ANSWER_TOOL,
        "description": ANSWER_TOOL_SAYS,
        "parameters": schema,
    }
    fields["tools"] = msgspec.Raw(_encode([*tools, {"type": "function", "function": function}]))
    forced: object = "required" if tools else {"type": "function", "function": {"name": ANSWER_TOOL}}
    fields["tool_choice"] = msgspec.Raw(_encode(forced))


def _with_instruction(messages: msgspec.Raw, schema: msgspec.Raw) -> msgspec.Raw:
    """The messages with the schema behind the leading instructions, where it is the same in every call."""
    there = _decode_messages(messages)
    leading = 0
    while leading < len(there) and _decode_message(there[leading]).role in ("system", "developer"):
        leading += 1
    role = _decode_message(there[0]).role if leading else "system"
    text = "Answer with one JSON value, and nothing before or after it, that satisfies this JSON Schema:\n"
    instruction = {"role": role, "content": text + bytes(schema).decode()}
    return msgspec.Raw(_encode([*there[:leading], instruction, *there[leading:]]))
