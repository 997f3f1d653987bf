"""The headers of an answer, read only where somebody asks for one.

An upstream sends some twenty headers and a plain call needs a few of them. So a head that the HTTP parser has found
valid stays the bytes that it is, and a header is searched for, not stored.
"""

from collections.abc import Iterator, Mapping
from typing import NewType

Beginning = NewType("Beginning", bytes)
"""How a header's line begins, as it is searched for; see `line_of` and `lines_from`."""


def line_of(name: bytes) -> Beginning:
    """Lines of the header with this lower-case name."""
    return Beginning(b"\r\n%b:" % name)


def lines_from(prefix: bytes) -> Beginning:
    """Lines of all headers whose lower-case names begin so."""
    return Beginning(b"\r\n%b" % prefix)


class RawHeaders(Mapping[bytes, bytes]):
    """A valid head as a mapping: lower-case names to values, those of a repeated name joined by `, `.

    Arguments:
        head: from the status line to the line break of the last header. Lines end with CRLF, none is folded.

    Attributes:
        lowered: the head in lower case, for searching.
    """

    __slots__ = ("head", "lowered")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.lowered = head.lower()

    @classmethod
    def of(cls, headers: Mapping[bytes, bytes]) -> "RawHeaders":
        """The same headers in this form."""
        if isinstance(headers, cls):
            return headers
        return cls(b"\r\n" + b"".join([b"%b: %b\r\n" % header for header in headers.items()]))

    def block(self, line: Beginning) -> bytes:
        """All headers that begin so, as a header block."""
        lowered = self.lowered
        at = lowered.find(line)
        if at < 0:
            return b""
        end = lowered.find(b"\r", lowered.rfind(line) + 2) + 2
        if lowered.count(b"\n", at + 2, end) == lowered.count(line, at, end):
            return self.head[at + 2 : end]  # they stand together, as they nearly always do
        lines = []
        while at >= 0:
            end = lowered.find(b"\r", at + 2)
            lines.append(self.head[at + 2 : end + 2])
            at = lowered.find(line, end)
        return b"".join(lines)

    def __getitem__(self, name: bytes) -> bytes:
        line = line_of(name)
        values = [value[len(line) - 2 :].strip(b" \t\r") for value in self.block(line).split(b"\n")[:-1]]
        if not values:
            raise KeyError(name)
        return b", ".join(values)

    def __iter__(self) -> Iterator[bytes]:
        names = (line.partition(b":")[0] for line in self.lowered.split(b"\r\n")[1:-1])
        return iter(dict.fromkeys(names))

    def __len__(self) -> int:
        return sum(1 for _ in self)
