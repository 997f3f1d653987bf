"""One side of a Realtime session: a wire, and the messages of WebSocket on it."""

import os
from collections.abc import Callable

from headworks.exchange import Wire
from headworks.websocket import (
    ClosingWords,
    Frame,
    FrameReader,
    MessageReader,
    Opcode,
    ProtocolError,
    closing_words,
    frame,
)

SLOW = "slow"
"""The other side takes less than it is sent."""


def _nobody(*_: object) -> None:
    """Who is told when nobody is there."""


class Hop:
    """One side's connection. Implements `exchange.WireEnd`.

    State: its wire, its frames and messages, when it was heard last, whether it has been asked since whether it is
    there, whether it takes what it is sent, and whether it may still say something.

    Arguments:
        on_message: takes each text message.
        lost: the other side has gone without a word.
        closed: it has closed, and says why.
        broken: it does not keep to the protocol; nothing more is read.
        most_bytes: of a message.
        is_server: we are the server.
    """

    def __init__(
        self,
        on_message: Callable[[bytes], None],
        lost: Callable[[], None],
        closed: Callable[[ClosingWords], None],
        broken: Callable[[ProtocolError], None],
        most_bytes: int,
        *,
        is_server: bool,
    ) -> None:
        self._on_message = on_message
        self._lost = lost
        self._closed = closed
        self._broken = broken
        self._is_server = is_server
        self._frames = FrameReader(is_server=is_server, most_bytes=most_bytes)
        self._messages = MessageReader(most_bytes=most_bytes)
        self._is_asked = False
        self._pauses: set[str] = set()
        self._is_deaf = False
        self._pong: bytes | None = None
        self.other: Hop | None = None
        self.wire: Wire | None = None
        self.heard_s = 0.0
        self.is_full = False
        self.is_open = True

    # -- what the wire calls --------------------------------------------------------------------------------------

    def on_data(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._is_asked = False
        self.heard_s = 0.0
        try:
            for one in self._frames.feed(data):
                self._take(one)
                if not self.is_listening:
                    return
        except ProtocolError as error:
            self._is_deaf = True
            self._broken(error)

    def on_lost(self) -> None:
        self._is_deaf = True
        self.is_open = False
        self._lost()

    def on_full(self) -> None:
        self.is_full = True
        if self.other is not None:
            self.other.pause()

    def on_free(self) -> None:
        self.is_full = False
        if self._pong is not None:
            pong, self._pong = self._pong, None
            self._write(Opcode.PONG, pong)
        if self.other is not None:
            self.other.resume()

    @property
    def is_listening(self) -> bool:
        """Whether what comes in is still read."""
        return self.is_open and not self._is_deaf

    # -- what the relay calls -------------------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Send a text message."""
        self._write(Opcode.TEXT, message)

    def pause(self, why: str = SLOW) -> None:
        """Read nothing more, for this reason."""
        self._pauses.add(why)
        if self.wire is not None:
            self.wire.pause()

    def resume(self, why: str = SLOW) -> None:
        """Read on, if there is no other reason not to."""
        if why not in self._pauses:
            return
        self._pauses.discard(why)
        self._is_asked = False
        self.heard_s = 0.0
        if self.wire is not None and not self._pauses:
            self.wire.resume()

    def is_silent(self, now_s: float, ping_s: float) -> bool:
        """Whether nobody is there any more; asks, where it has been quiet for a while. Whoever is not read cannot be
        heard, and is not asked.

        Arguments:
            now_s: the loop's time.
            ping_s: seconds of silence until it is asked, and then until it counts as gone.
        """
        if self.heard_s == 0.0 or self._pauses:
            self.heard_s = now_s  # something has come since the last look
            return False
        if now_s - self.heard_s < ping_s:
            return False
        if self._is_asked:
            return now_s - self.heard_s >= 2 * ping_s
        self._is_asked = True
        self._write(Opcode.PING, b"")
        return False

    def close(self, code: int | None, reason: str = "") -> None:
        """Send a close, and go."""
        self._write(Opcode.CLOSE, closing_words(code, reason))
        wire = self._leave()
        if wire is not None:
            wire.close()

    def abort(self) -> None:
        """Break it off."""
        wire = self._leave()
        if wire is not None:
            wire.abort()

    # -- steps ----------------------------------------------------------------------------------------------------

    def _take(self, one: Frame) -> None:
        if not one.is_control:
            message = self._messages.add(one)
            if message is not None:
                self._on_message(message)
        elif one.opcode is Opcode.PING:
            if self.is_full:
                self._pong = one.payload  # only the last one need be answered (RFC 6455 §5.5.3)
            else:
                self._write(Opcode.PONG, one.payload)
        elif one.opcode is Opcode.CLOSE:
            words = ClosingWords.read(one.payload)
            self._is_deaf = True
            self._closed(words)

    def _leave(self) -> Wire | None:
        """Nothing is heard or said any more. Whoever was told of it is let go of, and need not wait for the collector
        to see that they hold each other."""
        self._is_deaf = True
        self.is_open = False
        self.other = None
        self._on_message = self._lost = self._closed = self._broken = _nobody
        wire, self.wire = self.wire, None
        return wire

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        if self.wire is not None and self.is_open:
            self.wire.write(frame(opcode, payload, key=None if self._is_server else os.urandom(4)))
