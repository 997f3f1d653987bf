"""A request's body on its way through: it comes in pieces and goes out in pieces, and little of it is held.

body = BodyStream()                     # whoever wants to have it so
body.bind(length, pause, resume)        # whoever receives: how to have the client wait
body.feed(data); body.end()
body.attach(write, ended)               # whoever sends: where it goes
body.pause(); body.resume()             # ... and that it can take no more just now
"""

from collections.abc import Callable
from typing import Self

from headworks.errors import Refusal

HIGH_WATER_BYTES = 256 * 1024
"""So much is held before the client has to wait: a few reads of a socket (asyncio reads up to 256 KiB at once)."""


class BodyStream:
    """One body. State: the pieces that wait, and who is at either end.

    Attributes:
        length: in bytes, where it is known before all of it is there.
        taken: bytes that have come in so far.
        held: bytes that wait.
        is_bound: whether somebody receives it piece by piece.
        tap: sees each piece before it goes out.
    """

    __slots__ = (
        "_ended",
        "_failure",
        "_has_ended",
        "_is_abandoned",
        "_is_paused",
        "_is_source_paused",
        "_pause",
        "_pieces",
        "_resume",
        "_write",
        "held",
        "is_bound",
        "length",
        "taken",
        "tap",
    )

    def __init__(self) -> None:
        self.length: int | None = None
        self.taken = 0
        self.held = 0
        self.is_bound = False
        self.tap: Callable[[bytes], None] | None = None
        self._pieces: list[bytes] = []
        self._failure: Refusal | None = None
        self._has_ended = False
        self._is_abandoned = False
        self._is_paused = False
        self._is_source_paused = False
        self._pause: Callable[[], None] | None = None
        self._resume: Callable[[], None] | None = None
        self._write: Callable[[bytes], None] | None = None
        self._ended: Callable[[Refusal | None], None] | None = None

    @classmethod
    def of(cls, body: bytes) -> Self:
        """A body that is here whole."""
        made = cls()
        made.bind(len(body), None, None)
        made.feed(body)
        made.end()
        return made

    # -- whoever receives -----------------------------------------------------------------------------------------

    def bind(self, length: int | None, pause: Callable[[], None] | None, resume: Callable[[], None] | None) -> None:
        """It will come piece by piece; `pause` and `resume` stop and go on with reading."""
        self.is_bound = True
        self.length = length
        self._pause, self._resume = pause, resume

    def feed(self, data: bytes) -> None:
        """The next piece."""
        self.taken += len(data)
        if self._is_abandoned or not data:
            return
        if self._write is not None and not self._is_paused:
            self._pass(data)
            return
        self._pieces.append(data)
        self.held += len(data)
        if self.held >= HIGH_WATER_BYTES and not self._is_source_paused and self._pause is not None:
            self._is_source_paused = True
            self._pause()

    def end(self) -> None:
        """All of it has come."""
        self._has_ended = True
        self._tell_end()

    def fail(self, refusal: Refusal) -> None:
        """The rest will not come, and why."""
        if not self._has_ended:
            self._has_ended = True
            self._failure = refusal
            self._pieces.clear()
            self.held = 0
            self._tell_end()

    @property
    def failure(self) -> Refusal | None:
        """Why the rest will not come, if it will not."""
        return self._failure

    # -- whoever sends --------------------------------------------------------------------------------------------

    def attach(self, write: Callable[[bytes], None], ended: Callable[[Refusal | None], None]) -> None:
        """Have the pieces written, and be told once of the end; with a refusal, if the rest will not come."""
        self._write, self._ended = write, ended
        self._flush()

    def pause(self) -> None:
        """Write nothing more for now."""
        self._is_paused = True

    def resume(self) -> None:
        """Write on."""
        self._is_paused = False
        self._flush()

    def abandon(self) -> None:
        """Nobody wants the rest: it is read and dropped."""
        self._is_abandoned = True
        self._write = self._ended = None
        self._pieces.clear()
        self.held = 0
        self._release()

    def _flush(self) -> None:
        while self._pieces and not self._is_paused and self._write is not None:
            data = self._pieces.pop(0)
            self.held -= len(data)
            self._pass(data)
        if not self._is_paused and not self._pieces:
            self._release()
            self._tell_end()

    def _pass(self, data: bytes) -> None:
        if self.tap is not None:
            self.tap(data)
        if self._write is not None:
            self._write(data)

    def _release(self) -> None:
        if self._is_source_paused and self._resume is not None:
            self._is_source_paused = False
            self._resume()

    def _tell_end(self) -> None:
        if self._has_ended and not self._pieces and self._ended is not None:
            ended, self._ended = self._ended, None
            ended(self._failure)
