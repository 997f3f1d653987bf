"""Whether the provider may run tools for a call, found in what goes up, before anybody has understood it. Pure."""

from collections.abc import Sequence

import msgspec

Fields = dict[str, msgspec.Raw]

_HOSTED = (
    b'"web_search', b'"file_search"', b'"code_interpreter"', b'"mcp"', b'"computer', b'"image_generation"',
    b'"google_search"', b'"googleSearch"', b'"code_execution', b'"container_auto"', b'"container_reference"',
)  # fmt: skip


def may_run_tools(fields: Fields) -> bool:
    """Whether the provider may run a tool for it: a search, code in a container."""
    return "web_search_options" in fields or has_any(fields, _HOSTED)


def has_any(fields: Fields, marks: Sequence[bytes]) -> bool:
    """Whether any of these stands in a request, be it where it means nothing."""
    return any(mark in raw for raw in map(plain, map(bytes, fields.values())) for mark in marks)


def plain(raw: bytes) -> bytes:
    """JSON in which no letter is escaped, so that what stands in it can be found."""
    if b"\\u" not in raw:
        return raw
    try:
        return msgspec.json.encode(msgspec.json.decode(raw))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return raw  # no JSON: whoever is asked will say so
