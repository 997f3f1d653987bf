"""What a store says of reported outcomes. Values only."""

from typing import Literal

import msgspec

from headworks.calls import OutcomeKind, OutcomeReport


class OutcomeSelection(msgspec.Struct, frozen=True):
    """Which reports to look at, the latest first. What is None or empty selects nothing away.

    Times are microseconds since the Unix epoch at which they were reported. `unmatched_before_us` selects those that
    came before that time and still join no call.
    """

    since_us: int | None = None
    until_us: int | None = None
    name: str = ""
    source: str = ""
    unmatched_before_us: int | None = None
    limit: int = 100


class Reported(msgspec.Struct, frozen=True):
    """A report, and how many recorded calls it is about."""

    report: OutcomeReport
    calls: int


OutcomeDimension = Literal["workload", "prompt_version", "model"]


class Tally(msgspec.Struct, frozen=True):
    """What the reports of one name, kind and source come to over one group of calls: each call counts once.

    `label` is the JSON of the value for labels, one tally each. For numbers and booleans (true is 1), `total` is the
    sum and `squares` the sum of the squared distances from the mean.
    """

    group: tuple[str, ...]
    name: str
    source: str
    kind: OutcomeKind
    label: str
    reports: int
    total: float
    squares: float


class Figures(msgspec.Struct, frozen=True):
    """What the calls of one group come to. The median and the tokens (sums) are of the answered ones. The cost is of
    all: the sum of what is known, in pico-dollars, and the number of those of which it is not."""

    group: tuple[str, ...]
    calls: int
    answered: int
    median_us: int
    input_tokens: int
    output_tokens: int
    cost_pico: int
    unknown_costs: int
