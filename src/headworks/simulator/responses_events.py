"""The event stream of a response: every event of the API, in its order, with its time."""

from collections.abc import Iterator

import msgspec

from headworks.simulator.generation import (
    HEAD_SHARE,
    CallItem,
    Generation,
    MessageItem,
    OutputItem,
    ReasoningItem,
)
from headworks.simulator.logprobs import without_bytes
from headworks.simulator.script import Beat
from headworks.simulator.tokens import split


class _Event(msgspec.Struct, frozen=True):
    """An event before it has its number: `fields` are what the API's event has besides type and number."""

    type: str
    fields: dict[str, object]
    delay_s: float = 0.0
    is_content: bool = False


def response_beats(generation: Generation, starting_after: int = -1) -> Iterator[Beat]:
    """The stream of a response, one beat an event. Events up to the sequence number `starting_after` are left
    out, and their time with them."""
    for number, event in enumerate(_failing(generation) if generation.failure else _events(generation)):
        if number > starting_after:
            body = msgspec.json.encode({"type": event.type, "sequence_number": number, **event.fields})
            yield Beat(
                b"event: %b\ndata: %b\n\n" % (event.type.encode(), body), event.delay_s, is_content=event.is_content
            )


def late_beats(generation: Generation, starting_after: int, elapsed_s: float) -> Iterator[Beat]:
    """The stream for one who joins `elapsed_s` after the creation: what has happened comes at once."""
    head_s = HEAD_SHARE * generation.rhythm.first_token_s
    ahead_s = max(0.0, elapsed_s - head_s)
    for number, beat in enumerate(response_beats(generation)):
        saved_s = min(ahead_s, beat.delay_s)
        ahead_s -= saved_s
        if number > starting_after:
            yield Beat(beat.data, beat.delay_s - saved_s, is_content=beat.is_content)


def _events(generation: Generation) -> Iterator[_Event]:
    yield from _opening(generation)
    delays = generation.rhythm.delays()
    first_s = (1.0 - HEAD_SHARE) * generation.rhythm.first_token_s
    for index, item in enumerate(generation.output):
        for event in _item_events(item, index, delays):
            if first_s and event.type != "response.output_item.added":
                event = msgspec.structs.replace(event, delay_s=event.delay_s + first_s)  # noqa: PLW2901
                first_s = 0.0
            yield event
    status = generation.final_status
    yield _Event(f"response.{status}", {"response": generation.value(status)})


def _opening(generation: Generation) -> Iterator[_Event]:
    if generation.is_background:
        yield _Event("response.created", {"response": generation.value("queued")})
        yield _Event("response.queued", {"response": generation.value("queued")})
    else:
        yield _Event("response.created", {"response": generation.value("in_progress")})
    yield _Event("response.in_progress", {"response": generation.value("in_progress")})


def _failing(generation: Generation) -> Iterator[_Event]:
    """The events up to the planned failure, and the failure."""
    failure = generation.failure
    assert failure is not None
    seen = 0
    for event in _events(generation):
        is_over = event.type == "response.failed" or (
            seen == failure.after_content and event.type not in _BEFORE_ANY_CONTENT
        )
        if is_over:
            break
        seen += event.is_content
        yield event
    if failure.event == "error":
        yield _Event("error", {"param": None, **(generation.error() or {})})
    else:
        yield _Event("response.failed", {"response": generation.value("failed")})


_BEFORE_ANY_CONTENT = frozenset({"response.created", "response.queued", "response.in_progress"})


def _item_events(item: OutputItem, index: int, delays: Iterator[float]) -> Iterator[_Event]:
    yield _Event("response.output_item.added", {"output_index": index, "item": item.value(is_done=False)})
    left_s = 0.0
    match item:
        case ReasoningItem():
            thinking_s = sum(next(delays) for _ in range(item.tokens))
            if item.summary:
                yield from _summary_events(item, index, thinking_s)
            else:
                left_s = thinking_s
        case MessageItem():
            yield from _message_events(item, index, delays)
        case CallItem():
            yield from _call_events(item, index, delays)
    yield _Event("response.output_item.done", {"output_index": index, "item": item.value(is_done=True)}, left_s)


def _summary_events(item: ReasoningItem, index: int, thinking_s: float) -> Iterator[_Event]:
    place: dict[str, object] = {"item_id": item.id, "output_index": index, "summary_index": 0}
    name = "response.reasoning_summary"
    yield _Event(f"{name}_part.added", {**place, "part": {"type": "summary_text", "text": ""}})
    pieces = split(item.summary)
    for piece in pieces:
        yield _Event(f"{name}_text.delta", {**place, "delta": piece}, thinking_s / len(pieces))
    yield _Event(f"{name}_text.done", {**place, "text": item.summary})
    yield _Event(f"{name}_part.done", {**place, "part": {"type": "summary_text", "text": item.summary}})


def _message_events(item: MessageItem, index: int, delays: Iterator[float]) -> Iterator[_Event]:
    place: dict[str, object] = {"item_id": item.id, "output_index": index, "content_index": 0}
    yield _Event("response.content_part.added", {**place, "part": item.part(is_done=False)})
    if item.refusal:
        for piece in split(item.refusal):
            yield _Event("response.refusal.delta", {**place, "delta": piece}, next(delays), is_content=True)
        yield _Event("response.refusal.done", {**place, "refusal": item.refusal})
    else:
        bare = without_bytes(item.logprobs)
        for number, piece in enumerate(split(item.text)):
            yield _Event(
                "response.output_text.delta",
                {**place, "delta": piece, "logprobs": bare[number : number + 1]},
                next(delays),
                is_content=True,
            )
        yield _Event("response.output_text.done", {**place, "text": item.text, "logprobs": bare})
    yield _Event("response.content_part.done", {**place, "part": item.part(is_done=True)})


def _call_events(item: CallItem, index: int, delays: Iterator[float]) -> Iterator[_Event]:
    place: dict[str, object] = {"item_id": item.id, "output_index": index}
    name = "response.function_call_arguments"
    for piece in split(item.arguments):
        yield _Event(f"{name}.delta", {**place, "delta": piece}, next(delays), is_content=True)
    yield _Event(f"{name}.done", {**place, "arguments": item.arguments})
