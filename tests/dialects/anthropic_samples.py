"""What the tests of Anthropic's dialect share: short ways to say requests and streams."""

import json
from collections.abc import Iterable
from typing import Any

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES, EventSplitter, parse_event
from headworks.dialects.bridging import TranslatedStream

RESPONSES, CHAT, MESSAGES = Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES

WHOLE: dict[Endpoint, dict[str, Any]] = {
    RESPONSES: {"model": "m", "input": "x"},
    CHAT: {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    MESSAGES: {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]},
    Endpoint.GENERATE_CONTENT: {"model": "m", "contents": [{"role": "user", "parts": [{"text": "x"}]}]},
}

USAGE = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 20,
    "output_tokens": 4,
    "output_tokens_details": {"thinking_tokens": 2},
    "service_tier": "standard",
}


def translated(called: Endpoint, spoken: Endpoint, model: str = "claude-sonnet-5", **fields: Any) -> dict[str, Any]:
    """What goes upstream for a request with these fields."""
    body = json.dumps(WHOLE[called] | fields).encode()
    sent: dict[str, Any] = json.loads(BRIDGES[called, spoken](body).request(body, model))
    return sent


def to_messages(**fields: Any) -> dict[str, Any]:
    """What Anthropic gets for a Responses request."""
    return translated(RESPONSES, MESSAGES, **fields)


def message(*content: dict[str, Any], stop_reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    """A message as Anthropic answers it."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": USAGE,
    } | more


def answered(called: Endpoint, spoken: Endpoint, answer: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What the caller gets for an upstream's answer."""
    body = json.dumps(WHOLE[called] | fields).encode()
    told: dict[str, Any] = json.loads(BRIDGES[called, spoken](body).answer(json.dumps(answer).encode())[0])
    return told


def events_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The events in which Anthropic streams a message, a few characters at a time."""
    usage = answer["usage"]
    begin = answer | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begin}, {"type": "ping"}]
    for index, block in enumerate(answer["content"]):
        events.append({"type": "content_block_start", "index": index, "content_block": _begun(block)})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in _deltas(block)]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    if "stop_details" in answer:
        delta["stop_details"] = answer["stop_details"]
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}})
    return [*events, {"type": "message_stop"}]


def sse(events: Iterable[dict[str, Any]]) -> bytes:
    """The events as bytes, named as Anthropic names them."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events
    )


def stream(called: Endpoint, spoken: Endpoint, data: bytes, **fields: Any) -> tuple[list[dict[str, Any]], Any]:
    """The events that the caller gets for an upstream's stream, and the steps that translated it."""
    steps = steps_for(called, spoken, **fields)
    return read(steps.feed(data)), steps


def steps_for(called: Endpoint, spoken: Endpoint, **fields: Any) -> TranslatedStream:
    """Fresh steps for a stream."""
    more = {"stream_options": {"include_usage": True}} if called is CHAT else {}
    return BRIDGES[called, spoken](json.dumps(WHOLE[called] | {"stream": True} | more | fields).encode()).stream()


def read(data: bytes) -> list[dict[str, Any]]:
    """The events in these bytes."""
    parsed = [parse_event(block) for block in EventSplitter().feed(data)]
    return [json.loads(event.data) for event in parsed if event is not None and event.data != b"[DONE]"]


def _begun(block: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}, "citations": None}
    return {name: empty.get(name, value) for name, value in block.items()}


def _deltas(block: dict[str, Any]) -> list[dict[str, Any]]:
    match block["type"]:
        case "text":
            cited = [{"type": "citations_delta", "citation": one} for one in block.get("citations") or ()]
            return cited + [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        case "thinking":
            said = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
            return [*said, {"type": "signature_delta", "signature": block["signature"]}]
        case "tool_use":
            pieces = _pieces(json.dumps(block["input"])) if block["input"] else []
            return [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]]
        case _:
            return []


def _pieces(text: str) -> list[str]:
    return [text[start : start + 3] for start in range(0, len(text), 3)]
