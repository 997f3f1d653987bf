"""The legacy Completions API for upstreams that speak another: one text in, one text out.

Its models went on where a text ended; those of today answer. So the prompt is a user's message, and the answer its
text. What belongs to going on with a text (`suffix`, `echo`, prompts as tokens) is refused, and several answers are.

Source of the shapes: the types of the official SDK, `openai/types/completion*`, 3.54.
"""

from collections.abc import Callable
from typing import Any, assert_never

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.canonical import (
    AnswerMessage,
    AnswerText,
    Extra,
    Logprob,
    Message,
    ModelAnswer,
    ModelRequest,
    UpstreamError,
)
from headworks.dialects.chat_answers import chat_id, finish_reason_of
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.reading import Fields
from headworks.dialects.responses_requests import decoded
from headworks.dialects.sse import encode_event
from headworks.dialects.unsupported import unsupported
from headworks.dialects.usage import chat_usage

DEFAULT_MAX_TOKENS = 16
"""Output tokens of a request that sets no limit (OpenAI API reference, "Create completion", 2026-11)."""

_encode = msgspec.json.Encoder().encode
_decode_prompt = msgspec.json.Decoder(str | list[msgspec.Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode
_decode_stop = msgspec.json.Decoder(str | tuple[str, ...]).decode

_SAME: dict[str, Callable[[msgspec.Raw], Any]] = {
    "model": _decode_str,
    "temperature": msgspec.json.Decoder(float).decode,
    "top_p": msgspec.json.Decoder(float).decode,
    "seed": _decode_int,
    "frequency_penalty": msgspec.json.Decoder(float).decode,
    "presence_penalty": msgspec.json.Decoder(float).decode,
    "user": _decode_str,
}
_ALREADY_SO = {"n": b"1", "best_of": b"1", "echo": b"false", "suffix": b'""', "logit_bias": b"{}"}
"""The value of each that asks for nothing special."""

_NULL = msgspec.Raw(b"null")


def decode_completions_request(fields: Fields) -> ModelRequest:
    """The request in the top-level `fields` of a body; the API's own default of the output limit is written down.

    Raises:
        Refusal: 400, naming the field that is wrong or not understood.
    """
    values: dict[str, Any] = {
        "model": "",
        "input": (),
        "store": False,
        "dialect": Endpoint.COMPLETIONS,
        "max_output_tokens": DEFAULT_MAX_TOKENS,
    }
    extras: list[Extra] = []
    for name, raw in fields.items():
        if raw == _NULL or bytes(raw) == _ALREADY_SO.get(name):
            continue
        if name in _SAME:
            values[name] = decoded(_SAME[name], raw, name)
            continue
        match name:
            case "prompt":
                values["input"] = (Message("user", _prompt(raw)),)
            case "max_tokens":
                values["max_output_tokens"] = decoded(_decode_int, raw, name)
            case "stop":
                stop = decoded(_decode_stop, raw, name)
                values["stop"] = (stop,) if isinstance(stop, str) else stop
            case "logprobs":
                values |= {"wants_logprobs": True, "top_logprobs": decoded(_decode_int, raw, name) or None}
            case "stream":
                values["is_streamed"] = bytes(raw) == b"true"
            case "stream_options":
                pass  # `reads_usage` looks at it
            case "logit_bias":
                extras.append(Extra(name, Endpoint.CHAT, raw))  # which has the same
            case _:
                extras.append(Extra(name, Endpoint.COMPLETIONS, raw))
    return ModelRequest(extras=tuple(extras), **values)


def _prompt(raw: msgspec.Raw) -> str:
    found = decoded(_decode_prompt, raw, "prompt")
    if isinstance(found, list):
        if len(found) != 1 or memoryview(found[0])[0] != ord('"'):
            raise unsupported("prompt", None, "One text can be, not several, and not tokens.")
        found = decoded(_decode_str, found[0], "prompt")
    text: str = found
    return text


def completion_id(answer_id: str) -> str:
    """The id of a completion that stands for the answer `answer_id` of another dialect."""
    stem = chat_id(answer_id)
    for prefix in ("chatcmpl-", "msg_"):
        stem = stem.removeprefix(prefix)
    return f"cmpl-{stem}"


def encode_completion(answer: ModelAnswer) -> bytes:
    """The completion that says what `answer` says; a refusal is its text, and the finish reason says what it is."""
    parts = [part for item in answer.output if isinstance(item, AnswerMessage) for part in item.parts]
    texts = [part.text if isinstance(part, AnswerText) else part.refusal for part in parts]
    logprobs = tuple(one for part in parts if isinstance(part, AnswerText) for one in part.logprobs)
    body = {
        "id": completion_id(answer.id),
        "object": "text_completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [_choice("".join(texts), logprobs, 0, finish_reason_of(answer.end_reason, has_calls=False))],
    }
    if answer.usage is not None:
        body["usage"] = chat_usage(answer.usage)
    return _encode(body)


def _choice(text: str, logprobs: tuple[Logprob, ...], offset: int, finish: str | None) -> dict[str, object]:
    found: dict[str, object] | None = None
    if logprobs:
        offsets = []
        for one in logprobs:
            offsets.append(offset)
            offset += len(one.token)
        found = {
            "tokens": [one.token for one in logprobs],
            "token_logprobs": [one.logprob for one in logprobs],
            "top_logprobs": [{top.token: top.logprob for top in one.top_logprobs} for one in logprobs],
            "text_offset": offsets,
        }
    return {"text": text, "index": 0, "logprobs": found, "finish_reason": finish}


class CompletionsEncoder:
    """Implements `events.StreamEncoder` for Completions.

    Arguments:
        includes_usage: whether the stream is to end with its usage.
    """

    __slots__ = ("_head", "_includes_usage", "_said")

    def __init__(self, *, includes_usage: bool) -> None:
        self._includes_usage = includes_usage
        self._head: dict[str, object] = {}
        self._said = 0

    def encode(self, event: StreamEvent) -> bytes:
        """The chunks for `event`; see `StreamEncoder`."""
        match event:
            case Text():
                return self._say(event.text, event.logprobs)
            case Refused():
                return self._say(event.text)
            case Started():
                self._head = {
                    "id": completion_id(event.id),
                    "object": "text_completion",
                    "created": event.created,
                    "model": event.model,
                }
                return b""
            case Ended():
                return self._end(event)
            case UpstreamError():
                error = {"message": event.message, "type": "upstream_error", "param": event.param, "code": event.code}
                return encode_event(None, _encode({"error": error}))
            case Thought() | Sealed() | Called() | Cited():
                return b""  # this API has no place for them
            case _:
                assert_never(event)

    def _say(self, text: str, logprobs: tuple[Logprob, ...] = ()) -> bytes:
        offset = self._said
        self._said += len(text)
        return self._chunk([_choice(text, logprobs, offset, None)])

    def _end(self, event: Ended) -> bytes:
        out = self._chunk([_choice("", (), self._said, finish_reason_of(event.end_reason, has_calls=False))])
        if self._includes_usage and event.usage is not None:
            out += self._chunk([], usage=chat_usage(event.usage))
        return out + b"data: [DONE]\n\n"

    def _chunk(self, choices: list[dict[str, object]], **more: object) -> bytes:
        unsaid: dict[str, object] = {"usage": None} if self._includes_usage else {}
        return encode_event(None, _encode(self._head | {"choices": choices} | unsaid | more))
