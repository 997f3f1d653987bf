"""The headers of an answer, read only where somebody asks for one.

An upstream sends some twenty headers and a plain call needs a few of them. So a head that the HTTP parser has found
valid stays the bytes that it is, and a header is searched for, not stored.
"""

import re
from collections.abc import Iterator, Mapping


class Lines:
    """Which headers are meant, in the form in which they are searched for.

    Arguments:
        beginning: how the names of all of them begin, in lower case; with a colon at its end, one whole name.
    """

    __slots__ = ("beginning", "match_run")

    def __init__(self, beginning: bytes) -> None:
        self.beginning = b"\r\n" + beginning
        self.match_run = re.compile(rb"(?:%b[^\r]*)+" % re.escape(self.beginning)).match


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

    @staticmethod
    def of(headers: Mapping[bytes, bytes]) -> "RawHeaders":
        """The same headers in this form."""
        if isinstance(headers, RawHeaders):
            return headers
        return RawHeaders(b"\r\n" + b"".join([b"%b: %b\r\n" % header for header in headers.items()]))

    def block(self, lines: Lines) -> bytes:
        """All these headers, as a header block. Neighbours, as they nearly always are, are taken at once."""
        lowered = self.lowered
        beginning = lines.beginning
        block = b""
        at = lowered.find(beginning)
        while at >= 0:
            run = lines.match_run(lowered, at)
            assert run is not None, "it begins here"
            end = run.end()
            block += self.head[at + 2 : end + 2]
            at = lowered.find(beginning, end)
        return block

    def __getitem__(self, name: bytes) -> bytes:
        lowered, sought = self.lowered, b"\r\n%b:" % name
        at = lowered.find(sought)
        if at < 0:
            raise KeyError(name)
        values = []
        while at >= 0:
            end = lowered.find(b"\r\n", at + 2)
            values.append(self.head[at + len(sought) : end].strip(b" \t"))
            at = lowered.find(sought, end)
        return b", ".join(values)

    def __iter__(self) -> Iterator[bytes]:
        names = (line.partition(b":")[0] for line in self.lowered.split(b"\r\n")[1:-1])
        return iter(dict.fromkeys(names))

    def __len__(self) -> int:
        return sum(1 for _ in self)
