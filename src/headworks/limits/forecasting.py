"""When a limit will be hit at the present growth, and how much to ask the provider for. Pure.

Each day counts by its busiest hour, as that is what meets the limit. The trend is the median of all slopes between
pairs of days (Theil and Sen), which a third of the days may spoil without moving it much; where there are two weeks
or more, only days of the same weekday are compared, so that weekends are no fall. The interval is Sen's (1968): the
slopes between which the true one lies with 80 % by Kendall's statistic.
"""

import math
from collections.abc import Sequence

import msgspec

HORIZON_DAYS = 90
"""Further ahead nothing is said."""

_LEAST_DAYS = 4
_WEEK = 7
_Z_80 = 1.2816
"""80 % of a normal distribution lie within so many standard deviations."""

_HEADROOM = 1.25
"""What is asked for is a quarter above the peak that is expected at the horizon's end."""


class Forecast(msgspec.Struct, frozen=True):
    """What becomes of use under a limit.

    Attributes:
        peak: the busiest hour of a usual day at the end of what was seen, in the unit of the limit.
        growth_per_day: by how much that rises a day.
        hit_in_days: days until it meets the limit; 0: it does already; None: not within `HORIZON_DAYS`.
        earliest_days, latest_days: the interval around it (80 %); None: not within the horizon.
        ask_for: the limit to ask for, rounded up to two digits; None where the present one will do.
    """

    peak: float
    growth_per_day: float
    hit_in_days: float | None
    earliest_days: float | None
    latest_days: float | None
    ask_for: int | None

    def __str__(self) -> str:
        if self.hit_in_days is None and self.earliest_days is None:
            return f"not within {HORIZON_DAYS} days"
        earliest = _shown(self.earliest_days)
        latest = _shown(self.latest_days)
        asked = f"; ask for {self.ask_for:,}" if self.ask_for is not None else ""
        if self.hit_in_days == 0.0:
            return f"hit already{asked}"
        if self.hit_in_days is None:
            return f"not within {HORIZON_DAYS} days at the present growth, but perhaps in {earliest}{asked}"
        return f"in {_shown(self.hit_in_days)} (between {earliest} and {latest}){asked}"


def forecast(hourly: Sequence[float], limit: float) -> Forecast | None:
    """When the limit will be hit; None where fewer than four days were seen.

    Arguments:
        hourly: the rate of use in each hour, oldest first, without gaps, in the limit's own unit (requests or tokens
            a minute, say; the highest minute of each hour, if that is known). The last hour is the present one.
        limit: units.
    """
    peaks = _daily_peaks(hourly)
    if len(peaks) < _LEAST_DAYS:
        return None
    slopes = _slopes(peaks)
    import statistics  # only who forecasts loads it

    slope = statistics.median(slopes)
    low, high = _interval(slopes, len(peaks))
    peak = _level(peaks, slope)
    earliest, latest = _days(peak, high, limit), _days(peak, low, limit)
    ask_for = None
    if earliest is not None:
        expected = max(peak + max(0.0, slope) * HORIZON_DAYS, limit) * _HEADROOM
        ask_for = _round_up(expected)
    return Forecast(peak, slope, _days(peak, slope, limit), earliest, latest, ask_for)


def _daily_peaks(hourly: Sequence[float]) -> list[float]:
    """The busiest hour of each whole day, counted back from the last hour; oldest first."""
    days = len(hourly) // 24
    first = len(hourly) - 24 * days
    return [max(hourly[first + 24 * day : first + 24 * (day + 1)]) for day in range(days)]


def _slopes(peaks: Sequence[float]) -> list[float]:
    """The slopes between pairs of days, sorted."""
    step = _WEEK if len(peaks) >= 2 * _WEEK else 1
    days = len(peaks)
    return sorted(
        (peaks[later] - peaks[earlier]) / (later - earlier)
        for earlier in range(days)
        for later in range(earlier + step, days, step)
    )


def _interval(slopes: Sequence[float], days: int) -> tuple[float, float]:
    """Sen's interval of the slope: as many slopes off each end as Kendall's S, if nothing grew, would allow."""
    groups = [days]
    if days >= 2 * _WEEK:  # each weekday is a series of its own, and their statistics add up
        groups = [len(range(weekday, days, _WEEK)) for weekday in range(_WEEK)]
    variance = sum(n * (n - 1) * (2 * n + 5) / 18 for n in groups)
    spread = _Z_80 * math.sqrt(variance)
    last = len(slopes) - 1
    return (
        slopes[max(0, math.floor((len(slopes) - spread) / 2))],
        slopes[min(last, math.ceil((len(slopes) + spread) / 2))],
    )


def _level(peaks: Sequence[float], slope: float) -> float:
    """The peak of a busy, usual day today: the upper quartile of the last two weeks, each day moved along the trend."""
    recent = peaks[-2 * _WEEK :]
    moved = sorted(peak + slope * (len(recent) - 1 - day) for day, peak in enumerate(recent))
    import statistics

    return max(0.0, statistics.quantiles(moved, n=4, method="inclusive")[2])


def _days(peak: float, slope: float, limit: float) -> float | None:
    """Days until the peak is at the limit."""
    if peak >= limit:
        return 0.0
    if slope <= 0.0:
        return None
    days = (limit - peak) / slope
    return days if days <= HORIZON_DAYS else None


def _round_up(value: float) -> int:
    unit = int(10 ** max(0, math.floor(math.log10(max(value, 1.0))) - 1))
    return math.ceil(value / unit - 1e-9) * unit


def _shown(days: float | None) -> str:
    if days is None:
        return f"more than {HORIZON_DAYS} days"
    whole = math.floor(days)
    return f"{whole} day" if whole == 1 else f"{whole} days"
