"""What a call costs, line by line: tokens times price. The same division and sums as in `cost_of`, slower, for people.

`cost_of` charges every call, and keeps amounts only; this says how an amount came about, for one call at a time.
"""

from typing import Literal, get_args

import msgspec

from headworks.calls import Extras, Usage
from headworks.catalogue.cost import amount_of, cost_of, divided
from headworks.catalogue.prices import DEARER, STANDARD
from headworks.catalogue.tariffs import Deck, Tariff

BillKind = Literal[
    "input", "cached_input", "cache_write", "cache_write_long",
    "output", "reasoning", "citation",
    "audio_input", "cached_audio", "image_input", "cached_image", "video_input",
    "audio_output", "image_output", "video_output", "audio_hour",
    "web_search", "file_search", "container_run", "message", "page", "annotated_page", "character",
    "request",
]  # fmt: skip
"""What is paid for, as `Rates` names it. No token is of two kinds: `input` is text that was neither read from a cache
nor written to one, and `output` is text without reasoning. Sound that is billed by time counts in seconds."""

BILL_KINDS: tuple[BillKind, ...] = get_args(BillKind)
_NOTHING = Extras()


class BillLine(msgspec.Struct, frozen=True):
    """So many tokens (or searches, seconds, requests) at this price each, in pico-dollars; seconds at the price of an
    hour."""

    kind: BillKind
    count: int
    price_pico: int

    @property
    def amount_pico(self) -> int:
        """What the line comes to."""
        return amount_of(self.kind, self.count, self.price_pico)


class Bill(msgspec.Struct, frozen=True):
    """A cost line by line; what there is none of has no line.

    `tier` is the one whose prices were applied, `above` the long-context bound that the input exceeded, in tokens; 0
    for none. `unpriced` is what was used besides and has no price, how often: the total is too low by it.
    """

    lines: tuple[BillLine, ...]
    tier: str
    above: int
    unpriced: tuple[tuple[str, int], ...] = ()

    @property
    def total_pico(self) -> int:
        """All of it."""
        return sum(line.amount_pico for line in self.lines)


_READ = frozenset(BILL_KINDS[:4] + BILL_KINDS[7:12])
_WRITTEN = frozenset(BILL_KINDS[4:7] + BILL_KINDS[12:15])


def _has_price(line: BillLine, tariff: Tariff) -> bool:
    """Whether what a line is for has a price, be it that of the wider kind, or 0."""
    if line.price_pico or line.kind in tariff.priced:
        return True
    return tariff.has_input if line.kind in _READ else tariff.has_output if line.kind in _WRITTEN else False


def bill_of(usage: Usage, deck: Deck | None, *, at_us: int, tier: str = STANDARD) -> Bill | None:
    """How the cost of a call comes about; None where nothing of it is known.

    Arguments: as of `cost_of`.
    """
    cost = cost_of(usage, deck, at_us=at_us, tier=tier)
    if cost is None or deck is None:
        return None
    card = deck.card(tier, at_us)
    tariff = dict(card.steps)[cost.above] if cost.above else card.base
    extras = usage.extras or _NOTHING
    counts = divided(usage, extras, deck.least_audio_s)
    used = [BillLine(kind, counts[kind], getattr(tariff, kind)) for kind in BILL_KINDS if counts[kind]]
    lines = [line for line in used if line.price_pico or line.kind != "request"]
    unpriced: list[tuple[str, int]] = []
    if not cost.is_complete:
        unpriced = [(line.kind, line.count) for line in lines if not _has_price(line, tariff)]
        lines = [line for line in lines if _has_price(line, tariff)]
        if extras.foreign_tokens:
            unpriced.append(("foreign_tokens", extras.foreign_tokens))
        if tier in DEARER and cost.tier != tier:
            unpriced.append((f"surcharge of the tier {tier}", 1))
    return Bill(tuple(lines), cost.tier, cost.above, tuple(unpriced))
