"""The headers of an answer, read only where somebody asks for one.

An upstream sends some twenty headers and a plain call needs three of them. So a head that the HTTP parser has found
valid stays the bytes that it is, and a header is searched for, not stored.
"""

import re
from collections.abc import Iterator, Mapping


class RawHeaders(Mapping[bytes, bytes]):
    """A valid head as a mapping: lower-case names to values, those of a repeated name joined by `, `.

    Arguments:
        head: from the status line to the line break of the last header. Lines end with CRLF, none is folded.
    """

    __slots__ = ("_head", "_lowered")

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._lowered = head.lower()

    def __getitem__(self, name: bytes) -> bytes:
        values = self._values(name)
        if not values:
            raise KeyError(name)
        return b", ".join(values)

    def get(self, name: bytes, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
        """The value of a header; the default where it is absent."""
        # One search when there is one such header: the common case, and this is the hot path.
        lowered = self._lowered
        line = b"\r\n%b:" % name
        at = lowered.find(line)
        if at < 0:
            return default
        start = at + len(line)
        if lowered.find(line, start) >= 0:
            return b", ".join(self._values(name))
        return self._head[start : lowered.find(b"\r", start)].strip(b" \t")

    def __iter__(self) -> Iterator[bytes]:
        seen = set()
        for line in self._lowered.split(b"\r\n")[1:]:
            name, colon, _ = line.partition(b":")
            if colon and name not in seen:
                seen.add(name)
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def lines(self, wanted: re.Pattern[bytes]) -> bytes:
        """The header block of those lines that `wanted` (from `line_pattern`) matches, as they came."""
        head = self._head
        block = b""
        for match in wanted.finditer(self._lowered):
            start, end = match.span()
            block += head[start + 2 : end + 2]
        return block

    def _values(self, name: bytes) -> list[bytes]:
        line = b"\r\n%b:" % name
        values = []
        at = self._lowered.find(line)
        while at >= 0:
            start = at + len(line)
            end = self._lowered.find(b"\r", start)
            values.append(self._head[start:end].strip(b" \t"))
            at = self._lowered.find(line, end)
        return values


def line_pattern(*, names: tuple[bytes, ...], prefixes: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """A pattern for `RawHeaders.lines`: headers of these names, and those whose names begin so (all lower-case).

    It takes neighbouring lines in one match, for they come in groups.
    """
    alternatives = [re.escape(prefix) for prefix in prefixes] + [re.escape(name) + b":" for name in names]
    line = b"(?:" + b"|".join(alternatives) + rb")[^\r]*"
    return re.compile(rb"\r\n" + line + rb"(?:\r\n" + line + b")*")


def select(headers: Mapping[bytes, bytes], wanted: re.Pattern[bytes]) -> bytes:
    """The header block of those that `wanted` matches, from headers of any kind."""
    if not isinstance(headers, RawHeaders):
        headers = RawHeaders(b"\r\n" + b"".join(b"%b: %b\r\n" % header for header in headers.items()))
    return headers.lines(wanted)
