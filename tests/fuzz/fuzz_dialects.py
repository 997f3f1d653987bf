"""Mutated requests, answers and streams against the codecs: the SSE parser, the relayed tails, the bridges.

    python tests/fuzz/fuzz_dialects.py --seconds 60 [--seed N]

It fails on any exception but those that are promised, on output that is not JSON or not a stream of events, and on a
stream that comes out otherwise when it is cut otherwise.
"""

import argparse
import json
import random
import sys
import time

from headworks.calls import AttemptFailed, Endpoint
from headworks.dialects import (
    BRIDGES,
    ChatTail,
    EventSplitter,
    GeminiTail,
    MessagesTail,
    ResponsesTail,
    parse_event,
    read_chat_answer,
    read_embeddings_answer,
    read_gemini_answer,
    read_head,
    read_messages_answer,
    read_responses_answer,
)
from headworks.errors import Refusal
from headworks.simulator import event_frames

_TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

CHAT_REQUEST = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"city":"Ghent"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "look", "description": "d", "parameters": _TOOL, "strict": True}}
    ],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _TOOL, "strict": True}},
    "temperature": 0.5,
    "max_completion_tokens": 64,
    "stream": True,
    "stream_options": {"include_usage": True},
    "metadata": {"a": "b"},
}
MESSAGES_REQUEST = {
    "model": "m",
    "max_tokens": 64,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": ""},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"city": "Ghent"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}]},
    ],
    "tools": [{"name": "look", "description": "d", "input_schema": _TOOL, "strict": True}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": _TOOL}},
    "metadata": {"user_id": "u"},
    "stream": True,
}
_MESSAGES_USAGE = {"input_tokens": 3, "cache_read_input_tokens": 1, "output_tokens": 4}
MESSAGES_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3A"},
        {"type": "text", "text": "Rain.", "citations": None},
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"city": "Ghent"}},
    ],
    "stop_reason": "tool_use",
    "usage": _MESSAGES_USAGE,
}
MESSAGES_STREAM = [
    {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": _MESSAGES_USAGE}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Rain é"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
]
GEMINI_REQUEST = {
    "model": "m",
    "stream": True,
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "What is this?"}, {"inline_data": {"mime_type": "image/png", "data": "AA=="}}],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"city": "Ghent"}, "id": "c1"}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"output": "rain"}, "id": "c1"}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "look", "description": "d", "parameters": _TOOL}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
    "generationConfig": {
        "maxOutputTokens": 64,
        "responseMimeType": "application/json",
        "responseSchema": _TOOL,
        "thinkingConfig": {"thinkingLevel": "LOW"},
    },
}
_GEMINI_USAGE = {"promptTokenCount": 3, "cachedContentTokenCount": 1, "candidatesTokenCount": 4}
_GEMINI_PARTS = [
    {"text": "Hm.", "thought": True},
    {"text": "Rain é", "thoughtSignature": "c2ln"},
    {"functionCall": {"name": "look", "args": {"city": "Ghent"}, "id": "c1"}, "thoughtSignature": "c2ln"},
]
_GEMINI_END = {
    "finishReason": "STOP",
    "citationMetadata": {"citationSources": [{"startIndex": 0, "endIndex": 4, "uri": "https://a.example"}]},
    "logprobsResult": {"chosenCandidates": [{"token": "R", "logProbability": -1.5}]},
}
GEMINI_ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": _GEMINI_PARTS}, "index": 0} | _GEMINI_END],
    "usageMetadata": _GEMINI_USAGE,
    "modelVersion": "m",
    "responseId": "r-1",
}
GEMINI_STREAM = [
    *(
        GEMINI_ANSWER | {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]}
        for part in _GEMINI_PARTS
    ),
    GEMINI_ANSWER | {"candidates": [{"content": {"role": "model", "parts": []}} | _GEMINI_END]},
]
_CONVERSE_USAGE = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 12, "cacheReadInputTokens": 4}
CONVERSE_ANSWER = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
                {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
                {"text": "Hello"},
                {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"city": "Ghent"}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": _CONVERSE_USAGE,
    "serviceTier": {"type": "default"},
}
CONVERSE_STREAM = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm."}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "c2ln"}}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Hello"}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "c1", "name": "look"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"city":"Ghent"}'}}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 3}}),
]
RESPONSES_REQUEST = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
            ],
        },
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Rain.", "annotations": []}],
        },
    ],
    "tools": [{"type": "function", "name": "look", "parameters": _TOOL, "strict": True}],
    "text": {"format": {"type": "json_schema", "name": "x", "schema": _TOOL, "strict": True}, "verbosity": "low"},
    "reasoning": {"effort": "low"},
    "max_output_tokens": 64,
    "store": False,
}
_CHAT_USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 7,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 2},
}
_RESPONSES_USAGE = {
    "input_tokens": 5,
    "output_tokens": 7,
    "total_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 3},
}
_CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"city":"Ghent"}'}}
CHAT_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": "Hm é 😀", "refusal": None, "tool_calls": [_CALL]},
        }
    ],
    "usage": _CHAT_USAGE,
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hm é 😀", "annotations": []}],
}
_FUNCTION_CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "c1",
    "name": "look",
    "arguments": "{}",
}
RESPONSES_ANSWER = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [_MESSAGE, _FUNCTION_CALL],
    "usage": _RESPONSES_USAGE,
}


