"""`state: window`: the last turns of a conversation go up, and what is older stays behind.

A turn begins with what the user says, and has all that follows until the user speaks again: so no tool's result is
left without its call. Turns are left out several at a time. In between, each call begins as the one before did, and the
provider's prompt cache holds what is the same; cut by one turn each time, it would hold nothing but the instructions.
"""

from collections.abc import Sequence

import msgspec

from headworks.calls import Endpoint
from headworks.composing import CONTENT, caller_items
from headworks.dialects.reading import Fields, kind_of

_INSTRUCTS = frozenset({"developer", "system"})
"""Roles whose messages stay, wherever they stand."""


class _Item(msgspec.Struct):
    role: object = None


_decode = msgspec.json.Decoder(_Item).decode


def in_window(fields: Fields, endpoint: Endpoint, turns: int, step: int) -> tuple[Fields, int]:
    """The request with its last turns, and how many were left out.

    What goes on from a response or a conversation that a provider has stored is left as it is: it has new turns only.

    Arguments:
        turns: so many are kept at most, the user's last message with them.
        step: so many are left out at a time.
    """
    if endpoint is Endpoint.RESPONSES and (
        _is_given(fields, "previous_response_id") or _is_given(fields, "conversation")
    ):
        return fields, 0
    items = caller_items(fields, endpoint)
    roles = [_role(item) for item in items]
    begins = [at for at, role in enumerate(roles) if role == "user" and (not at or roles[at - 1] != "user")]
    surplus = len(begins) - turns
    if surplus <= 0:
        return fields, 0
    left_out = min(-(-surplus // step) * step, len(begins) - 1)
    first, cut = begins[0], begins[left_out]
    kept = [item for at, item in enumerate(items) if at < first or at >= cut or roles[at] in _INSTRUCTS]
    return {**fields, CONTENT[endpoint]: msgspec.Raw(_written(kept))}, left_out


def _is_given(fields: Fields, name: str) -> bool:
    return bytes(fields.get(name, b"null")) != b"null"


def _role(item: msgspec.Raw) -> object:
    """Whose message an item is; None where it is none. What is wrong with it is told by who places it."""
    if kind_of(item) != "object":
        return None
    try:
        return _decode(item).role
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _written(items: Sequence[msgspec.Raw]) -> bytes:
    return b"[" + b",".join(map(bytes, items)) + b"]"
