"""AWS's binary event streams: bytes in, whole messages out, whatever the pieces in which they come.

    [total length][headers length][CRC of these two][headers][payload][CRC of all before it]

Lengths and checksums have four bytes, the highest first. Source: AWS documentation, "Event stream encoding", and
`botocore/eventstream.py`, 1.44.
"""

import struct
import zlib

import msgspec

from headworks.calls import UnreadableAnswer

MOST_BYTES = 16 * 1024 * 1024 + 128 * 1024 + 16
"""The longest message: a payload of 16 MiB, headers of 128 KiB ("Event stream encoding")."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""By the type of a header's value, how many bytes it has; types 6 (bytes) and 7 (text) say it themselves."""

_BYTES, _TEXT = 6, 7


class Frame(msgspec.Struct, frozen=True):
    """One message. Of its headers only those are kept whose values are text: no others say what it is."""

    headers: dict[str, str]
    payload: bytes


class FrameSplitter:
    """Cuts a stream into messages. State: the beginning of the one that is still coming."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes) -> list[Frame]:
        """The messages that `chunk` completes.

        Raises:
            UnreadableAnswer: a length or a checksum is wrong: what follows cannot be read either.
        """
        held = self._held
        held += chunk
        found: list[Frame] = []
        start = 0
        while len(held) - start >= _PRELUDE.size:
            total, headers, checksum = _PRELUDE.unpack_from(held, start)
            if zlib.crc32(held[start : start + 8]) != checksum:
                raise UnreadableAnswer("a message of the event stream has a wrong checksum at its beginning")
            if not headers + _PRELUDE.size + _CRC.size <= total <= MOST_BYTES:
                raise UnreadableAnswer("a message of the event stream has a length that cannot be")
            if len(held) - start < total:
                break
            found.append(_frame(bytes(held[start : start + total]), headers))
            start += total
        if start:
            del held[:start]
        return found


def _frame(message: bytes, headers_bytes: int) -> Frame:
    end = len(message) - _CRC.size
    if zlib.crc32(message[:end]) != _CRC.unpack_from(message, end)[0]:
        raise UnreadableAnswer("a message of the event stream has a wrong checksum")
    begin = _PRELUDE.size
    try:
        headers = _headers(message[begin : begin + headers_bytes])
    except (IndexError, struct.error, KeyError, UnicodeDecodeError):
        raise UnreadableAnswer("a message of the event stream has headers that cannot be read") from None
    return Frame(headers, message[begin + headers_bytes : end])


def _headers(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    while place < len(block):
        name_end = place + 1 + block[place]
        name = block[place + 1 : name_end].decode()
        kind = block[name_end]
        place = name_end + 1
        if kind not in (_BYTES, _TEXT):
            place += _SIZES[kind]
            continue
        (size,) = struct.unpack_from(">H", block, place)
        place += 2 + size
        if place > len(block):
            raise IndexError
        if kind == _TEXT:
            found[name] = block[place - size : place].decode()
    return found
