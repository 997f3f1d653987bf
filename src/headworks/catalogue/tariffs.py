"""Prices made ready to be multiplied with: every kind of token has a price, its own or that of what it is part of.

What has no price of its own costs what the nearest wider kind costs:

- cached input, cache writes, audio, image and video input: what input costs (a long-lived cache write: what a
  short-lived one costs; cached audio: what cached input costs, or else audio);
- reasoning, citations, audio, image and video output: what output costs;
- an annotated page: what a page costs.
"""

import datetime as dt

import msgspec

from headworks.catalogue.prices import STANDARD, Period, Prices, Rates, within

_DAY_US = 86_400_000_000
_MINUTE_US = 60_000_000
_EPOCH = dt.date(1970, 1, 1)


class Tariff(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one unit costs, in pico-dollars, nothing left open. `has_input` and `has_output` are false where no source
    gives such tokens a price: they count nothing then, and the cost says that it is not complete. `priced` names
    what is counted beside tokens and has a price, be it 0."""

    input: int
    cached_input: int
    cache_write: int
    cache_write_long: int
    output: int
    reasoning: int
    citation: int
    audio_input: int
    cached_audio: int
    audio_output: int
    image_input: int
    cached_image: int
    image_output: int
    video_input: int
    video_output: int
    request: int
    web_search: int
    file_search: int
    message: int
    page: int
    annotated_page: int
    character: int
    audio_hour: int
    training: int
    container_run: int
    has_input: bool
    has_output: bool
    priced: frozenset[str]


def tariff_of(rates: Rates) -> Tariff:
    """The rates with every gap filled."""
    given = rates.set_rates()

    def first(*names: str) -> int:
        return next((given[name] for name in names if name in given), 0)

    return Tariff(
        input=first("input"),
        cached_input=first("cached_input", "input"),
        cache_write=first("cache_write", "input"),
        cache_write_long=first("cache_write_long", "cache_write", "input"),
        output=first("output"),
        reasoning=first("reasoning", "output"),
        citation=first("citation", "output"),
        audio_input=first("audio_input", "input"),
        cached_audio=first("cached_audio", "cached_input", "audio_input", "input"),
        audio_output=first("audio_output", "output"),
        image_input=first("image_input", "input"),
        cached_image=first("cached_image", "cached_input", "image_input", "input"),
        image_output=first("image_output", "output"),
        video_input=first("video_input", "input"),
        video_output=first("video_output", "output"),
        request=first("request"),
        web_search=first("web_search"),
        file_search=first("file_search"),
        message=first("message"),
        page=first("page"),
        annotated_page=first("annotated_page", "page"),
        character=first("character"),
        audio_hour=first("audio_hour"),
        training=first("training"),
        container_run=first("container_run"),
        has_input="input" in given,
        has_output="output" in given,
        priced=frozenset((*given, *(("annotated_page",) if "page" in given else ()))),
    )


class Card(msgspec.Struct, frozen=True, gc=False):
    """One period of one tier, ready for use. `steps` descend: the first whose bound the input exceeds holds."""

    since_us: int
    hours: tuple[int, int] | None
    base: Tariff
    steps: tuple[tuple[int, Tariff], ...]
    tier: str


class Deck(msgspec.Struct, frozen=True):
    """All cards of a model, by tier. Within a tier the last card that applies holds, or else the first."""

    tiers: dict[str, tuple[Card, ...]]
    least_audio_s: int

    def card(self, tier: str, at_us: int) -> Card:
        """What a call of this tier is charged by, that began at `at_us` (microseconds since the Unix epoch). A tier
        without prices of its own is charged as standard, and the card says so."""
        cards = self.tiers.get(tier) or self.tiers[STANDARD]
        for card in reversed(cards):
            if at_us >= card.since_us and (card.hours is None or within(at_us % _DAY_US // _MINUTE_US, card.hours)):
                return card
        return cards[0]


def deck_of(prices: Prices) -> Deck:
    """The prices, ready for use."""
    tiers = {tier: _cards(periods, tier) for tier, periods in prices.tiers.items() if periods}
    tiers[STANDARD] = _cards(prices.periods, STANDARD)
    return Deck(tiers, prices.least_audio_s)


def _cards(periods: tuple[Period, ...], tier: str) -> tuple[Card, ...]:
    return tuple(
        Card(
            since_us=start_us(period.since) if period.since else 0,
            hours=period.hours,
            base=tariff_of(period.rates),
            steps=tuple((step.above, tariff_of(step.rates)) for step in reversed(period.steps)),
            tier=tier,
        )
        for period in periods
    )


def start_us(day: str) -> int:
    """Microseconds from the Unix epoch to the beginning of an ISO day (UTC)."""
    return (dt.date.fromisoformat(day) - _EPOCH).days * _DAY_US
