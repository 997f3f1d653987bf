"""What there is to see of a target's health."""

import enum

import msgspec

from headworks.calls import FailureKind
from headworks.routing.retrying import RETRIES_IN_WINDOW, RETRY_RATIO


class BreakerState(enum.StrEnum):
    """Of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class HealthView(msgspec.Struct, frozen=True):
    """What there is to see of a target. Times are seconds from now.

    Attributes:
        calls, failures: in the sliding window, approximately.
        retries: in the window, exactly.
        took_s: the smoothed time to the head of an answer.
        opens_in_s: until a probe may be made; 0 where nothing keeps attempts back.
        rests_s: until a rate limit or a refused key is over.
        rest_for: what it rests for; None where it does not.
        streamed, whole: the breakers that hold back streams alone, or whole answers alone.
        open_for_s: since the breaker opened, the probes that failed since then included; 0 where it is closed.
    """

    state: BreakerState
    pending: int
    calls: float
    failures: float
    retries: int
    took_s: float
    opens_in_s: float
    rests_s: float
    open_for_s: float = 0.0
    rest_for: FailureKind | None = None
    streamed: BreakerState = BreakerState.CLOSED
    whole: BreakerState = BreakerState.CLOSED

    @property
    def budget_used(self) -> float:
        """The share of the retry budget that is used up in the window."""
        return min(1.0, self.retries / (RETRIES_IN_WINDOW + RETRY_RATIO * self.calls))