def _chunk(delta, finish_reason=None, **more):
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}] if delta is not None else []
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        **more,
    }


CHAT_STREAM = (
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"content": "Hm"}),
    _chunk({"content": " é 😀"}),
    _chunk(
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}]}
    ),
    _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city"'}}]}),
    _chunk({}, "tool_calls"),
    _chunk(None, usage=_CHAT_USAGE),
    None,
)
_PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSES_STREAM = (
    {
        "type": "response.created",
        "sequence_number": 0,
        "response": {**RESPONSES_ANSWER, "status": "in_progress", "output": [], "usage": None},
    },
    {
        "type": "response.output_item.added",
        "sequence_number": 1,
        "output_index": 0,
        "item": {**_MESSAGE, "content": [], "status": "in_progress"},
    },
    {
        "type": "response.content_part.added",
        "sequence_number": 2,
        **_PLACE,
        "part": {"type": "output_text", "text": "", "annotations": []},
    },
    {"type": "response.output_text.delta", "sequence_number": 3, **_PLACE, "delta": "Hm é 😀", "logprobs": []},
    {"type": "response.output_text.done", "sequence_number": 4, **_PLACE, "text": "Hm é 😀", "logprobs": []},
    {"type": "response.output_item.done", "sequence_number": 5, "output_index": 0, "item": _MESSAGE},
    {
        "type": "response.output_item.added",
        "sequence_number": 6,
        "output_index": 1,
        "item": {**_FUNCTION_CALL, "arguments": ""},
    },
    {
        "type": "response.function_call_arguments.delta",
        "sequence_number": 7,
        "item_id": "fc_1",
        "output_index": 1,
        "delta": "{}",
    },
    {"type": "response.output_item.done", "sequence_number": 8, "output_index": 1, "item": _FUNCTION_CALL},
    {"type": "response.completed", "sequence_number": 9, "response": RESPONSES_ANSWER},
)

VALUES = (
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    "",
    "x",
    "\ud800",
    "é\u2028",
    [],
    {},
    [None],
    {"type": "nope"},
    ["x"] * 3,
    {"a": {"b": []}},
)
BYTES = (
    b"",
    b"\n\n",
    b"\r\n\r\n",
    b"\r",
    b"data: ",
    b"data:",
    b"event: error\n",
    b": x\n",
    b"[DONE]",
    b"\0",
    b"\xff\xfe",
    b"{",
    b"}",
    b'"',
    b"\xef\xbb\xbf",
)


def _mutated(chance, value, depth=0):
    """The value with a few places in it replaced, dropped or doubled."""
    if chance.random() < 0.06:
        return chance.choice(VALUES)
    if isinstance(value, dict):
        items = [(key, _mutated(chance, item, depth + 1)) for key, item in value.items() if chance.random() > 0.03]
        if chance.random() < 0.05:
            items.append((chance.choice(["type", "id", "x", "content", "text"]), chance.choice(VALUES)))
        return dict(items)
    if isinstance(value, list):
        items = [_mutated(chance, item, depth + 1) for item in value if chance.random() > 0.03]
        return items * 2 if chance.random() < 0.03 else items
    return value


