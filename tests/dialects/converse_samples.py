"""What the tests of AWS's Converse share: short ways to say requests, answers and streams."""

import json
from typing import Any

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES, EventSplitter, parse_event
from headworks.simulator.event_frames import event, exception

RESPONSES, CHAT, MESSAGES, GEMINI = (
    Endpoint.RESPONSES,
    Endpoint.CHAT,
    Endpoint.MESSAGES,
    Endpoint.GENERATE_CONTENT,
)
CONVERSE = Endpoint.CONVERSE
CLAUDE = "eu.anthropic.claude-sonnet-5-v1:0"

WHOLE: dict[Endpoint, dict[str, Any]] = {
    RESPONSES: {"model": "m", "input": "x"},
    CHAT: {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    MESSAGES: {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]},
    GEMINI: {"model": "m", "contents": [{"role": "user", "parts": [{"text": "x"}]}]},
}
USAGE = {
    "inputTokens": 5,
    "outputTokens": 4,
    "totalTokens": 36,
    "cacheReadInputTokens": 20,
    "cacheWriteInputTokens": 7,
}


def sent(called: Endpoint = RESPONSES, model: str = CLAUDE, **fields: Any) -> dict[str, Any]:
    """What goes upstream for a request with these fields."""
    body = json.dumps(WHOLE[called] | fields).encode()
    told: dict[str, Any] = json.loads(BRIDGES[called, CONVERSE](body).request(body, model))
    return told


def answer(*content: dict[str, Any], stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    """An answer as Bedrock gives it."""
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": USAGE,
        "metrics": {"latencyMs": 9},
    } | more


def answered(called: Endpoint, told: dict[str, Any] | bytes, **fields: Any) -> dict[str, Any]:
    """What the caller gets for an upstream's answer."""
    body = json.dumps(WHOLE[called] | fields).encode()
    bridge = BRIDGES[called, CONVERSE](body)
    bridge.request(body, CLAUDE)
    found: dict[str, Any] = json.loads(bridge.answer(told if isinstance(told, bytes) else json.dumps(told).encode())[0])
    return found


def streamed(*events: tuple[str, dict[str, Any]]) -> bytes:
    """The stream of these events; one whose name ends on `Exception` is one."""
    return b"".join(
        (exception if name.endswith("Exception") else event)(name, json.dumps(fields).encode())
        for name, fields in events
    )


def delta(index: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def tool_start(index: int, call_id: str = "tooluse_1", name: str = "f") -> tuple[str, dict[str, Any]]:
    start = {"toolUse": {"toolUseId": call_id, "name": name}}
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    return "contentBlockStop", {"contentBlockIndex": index}


BEGIN = ("messageStart", {"role": "assistant"})
META = ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 3}})


def end(reason: str = "end_turn") -> tuple[str, dict[str, Any]]:
    return "messageStop", {"stopReason": reason}


def translated_stream(called: Endpoint, data: bytes, *, pieces: int = 1, **fields: Any) -> list[dict[str, Any]]:
    """The events that the caller gets for an upstream's stream, which comes in so many pieces."""
    body = json.dumps(WHOLE[called] | {"stream": True} | fields).encode()
    bridge = BRIDGES[called, CONVERSE](body)
    bridge.request(body, CLAUDE)
    steps = bridge.stream()
    size = max(1, len(data) // pieces)
    out = b"".join(steps.feed(data[place : place + size]) for place in range(0, len(data), size))
    found = [parse_event(block) for block in EventSplitter().feed(out)]
    return [json.loads(one.data) for one in found if one is not None and one.data != b"[DONE]"]
