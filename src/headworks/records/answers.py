"""What a stored body says: the text of an answer, the tools that were offered and called. Pure, and forgiving.

A body is whatever went over the wire, at any time, to any provider: what is not understood is shown as it is. Read are
the forms of the Responses API and of Chat Completions, whole or as a stream of server-sent events.
"""

from collections.abc import Iterator

import msgspec

_decode = msgspec.json.Decoder().decode

_WHOLE = frozenset({"stop", "tool_calls", "function_call"})


class ToolCall(msgspec.Struct, frozen=True):
    """A tool that the model called. `arguments` is the JSON text that it wrote."""

    name: str
    arguments: str


class Answer(msgspec.Struct, frozen=True):
    """What the model answered: text (of several messages or choices, one after the other) and calls of tools.

    `ended_by` is why it is not whole, in the words of its API, such as "max_output_tokens" or "length"; "" where it is,
    or where that is not known.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    ended_by: str = ""


def read_answer(body: bytes) -> Answer:
    """What a response body says; the body itself as text where it has no form that is known."""
    whole = _object(body)
    if whole:
        return _of_response(whole) or _of_chat(whole) or Answer(body.decode(errors="replace"))
    events = list(_events(body))
    for event in reversed(events):
        response = event.get("response")
        if isinstance(response, dict) and response.get("output"):
            return _of_response(response) or Answer("", ended_by=_reason_of(response))
    deltas = "".join(
        str(event.get("delta", "")) for event in events if event.get("type") == "response.output_text.delta"
    )
    if deltas:  # the stream was cut before its last event
        return Answer(deltas)
    return _of_chunks(events) or Answer(body.decode(errors="replace"))


def offered_tools(request: bytes) -> tuple[str, ...]:
    """The names of the tools in a request, in its order; of a tool without a name its type."""
    names = []
    for tool in _list(_object(request).get("tools")):
        function = tool.get("function")
        name = tool.get("name") or (function.get("name") if isinstance(function, dict) else None) or tool.get("type")
        if isinstance(name, str):
            names.append(name)
    return tuple(names)


def _of_response(response: dict[str, object]) -> Answer | None:
    items = _list(response.get("output"))
    if not items:
        return None
    texts: list[str] = []
    calls: list[ToolCall] = []
    for item in items:
        if item.get("type") == "function_call":
            calls.append(ToolCall(str(item.get("name", "")), str(item.get("arguments", ""))))
        for part in _list(item.get("content")):
            text = part.get("text") if part.get("type") == "output_text" else part.get("refusal")
            if isinstance(text, str):
                texts.append(text)
    return Answer("\n".join(texts), tuple(calls), _reason_of(response))


def _reason_of(response: dict[str, object]) -> str:
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return reason if isinstance(reason, str) else ""


def _ended_by(choices: list[dict[str, object]]) -> str:
    """The first finish reason that is none of a whole answer (OpenAI API reference, 2026-11)."""
    reasons = (choice.get("finish_reason") for choice in choices)
    return next((one for one in reasons if isinstance(one, str) and one not in _WHOLE), "")


def _of_chat(completion: dict[str, object]) -> Answer | None:
    choices = _list(completion.get("choices"))
    if not choices:
        return None
    texts: list[str] = []
    calls: list[ToolCall] = []
    for choice in choices:
        message = choice.get("message")
        if not isinstance(message, dict):
            continue
        text = message.get("content") or message.get("refusal")
        if isinstance(text, str):
            texts.append(text)
        for call in _list(message.get("tool_calls")):
            function = call.get("function")
            if isinstance(function, dict):
                calls.append(ToolCall(str(function.get("name", "")), str(function.get("arguments", ""))))
    return Answer("\n".join(texts), tuple(calls), _ended_by(choices))


def _of_chunks(events: list[dict[str, object]]) -> Answer | None:
    texts: dict[object, list[str]] = {}
    names: dict[tuple[object, object], str] = {}
    arguments: dict[tuple[object, object], list[str]] = {}
    for event in events:
        for choice in _list(event.get("choices")):
            index, delta = choice.get("index", 0), choice.get("delta")
            if not isinstance(delta, dict):
                continue
            text = delta.get("content") or delta.get("refusal")
            if isinstance(text, str):
                texts.setdefault(index, []).append(text)
            for call in _list(delta.get("tool_calls")):
                function = call.get("function")
                if isinstance(function, dict):
                    which = (index, call.get("index", 0))
                    names[which] = names.get(which) or str(function.get("name") or "")
                    arguments.setdefault(which, []).append(str(function.get("arguments") or ""))
    if not texts and not names:
        return None
    calls = tuple(ToolCall(name, "".join(arguments[which])) for which, name in names.items())
    ended_by = _ended_by([choice for event in events for choice in _list(event.get("choices"))])
    return Answer("\n".join("".join(pieces) for pieces in texts.values()), calls, ended_by)


def _events(body: bytes) -> Iterator[dict[str, object]]:
    """The JSON objects in the data lines of a stream. Providers write one object a line (both APIs, 2026-10)."""
    for line in body.splitlines():
        if line.startswith(b"data:"):
            event = _object(line.removeprefix(b"data:").strip())
            if event:
                yield event


def _object(text: bytes) -> dict[str, object]:
    try:
        decoded = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _list(value: object) -> list[dict[str, object]]:
    """The objects of a list; nothing of what is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
