"""Step 6, admit, when this process itself is at its end: a fast refusal instead of a slow death.

The sign is the event loop's lag: how late its timers fire. A loop that is late by a second answers everybody a second
late, and later still the more it takes on.
"""

import msgspec

from headworks.errors import Refusal

SHEDS_DEFERRED_S = 0.25
SHEDS_ALL_S = 0.5
"""Lag from which new calls are refused: first those that nobody waits for, then all. Answers under way go on."""

RECOVERED_S = 0.1
"""Lag below which everybody is let in again."""

_SMOOTHING = 0.3
RETRY_AFTER_S = 2


class Load(msgspec.Struct):
    """How much there is to do. State: the smoothed lag, and who is refused: nobody (0), deferred calls (1), all (2)."""

    lag_s: float = 0.0
    level: int = 0
    is_shedding: bool = False

    def note_lag(self, late_s: float) -> None:
        """A timer has fired so late."""
        self.lag_s += (max(0.0, late_s) - self.lag_s) * _SMOOTHING
        if self.lag_s >= SHEDS_ALL_S:
            self.level = 2
        elif self.lag_s >= SHEDS_DEFERRED_S:
            self.level = max(self.level, 1)
        elif self.lag_s < RECOVERED_S:
            self.level = 0
        self.is_shedding = self.level == 2

    def refusal(self) -> Refusal:
        """What a call is told that is not taken."""
        return Refusal(
            503,
            "gateway_overloaded",
            f"This gateway has more to do than it can: its event loop is {self.lag_s:.1f} s late. Try again in "
            f"{RETRY_AFTER_S} s; more workers (`server.workers`) or machines would help.",
            kind="server_error",
            headers=(("retry-after", str(RETRY_AFTER_S)),),
        )
