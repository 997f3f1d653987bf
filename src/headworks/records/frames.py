"""Frames: how journal entries lie in a segment, and how they are found again after damage. Pure.

A segment is `MAGIC`, then frames. A frame is the payload's length and its CRC-32, both unsigned 32 bits little
endian, then the payload: one `calls.JournalEntry` in MessagePack. A frame of length 0 does not exist: segments are
filled with zeros ahead of their entries, and a frame's head is written after its payload, so that length 0 means that
nothing is there, or nothing yet.
"""

import re
import struct
import zlib
from typing import Literal

import msgspec

from headworks.calls import JournalEntry

LAYOUT = 1
"""The version of what segments hold: of the frames, and of which types of entries there may be. Fields at the end of an
entry change nothing, for who does not know them leaves them out. A type more does: who does not know it would take the
calls in it for lost. So it needs a higher version, and an older release does not drain it (see `segments`)."""

MAGIC = b"hwjrnl%d\n" % LAYOUT
"""The first bytes of every segment; the digit is the layout's version."""

_SOME_MAGIC = re.compile(rb"hwjrnl([0-9])\n")

MAX_PAYLOAD_BYTES = 1 << 29
"""No entry is larger (SQLite holds values of up to 10^9 bytes). A greater length is damage."""

HEAD_BYTES = 8

_RESYNC_ATTEMPTS = 10_000
"""Places that may be tried after damage; stored bodies could hold any number of false ones."""

_head = struct.Struct("<II")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(JournalEntry).decode  # type: ignore[type-abstract, unused-ignore]

# An entry is a MessagePack array (of up to 15, or of more) whose first element is the tag "o", "s", "f", "c", "u",
# "b" or "a" (`calls.Opened`, `Settled`, `SettledWithPrefix`, `SettledFromCache`, `OutcomeReport`, `ObjectNote`,
# `AuditEvent`). The look-ahead finds overlapping places too.
_payload_start = re.compile(rb"(?=(?:[\x90-\x9f]|\xdc..)\xa1[osfcuba])", re.DOTALL)


class Gap(msgspec.Struct, frozen=True):
    """Bytes from `start` to `end` (offsets in the segment) that hold no readable entry.

    *torn*: an unfinished write at the very end. *damaged*: anything else; entries may be lost here.
    """

    start: int
    end: int
    kind: Literal["torn", "damaged"]


class Stretch(msgspec.Struct, frozen=True):
    """What a part of a segment holds. `end` is the offset to go on from."""

    entries: list[JournalEntry]
    end: int
    gaps: tuple[Gap, ...] = ()


def layout_of(magic: bytes) -> int:
    """The layout's version that the first bytes of a segment say; 0 if they say none."""
    found = _SOME_MAGIC.fullmatch(magic)
    return 0 if found is None else int(found[1])


def frame(entry: JournalEntry) -> bytes:
    """One entry as it lies in a segment."""
    payload = _encode(entry)
    return _head.pack(len(payload), zlib.crc32(payload)) + payload


def scan(data: bytes, *, start: int, whole: bool, limit: int) -> Stretch:
    """The entries in `data`, up to the first place that is no complete, valid frame.

    Arguments:
        data: the bytes of the segment from offset `start` on, which is where a frame begins.
        start: the offset of `data` in the segment.
        whole: `data` reaches to the end of a segment that nobody writes to any more. Then bytes that are no frame
            are gaps, and reading goes on at the next valid frame; otherwise the scan ends before them.
        limit: most entries to return.
    """
    entries: list[JournalEntry] = []
    gaps: list[Gap] = []
    position = 0
    is_batch = False
    while position < len(data) and len(entries) < limit:
        end = _frame_end(data, position)
        if end:
            try:
                entries.append(_decode(data[position + HEAD_BYTES : end]))
            except (msgspec.DecodeError, UnicodeDecodeError):
                # The checksum is right, so this is what was written; it is only not an entry that we know.
                gaps.append(Gap(start + position, start + end, "damaged"))
            position = end
            continue
        if not whole:
            break
        after = _resynchronise(data, position + 1)
        if after < 0 and not data[position:].strip(b"\0"):
            position = len(data)  # filled ahead, and never needed
            break
        if after >= 0:
            is_torn = is_batch = _begins_batch(data, position, after)
        else:
            is_torn = is_batch or _is_unfinished(data, position)
        kind: Literal["torn", "damaged"] = "torn" if is_torn else "damaged"
        end = len(data) if after < 0 else after
        gaps.append(Gap(start + position, start + end, kind))
        position = end
    return Stretch(entries, start + position, tuple(gaps))


def wanted_bytes(data: bytes) -> int:
    """How many bytes the frame at the beginning of `data` needs in all, as its length field says.

    0 if the field is missing or cannot be right.
    """
    if len(data) < HEAD_BYTES:
        return 0
    length, _ = _head.unpack_from(data)
    return HEAD_BYTES + length if 0 < length <= MAX_PAYLOAD_BYTES else 0


def _frame_end(data: bytes, position: int) -> int:
    """Where the valid frame at `position` ends; 0 if there is none."""
    if len(data) - position < HEAD_BYTES:
        return 0
    length, checksum = _head.unpack_from(data, position)
    end: int = position + HEAD_BYTES + length
    if not 0 < length <= MAX_PAYLOAD_BYTES or end > len(data):
        return 0
    return end if zlib.crc32(data[position + HEAD_BYTES : end]) == checksum else 0


def _is_unfinished(data: bytes, position: int) -> bool:
    """Whether the rest of `data` is what an interrupted write leaves: a frame without a head, or a part of a frame."""
    rest = len(data) - position
    if rest < HEAD_BYTES:
        return True
    length: int = _head.unpack_from(data, position)[0]
    return length == 0 or (length <= MAX_PAYLOAD_BYTES and HEAD_BYTES + length > rest)


def _begins_batch(data: bytes, position: int, after: int) -> bool:
    """Whether a whole entry without its head lies before the next frame: several were being written at once, of which
    the first one's head comes last (`Journal.append_all`), and its writer was killed before that. None of them was
    promised to anybody, and nothing was written after them."""
    if any(data[position : position + HEAD_BYTES]):
        return False
    try:
        _decode(data[position + HEAD_BYTES : after])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _resynchronise(data: bytes, position: int) -> int:
    """Where the next valid frame begins at or after `position`; -1 if there is none."""
    for attempt, match in enumerate(_payload_start.finditer(data, position + HEAD_BYTES)):
        if attempt >= _RESYNC_ATTEMPTS:
            break
        candidate = match.start() - HEAD_BYTES
        if _frame_end(data, candidate):
            return candidate
    return -1
