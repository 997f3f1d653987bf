"""Step 6, admit, when this process itself is at its end: a fast refusal instead of a slow death.

The sign is the event loop's lag: how late its timers fire. A loop that is late by a second answers everybody a second
late, and later still the more it takes on. Who is refused goes by priority: the lowest class first, the highest last,
and they are let in again in the opposite order. Answers under way go on.
"""

import msgspec

from headworks.calls import PRIORITIES
from headworks.errors import Refusal

SHEDS_S = (1.0, 0.5, 0.35, 0.25)
"""By priority: the lag from which new calls of that class are refused. The usual class is at half a second."""

RECOVERED_SHARE = 0.4
"""Of that lag: below it the class is let in again. So far apart that what is let in does not shut the door at once."""

_SMOOTHING = 0.3
RETRY_AFTER_S = 2

_LETS_IN_S = tuple(lag_s * RECOVERED_SHARE for lag_s in SHEDS_S)


class Load(msgspec.Struct):
    """How much there is to do. State: the smoothed lag, and who is refused.

    Attributes:
        sheds_from: calls of this priority and of every lower class (a higher number) are refused; `PRIORITIES` where
            nobody is.
        is_shedding: whether anybody is refused: all that a call has to look at as long as nobody is.
    """

    lag_s: float = 0.0
    sheds_from: int = PRIORITIES
    is_shedding: bool = False

    def note_lag(self, late_s: float) -> None:
        """A timer has fired so late."""
        self.lag_s += (max(0.0, late_s) - self.lag_s) * _SMOOTHING
        # Both are the highest class that is over its bound, as bounds fall from class to class; the second is never
        # above the first, as its bounds are lower.
        entered = next((priority for priority, lag_s in enumerate(SHEDS_S) if self.lag_s >= lag_s), PRIORITIES)
        kept = next((priority for priority, lag_s in enumerate(_LETS_IN_S) if self.lag_s >= lag_s), PRIORITIES)
        self.sheds_from = min(max(self.sheds_from, kept), entered)
        self.is_shedding = self.sheds_from < PRIORITIES

    def sheds(self, priority: int) -> bool:
        """Whether a new call of this class is refused."""
        return priority >= self.sheds_from

    def refusal(self) -> Refusal:
        """What a call is told that is not taken."""
        return Refusal(
            503,
            "gateway_overloaded",
            f"This gateway has more to do than it can: its event loop is {self.lag_s:.1f} s late, and it refuses calls "
            f"of priority {self.sheds_from} and lower classes. Try again in {RETRY_AFTER_S} s; more workers "
            "(`server.workers`) or machines would help.",
            kind="server_error",
            headers=(("retry-after", str(RETRY_AFTER_S)),),
        )


def journal_full() -> Refusal:
    """What a call is told that could not be recorded: it is not taken."""
    return Refusal(
        503,
        "journal_full",
        "This gateway cannot record any more calls and so takes none: its journal has reached its bound. "
        "Its operator should see whether the control plane runs and its disk has room.",
        kind="server_error",
        headers=(("retry-after", "5"),),
    )
