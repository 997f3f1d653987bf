"""A request head that a connection has sent before: the same bytes mean the same request.

A client sends its calls over a kept connection with one head, but for the digits of its content-length. So a head that
the parser and the guard have accepted once is remembered, as the bytes before those digits and the bytes after them,
and a request that comes with exactly these is taken without being parsed again. Nothing is accepted here that was not
accepted before: other bytes, a body that is not here whole or anything behind it go to the parser as always.
"""

import re

from headworks.exchange import Request

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})(?=\r\n)", re.IGNORECASE)
_MOST_DIGITS = 9
_UNSUITABLE = (b"expect", b"transfer-encoding", b"upgrade")
"""Headers that make a request more than a head and a sized body."""


_MOST_SHARED = 256

Parts = tuple[bytes, bytes, dict[bytes, bytes]]
"""Of a head: the bytes before the length and behind it, and its headers without it."""


class SharedHeads:
    """The parts of heads that connections have learnt, each kept once: the connections of one client have one head.
    State: the parts, by the bytes before the length."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[bytes, Parts] = {}

    def share(self, parts: Parts) -> Parts:
        """The same parts, as they may be kept already."""
        known = self._parts.get(parts[0])
        if known == parts:
            return known
        if len(self._parts) >= _MOST_SHARED:
            self._parts.clear()  # what connections hold stays theirs
        self._parts[parts[0]] = parts
        return parts


class KnownHead:
    """`request` is what these bytes were read as, without a body and without its length."""

    __slots__ = ("_after", "_before", "request")

    def __init__(self, before: bytes, after: bytes, request: Request) -> None:
        self._before = before
        self._after = after
        self.request = request

    @classmethod
    def learn(cls, data: bytes, request: Request, shared: SharedHeads) -> "KnownHead | None":
        """What to remember of a keep-alive HTTP/1.1 request that was all of `data`; None if it is not suitable.

        The request was accepted; so its head ends at the first empty line and its headers are what they say.
        """
        headers = request.headers
        head_end = data.find(b"\r\n\r\n") + 4
        if head_end + len(request.body) != len(data) or not request.body:
            return None
        if any(name in headers for name in _UNSUITABLE):
            return None
        if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
            return None
        lengths = list(_LENGTH.finditer(data, 0, head_end))
        if len(lengths) != 1 or int(lengths[0][1]) != len(request.body):
            return None
        start, end = lengths[0].span(1)
        # The length was this request's; what tells it of the next ones is their body.
        others = {name: value for name, value in headers.items() if name != b"content-length"}
        before, after, others = shared.share((data[:start], data[end:head_end], others))
        return cls(before, after, Request(request.method, request.path, request.query, others, b"", request.admission))

    def body_in(self, data: bytes) -> bytes | None:
        """The body, when `data` is this head with some length and exactly so many bytes behind it."""
        before = self._before
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        if end < 0 or not data.startswith(self._after, end):
            return None
        digits = data[start:end]
        body_start = end + len(self._after)
        if not digits.isdigit() or int(digits) != len(data) - body_start:
            return None
        return data[body_start:]


def length_in(data: bytes, head_end: int) -> int:
    """The content-length that stands in a head, which ends there; -1 where there is none. It is not judged here."""
    found = _LENGTH.search(data, 0, head_end)
    return -1 if found is None else int(found[1])
