"""Messages of AWS's binary event streams, written. Source: AWS documentation, "Event stream encoding" (2026-11)."""

import struct
import zlib
from collections.abc import Mapping

_TEXT = 7


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message, its headers all text."""
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    block = b"".join(
        [struct.pack(">B", len(name)) + name + struct.pack(">BH", _TEXT, len(value)) + value for name, value in encoded]
    )
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, payload: bytes) -> bytes:
    """An event of a stream."""
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(kind: str, payload: bytes) -> bytes:
    """What ends a stream that failed."""
    return frame({":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload)
