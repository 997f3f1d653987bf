"""Which page of a caller's objects is asked for, and how a page is written. Pure.

A provider's list is of the whole project, and knows nothing of keys and teams. So what is in a list, and in which
order, comes from our own notes, and each object as it is now from the provider.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from headworks.errors import Refusal

MOST_A_PAGE = 100
"""Each object of a page is asked for: a page is no longer than the longest of most lists of the API."""

_USUAL = 20
_MOST_ASKED = 10_000
"""The highest `limit` of any list (files)."""


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is wanted. `metadata` selects by what an object says of itself."""

    limit: int
    is_ascending: bool
    after: str
    before: str
    label: str
    metadata: tuple[tuple[str, str], ...]


def read_page(query: str, label: str) -> Page:
    """The page that a query asks for.

    Arguments:
        label: the name of the parameter that this list is filtered by; "" for none.

    Raises:
        Refusal: 400, for a value that the API does not have.
    """
    values = dict(parse_qsl(query, keep_blank_values=True))
    limit = values.get("limit", str(_USUAL))
    if not limit.isdecimal() or not limit.isascii() or not 1 <= int(limit[:9]) <= _MOST_ASKED:
        raise _invalid("limit", f"expected a number from 1 to {MOST_A_PAGE}")
    order = values.get("order", "desc")
    if order not in ("asc", "desc"):
        raise _invalid("order", "expected asc or desc")
    after, before = values.get("after", ""), values.get("before", "")
    if after and before:
        raise _invalid("before", "after and before exclude one another")
    metadata = tuple(
        (name.removeprefix("metadata[")[:-1], value)
        for name, value in values.items()
        if name.startswith("metadata[") and name.endswith("]")
    )
    return Page(
        min(int(limit), MOST_A_PAGE),
        order == "asc",
        after,
        before,
        values.get(label, "") if label else "",
        metadata,
    )


class _Labelled(msgspec.Struct):
    metadata: dict[str, object] | None = None


_decode = msgspec.json.Decoder(_Labelled).decode


def is_wanted(page: Page, body: bytes) -> bool:
    """Whether an object is one of those that the query selects."""
    if not page.metadata:
        return True
    try:
        metadata: Mapping[str, object] = _decode(body).metadata or {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return all(metadata.get(name) == value for name, value in page.metadata)


def write_page(found: Sequence[tuple[str, bytes]], *, has_more: bool) -> bytes:
    """A list of these objects, each as the provider has written it.

    Arguments:
        found: ids and bodies.
    """
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [msgspec.Raw(body) for _, body in found],
            "first_id": found[0][0] if found else None,
            "last_id": found[-1][0] if found else None,
            "has_more": has_more,
        }
    )


def _invalid(param: str, expected: str) -> Refusal:
    return Refusal(400, "invalid_value", f"Invalid '{param}': {expected}.", param=param)
