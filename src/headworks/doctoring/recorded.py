"""Asking a provider what is recorded of its API: each request as it is, each answer beside the recorded one."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from headworks.calls import Endpoint, FailureKind, UnreadableAnswer
from headworks.dialects import EventSplitter, parse_event
from headworks.dialects.event_stream import FrameSplitter
from headworks.doctoring.asking import Asker, Heard
from headworks.errors import Refusal
from headworks.exchange import Timeouts, UpstreamRequest
from headworks.extending import Outcome, Recorded, differences, faults
from headworks.limits import parse_retry_after
from headworks.providers import Provider

_PATHS = {
    Endpoint.COMPLETIONS: "/completions",
    Endpoint.EMBEDDINGS: "/embeddings",
    Endpoint.MODERATIONS: "/moderations",
}
_IN_THE_PATH = (Endpoint.GENERATE_CONTENT, Endpoint.EMBED_CONTENT, Endpoint.CONVERSE)
"""The APIs that name the model in the path, and have no field for it."""

_MODEL = "MODEL"
"""Stands in a recorded request for the model, where the body names it as part of something."""

_BY_DONE = (Endpoint.CHAT, Endpoint.COMPLETIONS)
_NAMED = (Endpoint.RESPONSES, Endpoint.MESSAGES)
"""The APIs whose events are told apart by their `event:` lines, as their SDKs do."""

_LIMIT = "max_completion_tokens"
_PASSING = (FailureKind.RATE_LIMITED, FailureKind.OVERLOADED)
_MOST_PAUSES, _USUAL_PAUSE_S, _LONGEST_PAUSE_S = 3, 5.0, 60.0

_REJECTIONS = (FailureKind.REJECTED, FailureKind.REFUSED, FailureKind.TOO_LONG)
_BINARY = "application/vnd.amazon.eventstream"


async def ask_recorded(
    asker: Asker, provider: Provider, spoken: Endpoint, model: str, one: Recorded, timeouts: Timeouts
) -> tuple[Outcome, tuple[str, ...]]:
    """What came of it, and all in which the answer is not as it is recorded.

    Arguments:
        model: as the provider calls it; for an error, one that there is not.
    """
    try:
        heard = await ask_patiently(asker, provider, _request(provider, spoken, model, one), timeouts)
    except Refusal as refusal:  # a quirk: this server has nothing for a field
        return "refused", (f"{refusal.param or 'it'} is not asked of this server",)
    if heard.failure is not None:
        return "failed", (heard.failure.detail.rstrip("."),)
    if one.status >= 400:
        return _of_error(heard, one)
    if heard.status >= 300:
        kind = provider.classify(heard.status, heard.headers, heard.body).kind
        is_refused = kind in _REJECTIONS
        return "refused" if is_refused else "failed", (f"answered {heard.status}: {kind.value}",)
    try:
        told = tuple(_of_whole(heard, one) if one.events is None else _of_stream(heard, spoken, one.events))
    except UnreadableAnswer as error:
        told = (str(error),)
    return "wrong" if told else "supported", told


async def ask_patiently(asker: Asker, provider: Provider, request: UpstreamRequest, timeouts: Timeouts) -> Heard:
    """What came of it; where the provider has no room for one more call, of asking again after the time it names. A
    suite is more calls at once than small accounts may make."""
    heard = await asker.ask(request, timeouts)
    for _ in range(_MOST_PAUSES):
        if heard.failure is not None or heard.status < 300:
            break
        failure = provider.classify(heard.status, heard.headers, heard.body)
        if failure.kind not in _PASSING:
            break
        named_s = parse_retry_after(heard.headers, time.time())
        wait_s = next((one for one in (named_s, failure.retry_after_s) if one is not None), _USUAL_PAUSE_S)
        await asyncio.sleep(min(wait_s, _LONGEST_PAUSE_S))
        heard = await asker.ask(request, timeouts)
    return heard


def _request(provider: Provider, spoken: Endpoint, model: str, one: Recorded) -> UpstreamRequest:
    fields = dict(one.request)
    if spoken not in _IN_THE_PATH:
        fields = {"model": model, **fields}
    if _LIMIT in fields:
        fields[provider.limit_name] = fields.pop(_LIMIT)
    path = one.path or _PATHS.get(spoken) or provider.call_path(spoken, model, is_streamed=one.is_streamed)
    body = json.dumps(fields).replace(f"/{_MODEL}", f"/{model}") if spoken in _IN_THE_PATH else json.dumps(fields)
    return provider.json_request(path, body.encode(), b"")


def _of_error(heard: Heard, one: Recorded) -> tuple[Outcome, tuple[str, ...]]:
    if not 400 <= heard.status < 500:
        return "wrong", (f"answered {heard.status}",)
    told = tuple(_of_whole(heard, one))
    return "wrong" if told else "supported", told


def _of_whole(heard: Heard, one: Recorded) -> Iterator[str]:
    yield from _of_type(heard, "application/json")
    yield from differences(one.answer, _decoded(heard.body))


def _of_stream(heard: Heard, spoken: Endpoint, recorded: list[dict[str, Any]]) -> Iterator[str]:
    is_binary = spoken is Endpoint.CONVERSE
    yield from _of_type(heard, _BINARY if is_binary else "text/event-stream")
    events, said = _frames(heard.body) if is_binary else _events(heard.body, spoken)
    yield from said
    yield from faults(spoken, events)
    yield from differences(recorded, events, "events")


def _of_type(heard: Heard, wanted: str) -> Iterator[str]:
    if heard.header("content-type").partition(";")[0].strip().lower() != wanted:
        yield f"content-type: is not {wanted}"


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("it is no JSON") from None


def _events(body: bytes, spoken: Endpoint) -> tuple[list[dict[str, Any]], list[str]]:
    """A stream's events in JSON, and what is wrong with what is around them."""
    splitter = EventSplitter()
    read = [event for block in splitter.feed(body) if (event := parse_event(block)) is not None]
    said = []
    if not body.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")):
        said.append("the stream ends within an event")
    if spoken in _BY_DONE:
        if not read or read[-1].data != b"[DONE]":
            said.append("it does not end with [DONE]")
        read = [event for event in read if event.data != b"[DONE]"]
    events = [_decoded(event.data) for event in read]
    if spoken in _NAMED and any(
        event.name != told.get("type") for event, told in zip(read, events, strict=True) if isinstance(told, dict)
    ):
        said.append("an event's name is not its type")
    return _objects(events), said


def _frames(body: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    said = []
    events = []
    for frame in FrameSplitter().feed(body):
        if frame.headers.get(":message-type") != "event":
            said.append("it ends with an exception")
            continue
        events.append({frame.headers.get(":event-type", ""): _decoded(frame.payload)})
    return _objects(events), said


def _objects(events: Sequence[Any]) -> list[dict[str, Any]]:
    if not all(isinstance(event, dict) for event in events):
        raise UnreadableAnswer("an event is no object")
    return list(events)
