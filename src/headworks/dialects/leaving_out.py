"""Leaving fields out of a request for a target that has nothing for them, where configuration says that they may be.

    try:
        made = make(fields)
    except Refusal as refusal:
        made, left = leaving_out(refusal, fields, ("seed", "logprobs"), make)

What is refused names a field. It is taken out and the request is made again, until nothing is refused any more or what
is refused is not on the list; then that refusal stands, with the name that the caller knows the field by.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from headworks.dialects.reading import Fields
from headworks.dialects.responses_requests import INCLUDE_SEALED
from headworks.errors import Refusal

MOST_LEFT_OUT = 16
"""Fields that are left out of one request. No honest request needs more; each is a translation anew."""

Made = TypeVar("Made")

_SNAKE = re.compile(r"_([a-z])")

_SAME: tuple[tuple[str, ...], ...] = (
    ("verbosity", "text.verbosity"),
    ("logprobs", "generationConfig.responseLogprobs", "top_logprobs", "generationConfig.logprobs", "include"),
    (
        *("reasoning_effort", "reasoning.effort", "output_config.effort", "thinking"),
        *("generationConfig.thinkingConfig.thinkingLevel", "generationConfig.thinkingConfig.thinkingBudget"),
    ),
    ("include", "thinking", "generationConfig.thinkingConfig"),
    ("response_format", "text.format", "output_config.format", "generationConfig.responseMimeType"),
    ("service_tier", "serviceTier"),
    ("temperature", "generationConfig.temperature"),
    ("top_p", "generationConfig.topP"),
    ("top_k", "generationConfig.topK"),
    ("seed", "generationConfig.seed"),
    ("n", "generationConfig.candidateCount"),
    ("frequency_penalty", "generationConfig.frequencyPenalty"),
    ("presence_penalty", "generationConfig.presencePenalty"),
    ("stop", "stop_sequences", "generationConfig.stopSequences"),
    ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
    ("tool_choice", "toolConfig"),
    ("functions", "tools"),
    ("instructions", "system", "systemInstruction"),
    ("user", "safety_identifier", "metadata.user_id"),
    ("max_completion_tokens", "max_tokens", "max_output_tokens", "generationConfig.maxOutputTokens"),
    ("input", "messages", "contents"),
)
"""What the dialects call one thing. In a group, an earlier name is taken before a later one where a request has both.
"""

_decode = msgspec.json.Decoder(Fields).decode
_decode_names = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode


def leaving_out(
    refusal: Refusal,
    fields: Fields,
    droppable: Sequence[str],
    make: Callable[[Fields], Made],
    own: Fields | None = None,
) -> tuple[Made, tuple[str, ...]]:
    """What is made of the request without what is refused of it, and the names of what was left out.

    Arguments:
        refusal: of the request with all its fields.
        droppable: names of what may be left out; what lies below one of them may be, too.
        make: makes it, or raises a Refusal.
        own: what the caller sent, where `fields` are a translation of that: names are told as they are there.

    Raises:
        Refusal: of something that may not be left out, by the name that it has in the caller's request.
    """
    left: list[str] = []
    while True:
        name = name_it(refusal, fields)
        told = name if own is None else name_it(refusal, own)
        fewer = _unsealed(fields) if own is not None and name == "include" else None
        if fewer is None and refusal.code == "unsupported_parameter" and _is_listed(told, droppable):
            fewer = without(fields, name) if len(left) < MOST_LEFT_OUT else None
            left.append(told)
        if fewer is None:
            raise refusal
        fields = fewer
        try:
            return make(fields), tuple(dict.fromkeys(left))
        except Refusal as next_one:
            refusal = next_one


def name_it(refusal: Refusal, fields: Fields) -> str:
    """Have a refusal name its field as this request has it, whose dialect may be another; returns the name."""
    name = refusal.param or ""
    # What is missing has no other name in the request: whatever stands there is something else.
    found = name if refusal.code == "missing_required_parameter" else _name_in(fields, name)
    if found != name:
        for mark in "'`":
            refusal.message = refusal.message.replace(f"{mark}{name}{mark}", f"{mark}{found}{mark}")
        refusal.param, refusal.args = found, (refusal.message,)
    return found


def without(fields: Fields, name: str) -> Fields | None:
    """The request without one field, and without the object around it if that has nothing else; None if there is no
    such field."""
    if name in fields:
        return {other: raw for other, raw in fields.items() if other != name}
    outer, _, inner = name.partition(".")
    key = _key(fields, outer)
    if key is None:
        return None
    rest = {other: raw for other, raw in fields.items() if other != key}
    if not inner:
        return rest
    fewer = without(_inside(fields[key]), inner)
    if fewer is None:
        return None
    return {**fields, key: msgspec.Raw(_encode(fewer))} if fewer else rest


def has(fields: Fields, name: str) -> bool:
    """Whether a request has this field, and not as null."""
    if name in fields:  # also a wish that is named by its place, see `wishes`
        return bytes(fields[name]) != b"null"
    outer, _, inner = name.partition(".")
    key = _key(fields, outer)
    if key is None or bytes(fields[key]) == b"null":
        return False
    return not inner or has(_inside(fields[key]), inner)


def _name_in(fields: Fields, name: str) -> str:
    base = name.partition("[")[0]
    if not base or has(fields, base):
        return name
    for group in _SAME:
        if base in group:
            there = [other for other in group if has(fields, other)]
            if "thinking" in there and b'"disabled"' in bytes(fields["thinking"]):
                return "thinking"  # then no effort counts beside it
            if there:
                return there[0]
    return name


def _unsealed(fields: Fields) -> Fields | None:
    """The request without its wish for sealed reasoning, which callers of other APIs cannot have asked for: the
    translation does, for whoever can give it. None if there is no such wish."""
    try:
        wanted = _decode_names(fields["include"])
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if INCLUDE_SEALED not in wanted:
        return None
    others = [one for one in wanted if one != INCLUDE_SEALED]
    rest = {name: raw for name, raw in fields.items() if name != "include"}
    return {**rest, "include": msgspec.Raw(_encode(others))} if others else rest


def _is_listed(name: str, droppable: Sequence[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in droppable)


def _key(fields: Fields, name: str) -> str | None:
    """The field as the request spells it: Google takes names in snake case, too."""
    if name in fields:
        return name
    return next((key for key in fields if "_" in key and _SNAKE.sub(lambda found: found[1].upper(), key) == name), None)


def _inside(raw: msgspec.Raw) -> Fields:
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}  # no object: whoever reads it says so
