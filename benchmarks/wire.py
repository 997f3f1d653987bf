"""What travels in the benchmarks: requests as the OpenAI SDK sends them, answers as the OpenAI API gives them.

Sizes are those of the bars in `docs/explanation/performance.md`: a chat body of about 900 B, an answer of about
1.2 KB, a large body of about 40 KB. Every streamed chunk carries its number and the time at which the upstream sent
it (CLOCK_MONOTONIC, which all processes of a machine share), so that the load can prove that none is missing and
measure how long each took.
"""

import json
import re

MODEL = "bench-model"
"""The model that clients ask for."""
UPSTREAM_MODEL = "upstream-model-1"
"""The model that a gateway asks its upstream for, so that it has a name to replace, as in production."""

WORKLOAD = "bench-work"
"""The workload that is measured beside plain calls: a prompt and a schema, no rules."""
WANTS_JSON = b'"json_schema"'
"""What says in a request that the answer is to be JSON."""

CHAT_PATH = "/v1/chat/completions"
RESPONSES_PATH = "/v1/responses"

CHUNK_MARK = re.compile(rb'"(?:content|delta)": ?"(\d{6})@(\d{18}) ')
"""Finds a chunk's number and send time in a streamed event, however a gateway has re-encoded the event."""

_SYSTEM = (
    "You sort incoming support messages for a company that sells garden tools. Answer with one of: delivery, "
    "damage, invoice, question, praise. Choose damage when the customer describes anything broken, missing or "
    "worn, even if the message also asks for money back. Do not explain the choice. When the message is not in "
    "English, sort it all the same."
)
_QUESTION = (
    "Hello, the hedge shears that came on Tuesday do not close: the left blade is bent near the bolt and the "
    "spring fell out of the box when I opened it. I have kept the packaging. Could you tell me whether I should "
    "send them back or whether you want a picture first? I need a pair before the end of the month, so a fast "
    "replacement would be kind. I could also bring them to a shop. Regards from Utrecht."
)


def chat_body(*, chunks: int = 0, body_bytes: int = 0) -> bytes:
    """A Chat Completions request.

    Arguments:
        chunks: asks for a stream of this many chunks (as `max_tokens`, which every gateway relays); 0 for a plain call.
        body_bytes: lengthens the conversation until the body has about this many bytes.
    """
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _QUESTION}]
    while body_bytes > 2_000 and len(json.dumps(messages)) < body_bytes - 200:
        messages.append({"role": "assistant", "content": "damage"})
        messages.append({"role": "user", "content": _QUESTION})
    body: dict[str, object] = {"model": MODEL, "messages": messages, "temperature": 0.2, "max_tokens": chunks or 64}
    if chunks:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, separators=(",", ":")).encode()


def responses_body(*, chunks: int = 0) -> bytes:
    """A Responses request with the same text; `chunks` as for `chat_body`."""
    body: dict[str, object] = {
        "model": MODEL,
        "instructions": _SYSTEM,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": _QUESTION}]}],
        "max_output_tokens": chunks or 64,
        "store": False,
    }
    if chunks:
        body["stream"] = True
    return json.dumps(body, separators=(",", ":")).encode()


def work_body() -> bytes:
    """A call of the workload, through Chat Completions: the same question, as a variable of its prompt."""
    prompt = {"version": "1", "variables": {"message": _QUESTION}}
    return json.dumps({"model": WORKLOAD, "messages": [], "prompt": prompt}, separators=(",", ":")).encode()


def sdk_headers(key: str) -> dict[str, str]:
    """The headers that the official Python SDK sends (recorded from openai 3.54), without Host and Content-Length."""
    return {
        "Accept-Encoding": "gzip, deflate",
        "Connection": "keep-alive",
        "authorization": f"Bearer {key}",
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": "OpenAI/Python 3.54.0",
        "x-stainless-lang": "python",
        "x-stainless-package-version": "3.54.0",
        "x-stainless-os": "Linux",
        "x-stainless-arch": "x64",
        "x-stainless-runtime": "CPython",
        "x-stainless-runtime-version": "3.11.2",
        "x-stainless-async": "false",
        "x-stainless-retry-count": "0",
        "x-stainless-read-timeout": "600",
    }


