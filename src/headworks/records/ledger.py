"""The savings ledger: what calls saved against a baseline that has a name, by workload and month. Pure.

Each call's own tokens are charged again by the price table that it was settled at (`catalogue.saving_of`). A call
that cannot be compared is counted, with the reason and what it cost, and is in no sum of savings: nothing is
estimated here.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from headworks.calls import Endpoint, Usage
from headworks.catalogue import STANDARD, PriceBook, Saving, TargetPrice, saving_of
from headworks.records.stores import Record

LeftOut = Literal["unknown cost", "not itemised", "no price table", "no baseline price"]
"""Why a call is not compared: what it cost is not known; its tokens do not come to its cost, as those of several
attempts, each charged by itself; its price table is not kept here; or that has no price of the baseline's model."""

_CUT = frozenset({"length", "max_output_tokens", "max_tokens", "MAX_TOKENS"})
"""Finish reasons of an answer that reached its maximum, in the words of each API (2026-11)."""


_GENERATING = frozenset({Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT})
"""What a model of a ladder could have answered. An embedding, say, is compared with its own model only."""


class Baseline(msgspec.Struct, frozen=True):
    """What would have been called: a provider and the upstream's name of its model. The input all at the full price,
    the tier standard."""

    provider: str
    model: str


class Cut(msgspec.Struct, frozen=True):
    """Answers that ended at a maximum. What they would have cost beyond it lies between nothing and `most_pico`, the
    price of all the output that their models could still have written; None where a model's bound is not known."""

    calls: int = 0
    most_pico: int | None = 0


class Line(msgspec.Struct, frozen=True):
    """The calls of one workload in one month (`2026-11`, UTC) that were compared with one baseline.

    `baseline` is None where the model that was called is the baseline. Amounts are pico-dollars; of
    `saving`, the parts sum to the total. `tiers` divides `saving.tier` by the tier that calls were served in.
    `cache_writes` is what writing to caches cost beyond the plain input, `cache_reads` what reading from them saved,
    both with the model and the tier that were called. `estimated` counts calls whose tokens were counted here.
    """

    workload: str
    month: str
    baseline: Baseline | None
    calls: int
    estimated: int
    saving: Saving
    tiers: Mapping[str, int]
    cache_reads: int
    cache_writes: int
    cut: Cut


class NotCompared(msgspec.Struct, frozen=True):
    """Calls of one workload and month that are in no line, and what of their cost is known."""

    workload: str
    month: str
    why: LeftOut
    calls: int
    cost_pico: int


class Repeated(msgspec.Struct, frozen=True):
    """Calls of one workload and month that were given an earlier call's answer, and the pico-dollars that those earlier
    calls cost; of `unknown` calls nobody knows that."""

    workload: str
    month: str
    calls: int
    saved_pico: int
    unknown: int


class Ledger(msgspec.Struct, frozen=True):
    """All lines by workload and month, and what is in none of them. `price_versions` are the tables that were used.
    `repeated` is what the response cache saved: it is in no line."""

    lines: tuple[Line, ...]
    left_out: tuple[NotCompared, ...]
    price_versions: tuple[str, ...]
    repeated: tuple[Repeated, ...] = ()


