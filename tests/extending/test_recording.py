"""The recorded shapes: what the official SDKs' types read, what our codecs read, and what each fault of an answer is
found by."""

import copy
import json
from collections.abc import Iterator
from typing import Any, get_args

import anthropic.types as anthropic_types
import botocore.session
import pydantic
import pytest
from anthropic_samples import sse as named_sse
from google.genai import types as google_types
from openai import types as openai_types
from openai.types import chat as chat_types
from openai.types import responses as responses_types
from server_shapes import SHAPES

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES, EventSplitter, parse_event
from headworks.extending import RECORDED, Recorded, differences, faults, recorded, sample
from headworks.simulator.event_frames import event as frame

TEXT = (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE)
ALL = [(spoken, one) for spoken in RECORDED for one in recorded(spoken)]
OWN = [
    (Endpoint.CHAT, one) for server in ("azure", "mistral") for one in recorded(Endpoint.CHAT, server) if one.servers
]
WHOLE = [(spoken, one) for spoken, one in (*ALL, *OWN) if one.answer is not None]
STREAMED = [(spoken, one) for spoken, one in (*ALL, *OWN) if one.events is not None]


def named(cases: list[tuple[Endpoint, Recorded]]) -> Any:
    ids = [f"{spoken}-{one.name}-{'-'.join(one.servers)}" for spoken, one in cases]
    return pytest.mark.parametrize(("spoken", "one"), cases, ids=ids)


WHOLE_TYPES: dict[Endpoint, Any] = {
    Endpoint.RESPONSES: responses_types.Response,
    Endpoint.CHAT: chat_types.ChatCompletion,
    Endpoint.MESSAGES: anthropic_types.Message,
    Endpoint.GENERATE_CONTENT: google_types.GenerateContentResponse,
    Endpoint.COMPLETIONS: openai_types.Completion,
    Endpoint.EMBEDDINGS: openai_types.CreateEmbeddingResponse,
    Endpoint.IMAGES: openai_types.ImagesResponse,
}
EVENT_TYPES: dict[Endpoint, Any] = {
    Endpoint.RESPONSES: responses_types.ResponseStreamEvent,
    Endpoint.CHAT: chat_types.ChatCompletionChunk,
    Endpoint.MESSAGES: anthropic_types.RawMessageStreamEvent,
    Endpoint.GENERATE_CONTENT: google_types.GenerateContentResponse,
}
"""The SDK has the type of a whole legacy completion for the pieces of one, too, and does not hold to it."""


def refusals(kind: Any, value: Any) -> list[str]:
    """What the SDK's type finds missing or of another type."""
    try:
        pydantic.TypeAdapter(kind).validate_python(value)
    except pydantic.ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return []


BY_NAME: dict[Endpoint, dict[str, Any]] = {
    spoken: {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in kinds}
    for spoken, kinds in (
        (Endpoint.RESPONSES, get_args(get_args(responses_types.ResponseStreamEvent)[0])),
        (Endpoint.MESSAGES, get_args(get_args(anthropic_types.RawMessageStreamEvent)[0])),
    )
}
CONVERSE = botocore.session.get_session().get_service_model("bedrock-runtime")


def is_read_by_sdk(spoken: Endpoint, one: Recorded) -> bool:
    """Errors have no types; nor has what the SDK changes before it reads it."""
    return one.status < 400 and not one.path and not one.servers and one.name != "in base64"


@named([(spoken, one) for spoken, one in WHOLE if spoken in WHOLE_TYPES and is_read_by_sdk(spoken, one)])
def test_the_types_of_the_official_sdks_read_what_is_recorded(spoken: Endpoint, one: Recorded) -> None:
    assert refusals(WHOLE_TYPES[spoken], sample(one.answer)) == []


@named([(spoken, one) for spoken, one in STREAMED if spoken in EVENT_TYPES and not one.servers])
def test_the_types_of_the_official_sdks_read_every_event(spoken: Endpoint, one: Recorded) -> None:
    for each in sample(one.events):
        if each.get("type") == "ping":  # that one its SDK has no type for
            continue
        kind = BY_NAME[spoken][each["type"]] if spoken in BY_NAME else EVENT_TYPES[spoken]
        assert refusals(kind, each) == []


