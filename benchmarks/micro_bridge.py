"""What a bridge costs: a 4 KB request and its answer translated, and a piece of a stream, in microseconds.

    .venv/bin/python -m benchmarks.micro_bridge

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

OTHER = {Endpoint.RESPONSES: Endpoint.CHAT, Endpoint.CHAT: Endpoint.RESPONSES}

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
    Endpoint.CHAT: _COMMON
    | {"messages": _MESSAGES, "tools": [{"type": "function", "function": {"name": "look", "parameters": _PARAMETERS}}]},
}


def main() -> int:
    """Print the figures."""
    print(f"Python {platform.python_version()}, {sys.executable}")
    chat_pieces = [wire.chat_stream_start(), *(wire.chat_chunk(number, 0) for number in range(_CALLS))]
    responses_pieces = [wire.responses_stream_start(), *(wire.responses_chunk(number, 0) for number in range(_CALLS))]
    for endpoint, answer, pieces in (
        (Endpoint.RESPONSES, wire.chat_answer(), chat_pieces),
        (Endpoint.CHAT, wire.responses_answer(), responses_pieces),
    ):
        body = json.dumps(_REQUESTS[endpoint]).encode()
        name = f"{endpoint.value} over the other dialect"
        _print(f"{name}, {len(body)} bytes and an answer", _call(endpoint, body, answer), _CALLS)
        _print(
            f"{name}, a piece of a stream", _stream(BRIDGES[endpoint, OTHER[endpoint]](body), pieces), 1, len(pieces)
        )
    return 0


def _call(endpoint: Endpoint, body: bytes, answer: bytes) -> Callable[[], object]:
    def translate() -> None:
        bridge = BRIDGES[endpoint, OTHER[endpoint]](body)
        bridge.request(body, wire.UPSTREAM_MODEL)
        bridge.answer(answer)

    return translate


def _stream(bridge: Bridge, pieces: list[bytes]) -> Callable[[], object]:
    return lambda: [steps.feed(piece) for steps, piece in zip(itertools.repeat(bridge.stream()), pieces, strict=False)]


def _print(name: str, body: Callable[[], object], times: int, each: int = 1) -> None:
    best = min(timeit.repeat(body, number=times, repeat=_RUNS)) / times / each
    print(f"{name:<70} {best * 1e6:8.2f} us")


if __name__ == "__main__":
    sys.exit(main())
