"""Prices as data: what a unit of each kind costs, when, in which tier, and above how much input.

All amounts are whole pico-dollars (see `money`). None means that the kind has no price of its own: such tokens cost
what the wider kind costs that they are part of (`tariffs` has the rules). 0 means free.
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import msgspec

from headworks.catalogue.money import scaled


class _Data(msgspec.Struct, frozen=True, omit_defaults=True):
    pass


class Rates(_Data, frozen=True, kw_only=True):
    """What one unit costs, in whole pico-dollars: a token, a request, a search, a page; or an hour of audio.

    `cache_write` is for the time to live that the provider takes by default (Anthropic: 5 minutes, OpenAI: 30),
    `cache_write_long` for the longer one (1 hour, 12 hours). `training` is for a token of a fine-tuning job, in each
    pass over it. `container_run` is for code that runs in a container at the provider, once: providers bill the
    container's time, which no answer tells, so that only an installation can say what a run comes to.
    """

    input: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_long: int | None = None
    output: int | None = None
    reasoning: int | None = None
    citation: int | None = None
    audio_input: int | None = None
    cached_audio: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    cached_image: int | None = None
    image_output: int | None = None
    video_input: int | None = None
    video_output: int | None = None
    request: int | None = None
    web_search: int | None = None
    file_search: int | None = None
    message: int | None = None
    page: int | None = None
    annotated_page: int | None = None
    character: int | None = None
    audio_hour: int | None = None
    training: int | None = None
    container_run: int | None = None

    def times(self, factor: Decimal) -> "Rates":
        """Every price times a factor, rounded to whole pico-dollars."""
        changed = {name: scaled(rate, factor) for name, rate in self.set_rates().items()}
        return Rates(**changed)

    def set_rates(self) -> dict[str, int]:
        """The kinds that have a price of their own."""
        return {name: rate for name in RATE_NAMES if (rate := getattr(self, name)) is not None}


RATE_NAMES: tuple[str, ...] = Rates.__struct_fields__

TOKEN_RATES: frozenset[str] = frozenset((*RATE_NAMES[:15], "training"))
"""Those that are for a token."""


class Step(_Data, frozen=True, kw_only=True):
    """Prices of the whole call once its input has more than `above` tokens (OpenAI's 272,000, say)."""

    above: int
    rates: Rates


class Period(_Data, frozen=True, kw_only=True):
    """Prices from the day `since` on (ISO, UTC; empty: from the beginning), all day or in `hours` only: the minutes of
    the day (UTC) from the first to before the second, which may lie beyond midnight. Steps ascend."""

    since: str = ""
    hours: tuple[int, int] | None = None
    rates: Rates
    steps: tuple[Step, ...] = ()

    def times(self, factor: Decimal) -> "Period":
        """This period with every price times a factor."""
        steps = tuple(Step(above=step.above, rates=step.rates.times(factor)) for step in self.steps)
        return Period(since=self.since, hours=self.hours, rates=self.rates.times(factor), steps=steps)


STANDARD = "standard"
"""The tier of a call that asks for none. Others: `batch`, `flex`, `priority`, `fast`, `ultrafast`; a few providers have
their own."""

DEARER = frozenset({"priority", "fast", "ultrafast"})
"""Tiers that cost more than the standard one. Where a model has no price for one of them, what a call in it costs is
not known: the standard price would be too low."""

ON_REQUEST = frozenset({"ultrafast"})
"""Tiers that only a call is served in that names them (OpenAI, "Ultrafast mode", 2026-10): another may be a project's
default."""


class Prices(_Data, frozen=True, kw_only=True):
    """All prices of a model. Of the periods of a tier, the last one that applies holds.

    `periods` are of the standard tier, `tiers` those of the others. `least_audio_s` is how many seconds of audio a
    request pays for at least.
    """

    periods: tuple[Period, ...]
    tiers: dict[str, tuple[Period, ...]] = {}
    least_audio_s: int = 0

    def times(self, factor: Decimal) -> "Prices":
        """These with every price times a factor, rounded to whole pico-dollars: a discount, a surcharge."""
        return Prices(
            periods=tuple(period.times(factor) for period in self.periods),
            tiers={tier: tuple(period.times(factor) for period in periods) for tier, periods in self.tiers.items()},
            least_audio_s=self.least_audio_s,
        )

    def with_rate(self, name: str, rate: int) -> "Prices":
        """These with one more rate, in pico-dollars, the same in every period, step and tier."""
        return self.with_rates(lambda rates: msgspec.structs.replace(rates, **{name: rate}))

    def with_rates(self, rated: Callable[[Rates], Rates]) -> "Prices":
        """These with other rates, made of those of each period, step and tier."""

        def changed(periods: tuple[Period, ...]) -> tuple[Period, ...]:
            return tuple(
                msgspec.structs.replace(
                    period,
                    rates=rated(period.rates),
                    steps=tuple(Step(above=step.above, rates=rated(step.rates)) for step in period.steps),
                )
                for period in periods
            )

        tiers = {tier: changed(periods) for tier, periods in self.tiers.items()}
        return msgspec.structs.replace(self, periods=changed(self.periods), tiers=tiers)

    def without_steps(self) -> "Prices":
        """These without the higher prices of long input."""

        def flat(periods: tuple[Period, ...]) -> tuple[Period, ...]:
            return tuple(msgspec.structs.replace(period, steps=()) for period in periods)

        tiers = {tier: flat(periods) for tier, periods in self.tiers.items()}
        return msgspec.structs.replace(self, periods=flat(self.periods), tiers=tiers)

    def at(self, day: dt.date, tier: str = STANDARD) -> Period:
        """What holds on a day at noon (UTC); the standard tier's where the tier has no prices of its own."""
        wanted, minute = day.isoformat(), 12 * 60
        periods = self.tiers.get(tier, self.periods)
        for period in reversed(periods):
            if period.since <= wanted and (period.hours is None or within(minute, period.hours)):
                return period
        return periods[0]


def within(minute: int, hours: tuple[int, int]) -> bool:
    """Whether a minute of the day lies in a daily span, which may go beyond midnight."""
    start, end = hours
    return start <= minute < end if start <= end else minute >= start or minute < end
