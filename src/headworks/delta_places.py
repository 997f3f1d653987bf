"""Where the pieces of text stand in the events of a stream, in each API's own words.

What is a piece of a text is told from what is whole: a value may be cut over pieces, so they are read as one text. A
piece belongs to a *lane*: a choice, an output item or a block, and there one field. Sources: the API references of
OpenAI, Anthropic and Google (2026-11).
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from headworks.calls import Endpoint

Tree: TypeAlias = "dict[str, object]"
Lane: TypeAlias = tuple[int, str, int]
"""The choice, item or block; the field; and which call or part of it."""

EVERY = -1
"""All lanes end."""


class Piece(msgspec.Struct, frozen=True):
    """A piece of text: in which object of the event, under which name, and of which lane."""

    holder: Tree
    name: str
    lane: Lane
    in_call: bool = False

    @property
    def text(self) -> str:
        """What it says."""
        return str(self.holder[self.name])


class Places(msgspec.Struct, frozen=True):
    """One API: the pieces in an event, and the lanes (by their first number) that end with it, or that a call
    interrupts which comes whole."""

    pieces: Callable[[Tree], Iterator[Piece]]
    ends: Callable[[Tree], set[int]]
    interrupts: Callable[[Tree], set[int]] = lambda _: set()


def _objects(value: object) -> list[Tree]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _object(value: object) -> Tree:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


_CHAT_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def _of_chat(tree: Tree) -> Iterator[Piece]:
    for choice in _objects(tree.get("choices")):
        number = _number(choice.get("index"))
        delta = _object(choice.get("delta"))
        for name in _CHAT_TEXTS:
            if isinstance(delta.get(name), str):
                yield Piece(delta, name, (number, name, 0))
        if isinstance(choice.get("text"), str):
            yield Piece(choice, "text", (number, "text", 0))
        calls = [(_number(call.get("index")), call) for call in _objects(delta.get("tool_calls"))]
        calls.append((-1, {"function": delta.get("function_call")}))
        for index, call in calls:
            for kind, name in (("function", "arguments"), ("custom", "input")):
                holder = _object(call.get(kind))
                if isinstance(holder.get(name), str):
                    yield Piece(holder, name, (number, name, index), in_call=True)


def _ends_of_chat(tree: Tree) -> set[int]:
    return {_number(one.get("index")) for one in _objects(tree.get("choices")) if one.get("finish_reason") is not None}


_LAST_OF_RESPONSES = ("response.completed", "response.incomplete", "response.failed", "error")


def _of_responses(tree: Tree) -> Iterator[Piece]:
    kind = str(tree.get("type", ""))
    if kind.endswith(".delta") and isinstance(tree.get("delta"), str) and not kind.endswith("audio.delta"):
        part = _number(tree.get("content_index", tree.get("summary_index")))
        in_call = "arguments" in kind or "input" in kind
        yield Piece(tree, "delta", (_number(tree.get("output_index")), kind, part), in_call=in_call)


def _ends_of_responses(tree: Tree) -> set[int]:
    kind = str(tree.get("type", ""))
    if kind in _LAST_OF_RESPONSES:
        return {EVERY}
    return {_number(tree.get("output_index"))} if kind.endswith(".done") else set()


_MESSAGES_TEXTS = ("text", "thinking", "partial_json")


def _of_messages(tree: Tree) -> Iterator[Piece]:
    if tree.get("type") == "content_block_delta":
        delta = _object(tree.get("delta"))
        for name in _MESSAGES_TEXTS:
            if isinstance(delta.get(name), str):
                yield Piece(delta, name, (_number(tree.get("index")), name, 0), in_call=name == "partial_json")


def _ends_of_messages(tree: Tree) -> set[int]:
    kind = tree.get("type")
    if kind == "content_block_stop":
        return {_number(tree.get("index"))}
    return {EVERY} if kind in ("message_delta", "message_stop", "error") else set()


def _of_gemini(tree: Tree) -> Iterator[Piece]:
    for candidate in _objects(tree.get("candidates")):
        number = _number(candidate.get("index"))
        for part in _objects(_object(candidate.get("content")).get("parts")):
            if isinstance(part.get("text"), str):
                yield Piece(part, "text", (number, "thought" if part.get("thought") else "text", 0))


def _ends_of_gemini(tree: Tree) -> set[int]:
    return {
        _number(one.get("index")) for one in _objects(tree.get("candidates")) if one.get("finishReason") is not None
    }


def _interrupts_of_gemini(tree: Tree) -> set[int]:
    return {_number(one.get("index")) for one in _objects(tree.get("candidates")) if _calls_function(one)}


def _calls_function(candidate: Tree) -> bool:
    return any("functionCall" in part for part in _objects(_object(candidate.get("content")).get("parts")))


PLACES: dict[Endpoint, Places] = {
    Endpoint.CHAT: Places(_of_chat, _ends_of_chat),
    Endpoint.RESPONSES: Places(_of_responses, _ends_of_responses),
    Endpoint.MESSAGES: Places(_of_messages, _ends_of_messages),
    Endpoint.GENERATE_CONTENT: Places(_of_gemini, _ends_of_gemini, _interrupts_of_gemini),
}
"""By the caller's endpoint. Streams of `/completions` count as Chat's."""