def unknown_to_aws(shape: Any, value: Any, place: str = "") -> Iterator[str]:
    """Where a value is not what AWS's own description of the service has, or lacks what that requires."""
    if shape.type_name == "structure":
        if shape.is_document_type:
            return
        yield from (f"{place}.{name}: missing" for name in shape.required_members if name not in value)
        for name, one in value.items():
            if name not in shape.members:
                yield f"{place}.{name}: unknown"
            else:
                yield from unknown_to_aws(shape.members[name], one, f"{place}.{name}")
    elif shape.type_name == "list":
        for one in value:
            yield from unknown_to_aws(shape.member, one, place)
    elif not isinstance(value, {"string": str, "integer": int, "long": int, "blob": str}[shape.type_name]):
        yield f"{place}: no {shape.type_name}"


def test_what_is_recorded_of_aws_is_what_its_own_description_has() -> None:
    of_whole = CONVERSE.operation_model("Converse").output_shape
    of_stream = CONVERSE.operation_model("ConverseStream").output_shape.members["stream"]
    for one in recorded(Endpoint.CONVERSE):
        if one.status < 400:
            asked = CONVERSE.operation_model("Converse").input_shape
            assert list(unknown_to_aws(asked, one.request | {"modelId": "m"})) == []
        if one.answer is not None and one.status < 400:
            assert list(unknown_to_aws(of_whole, sample(one.answer))) == []
        for each in sample(one.events or []):
            assert list(unknown_to_aws(of_stream, each)) == []


@pytest.mark.parametrize("server", sorted(SHAPES))
def test_every_server_with_quirks_answers_as_recorded(server: str) -> None:
    ours = {one.name: one for one in recorded(Endpoint.CHAT, server)}
    events = [json.loads(event.data) for event in read(SHAPES[server].stream)]

    assert differences(ours["text"].answer, SHAPES[server].whole) == []
    assert differences(ours["text, streamed"].events, events) == []
    assert faults(Endpoint.CHAT, events) == []


def read(data: bytes) -> list[Any]:
    parsed = [parse_event(block) for block in EventSplitter().feed(data)]
    return [event for event in parsed if event is not None and event.data != b"[DONE]"]


