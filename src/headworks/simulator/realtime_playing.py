"""A session of the Realtime API on a wire: frames in, frames out, at the times that the plan gives."""

import asyncio

import msgspec

from headworks.exchange import Wire
from headworks.simulator.plan import Cut, Fault, Malformed, Stall
from headworks.simulator.realtime import RealtimeSession
from headworks.simulator.realtime_speech import Planned
from headworks.websocket import (
    CloseCode,
    ClosingWords,
    FrameReader,
    MessageReader,
    Opcode,
    ProtocolError,
    closing_words,
    frame,
)

_MOST_BYTES = 16 * 1024 * 1024


class RealtimePlaying:
    """Implements `exchange.WireEnd`, as a server of WebSocket; and `exchange.Running`.

    State: how many events have gone out, how many of them with content, the event that waits for its time, and whether
    it is paused or over.

    Arguments:
        fault: what goes wrong, in events that are sent.
    """

    def __init__(self, session: RealtimeSession, loop: asyncio.AbstractEventLoop, fault: Fault | None = None) -> None:
        self._session = session
        self._loop = loop
        self._fault = fault
        self._frames = FrameReader(is_server=True, most_bytes=_MOST_BYTES)
        self._messages = MessageReader(most_bytes=_MOST_BYTES)
        self._wire: Wire | None = None
        self._waiting: Planned | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._events = 0
        self._content = 0
        self._is_paused = False
        self._is_mute = False
        self._is_over = False

    def start(self, wire: Wire) -> None:
        """Begin the session, in the next turn of the loop."""
        self._wire = wire
        self._loop.call_soon(self._open)

    def on_data(self, data: bytes) -> None:
        try:
            for one in self._frames.feed(data):
                if self._is_over:
                    return
                if one.opcode is Opcode.CLOSE:
                    self._close(ClosingWords.read(one.payload).code)
                elif one.opcode is Opcode.PING:
                    self._write(frame(Opcode.PONG, one.payload))
                elif one.opcode is not Opcode.PONG:
                    message = self._messages.add(one)
                    if message is not None:
                        self._send_all(self._session.take(message))
                        self._go_on()
        except ProtocolError as error:
            self._close(error.code, error.reason)

    def on_lost(self) -> None:
        self.cancel()

    def on_full(self) -> None:
        self._is_paused = True

    def on_free(self) -> None:
        self._is_paused = False
        self._go_on()

    def cancel(self) -> None:
        """Be over, without a word."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def stop(self) -> None:
        """Close, because the simulator stops."""
        if not self._is_over:
            self._close(CloseCode.GOING_AWAY)

    def _open(self) -> None:
        if not self._is_over:
            self._send_all(self._session.opening())

    def _send_all(self, events: list[Planned]) -> None:
        for planned in events:
            self._send(planned)

    def _go_on(self) -> None:
        """Send what is due of the responses under way, then wait for what comes later."""
        self._timer = None
        while not self._is_paused and not self._is_over:
            planned = self._waiting or self._session.next_event()
            if planned is None:
                return
            if self._waiting is None and planned.delay_s > 0:
                self._waiting = planned
                self._timer = self._loop.call_later(planned.delay_s, self._go_on)
                return
            self._waiting = None
            self._send(planned)

    def _send(self, planned: Planned) -> None:
        if self._is_over or self._is_mute:
            return
        data = msgspec.json.encode(planned.fields)
        match self._fault:
            case Cut() as fault if self._is_place(fault, planned):
                if self._wire is not None:
                    self._wire.abort()
                self.cancel()
                return
            case Stall() as fault if self._is_place(fault, planned):
                self._is_mute = True
                return
            case Malformed() if planned.is_content and not self._content:
                data = data[: len(data) * 2 // 3]
        self._events += 1
        self._content += planned.is_content
        self._write(frame(Opcode.TEXT, data))

    def _is_place(self, fault: Cut | Stall, planned: Planned) -> bool:
        if fault.after_events is not None:
            return self._events >= fault.after_events
        wanted = 1 if fault.after_content is None else fault.after_content
        return self._content >= wanted and (wanted > 0 or planned.is_content)

    def _close(self, code: int | None, reason: str = "") -> None:
        self._write(frame(Opcode.CLOSE, closing_words(code, reason)))
        self.cancel()
        if self._wire is not None:
            self._wire.close()

    def _write(self, data: bytes) -> None:
        if self._wire is not None:
            self._wire.write(data)
