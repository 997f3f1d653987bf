"""What goes between an upstream's stream and its caller, and what a workload asks of it."""

from collections.abc import Callable, Collection
from typing import Protocol

import msgspec

from headworks.calls import NO_USAGE, Failure, FailureKind, Usage
from headworks.continuing import ContinuedStream
from headworks.dialects import AnswerSummary
from headworks.dialects.bridging import BridgeStream
from headworks.exchange import Flight
from headworks.plans import Plan
from headworks.routing import StreamSink
from headworks.stream_heart import Heartbeat


class Screen(Protocol):
    """Looks at a stream on its way to the caller; may end it, or keep what is left of it."""

    def feed(self, data: bytes) -> bytes: ...
    def end(self) -> None: ...
    async def last_words(self) -> Failure | None: ...
    def closing(self, last: bytes) -> bytes: ...


class Hedge(msgspec.Struct, frozen=True):
    """The second attempt at a stream whose first token is late.

    Attributes:
        after_s: when it is made, in seconds from the first.
        ask: what it asks of whom; None where nobody is to be asked.
        decided: is given the first, the one that is taken and the one that is not, how that one stood and what it
            used; returns the one that is taken, on terms that know of it.
    """

    after_s: float
    ask: "Callable[[], tuple[Plan, StreamTerms] | None]"
    decided: "Callable[[Lane, Lane, Lane, str, Usage], Lane]"


class StreamTerms(msgspec.Struct, frozen=True):
    """What a workload asks of its stream, beyond what a plain call gets.

    Attributes:
        headers: names who answers, in the place of the target's own header block.
        screen: looks at what goes out.
        keep: is given the whole answer before the call is settled. Where it is None nothing is kept, whatever is
            configured for plain calls: the contract decides.
        goes_on_after: failures that are raised and not passed on, since another target is still to be asked.
        spent: what attempts before this one have used.
        continued: the stream to the caller, where another attempt may go on with it; None where each is for itself.
        hedge: what is done when the first token is late.
        beat: keeps the connection alive over all attempts of the call.
        begins_within_s: after so many seconds without a first token the attempt has failed; None where the time limits
            of the attempt are all.
    """

    headers: bytes
    screen: Screen | None = None
    keep: Callable[[bytes], None] | None = None
    goes_on_after: Collection[FailureKind] = ()
    spent: Usage = NO_USAGE
    continued: ContinuedStream | None = None
    hedge: Hedge | None = None
    beat: Heartbeat | None = None
    begins_within_s: float | None = None


class Lane(msgspec.Struct, frozen=True):
    """One attempt at a stream that is under way.

    Attributes:
        steps: what it goes through.
        sent_s: when it began, of `time.perf_counter`.
    """

    plan: Plan
    terms: StreamTerms | None
    steps: BridgeStream | None
    sink: StreamSink
    flight: Flight
    sent_s: float


class Screened:
    """Steps, and a screen that looks at what comes out of them."""

    __slots__ = ("_screen", "_steps")

    def __init__(self, steps: BridgeStream, screen: Screen) -> None:
        self._steps = steps
        self._screen = screen

    def feed(self, data: bytes) -> bytes:
        """As `BridgeStream`.

        Raises:
            AttemptFailed: the stream must not go on.
        """
        out = self._steps.feed(data)
        out = self._screen.feed(out)
        if self._steps.is_complete:
            self._screen.end()
        return out

    @property
    def is_complete(self) -> bool:
        return self._steps.is_complete

    @property
    def has_content(self) -> bool:
        return self._steps.has_content

    def broken(self, code: str, message: str) -> bytes:
        return self._steps.broken(code, message)

    def summary(self) -> AnswerSummary:
        return self._steps.summary()
