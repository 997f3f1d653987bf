"""How near recorded use came to a limit, and when it will meet it. Pure.

What is recorded is summed up by the hour. So a rate a minute is the mean of its hour: a burst within the hour was
higher, and may have met the limit although the mean did not. A sum of a day is exact, but for the hour at either end.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal

import msgspec

from headworks.calls import Limits
from headworks.limits.forecasting import Forecast, forecast

HOUR_S = 3600
_DAY_HOURS = 24
_HOUR_MINUTES = 60

Kind = Literal["rpm", "rpd", "tpm", "tpd", "itpm", "otpm"]


class HourUse(msgspec.Struct, frozen=True):
    """Calls, and their input and output tokens, in one hour: all of them, those that were read but for a cache's, and
    those that were written."""

    calls: int = 0
    tokens: int = 0
    read: int = 0
    written: int = 0

    def __add__(self, other: "HourUse") -> "HourUse":
        return HourUse(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.read + other.read,
            self.written + other.written,
        )


class Headroom(msgspec.Struct, frozen=True):
    """One limit, and use against it, both in requests or tokens a minute or a day.

    Attributes:
        limit: None where there is none, and only use is known.
        peak: of a minute's limit the mean of the busiest hour, of a day's the largest sum of 24 hours.
        peak_hour_s: when: the beginning of that hour, or of the last of those 24, in Unix seconds.
        hours: how many were seen, from the first call on.
        forecast: None where there is no limit, or less than four whole days were seen.
    """

    kind: Kind
    limit: int | None
    peak: float
    peak_hour_s: int
    hours: int
    forecast: Forecast | None = None

    @property
    def left(self) -> float | None:
        """What was left at the peak."""
        return None if self.limit is None else max(0.0, self.limit - self.peak)

    def is_hit_within(self, days: float) -> bool:
        """Whether the limit was met, or will be in so many days at the present growth."""
        if self.limit is None:
            return False
        hit_in_days = None if self.forecast is None else self.forecast.hit_in_days
        return self.peak >= self.limit or (hit_in_days is not None and hit_in_days <= days)

    def __str__(self) -> str:
        if self.limit is None:
            return "no limit configured"
        if self.forecast is None:
            return "hit already" if self.peak >= self.limit else "too little seen: four days are needed"
        return str(self.forecast)


def headroom_of(hours: Mapping[int, HourUse], limits: Limits, *, now_s: float) -> tuple[Headroom, ...]:
    """Use against each limit that there is; where there is none at all, the rates a minute.

    Arguments:
        hours: use by hour, by its beginning in Unix seconds; what is missing had none.
    """
    last_s = int(now_s) // HOUR_S * HOUR_S
    first_s = min(hours, default=last_s)
    times = range(first_s, last_s + HOUR_S, HOUR_S)
    none = HourUse()
    calls = [hours.get(time_s, none).calls for time_s in times]
    tokens = [hours.get(time_s, none).tokens for time_s in times]
    read = [hours.get(time_s, none).read for time_s in times]
    written = [hours.get(time_s, none).written for time_s in times]
    wanted: tuple[tuple[Kind, int | None, list[float]], ...] = (
        ("rpm", limits.requests_per_minute, _by_minute(calls)),
        ("tpm", limits.tokens_per_minute, _by_minute(tokens)),
        ("rpd", limits.requests_per_day, _by_day(calls)),
        ("tpd", limits.tokens_per_day, _by_day(tokens)),
        ("itpm", limits.input_tokens_per_minute, _by_minute(read)),
        ("otpm", limits.output_tokens_per_minute, _by_minute(written)),
    )
    limited = tuple(one for one in wanted if one[1] is not None)
    return tuple(_headroom(kind, limit, rates, first_s) for kind, limit, rates in limited or wanted[:2])


def _headroom(kind: Kind, limit: int | None, rates: Sequence[float], first_s: int) -> Headroom:
    at = max(range(len(rates)), key=rates.__getitem__)
    seen = None if limit is None else forecast(rates, limit)
    return Headroom(kind, limit, rates[at], first_s + at * HOUR_S, len(rates), seen)


def _by_minute(sums: Sequence[int]) -> list[float]:
    return [one / _HOUR_MINUTES for one in sums]


def _by_day(sums: Sequence[int]) -> list[float]:
    """The sum of the 24 hours that end with each."""
    until = [0, *accumulate(sums)]
    return [float(until[end] - until[max(0, end - _DAY_HOURS)]) for end in range(1, len(until))]
