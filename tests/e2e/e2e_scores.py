"""What is scored of a screened call: what has leaked, what has come back, and whether a stream is still a good one."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

_TOKEN = re.compile(rb"PII_[A-Z0-9]+_[a-z0-9]{7}")


@dataclass
class Told:
    """What an official client says of an answer: its pieces where it was streamed, and the whole."""

    text: str = ""
    arguments: Any = None
    pieces: list[str] = field(default_factory=list)


@dataclass
class Scores:
    """Attributes:
    leaks: values in the bytes that went up.
    unrestored: values that did not come back as they were.
    tokens: tokens in the bytes that came to the client.
    faults: what is wrong with the stream, as a stream of its API.
    partial: pieces after which the client had read something that was never meant.
    longest: characters of the longest piece, beyond the longest that came from the provider.
    """

    leaks: list[str]
    unrestored: list[str]
    tokens: int
    faults: list[str]
    partial: int
    longest: int

    def is_perfect(self, most_in_a_piece: int) -> bool:
        """Whether there is nothing to find fault with."""
        return (
            not (self.leaks or self.unrestored or self.tokens or self.faults or self.partial)
            and self.longest <= most_in_a_piece
        )


def leaked(values: Sequence[str], up: bytes) -> list[str]:
    """The values that are in these bytes, however they are written."""
    found = []
    for value in values:
        written = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value)}
        written |= {json.dumps(one)[1:-1] for one in written}
        dense = re.sub(r"[\s\"\\-]", "", value)
        if any(one.encode() in up for one in written) or dense.encode() in re.sub(rb"[\s\"\\-]", b"", up):
            found.append(value)
    return found


def scored(
    told: Told, meant: str, values: Sequence[str], *, up: bytes, raw: bytes, sent: bytes, dialect: str
) -> Scores:
    """The scores of one call.

    Arguments:
        meant: what the caller should have read.
        up: what the provider was sent.
        raw: the body that came to the client.
        sent: the body that the provider has sent.
        dialect: of the client; "" where the answer is whole.
    """
    so_far, partial = "", 0
    for piece in told.pieces:
        so_far += piece
        partial += not meant.startswith(so_far)
    arguments = json.dumps(told.arguments, ensure_ascii=False)
    back = [value for value in values if value in told.text or json.dumps(value, ensure_ascii=False)[1:-1] in arguments]
    faults = faults_of(dialect, raw) if dialect else []
    if told.pieces and so_far != told.text:
        faults.append("the pieces are not the whole")
    if told.arguments is None and told.text != meant:
        faults.append("something else was said")
    return Scores(
        leaks=leaked(values, up),
        unrestored=[value for value in values if value not in back],
        tokens=len(_TOKEN.findall(raw)),
        faults=faults,
        partial=partial,
        longest=max(map(len, told.pieces), default=0) - max(map(len, pieces_of(sent)), default=0),
    )


def blocks(raw: bytes) -> list[tuple[str | None, str]]:
    """The events of a stream: their names and data. Whatever is none stands under the name "?"."""
    found: list[tuple[str | None, str]] = []
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        name, data = None, []
        for line in block.splitlines():
            key, colon, value = line.partition(":")
            if key == "event" and colon:
                name = value.strip()
            elif key == "data" and colon:
                data.append(value.strip())
            elif line and key:
                return [*found, ("?", line)]
        if data:
            found.append((name, "\n".join(data)))
    return found


def pieces_of(raw: bytes) -> Iterator[str]:
    """The pieces of text in a stream of whichever API."""
    for _, data in blocks(raw) if raw[:1] in b"de:" else []:
        if not data.startswith("{"):
            continue
        event = json.loads(data)
        yield str(event.get("delta", "")) if event.get("type") == "response.output_text.delta" else ""
        for choice in event.get("choices", ()):
            yield choice.get("delta", {}).get("content") or ""
        if event.get("type") == "content_block_delta":
            yield event["delta"].get("text", "")
        for one in event.get("candidates", ()):
            yield from (part.get("text", "") for part in one.get("content", {}).get("parts", ()))


def faults_of(dialect: str, raw: bytes) -> list[str]:
    """What is wrong with a stream as one of this API."""
    events, names, faults = [], [], []
    found = blocks(raw)
    if not raw.endswith((b"\n\n", b"\r\n\r\n")):
        faults.append("its last event has no end")
    for name, data in found:
        names.append(name)
        if data == "[DONE]":
            continue
        try:
            events.append(json.loads(data))
        except ValueError:
            faults.append(f"no JSON: {name}")
    types = [event.get("type") for event in events]
    if dialect == "chat" and (not found or found[-1][1] != "[DONE]"):
        faults.append("no [DONE]")
    if dialect in ("responses", "messages") and names != types:
        faults.append("an event has another's name")
    if dialect == "responses":
        faults += _of_responses(events, types)
    if dialect == "messages":
        faults += _of_messages(events, types)
    return faults


def _of_responses(events: list[Any], types: list[Any]) -> list[str]:
    faults = []
    if [event["sequence_number"] for event in events] != list(range(len(events))):
        faults.append("events are not counted through")
    if types[:1] != ["response.created"] or types[-1:] != ["response.completed"]:
        faults.append("no beginning or no end")
    said: dict[tuple[Any, Any], str] = {}
    for event in events:
        place = event.get("output_index"), event.get("content_index")
        if event["type"] == "response.output_text.delta":
            said[place] = said.get(place, "") + event["delta"]
        if event["type"] == "response.output_text.done" and event["text"] != said.get(place, ""):
            faults.append("a text's end says something else")
        if event["type"] == "response.completed":
            parts = [part for item in event["response"]["output"] for part in item.get("content") or ()]
            if [part["text"] for part in parts] != list(said.values()):
                faults.append("the response says something else")
    return faults


def _of_messages(events: list[Any], types: list[Any]) -> list[str]:
    faults, is_open = [], None
    if types[:1] != ["message_start"] or types[-1:] != ["message_stop"]:
        faults.append("no beginning or no end")
    for event in events:
        match event["type"]:
            case "content_block_start":
                if is_open is not None:
                    faults.append("a block begins within another")
                is_open = event["index"]
            case "content_block_delta" | "content_block_stop" if event["index"] != is_open:
                faults.append("a piece of a block that is not open")
            case "content_block_stop":
                is_open = None
    return faults