def _encoded(chance, value):
    data = bytearray(json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass"))
    while data and chance.random() < 0.15:
        place = chance.randrange(len(data))
        data[place : place + chance.choice((0, 1, 8))] = chance.choice(BYTES)
    return bytes(data)


def _streamed(chance, events, *, named):
    kept = [_mutated(chance, event) if event is not None and chance.random() < 0.5 else event for event in events]
    if chance.random() < 0.3:
        chance.shuffle(kept)
    end = chance.choice((b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r"))
    pieces = []
    for event in kept:
        data = b"[DONE]" if event is None else _encoded(chance, event)
        name = event.get("type") if named and isinstance(event, dict) else None
        line = (
            b"event: %b%b" % (name.encode("utf-8", "replace"), end[: len(end) // 2]) if isinstance(name, str) else b""
        )
        pieces.append(line + b"data: " + data + end)
    return b"".join(pieces)


def _framed(chance, events):
    """The same in AWS's frames; some of them damaged."""
    kept = [(name, _mutated(chance, event) if chance.random() < 0.5 else event) for name, event in events]
    if chance.random() < 0.3:
        chance.shuffle(kept)
    writes = [event_frames.exception if chance.random() < 0.02 else event_frames.event for _ in kept]
    data = bytearray(
        b"".join(write(name, _encoded(chance, one)) for write, (name, one) in zip(writes, kept, strict=True))
    )
    if chance.random() < 0.2:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def _cut(chance, data):
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 1, 3, 20))))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def _fed(steps, pieces):
    """What comes out, up to the end or the failure; and which failure."""
    out = b""
    for piece in pieces:
        if steps.is_complete:
            break
        try:
            out += steps.feed(piece)
        except AttemptFailed as error:
            return out, error.failure.kind
    steps.summary()
    return out, None


def _check_object(data):
    """What is only carried (a schema, say) goes on byte for byte, and so does what is not UTF-8 in it."""
    assert isinstance(json.loads(data.decode("utf-8", "replace")), dict)


def _check_events(data):
    splitter = EventSplitter()
    blocks = splitter.feed(data)
    assert not splitter.held, f"an event without an end was sent on: {splitter.held[:200]!r}"
    for block in blocks:
        event = parse_event(block)
        assert event is not None
        if event.data != b"[DONE]":
            _check_object(event.data)


REQUESTS = {
    Endpoint.RESPONSES: RESPONSES_REQUEST,
    Endpoint.CHAT: CHAT_REQUEST,
    Endpoint.MESSAGES: MESSAGES_REQUEST,
    Endpoint.GENERATE_CONTENT: GEMINI_REQUEST,
    Endpoint.COMPLETIONS: {
        "model": "m",
        "prompt": ["Go on."],
        "max_tokens": 64,
        "stop": "x",
        "logprobs": 2,
        "user": "u",
    },
}
ANSWERS = {
    Endpoint.RESPONSES: (RESPONSES_ANSWER, RESPONSES_STREAM, True),
    Endpoint.CHAT: (CHAT_ANSWER, CHAT_STREAM, False),
    Endpoint.MESSAGES: (MESSAGES_ANSWER, MESSAGES_STREAM, True),
    Endpoint.GENERATE_CONTENT: (GEMINI_ANSWER, GEMINI_STREAM, False),
    Endpoint.CONVERSE: (CONVERSE_ANSWER, CONVERSE_STREAM, False),
}
"""By dialect: a whole answer, the events of a stream, and whether these have names."""


def _one_round(chance):
    for called, spoken in BRIDGES:
        request = REQUESTS[called]
        answer, stream, named = ANSWERS[spoken]
        body = _encoded(chance, _mutated(chance, request))
        try:
            if called is not Endpoint.GENERATE_CONTENT:  # its model is in the path
                read_head(body, called)
            bridge = BRIDGES[called, spoken](body)
            _check_object(bridge.request(body, "claude-x"))
        except Refusal:
            bridge = BRIDGES[called, spoken](json.dumps(request).encode())
        try:
            told, _ = bridge.answer(_encoded(chance, _mutated(chance, answer)))
            _check_object(told)
        except AttemptFailed:
            pass
        is_framed = spoken is Endpoint.CONVERSE
        data = _framed(chance, stream) if is_framed else _streamed(chance, stream, named=named)
        out, _ = _fed(bridge.stream(), _cut(chance, data))
        _check_events(out)
    for tail, stream, named in (
        (ChatTail(), CHAT_STREAM, False),
        (ResponsesTail(), RESPONSES_STREAM, True),
        (MessagesTail(), MESSAGES_STREAM, True),
        (GeminiTail(), GEMINI_STREAM, False),
    ):
        data = _streamed(chance, stream, named=named)
        out, failure = _fed(tail, _cut(chance, data))
        if failure is None and not data.startswith(b"\xef\xbb\xbf"):
            assert data.startswith(out.removesuffix(b"\n")), "a relayed stream was changed"
    for read, answer in (
        (read_chat_answer, CHAT_ANSWER),
        (read_responses_answer, RESPONSES_ANSWER),
        (read_messages_answer, MESSAGES_ANSWER),
        (read_gemini_answer, GEMINI_ANSWER),
    ):
        read(_encoded(chance, _mutated(chance, answer)))
    read_embeddings_answer(_encoded(chance, _mutated(chance, {"data": [], "model": "m", "usage": _CHAT_USAGE})))
    _same_however_cut(chance)


def _same_however_cut(chance):
    data = bytearray(_streamed(chance, chance.choice((CHAT_STREAM, RESPONSES_STREAM)), named=chance.random() < 0.5))
    for _ in range(chance.choice((0, 1, 4))):
        place = chance.randrange(len(data) + 1)
        data[place:place] = chance.choice(BYTES)
    splitter = EventSplitter()
    cut = [block for piece in _cut(chance, bytes(data)) for block in splitter.feed(piece)]
    whole = EventSplitter()
    assert cut == whole.feed(bytes(data)), f"another cutting gave other events: {bytes(data)!r}"
    assert splitter.held.lstrip(b"\r\n") == whole.held.lstrip(b"\r\n")  # empty lines between events are nobody's


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    first = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    ends = time.monotonic() + options.seconds
    rounds = 0
    while time.monotonic() < ends:
        try:
            _one_round(random.Random(first + rounds))
        except Exception:
            print(f"seed {first + rounds}", file=sys.stderr)
            raise
        rounds += 1
    print(f"rounds: {rounds} from seed {first}; nothing found")


if __name__ == "__main__":
    main()
