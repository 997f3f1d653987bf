"""Messages: what the frames of one side say, and whether their text is text."""

import codecs
from collections.abc import Callable

from headworks.websocket.frames import CloseCode, Frame, Opcode, ProtocolError


class TextCheck:
    """Judges the text of messages frame by frame, so that a frame can go on before its message is whole.

    State: the decoder of a message that is in parts.
    """

    __slots__ = ("_decode",)

    def __init__(self) -> None:
        self._decode: Callable[[bytes, bool], str] | None = None

    def look(self, frame: Frame) -> None:
        """Take note of the next data frame.

        Raises:
            ProtocolError: the message's text is not UTF-8 (RFC 6455 §8.1).
        """
        if frame.opcode is Opcode.BINARY:
            self._decode = None
            return
        decode = self._decode
        if decode is None:
            if frame.opcode is Opcode.CONTINUATION or (frame.is_final and frame.payload.isascii()):
                return  # a part of a message that is not text; or one that needs no decoding
            decode = codecs.getincrementaldecoder("utf-8")().decode
        try:
            decode(frame.payload, frame.is_final)
        except UnicodeDecodeError:
            raise ProtocolError(CloseCode.INVALID_DATA, "a text message is not UTF-8") from None
        self._decode = None if frame.is_final else decode


class MessageReader:
    """Puts text messages together.

    State: the parts of a message that has begun.

    Arguments:
        most_bytes: of a message.
    """

    __slots__ = ("_most_bytes", "_parts", "_size", "_text")

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._text = TextCheck()

    def add(self, frame: Frame) -> bytes | None:
        """The message that ends with this data frame; None while it goes on.

        Raises:
            ProtocolError: it is no text, or too long.
        """
        if frame.opcode is Opcode.BINARY:
            raise ProtocolError(CloseCode.UNSUPPORTED_DATA, "a binary message; this protocol has text alone")
        self._text.look(frame)
        self._size += len(frame.payload)
        if self._size > self._most_bytes:
            raise ProtocolError(CloseCode.TOO_BIG, f"a message is over {self._most_bytes} bytes")
        if frame.is_final and not self._parts:
            self._size = 0
            return frame.payload
        self._parts.append(frame.payload)
        if not frame.is_final:
            return None
        message = b"".join(self._parts)
        self._parts, self._size = [], 0
        return message
