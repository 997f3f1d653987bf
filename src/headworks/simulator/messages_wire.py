"""Messages of Anthropic's API, whole and as a stream of events, and its errors."""

import base64
from collections.abc import Iterator, Mapping

import msgspec

from headworks.simulator.answers import Answer
from headworks.simulator.chance import digest, identifier
from headworks.simulator.generation import FAILURE_MESSAGES
from headworks.simulator.plan import Failing
from headworks.simulator.rejection import Rejection
from headworks.simulator.rhythm import Rhythm
from headworks.simulator.script import Beat, Script, plain
from headworks.simulator.tokens import split
from headworks.simulator.usage import Tally

_HOUR_S = 3600.0
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_FAILURE_TYPES = {"server_error": "api_error", "rate_limit_exceeded": "rate_limit_error"}
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_LIMITS = tuple(
    (f"x-ratelimit-{what}-{of}".encode(), f"anthropic-ratelimit-{of}-{what}".encode())
    for of in ("requests", "tokens")
    for what in ("limit", "remaining")
)


def signature(seed: int, thinking: str) -> str:
    """What signs a thought, so that its way back can be checked."""
    return base64.b64encode(digest(seed, "thinking", thinking) * 2).decode()


class SimulatedMessage(msgspec.Struct, frozen=True):
    """One message with everything about it. `thinking` is the text that is shown, None where there was none."""

    id: str
    model: str
    answer: Answer
    thinking: str | None
    tally: Tally
    rhythm: Rhythm
    seed: int
    unique: bytes

    def body(self) -> bytes:
        """The whole message."""
        return msgspec.json.encode({**self.head(), **self.stop(), "content": self.blocks(), "usage": self.usage()})

    def head(self) -> dict[str, object]:
        """Everything but the content, as a stream begins with it."""
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": {**self.usage(), "output_tokens": 1},
        }

    def stop(self) -> dict[str, object]:
        """How it ends."""
        reason = "refusal" if self.answer.refusal else _STOP_REASONS[self.answer.finish]
        details = None
        if reason == "refusal":
            details = {"type": "refusal", "category": None, "explanation": self.answer.refusal or None}
        return {"stop_reason": reason, "stop_sequence": None, "stop_details": details}

    def blocks(self) -> list[dict[str, object]]:
        """The content."""
        blocks: list[dict[str, object]] = []
        if self.thinking is not None:
            signed = signature(self.seed, self.thinking)
            blocks.append({"type": "thinking", "thinking": self.thinking, "signature": signed})
        if self.answer.text:
            blocks.append({"type": "text", "text": self.answer.text, "citations": None})
        for index, call in enumerate(self.answer.tool_calls):
            made = identifier("toolu_", self.seed, self.unique, b"%d" % index)[: len("toolu_") + 24]
            blocks.append({"type": "tool_use", "id": made, "name": call.name, "input": _object(call.arguments)})
        return blocks

    def usage(self) -> dict[str, object]:
        """What it cost; `input_tokens` leaves out what was read from the cache or written to it."""
        tally = self.tally
        is_long = tally.write_ttl_s >= _HOUR_S
        return {
            "input_tokens": tally.input_tokens - tally.cached_tokens - tally.write_tokens,
            "cache_creation_input_tokens": tally.write_tokens,
            "cache_read_input_tokens": tally.cached_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0 if is_long else tally.write_tokens,
                "ephemeral_1h_input_tokens": tally.write_tokens if is_long else 0,
            },
            "output_tokens": tally.output_tokens,
            "output_tokens_details": {"thinking_tokens": tally.reasoning_tokens},
            "service_tier": "standard",
        }


def message_beats(message: SimulatedMessage, failure: Failing | None = None) -> Iterator[Beat]:
    """The stream of a message, up to the planned failure, which ends it with an error event."""
    delays = message.rhythm.delays()
    yield _beat({"type": "message_start", "message": message.head()})
    yield _beat({"type": "ping"})
    seen = 0
    for index, block in enumerate(message.blocks()):
        pieces = list(_pieces(block))
        if failure is not None and seen >= failure.after_content:
            break
        yield _beat({"type": "content_block_start", "index": index, "content_block": _begun(block)})
        for delta, is_content in pieces:
            if failure is not None and is_content and seen >= failure.after_content:
                break
            seen += is_content
            event = {"type": "content_block_delta", "index": index, "delta": delta}
            yield _beat(event, next(delays) if is_content else 0.0, is_content=is_content)
        else:
            yield _beat({"type": "content_block_stop", "index": index})
            continue
        break
    if failure is not None:
        error = {"type": _FAILURE_TYPES[failure.code], "message": FAILURE_MESSAGES[failure.code]}
        yield _beat({"type": "error", "error": error})
        return
    usage = {name: value for name, value in message.usage().items() if name not in ("cache_creation", "service_tier")}
    yield _beat({"type": "message_delta", "delta": message.stop(), "usage": usage})
    yield _beat({"type": "message_stop"})


def messages_error(error: Rejection) -> Script:
    """A refusal in the words of this API; what OpenAI calls unavailable is overloaded here."""
    status = 529 if error.status == 503 else 402 if error.kind == "insufficient_quota" else error.status
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    body = {"type": "error", "error": {"type": kind, "message": error.message}}
    return plain(status, msgspec.json.encode(body), headers=error.headers)


def messages_headers(headers: Mapping[bytes, bytes], request_id: bytes, organization: str) -> dict[bytes, bytes]:
    """The headers of an answer in the names of this API."""
    kept = {name: value for name, value in headers.items() if not name.startswith(b"x-ratelimit-")}
    limits = {theirs: headers[ours] for ours, theirs in _LIMITS if ours in headers}
    return {**kept, **limits, b"request-id": request_id, b"anthropic-organization-id": organization.encode()}


def _pieces(block: dict[str, object]) -> Iterator[tuple[dict[str, object], bool]]:
    match block["type"]:
        case "thinking":
            for piece in split(str(block["thinking"])):
                yield {"type": "thinking_delta", "thinking": piece}, False
            yield {"type": "signature_delta", "signature": block["signature"]}, False
        case "text":
            for piece in split(str(block["text"])):
                yield {"type": "text_delta", "text": piece}, True
        case _:
            yield {"type": "input_json_delta", "partial_json": ""}, False
            for piece in split(msgspec.json.encode(block["input"]).decode()):
                yield {"type": "input_json_delta", "partial_json": piece}, True


def _begun(block: dict[str, object]) -> dict[str, object]:
    empty: dict[str, object] = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}


def _object(arguments: str) -> msgspec.Raw:
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:  # cut at the limit
        return msgspec.Raw(b"{}")
    return msgspec.Raw(arguments.encode())


def _beat(event: dict[str, object], delay_s: float = 0.0, *, is_content: bool = False) -> Beat:
    data = b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))
    return Beat(data, delay_s, is_content=is_content)
