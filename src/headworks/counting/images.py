"""How large a picture is, from the first bytes of its file. Pure; nothing is decoded but the head."""

import binascii
from collections.abc import Callable

_HEAD_CHARS = 4096
"""Of base64 text, what nearly every head lies in."""

_LONG_HEAD_CHARS = 512 * 1024
"""A JPEG's size stands behind its metadata: previews and colour profiles come in segments of 64 KB."""

Size = tuple[int, int]
"""Width and height in pixels."""


def size_of_base64(text: str) -> Size | None:
    """The size of a picture in base64 or base64url; None where it is none that we know, or its head is broken."""
    found = image_size(_decoded(text[:_HEAD_CHARS]))
    if found is None and len(text) > _HEAD_CHARS and text.startswith("/9j/"):  # a JPEG's first three bytes
        found = image_size(_decoded(text[:_LONG_HEAD_CHARS]))
    return found


def image_size(head: bytes) -> Size | None:
    """The size of a PNG, JPEG, GIF or WebP whose file begins with `head`; None where that does not say it."""
    for is_so, read in _FORMATS:
        if is_so(head):
            try:
                width, height = read(head)
            except IndexError:
                return None
            return (width, height) if width > 0 and height > 0 else None
    return None


def _decoded(text: str) -> bytes:
    try:
        part = text.encode("ascii").translate(_URL_SAFE, b"=\r\n ")
        part = part[: len(part) - (len(part) % 4 == 1)]
        return binascii.a2b_base64(part + b"=" * (-len(part) % 4))
    except (binascii.Error, UnicodeEncodeError):
        return b""


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(_part(data, at, size), "big")


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(_part(data, at, size), "little")


def _part(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise IndexError(at)
    return data[at : at + size]


def _png(head: bytes) -> Size:
    return _big(head, 16, 4), _big(head, 20, 4)  # PNG 3rd edition, 11.2.1: IHDR comes first


def _gif(head: bytes) -> Size:
    return _little(head, 6, 2), _little(head, 8, 2)  # GIF89a, 18: the logical screen


def _webp(head: bytes) -> Size:
    """RFC 9649, 2.5 to 2.7: the three kinds of first chunk."""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + _little(head, 24, 3), 1 + _little(head, 27, 3)
    if kind == b"VP8L":
        bits = _little(head, 21, 4)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF
    return 0, 0


def _jpeg(head: bytes) -> Size:
    """ITU T.81, B.1.1.3 and B.2.2: segments from marker to marker, until a frame's header."""
    at = 2
    while True:
        if head[at] != 0xFF:
            return 0, 0
        marker = head[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # stands alone
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _big(head, at + 7, 2), _big(head, at + 5, 2)
        else:
            at += 2 + max(2, _big(head, at + 2, 2))


_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Size]], ...] = (
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda head: head.startswith(b"\xff\xd8"), _jpeg),
    (lambda head: head.startswith((b"GIF87a", b"GIF89a")), _gif),
    (lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP", _webp),
)
