"""The order of a stream's events, by API: what opens is closed, what follows belongs to something, the end is the end.

Each check is told the events of one stream as JSON, in their order, and says what is out of order in them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from headworks.calls import Endpoint

Event = Mapping[str, Any]

_ENDS = ("response.completed", "response.incomplete", "response.failed")
_CALL = "response.function_call_arguments"


def faults(spoken: Endpoint, events: Sequence[Event]) -> list[str]:
    """What is out of order in a stream of this API; nothing for an API that has no streams of text."""
    if not events:
        return ["the stream has no events"]
    check = _CHECKS.get(spoken)
    try:
        return [] if check is None else list(check(events))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        return ["its events are not what the API has in their places"]  # which ones, their shapes tell


def _of_responses(events: Sequence[Event]) -> Iterator[str]:
    numbers = [event.get("sequence_number") for event in events]
    if numbers != list(range(numbers[0] or 0, (numbers[0] or 0) + len(events))):
        yield "sequence_number does not count the events"
    if events[0]["type"] != "response.created":
        yield "it does not begin with response.created"
    if events[-1]["type"] not in _ENDS or sum(event["type"] in _ENDS for event in events) != 1:
        yield "it does not end with response.completed, once"
    is_open: dict[tuple[int, ...], str] = {}
    text: dict[tuple[int, ...], str] = {}
    done: list[Mapping[str, Any]] = []
    for event in events:
        kind = event["type"]
        if kind in ("response.output_item.added", "response.output_item.done"):
            yield from _toggled(is_open, (event["output_index"],), "item", is_opened=kind.endswith("added"))
            done += [event["item"]] if kind.endswith("done") else []
        elif kind in ("response.content_part.added", "response.content_part.done"):
            place = (event["output_index"], event["content_index"])
            yield from _toggled(is_open, place, "content part", is_opened=kind.endswith("added"))
        elif kind in ("response.output_text.delta", "response.output_text.done"):
            place = (event["output_index"], event["content_index"])
            yield from _pieced(is_open, text, place, event, "text")
        elif kind in (f"{_CALL}.delta", f"{_CALL}.done"):
            yield from _pieced(is_open, text, (event["output_index"],), event, "arguments")
    if is_open:
        yield "an item or a part is not closed"
    said = events[-1].get("response", {}).get("output", [])
    if [one.get("type") for one in said] != [one.get("type") for one in done]:
        yield "the items of the last event are not those that were streamed"
    if _texts(said) != _texts(done):
        yield "the texts of the last event are not those that were streamed"


def _texts(items: Sequence[Event]) -> list[str]:
    parts = [part.get("text", "") for item in items for part in item.get("content") or ()]
    return parts + [item["arguments"] for item in items if "arguments" in item]


def _toggled(
    is_open: dict[tuple[int, ...], str], place: tuple[int, ...], what: str, *, is_opened: bool
) -> Iterator[str]:
    if is_opened == (place in is_open):
        article = "an" if what == "item" else "a"
        yield f"{article} {what} is {'opened twice' if is_opened else 'closed that is not open'}"
        return
    if is_opened:
        is_open[place] = what
    else:
        del is_open[place]


def _pieced(
    is_open: Mapping[tuple[int, ...], str],
    text: dict[tuple[int, ...], str],
    place: tuple[int, ...],
    event: Event,
    whole: str,
) -> Iterator[str]:
    if place not in is_open:
        yield f"a piece of {whole} belongs to nothing that is open"
    if event["type"].endswith("delta"):
        text[place] = text.get(place, "") + event["delta"]
    elif text.get(place, "") != event[whole]:
        yield f"the pieces of the {whole} are not its whole"


def _of_chat(events: Sequence[Event]) -> Iterator[str]:
    if len({event.get("id") for event in events if event["choices"]}) != 1:  # Azure's verdicts come before it has one
        yield "its chunks do not have one id"
    ended: set[int] = set()
    calls: dict[tuple[int, int], str] = {}
    for event in events:
        for choice in event["choices"]:
            delta = choice.get("delta") or {}
            number = choice.get("index", 0)
            if number in ended and (delta.get("content") or delta.get("tool_calls")):
                yield "it goes on behind its finish_reason"
            if choice.get("finish_reason"):
                if number in ended:
                    yield "it has two finish_reasons"
                ended.add(number)
            for call in delta.get("tool_calls") or ():
                place = (number, call["index"])
                if place not in calls and not (call.get("id") and (call.get("function") or {}).get("name")):
                    yield "the first piece of a tool call lacks its id or its name"
                calls[place] = calls.get(place, "") + ((call.get("function") or {}).get("arguments") or "")
    if not ended:
        yield "it has no finish_reason"
    yield from _readable(calls.values())


def _readable(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        try:
            json.loads(text or "{}")
        except ValueError:
            yield "the arguments of a call are no JSON when they are put together"


_DELTAS = {
    "text": ("text_delta", "citations_delta"),
    "tool_use": ("input_json_delta",),
    "thinking": ("thinking_delta", "signature_delta"),
}


def _of_messages(events: Sequence[Event]) -> Iterator[str]:
    told = [event for event in events if event["type"] != "ping"]
    if not told or told[0]["type"] != "message_start":
        yield "it does not begin with message_start"
    if events[-1]["type"] != "message_stop":
        yield "it does not end with message_stop"
    if [event["type"] for event in told[-2:-1]] != ["message_delta"]:
        yield "there is no message_delta before its end"
    if sum(event["type"] in ("message_start", "message_stop") for event in told) != 2:
        yield "it begins or ends more than once"
    yield from _of_blocks(told)
    inputs: dict[int, str] = {}
    for event in told:
        if event["type"] == "content_block_delta":
            piece = event["delta"].get("partial_json", "")
            inputs[event["index"]] = inputs.get(event["index"], "") + piece
    yield from _readable(inputs.values())


def _of_blocks(events: Sequence[Event]) -> Iterator[str]:
    """A message has one block after the other."""
    begun = 0
    kind: str | None = None
    for event in events:
        match event["type"]:
            case "content_block_start":
                if event["index"] != begun or kind is not None:
                    yield "its blocks do not come one after the other"
                begun = event["index"] + 1
                kind = event["content_block"]["type"]
            case "content_block_delta":
                if kind is None or event["index"] != begun - 1:
                    yield "a piece belongs to no block that is open"
                elif event["delta"]["type"] not in _DELTAS.get(kind, (event["delta"]["type"],)):
                    yield f"a piece is of another kind than its block, {kind}"
            case "content_block_stop":
                if kind is None or event["index"] != begun - 1:
                    yield "a block is closed that is not open"
                kind = None
    if kind is not None:
        yield "a block is not closed"


def _of_google(events: Sequence[Event]) -> Iterator[str]:
    is_ended = False
    for event in events:
        for candidate in event.get("candidates") or ():
            if is_ended and (candidate.get("content") or {}).get("parts"):
                yield "it goes on behind its finishReason"
            is_ended = is_ended or bool(candidate.get("finishReason"))
    if not is_ended:
        yield "it has no finishReason"
    if not events[-1].get("usageMetadata"):
        yield "its last chunk has no usageMetadata"


def _of_converse(events: Sequence[Event]) -> Iterator[str]:
    pairs = [(name, told) for event in events for name, told in event.items()]
    names = [name for name, _ in pairs]
    if names[:1] != ["messageStart"] or names.count("messageStart") != 1:
        yield "it does not begin with messageStart, once"
    if names[-2:] != ["messageStop", "metadata"] or names.count("messageStop") != 1:
        yield "it does not end with messageStop and metadata"
    started: set[int] = set()
    closed: set[int] = set()
    inputs: dict[int, str] = {}
    for name, told in pairs:
        if name == "contentBlockStart":
            started.add(told["contentBlockIndex"])
        elif name == "contentBlockDelta":
            place = told["contentBlockIndex"]
            used = told["delta"].get("toolUse")
            if place in closed or (used is not None and place not in started):
                yield "a piece belongs to no block that is open"
            started.add(place)
            inputs[place] = inputs.get(place, "") + (used or {}).get("input", "")
        elif name == "contentBlockStop":
            if told["contentBlockIndex"] not in started - closed:
                yield "a block is closed that is not open"
            closed.add(told["contentBlockIndex"])
    if started != closed:
        yield "a block is not closed"
    yield from _readable(inputs.values())


_CHECKS: Mapping[Endpoint, Callable[[Sequence[Event]], Iterator[str]]] = {
    Endpoint.RESPONSES: _of_responses,
    Endpoint.CHAT: _of_chat,
    Endpoint.MESSAGES: _of_messages,
    Endpoint.GENERATE_CONTENT: _of_google,
    Endpoint.CONVERSE: _of_converse,
}
