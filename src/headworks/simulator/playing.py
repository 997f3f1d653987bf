"""Playing a script: its beats at their times, on an event loop, onto a stage.

What is due at the same moment goes out in one piece. Time that was lost (a slow loop, a paused reader) is caught
up, as it would be in the buffers of a network.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec

from headworks.simulator.script import NO_HEAD, Beat, Ending, Script


class Stage(Protocol):
    """Where a script is played: the head once, data, then an ending; or `late` instead of what would come too
    late. With NO_HEAD there is no head."""

    def head(self, status: int, headers: Mapping[bytes, bytes], length: int | None) -> None: ...
    def data(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def cut(self) -> None: ...
    def late(self, limit: str) -> None: ...


class Patience(msgspec.Struct, frozen=True):
    """How long the audience waits, in seconds: for the head, between two pieces, for the whole."""

    first_byte_s: float = float("inf")
    between_bytes_s: float = float("inf")
    total_s: float = float("inf")


ENDLESS = Patience()


class Playing:
    """One script being played. `start` begins; `pause`, `resume` and `cancel` may come at any time.

    State: the next beat and when it is due (`_due`), what ends the wait before that (`_deadline`), and whether it
    is paused or over. While it is paused only `total_s` runs.
    """

    def __init__(
        self, script: Script, stage: Stage, loop: asyncio.AbstractEventLoop, patience: Patience = ENDLESS
    ) -> None:
        self._script = script
        self._stage = stage
        self._loop = loop
        self._patience = patience
        self._started_at = self._last_at = loop.time()
        self._due = self._started_at + script.head_delay_s
        self._beat: Beat | None = None
        self._is_head_out = script.status == NO_HEAD
        self._is_paused = False
        self._is_over = False
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None

    def start(self, *, at_once: bool) -> None:
        """Play what is due: now, or in the next turn of the loop."""
        if at_once:
            self._play()
        else:
            self._timer = self._loop.call_soon(self._play)

    def pause(self) -> None:
        """Play nothing more until `resume`."""
        if not self._is_over and not self._is_paused:
            self._is_paused = True
            self._wait_for(float("inf"))

    def resume(self) -> None:
        """Play on."""
        if not self._is_over and self._is_paused:
            self._is_paused = False
            self._last_at = self._loop.time()
            self._stop_timer()
            self._timer = self._loop.call_soon(self._play)

    def cancel(self) -> None:
        """Stop for good; the stage hears nothing more."""
        self._is_over = True
        self._stop_timer()

    def stop(self) -> None:
        """Break off: the audience sees that it is not the end."""
        if not self._is_over:
            self.cancel()
            self._stage.cut()

    def _play(self) -> None:
        """Everything that is due; then wait for the rest."""
        self._timer = None
        if not self._is_head_out:
            if not self._is_due():
                return
            self._is_head_out = True
            self._stage.head(self._script.status, self._script.headers, self._script.length)
        pieces: list[bytes] = []
        while not self._is_over:
            if self._beat is None:
                self._beat = next(self._script.beats, None)
                if self._beat is None:
                    self._send(pieces)
                    self._finish()
                    return
                self._due += self._beat.delay_s
            if self._is_paused or self._due > self._loop.time():
                self._send(pieces)
                if not self._is_due():
                    return
                continue
            pieces.append(self._beat.data)
            self._beat = None

    def _is_due(self) -> bool:
        """Whether the next step may be taken now; if not, a timer is set for it, unless this is over."""
        if self._is_over or self._is_paused:
            return False
        if self._due <= self._loop.time():
            return True
        self._wait_for(self._due)
        return False

    def _send(self, pieces: list[bytes]) -> None:
        if pieces and not self._is_over:
            self._last_at = self._loop.time()
            self._stage.data(b"".join(pieces))
            pieces.clear()

    def _finish(self) -> None:
        if self._is_over:
            return
        if self._script.ending is Ending.STALL:
            self._due = float("inf")
            self._wait_for(self._due)
            return
        self.cancel()
        if self._script.ending is Ending.CUT:
            self._stage.cut()
        else:
            self._stage.end()

    def _wait_for(self, due: float) -> None:
        """Set the timer: for the next step, or for the limit that passes before it."""
        self._stop_timer()
        limit_at, limit = self._deadline()
        if due <= limit_at:
            if due != float("inf"):
                self._timer = self._loop.call_at(due, self._play)
        else:
            self._timer = self._loop.call_at(limit_at, self._give_up, limit)

    def _deadline(self) -> tuple[float, str]:
        total_at = self._started_at + self._patience.total_s
        if self._is_paused:
            return total_at, "total"
        if not self._is_head_out or self._script.status == NO_HEAD:
            return min((self._started_at + self._patience.first_byte_s, "first byte"), (total_at, "total"))
        return min((self._last_at + self._patience.between_bytes_s, "between bytes"), (total_at, "total"))

    def _give_up(self, limit: str) -> None:
        self.cancel()
        self._stage.late(limit)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