class LedgerSums:
    """Takes in records one by one, in any order. State: sums by workload, month and baseline.

    Arguments:
        book_of: the price book of a version; None where it is not kept.
        baseline_of: what calls of a workload are compared with; None for the model that was called, as it is for what
            is no generated answer.
    """

    def __init__(
        self, book_of: Callable[[str], PriceBook | None], baseline_of: Callable[[str], Baseline | None]
    ) -> None:
        self._book_of = book_of
        self._baseline_of = baseline_of
        self._prices: dict[tuple[str, str, str, bool], TargetPrice | None] = {}
        self._sums: dict[tuple[str, str, Baseline | None], _Sums] = {}
        self._left_out: dict[tuple[str, str, LeftOut], list[int]] = {}
        self._versions: set[str] = set()
        self._repeated: dict[tuple[str, str], list[int]] = {}

    def add(self, records: Iterable[Record]) -> None:
        """Count these calls, too. Those that nothing was charged for are not calls that saved something."""
        for record in records:
            if record.cache_age_s is not None:
                repeated = self._repeated.setdefault((record.workload, month_of(record.opened_us)), [0, 0, 0])
                repeated[0] += 1
                repeated[1] += record.cache_saved_pico or 0
                repeated[2] += record.cache_saved_pico is None
                continue
            if record.cost_pico == 0 and not record.price_version:
                continue
            why = self._compare(record)
            if why is not None:
                left_out = self._left_out.setdefault((record.workload, month_of(record.opened_us), why), [0, 0])
                left_out[0] += 1
                left_out[1] += record.cost_pico or 0

    def ledger(self) -> Ledger:
        """What all of it comes to."""
        return Ledger(
            tuple(
                _line(*group, self._sums[group])
                for group in sorted(self._sums, key=lambda group: (group[0], group[1], str(group[2])))
            ),
            tuple(NotCompared(*group, *sums) for group, sums in sorted(self._left_out.items())),
            tuple(sorted(self._versions)),
            tuple(Repeated(*group, *sums) for group, sums in sorted(self._repeated.items())),
        )

    def _compare(self, record: Record) -> LeftOut | None:
        if record.cost_pico is None:
            return "unknown cost"
        is_batch = record.endpoint == Endpoint.BATCHES
        price = self._price(record.price_version, record.provider, record.model, is_batch=is_batch)
        if price is None:
            return "no price table"
        usage = record.usage
        own = price.cost(usage, at_us=record.opened_us, tier=record.service_tier)
        if own is None or own.total != record.cost_pico:
            return "not itemised"
        named = self._baseline_of(record.workload) if record.endpoint in _GENERATING else None
        baseline = (
            price
            if named is None
            else self._price(record.price_version, named.provider, named.model, is_batch=is_batch)
        )
        assert baseline is not None, "the table is there"
        saving = saving_of(usage, price, baseline, at_us=record.opened_us, tier=record.service_tier)
        if saving is None:
            return "no baseline price"
        self._versions.add(record.price_version)
        sums = self._sums.setdefault((record.workload, month_of(record.opened_us), named), _Sums())
        sums.take(record, usage, price, saving, own.tier)
        return None

    def _price(self, version: str, provider: str, model: str, *, is_batch: bool) -> TargetPrice | None:
        """The prices of a target. A batch is one record of many calls: together they are long, and none of them was, or
        their cost is another than this."""
        which = (version, provider, model, is_batch)
        if which not in self._prices:
            book = self._book_of(version)
            # A record names the pool, too (`openai:eu`); prices are the provider's.
            found = None if book is None else book.for_target(provider.partition(":")[0], model)
            self._prices[which] = found.of_short_calls() if found is not None and is_batch else found
        return self._prices[which]


class _Sums:
    """What the calls of one line come to so far."""

    def __init__(self) -> None:
        self.calls = self.estimated = self.cut_calls = 0
        self.baseline = self.paid = self.model = self.cache = self.tier = 0
        self.reads = self.writes = 0
        self.most: int | None = 0
        self.tiers: dict[str, int] = {}

    def take(self, record: Record, usage: Usage, price: TargetPrice, saving: Saving, tier: str) -> None:
        self.calls += 1
        self.estimated += usage.source == "estimated"
        self.baseline += saving.baseline
        self.paid += saving.paid
        self.model += saving.model
        self.cache += saving.cache
        self.tier += saving.tier
        if tier != STANDARD:
            self.tiers[tier] = self.tiers.get(tier, 0) + saving.tier
        if usage.cached_tokens or usage.cache_write_tokens:
            read = msgspec.structs.replace(usage, output_tokens=0, reasoning_tokens=0)
            written = self._input_cost(record, price, msgspec.structs.replace(read, cached_tokens=0))
            plain = self._input_cost(
                record, price, msgspec.structs.replace(read, cached_tokens=0, cache_write_tokens=0)
            )
            whole = self._input_cost(record, price, read)
            self.writes += written - plain
            self.reads += written - whole
        if record.finish_reason in _CUT:
            self.cut_calls += 1
            self._bound(record, usage, price)

    def _bound(self, record: Record, usage: Usage, price: TargetPrice) -> None:
        """Add what the model could still have written, at what it would have cost."""
        most = None if price.model is None else price.model.max_output_tokens
        if most is None or self.most is None:
            self.most = None
            return
        longer = msgspec.structs.replace(usage, output_tokens=max(most, usage.output_tokens))
        cost = price.cost(longer, at_us=record.opened_us, tier=record.service_tier)
        own = price.cost(usage, at_us=record.opened_us, tier=record.service_tier)
        assert cost is not None, "the same call has a cost"
        assert own is not None, "it has been charged before"
        self.most += cost.total - own.total

    def _input_cost(self, record: Record, price: TargetPrice, usage: Usage) -> int:
        known = msgspec.structs.replace(usage, source="provider")
        cost = price.cost(known, at_us=record.opened_us, tier=record.service_tier)
        assert cost is not None, "it has been charged before"
        return cost.total


def _line(workload: str, month: str, baseline: Baseline | None, sums: _Sums) -> Line:
    return Line(
        workload,
        month,
        baseline,
        sums.calls,
        sums.estimated,
        Saving(sums.baseline, sums.paid, sums.model, sums.cache, sums.tier),
        dict(sorted(sums.tiers.items())),
        sums.reads,
        sums.writes,
        Cut(sums.cut_calls, sums.most),
    )


def month_of(time_us: int) -> str:
    """The month of a time, in UTC: `2026-11`."""
    return dt.datetime.fromtimestamp(time_us / 1e6, dt.UTC).strftime("%Y-%m")
