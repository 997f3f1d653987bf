"""What a bridge costs: a 4 KB request and its answer translated, and a piece of a stream, in microseconds.

    .venv/bin/python -m benchmarks.micro_bridge [--json]

Bar (docs/explanation/performance.md): at most 60 us a call of 4 KB, 120 at the least. Each figure is the best of
several runs: noise only ever adds.
"""

import itertools
import json
import platform
import sys
import timeit
from collections.abc import Callable

from benchmarks import wire
from headworks.calls import Endpoint
from headworks.dialects import BRIDGES, Bridge
from headworks.simulator.event_frames import event

_RUNS = 7
_CALLS = 2_000
_TEXT = "An order of garden shears has come with a bent blade; the customer wants a new pair before Friday. " * 9
_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
_MESSAGES = [
    {"role": "system", "content": _TEXT},
    {"role": "user", "content": _TEXT},
    {"role": "assistant", "content": _TEXT},
    {"role": "user", "content": _TEXT},
]
_COMMON = {"model": wire.MODEL, "temperature": 0.5, "metadata": {"ticket": "8731"}}
_REQUESTS = {
    Endpoint.RESPONSES: _COMMON
    | {"input": _MESSAGES, "tools": [{"type": "function", "name": "look", "parameters": _PARAMETERS}]},
    Endpoint.MESSAGES: {"model": wire.MODEL, "temperature": 0.5, "max_tokens": 500, "system": _TEXT}
    | {"messages": _MESSAGES[1:], "tools": [{"name": "look", "input_schema": _PARAMETERS}]},
    Endpoint.GENERATE_CONTENT: {
        "model": wire.MODEL,
        "generationConfig": {"temperature": 0.5},
        "systemInstruction": {"parts": [{"text": _TEXT}]},
        "contents": [{"role": role, "parts": [{"text": _TEXT}]} for role in ("user", "model", "user")],
        "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": _PARAMETERS}]}],
    },
    Endpoint.CHAT: _COMMON
    | {"messages": _MESSAGES, "tools": [{"type": "function", "function": {"name": "look", "parameters": _PARAMETERS}}]},
    Endpoint.COMPLETIONS: {"model": wire.MODEL, "temperature": 0.5, "max_tokens": 500, "prompt": _TEXT * 3},
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "model": wire.MODEL,
    "content": [{"type": "text", "text": _TEXT}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 900, "output_tokens": 200, "cache_read_input_tokens": 0},
}
_CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": _TEXT}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 900, "outputTokens": 200, "totalTokens": 1100},
    "metrics": {"latencyMs": 412},
}


def main() -> int:
    """Print the figures; with `--json` the dearest call and the dearest piece of a stream."""
    is_json = "--json" in sys.argv
    if not is_json:
        print(f"Python {platform.python_version()}, {sys.executable}")
    calls, streamed = list[float](), list[float]()
    chat_pieces = [wire.chat_stream_start(), *(wire.chat_chunk(number, 0) for number in range(_CALLS))]
    responses_pieces = [wire.responses_stream_start(), *(wire.responses_chunk(number, 0) for number in range(_CALLS))]
    upstreams = {
        Endpoint.CHAT: (wire.chat_answer(), chat_pieces),
        Endpoint.RESPONSES: (wire.responses_answer(), responses_pieces),
        Endpoint.MESSAGES: (_encode(_MESSAGE), _message_pieces()),
        Endpoint.GENERATE_CONTENT: (_encode(_content(_TEXT, "STOP")), _content_pieces()),
        Endpoint.CONVERSE: (_encode(_CONVERSED), _conversed_pieces()),
    }
    for called, spoken in BRIDGES:
        answer, pieces = upstreams[spoken]
        body = _encode(_REQUESTS[called])
        name = f"{called.value} over {spoken.value}"
        calls.append(_best_us(_call(called, spoken, body, answer), _CALLS))
        streamed.append(_best_us(_stream(BRIDGES[called, spoken](body), pieces), 1, len(pieces)))
        if not is_json:
            print(f"{f'{name}, {len(body)} bytes and an answer':<70} {calls[-1]:8.2f} us")
            print(f"{f'{name}, a piece of a stream':<70} {streamed[-1]:8.2f} us")
    if is_json:
        print(json.dumps({"bridged_call_us": max(calls), "bridged_chunk_us": max(streamed)}))
    return 0


def _encode(value: object) -> bytes:
    return json.dumps(value).encode()


def _message_pieces() -> list[bytes]:
    """A stream of Anthropic's, one event a piece."""
    begin = [
        {"type": "message_start", "message": _MESSAGE | {"content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " word"}}
    return [
        b"event: %b\ndata: %b\n\n" % (str(one["type"]).encode(), _encode(one)) for one in [*begin, *[delta] * _CALLS]
    ]


def _content(text: str, finish: str | None = None) -> dict[str, object]:
    """An answer of Google's, or a chunk of one."""
    candidate: dict[str, object] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 900, "candidatesTokenCount": 200, "totalTokenCount": 1100}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": wire.MODEL, "responseId": "r-1"}


def _content_pieces() -> list[bytes]:
    """A stream of Google's, one chunk a piece."""
    return [b"data: %b\r\n\r\n" % _encode(_content(" word"))] * _CALLS


def _conversed_pieces() -> list[bytes]:
    """A stream of Bedrock's, one frame a piece."""
    delta = event("contentBlockDelta", _encode({"contentBlockIndex": 0, "delta": {"text": " word"}}))
    return [event("messageStart", _encode({"role": "assistant"})), *[delta] * _CALLS]


def _call(called: Endpoint, spoken: Endpoint, body: bytes, answer: bytes) -> Callable[[], object]:
    def translate() -> None:
        bridge = BRIDGES[called, spoken](body)
        bridge.request(body, wire.UPSTREAM_MODEL)
        bridge.answer(answer)

    return translate


def _stream(bridge: Bridge, pieces: list[bytes]) -> Callable[[], object]:
    return lambda: [steps.feed(piece) for steps, piece in zip(itertools.repeat(bridge.stream()), pieces, strict=False)]


def _best_us(body: Callable[[], object], times: int, each: int = 1) -> float:
    return min(timeit.repeat(body, number=times, repeat=_RUNS)) / times / each * 1e6


if __name__ == "__main__":
    sys.exit(main())