def request_bytes(host: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A whole HTTP/1.1 POST request as bytes."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def chat_answer(*, as_json: bool = False) -> bytes:
    """A Chat Completions answer of about 1.2 KB with usage; with `as_json`, what the workload's schema asks for."""
    text = _encode(_SORTED).decode() if as_json else _ANSWER
    return _encode(
        {
            "id": "chatcmpl-Bq7tYw2LkXc0mVn4pRz8sUe1Jd",
            "object": "chat.completion",
            "created": 1_794_000_000,
            "model": UPSTREAM_MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None, "annotations": []},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": _CHAT_USAGE,
            "service_tier": "default",
            "system_fingerprint": "fp_8c1e5a7f02",
        }
    )


def responses_answer() -> bytes:
    """A Responses answer with the same text and usage."""
    return _encode(_response("completed", [_message(_ANSWER)], _RESPONSES_USAGE))


def chat_chunk(number: int, sent_ns: int) -> bytes:
    """One content event of a Chat Completions stream."""
    return b"%b%06d@%018d %b" % (_CHAT_CHUNK_HEAD, number, sent_ns, _CHAT_CHUNK_TAIL)


def responses_chunk(number: int, sent_ns: int) -> bytes:
    """One text delta event of a Responses stream."""
    return b"%b%d%b%06d@%018d %b" % (_DELTA_HEAD, number + 4, _DELTA_MIDDLE, number, sent_ns, _DELTA_TAIL)


def chat_stream_start() -> bytes:
    """The event before the first content of a Chat Completions stream."""
    return _event({**_CHUNK, "choices": [_choice({"role": "assistant", "content": "", "refusal": None}, None)]})


def chat_stream_end() -> bytes:
    """Everything after the last content: finish reason, usage, [DONE]."""
    finish = _event({**_CHUNK, "choices": [_choice({}, "stop")]})
    usage = _event({**_CHUNK, "choices": [], "usage": _CHAT_USAGE})
    return finish + usage + b"data: [DONE]\n\n"


def responses_stream_start() -> bytes:
    """The events before the first text of a Responses stream."""
    opened = _response("in_progress", [], None)
    item = {"id": _MESSAGE_ID, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    return (
        _typed("response.created", 0, response=opened)
        + _typed("response.in_progress", 1, response=opened)
        + _typed("response.output_item.added", 2, output_index=0, item=item)
        + _typed("response.content_part.added", 3, item_id=_MESSAGE_ID, output_index=0, content_index=0, part=part)
    )


def responses_stream_end(chunks: int) -> bytes:
    """The events after the last text of a Responses stream of this many chunks."""
    place = {"item_id": _MESSAGE_ID, "output_index": 0, "content_index": 0}
    number = chunks + 4
    message = _message(_ANSWER)
    part = {"type": "output_text", "text": _ANSWER, "annotations": [], "logprobs": []}
    return (
        _typed("response.output_text.done", number, **place, text=_ANSWER, logprobs=[])
        + _typed("response.content_part.done", number + 1, **place, part=part)
        + _typed("response.output_item.done", number + 2, output_index=0, item=message)
        + _typed("response.completed", number + 3, response=_response("completed", [message], _RESPONSES_USAGE))
    )


def answer_headers(*, as_openai: bool) -> bytes:
    """Header lines that an upstream adds to every answer: those of the OpenAI API, or none."""
    return _OPENAI_HEADERS if as_openai else b""


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _event(value: object) -> bytes:
    return b"data: %b\n\n" % _encode(value)


def _typed(kind: str, number: int, **fields: object) -> bytes:
    value = {"type": kind, "sequence_number": number, **fields}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode(value))


