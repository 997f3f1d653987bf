"""What a call costs, line by line: tokens times price. The same division and sums as in `cost_of`, slower, for people.

`cost_of` charges every call, and keeps amounts only; this says how an amount came about, for one call at a time.
"""

from typing import Literal

import msgspec

from headworks.calls import Usage
from headworks.catalogue.cost import cost_of
from headworks.catalogue.prices import STANDARD
from headworks.catalogue.tariffs import Deck

BillKind = Literal["input", "cached_input", "cache_write", "output", "reasoning", "request"]
"""What is paid for. No token is of two kinds: `input` is what was neither read from a cache nor written to one, and
`output` is without reasoning."""


class BillLine(msgspec.Struct, frozen=True):
    """So many tokens (or the one request) at this price each, in pico-dollars."""

    kind: BillKind
    count: int
    price_pico: int

    @property
    def amount_pico(self) -> int:
        """What the line comes to."""
        return self.count * self.price_pico


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
    """How the cost of a call of text tokens comes about; None where the cost is not known, or not completely.

    Arguments: as of `cost_of`.
    """
    cost = cost_of(usage, deck, at_us=at_us, tier=tier)
    if cost is None or deck is None or not cost.is_complete:
        return None
    card = deck.card(tier, at_us)
    tariff = dict(card.steps)[cost.above] if cost.above else card.base
    cached = min(usage.cached_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - cached)
    reasoning = min(usage.reasoning_tokens, usage.output_tokens)
    lines = (
        BillLine("input", usage.input_tokens - cached - written, tariff.input),
        BillLine("cached_input", cached, tariff.cached_input),
        BillLine("cache_write", written, tariff.cache_write),
        BillLine("output", usage.output_tokens - reasoning, tariff.output),
        BillLine("reasoning", reasoning, tariff.reasoning),
        BillLine("request", 1 if tariff.request else 0, tariff.request),
    )
    return Bill(tuple(line for line in lines if line.count), cost.tier, cost.above)