def required_paths(record: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all that a record asks for; an element of a list by its number."""
    if isinstance(record, dict):
        for marked, value in record.items():
            if value is None or marked[-1] in "?|":
                continue
            yield (*path, marked.rstrip("="))
            yield from required_paths(value, (*path, marked.rstrip("=")))
    elif isinstance(record, list):
        for number, one in enumerate(record):
            if not (isinstance(one, dict) and one.get("?")):
                yield from required_paths(one, (*path, number))


def without_optional(record: Any) -> Any:
    """The least that a record lets pass."""
    if isinstance(record, dict):
        kept = {name: value for name, value in record.items() if value is not None and name[-1] != "?"}
        return {
            name.rstrip("=|"): without_optional(value[0] if name[-1] == "|" else value) for name, value in kept.items()
        }
    if isinstance(record, list):
        return [without_optional(one) for one in record if not (isinstance(one, dict) and one.get("?"))]
    return record


def place_of(value: Any, path: tuple[Any, ...]) -> Any:
    """What holds the last step of a path; None where the value has no such path."""
    for step in path[:-1]:
        if not (isinstance(value, dict) and step in value) and not (isinstance(value, list) and step < len(value)):
            return None
        value = value[step]
    return value if isinstance(value, dict) and path[-1] in value else None


WRONG = {str: 7, int: "7", float: "0.1", bool: "true", dict: [], list: {}}


@named(WHOLE)
def test_whatever_is_missing_of_an_answer_or_of_another_type_is_found(spoken: Endpoint, one: Recorded) -> None:
    good = without_optional(one.answer)
    assert differences(one.answer, good) == differences(one.answer, sample(one.answer)) == []

    for path in required_paths(one.answer):
        if isinstance(path[-1], int):
            continue
        missing, changed = copy.deepcopy(good), copy.deepcopy(good)
        place_of(missing, path).pop(path[-1])
        holder = place_of(changed, path)
        holder[path[-1]] = WRONG[type(holder[path[-1]])]
        assert differences(one.answer, missing) != [], path
        assert differences(one.answer, changed) != [], path


def good_stream(one: Recorded) -> list[Any]:
    events = without_optional(one.events)
    for number, each in enumerate(events):
        if "sequence_number" in each:
            each["sequence_number"] = number
    return list(events)


def said_of(spoken: Endpoint, one: Recorded, events: list[Any]) -> list[str]:
    return differences(one.events, events, "events") + faults(spoken, events)


@named(STREAMED)
def test_whatever_is_missing_of_events_or_of_another_type_is_found(spoken: Endpoint, one: Recorded) -> None:
    good = good_stream(one)
    assert said_of(spoken, one, good) == []

    for path in required_paths(one.events):
        if len(path) < 2 or isinstance(path[-1], int):
            continue
        missing, changed = copy.deepcopy(good), copy.deepcopy(good)
        for each in missing:
            if (holder := place_of(each, path[1:])) is not None:
                del holder[path[-1]]
        for each in changed:
            if (holder := place_of(each, path[1:])) is not None:
                holder[path[-1]] = WRONG[type(holder[path[-1]])]
        assert said_of(spoken, one, missing) != [], path
        assert said_of(spoken, one, changed) != [], path


@named(STREAMED)
def test_a_stream_that_is_cut_anywhere_is_found(spoken: Endpoint, one: Recorded) -> None:
    good = good_stream(one)
    for length in range(len(good)):
        assert said_of(spoken, one, good[:length]) != [], length


def kind_of(value: Any) -> Any:
    """What tells an event from those that merely go on with the same thing: which fields it has, at every depth."""
    if isinstance(value, dict):
        return tuple((name, name == "type" and one, kind_of(one)) for name, one in sorted(value.items()))
    return tuple(map(kind_of, value)) if isinstance(value, list) else None


@named([(spoken, one) for spoken, one in STREAMED if spoken in TEXT])
def test_an_event_that_never_comes_is_found(spoken: Endpoint, one: Recorded) -> None:
    good = good_stream(one)
    for gone in good:
        if spoken is Endpoint.GENERATE_CONTENT and not gone["candidates"][0].get("finishReason"):
            continue  # any number of chunks may have the text
        left = [each for each in good if kind_of(each) != kind_of(gone)]
        assert said_of(spoken, one, left) != [], gone


@pytest.mark.parametrize("called", [one for one in TEXT if one is not Endpoint.CONVERSE])
@named([(spoken, one) for spoken, one in ALL if spoken in TEXT and one.name in ("text", "function")])
def test_a_recorded_answer_says_the_same_to_every_caller_whole_and_streamed(
    called: Endpoint, spoken: Endpoint, one: Recorded
) -> None:
    if called is spoken:
        return
    streamed = next(each for each in recorded(spoken) if each.name == f"{one.name}, streamed")
    whole_bridge, stream_bridge = (bridge(called, spoken, is_streamed=is_streamed) for is_streamed in (False, True))
    body, summary = whole_bridge.answer(json.dumps(without_optional(one.answer)).encode())
    steps = stream_bridge.stream()
    steps.feed(as_sent(spoken, good_stream(streamed)))

    assert steps.is_complete
    assert steps.summary().finish_reason == summary.finish_reason
    for usage in (summary.usage, steps.summary().usage):
        assert (usage.input_tokens, usage.output_tokens) == (21, 9)
    if one.name == "text":
        assert b"Hello there, friend." in body
    else:
        assert b"get_weather" in body
        assert b"Oslo" in body


def bridge(called: Endpoint, spoken: Endpoint, *, is_streamed: bool) -> Any:
    asked = next(each for each in recorded(called) if each.name == ("text, streamed" if is_streamed else "text"))
    body = json.dumps({"model": "m"} | asked.request).encode()
    made = BRIDGES[called, spoken](body)
    made.request(body, "m")
    return made


def as_sent(spoken: Endpoint, events: list[Any]) -> bytes:
    if spoken is Endpoint.CONVERSE:
        return b"".join(frame(name, json.dumps(value).encode()) for each in events for name, value in each.items())
    if spoken in (Endpoint.RESPONSES, Endpoint.MESSAGES):
        return named_sse(events)
    end = b"data: [DONE]\n\n" if spoken is Endpoint.CHAT else b""
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in events) + end