def _choice(delta: dict[str, object], finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _message(text: str) -> dict[str, object]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": _MESSAGE_ID, "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def _response(status: str, output: list[dict[str, object]], usage: dict[str, object] | None) -> dict[str, object]:
    return {
        "id": "resp_68d3f4c1a2b97e05c4d1",
        "object": "response",
        "created_at": 1_794_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": 64,
        "model": UPSTREAM_MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "metadata": {},
    }


_MESSAGE_ID = "msg_68d3f4c1b0a47e05c4d1"
_ANSWER = (
    "damage. The customer says that a blade of the hedge shears is bent near the bolt and that the spring was loose "
    "in the box, which is a defect on arrival and not a question about delivery, although a replacement is wanted "
    "before the end of the month. Send the form for damaged goods, ask for one picture of the blade with the bolt in "
    "view, and offer the replacement at once; the old pair need not come back. Confirm the address in Utrecht first, "
    "and say by which day the new pair will be there; if none is in stock, offer the next model at the same price."
)
WORK_FILES = {
    "workload.yaml": "owner: bench\ndescription: Sort a message.\nladder: [bench-model]\noutput: {max_tokens: 64}\n",
    "prompt.md": "---\nversion: 1.0.0\nvariables:\n  message: { type: string, max_length: 8000 }\n---\n"
    f"{{% developer %}}\n{_SYSTEM}\n{{% user %}}\n{{{{ message | fence }}}}\n",
    "schema.json": json.dumps(
        {
            "type": "object",
            "properties": {
                "category": {"type": "string", "enum": ["delivery", "damage", "invoice", "question", "praise"]},
                "urgency": {"type": "integer", "minimum": 1, "maximum": 4},
                "reason": {"type": "string"},
                "steps": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["category", "urgency", "reason", "steps"],
            "additionalProperties": False,
        }
    ),
}
"""The workload's folder."""

_SORTED = {
    "category": "damage",
    "urgency": 3,
    "reason": _ANSWER[8:330],
    "steps": [
        "Send the form for damaged goods.",
        "Ask for one picture of the blade.",
        "Offer the replacement at once.",
    ],
}
_CHAT_USAGE: dict[str, object] = {
    "prompt_tokens": 171,
    "completion_tokens": 96,
    "total_tokens": 267,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_RESPONSES_USAGE: dict[str, object] = {
    "input_tokens": 171,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 96,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 267,
}
_CHUNK: dict[str, object] = {
    "id": "chatcmpl-Bq7tYw2LkXc0mVn4pRz8sUe1Jd",
    "object": "chat.completion.chunk",
    "created": 1_794_000_000,
    "model": UPSTREAM_MODEL,
    "service_tier": "default",
    "system_fingerprint": "fp_8c1e5a7f02",
}
_CHAT_CHUNK_HEAD, _CHAT_CHUNK_TAIL = _event({**_CHUNK, "choices": [_choice({"content": "PLACE word"}, None)]}).split(
    b"PLACE ", 1
)
_DELTA_HEAD, _DELTA_MIDDLE, _DELTA_TAIL = re.split(
    rb"NUMBER|PLACE ",
    _typed(
        "response.output_text.delta",
        0,
        item_id=_MESSAGE_ID,
        output_index=0,
        content_index=0,
        delta="PLACE word",
        logprobs=[],
    ).replace(b'"sequence_number":0', b'"sequence_number":NUMBER'),
)
LIMIT_REQUESTS = 100_000_000
"""Requests a minute that the stub says it takes: more than any round makes, so that none is reached."""

LIMIT_TOKENS = 50_000_000_000
"""Tokens a minute that the stub says it takes."""

_OPENAI_HEADERS = (
    b"date: Tue, 24 Nov 2026 09:00:00 GMT\r\n"
    b"openai-organization: example-org\r\n"
    b"openai-processing-ms: 412\r\n"
    b"openai-project: proj_example\r\n"
    b"openai-version: 2020-10-01\r\n"
    b"x-ratelimit-limit-requests: %d\r\n"
    b"x-ratelimit-limit-tokens: %d\r\n"
    b"x-ratelimit-remaining-requests: %d\r\n"
    b"x-ratelimit-remaining-tokens: %d\r\n"
    b"x-ratelimit-reset-requests: 6ms\r\n"
    b"x-ratelimit-reset-tokens: 17ms\r\n"
    b"x-request-id: req_7c0e2f9b51d84a6f\r\n"
) % (LIMIT_REQUESTS, LIMIT_TOKENS, LIMIT_REQUESTS - 1, LIMIT_TOKENS - 588)
