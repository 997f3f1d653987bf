"""What is counted of calls as they come in, by the hour, so that sums are quick however many calls there are. Every
engine has a table for each of the three counts; which and how they are written is its own affair.
"""

from operator import itemgetter

from headworks.calls import Settled
from headworks.records.stores.lengths import bucket_of, has_length, length_of, wasted_by
from headworks.records.stores.rows import COLUMNS, Row

HOUR_US = 3_600_000_000
HOUR_S = 3600

GROUP = (
    "hour",
    "key_id",
    "team",
    "endpoint",
    "provider",
    "model",
    "outcome",
    "status_class",
    "workload",
    "prompt_version",
)
SUMS = (
    "calls",
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_us",
    "first_token_us",
    "first_tokens",
    "attempts",
    "request_bytes",
    "response_bytes",
    "cost_pico",
    "known_costs",
    "estimated_costs",
)
"""Calls of known cost are counted, not the others: of those before costs were recorded, none is."""
LENGTH_GROUP = ("hour", "workload", "prompt_version", "model", "bucket")
WASTE_GROUP = ("hour", "workload", "prompt_version", "model", "reason")
TOKEN_SUMS = ("calls", "tokens")

Counts = dict[tuple[object, ...], list[int]]
"""Sums by group."""

_COST = COLUMNS.index("cost_pico")
_COST_SUM, _KNOWN, _ESTIMATED = (SUMS.index(name) for name in ("cost_pico", "known_costs", "estimated_costs"))
_names_in = itemgetter(*(COLUMNS.index(name) for name in GROUP if name not in ("hour", "status_class")))


class Rollups:
    """What the calls of one batch add to the tables of sums; written once, at the end of the batch.

    Attributes:
        sums: of `SUMS`, by `GROUP`.
        lengths: of `TOKEN_SUMS`, by `LENGTH_GROUP`.
        wasted: of `TOKEN_SUMS`, by `WASTE_GROUP`.
    """

    def __init__(self) -> None:
        self.sums: Counts = {}
        self.lengths: Counts = {}
        self.wasted: Counts = {}

    def count(self, call: Settled, row: Row) -> None:
        """Add a call. `row` are the values of its record, within bounds."""
        hour, status, output = int(row[1]) // HOUR_US, int(row[3]), int(row[20])  # type: ignore[arg-type]
        key_id, team, endpoint, provider, model, outcome, workload, prompt_version = _names_in(row)
        # The order of `GROUP`.
        group = (hour, key_id, team, endpoint, provider, model, outcome, status // 100, workload, prompt_version)
        sums = self.sums.get(group)
        if sums is None:
            sums = self.sums[group] = [0] * len(SUMS)
        values = (1, *row[17:22], row[15], row[16], 1 if call.first_token_us else 0, row[23], row[27], row[28])
        for place, value in enumerate(values):
            sums[place] += value  # type: ignore[operator]
        cost = row[_COST]
        if cost is not None:
            sums[_COST_SUM] += cost  # type: ignore[operator]
            sums[_KNOWN] += 1
            if call.usage_source == "estimated":
                sums[_ESTIMATED] += 1
        source = (hour, workload, prompt_version, model)
        if has_length(call):
            length = min(length_of(call), output)
            _add(self.lengths, (*source, bucket_of(length)), length)
        for reason, tokens in wasted_by(call):
            _add(self.wasted, (*source, reason), min(tokens, output))


def whole_hours(since_us: int | None, until_us: int | None) -> tuple[int | None, int | None]:
    """The first hour, and the one after the last, counted from the Unix epoch."""
    return (
        None if since_us is None else since_us // HOUR_US,
        None if until_us is None else -(-until_us // HOUR_US),
    )


def _add(counts: Counts, group: tuple[object, ...], tokens: int) -> None:
    sums = counts.get(group)
    if sums is None:
        sums = counts[group] = [0, 0]
    sums[0] += 1
    sums[1] += tokens
