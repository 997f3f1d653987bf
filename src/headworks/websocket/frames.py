"""Frames: bytes in, frames out, and back. Whatever pieces the bytes come in, the frames are the same.

What the protocol forbids ends the reading with a `ProtocolError` that has the close code to answer with; the frames
before it are given out first. Sources: RFC 6455 §5.2 (base framing), §5.4 (fragmentation), §5.5 (control frames), §7.4
(close codes).
"""

import enum
from collections.abc import Iterator
from functools import cache

import msgspec

from headworks.errors import HeadworksError

_CONTROL_BYTES = 125
"""Most bytes that a control frame may carry (§5.5)."""

_LENGTH_16, _LENGTH_64 = 126, 127
_FINAL, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_KEY_BYTES = 4


class Opcode(enum.IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES = {int(opcode): opcode for opcode in Opcode}


class CloseCode(enum.IntEnum):
    """Why a connection ends (§7.4.1 and the registry of IANA)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013


_UNSENDABLE = frozenset({1004, 1005, 1006, 1015})
"""Codes that stand for something and are never on the wire (§7.4.1)."""

_REGISTERED = range(1000, 1015)
_FREE = range(3000, 5000)


class ProtocolError(HeadworksError):
    """The other side does not keep to the protocol, or to our bounds. `code` is what the connection is closed with."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame, its payload unmasked. `is_final`: the message ends with it."""

    opcode: Opcode
    payload: bytes
    is_final: bool = True

    @property
    def is_control(self) -> bool:
        """Whether it is about the connection, and no part of a message."""
        return self.opcode >= Opcode.CLOSE


class FrameReader:
    """Reads the frames that one side sends.

    State: the bytes of the frame that has begun, how many are needed before it is worth looking again, and whether a
    message has begun that goes on.

    Arguments:
        is_server: we are the server, so that frames must be masked; else they must not be (§5.1).
        most_bytes: of a frame's payload.
    """

    __slots__ = ("_has_begun", "_is_server", "_most_bytes", "_needed", "_pending")

    def __init__(self, *, is_server: bool, most_bytes: int) -> None:
        self._is_server = is_server
        self._most_bytes = most_bytes
        self._pending = bytearray()
        self._needed = 0
        self._has_begun = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now. What is given must be taken to its end before more is fed.

        Raises:
            ProtocolError: behind the last frame that is as it must be.
        """
        pending = self._pending
        if pending:
            pending += data
            if len(pending) < self._needed:
                return
            data = bytes(pending)
            pending.clear()
        start, size = 0, len(data)
        while start < size:
            found = self._frame_at(data, start)
            if found is None:
                pending += data[start:] if start else data
                self._needed -= start
                return
            start, one = found
            yield one

    def _frame_at(self, data: bytes, start: int) -> tuple[int, Frame] | None:
        """The frame that begins there and where it ends; None where it is not whole, and `_needed` then says up to
        where it would have to be."""
        size = len(data)
        at = start + 2
        if size < at:
            self._needed = at
            return None
        first, second = data[start], data[start + 1]
        opcode = self._opcode_of(first, second)
        length = second & _LENGTH
        if length >= _LENGTH_16:
            wide = 2 if length == _LENGTH_16 else 8
            if size < at + wide:
                self._needed = at + wide
                return None
            length = int.from_bytes(data[at : at + wide], "big")
            at += wide
            if length < _LENGTH_16 or (wide > 2 and length <= 0xFFFF):
                raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a frame's length is not written in the shortest way")
        if length > self._most_bytes:
            raise ProtocolError(CloseCode.TOO_BIG, f"a frame is over {self._most_bytes} bytes")
        key_end = at + _KEY_BYTES if self._is_server else at
        end = key_end + length
        if size < end:
            self._needed = end
            return None
        payload = data[key_end:end]
        if self._is_server:
            payload = masked(payload, data[at:key_end])
        is_final = first >= _FINAL
        if opcode < Opcode.CLOSE:
            self._has_begun = not is_final
        return end, Frame(opcode, payload, is_final)

    def _opcode_of(self, first: int, second: int) -> Opcode:
        opcode = _OPCODES.get(first & _OPCODE)
        if first & _RESERVED:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a frame uses an extension, and none was agreed on")
        if opcode is None:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a frame has an opcode that does not exist")
        if bool(second & _MASKED) is not self._is_server:
            words = "is not masked" if self._is_server else "is masked"
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, f"a frame {words}")
        if opcode >= Opcode.CLOSE:
            if first < _FINAL or second & _LENGTH > _CONTROL_BYTES:
                raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a control frame is in parts or too long")
        elif (opcode is Opcode.CONTINUATION) is not self._has_begun:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a message begins inside another, or goes on without one")
        return opcode


def frame(opcode: Opcode, payload: bytes = b"", *, key: bytes | None = None, is_final: bool = True) -> bytes:
    """The bytes of one frame.

    Arguments:
        key: four random bytes that it is masked with, which a client must and a server must not (§5.3).
    """
    size = len(payload)
    first = opcode | _FINAL if is_final else int(opcode)
    bit = 0 if key is None else _MASKED
    if size < _LENGTH_16:
        head = bytes((first, bit | size))
    elif size <= 0xFFFF:
        head = bytes((first, bit | _LENGTH_16, size >> 8, size & 0xFF))
    else:
        head = bytes((first, bit | _LENGTH_64)) + size.to_bytes(8, "big")
    return head + payload if key is None else b"%b%b%b" % (head, key, masked(payload, key))


_LARGE_BYTES = 16 * 1024


@cache
def _table(byte: int) -> bytes:
    """What each byte becomes by an exclusive-or with this one."""
    return bytes(other ^ byte for other in range(256))


def masked(payload: bytes, key: bytes) -> bytes:
    """The payload, masked or unmasked, which is the same (§5.3): one exclusive-or of two long numbers. What is
    large takes less than half of the time if each fourth byte goes through a table."""
    size = len(payload)
    if size > _LARGE_BYTES:
        out = bytearray(payload)
        for place in range(_KEY_BYTES):
            out[place::_KEY_BYTES] = payload[place::_KEY_BYTES].translate(_table(key[place]))
        return bytes(out)
    mask = (key * (size // _KEY_BYTES + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")


class ClosingWords(msgspec.Struct, frozen=True):
    """Why a side closes. `code` is None where it does not say."""

    code: int | None = None
    reason: str = ""

    @classmethod
    def read(cls, payload: bytes) -> "ClosingWords":
        """What a close frame says.

        Raises:
            ProtocolError: it says something that may not be said.
        """
        if not payload:
            return cls()
        code = int.from_bytes(payload[:2], "big")
        if len(payload) < 2 or not may_be_sent(code):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a close frame has a code that may not be sent")
        try:
            return cls(code, payload[2:].decode("utf-8"))
        except UnicodeDecodeError:
            raise ProtocolError(CloseCode.INVALID_DATA, "a close frame's reason is not UTF-8") from None


def may_be_sent(code: int) -> bool:
    """Whether a close frame may have this code."""
    return (code in _REGISTERED and code not in _UNSENDABLE) or code in _FREE


def closing_words(code: int | None, reason: str = "") -> bytes:
    """The payload of a close frame; a reason that is too long is cut between two characters."""
    if code is None:
        return b""
    text = reason.encode()[: _CONTROL_BYTES - 2].decode("utf-8", "ignore")
    return code.to_bytes(2, "big") + text.encode()
