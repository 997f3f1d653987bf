"""What a call costs, line by line: tokens times price. The same division and sums as in `cost_of`, slower, for people.

`cost_of` charges every call, and keeps amounts only; this says how an amount came about, for one call at a time.
"""

from typing import Literal, get_args

import msgspec

from headworks.calls import Extras, Usage
from headworks.catalogue.cost import amount_of, cost_of, divided
from headworks.catalogue.prices import STANDARD
from headworks.catalogue.tariffs import Deck

BillKind = Literal[
    "input", "cached_input", "cache_write", "cache_write_long",
    "output", "reasoning", "citation",
    "audio_input", "cached_audio", "image_input", "cached_image", "video_input",
    "audio_output", "image_output", "video_output", "audio_hour",
    "web_search", "file_search", "message", "page", "annotated_page", "character",
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
    for none.
    """

    lines: tuple[BillLine, ...]
    tier: str
    above: int

    @property
    def total_pico(self) -> int:
        """All of it."""
        return sum(line.amount_pico for line in self.lines)


def bill_of(usage: Usage, deck: Deck | None, *, at_us: int, tier: str = STANDARD) -> Bill | None:
    """How the cost of a call comes about; None where the cost is not known, or not completely.

    Arguments: as of `cost_of`.
    """
    cost = cost_of(usage, deck, at_us=at_us, tier=tier)
    if cost is None or deck is None or not cost.is_complete:
        return None
    card = deck.card(tier, at_us)
    tariff = dict(card.steps)[cost.above] if cost.above else card.base
    counts = divided(usage, usage.extras or _NOTHING, deck.least_audio_s)
    lines = (BillLine(kind, counts[kind], getattr(tariff, kind)) for kind in BILL_KINDS)
    return Bill(
        tuple(line for line in lines if line.count and (line.price_pico or line.kind != "request")),
        cost.tier,
        cost.above,
    )
