"""Two arms case by case: what flipped, part by part of the score, and what it came to in money and time. Pure.

Cases are paired by what is asked: one whose variables or input have changed between two runs is another case. With
repeats, a case is right where most of its decided answers are; half is not most.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headworks.evals.comparing import Case
from headworks.evals.reporting import percentile, reason_of
from headworks.evals.runs import Result, RunFolder, Unit
from headworks.evals.statistics import bootstrap_interval, mcnemar_midp, tango_interval
from headworks.evals.terms import Outcome

_CONTRACT_CODES = frozenset({"output_invalid", "output_blocked"})
_CONTRACT_ALPHA = 0.05
"""A contract counts as broken where breaks have become more frequent beyond this mid-p. One break more is one wrong
answer more: models break their contract now and then, and a single one would shut the gate on chance alone."""


class Side(msgspec.Struct, frozen=True, eq=False):
    """One arm of a run."""

    folder: RunFolder
    arm: int

    @property
    def name(self) -> str:
        """As the run calls the arm."""
        return self.folder.manifest.arms[self.arm].name

    def results(self, case: int) -> list[Result]:
        """Every answer to a case."""
        folder = self.folder
        units = (Unit(self.arm, case, repeat) for repeat in range(folder.manifest.repeats))
        return [found for unit in units if (found := folder.result(unit)) is not None]


class Seen(msgspec.Struct, frozen=True):
    """What one arm made of a case: the outcome, why it is not right, and what was said of its parts."""

    outcome: Outcome
    reason: str
    is_broken: bool
    value: float | None
    parts: Mapping[str, bool]


class Pair(msgspec.Struct, frozen=True):
    """A case with what both arms made of it. `is_counted` holds for one case of each cluster, and of those that ask the
    same: others are not independent."""

    case_id: str
    must_pass: bool
    old: Seen
    new: Seen
    is_counted: bool = True


class PartRow(msgspec.Struct, frozen=True):
    """One part of the score in both arms, on the cases on which both said something of it.

    Attributes:
        old, new: the shares that are acceptable.
        lost, won: how many are acceptable in the old arm only, and in the new one only.
        low, high: the 95 % interval of the difference (Tango's).
    """

    name: str
    cases: int
    old: float
    new: float
    lost: int
    won: int
    low: float
    high: float


class ValueRow(msgspec.Struct, frozen=True):
    """The means of the graded values, and the 95 % interval of their difference (studentised bootstrap)."""

    cases: int
    old: float
    new: float
    low: float
    high: float


class Bill(msgspec.Struct, frozen=True):
    """What an arm took, on the cases that were paired.

    Attributes:
        cost_pico_usd: of one call on average; None where a price is not known.
        cost_per_right_pico_usd: of all, for each answer that is right.
        spent_pico_usd: what was paid for the arm in this run; what came from the cache cost nothing.
        cached: answers that came from the cache, of `answers`.
        p50_ms, p95_ms: of the time to the whole answer.
    """

    answers: int
    cached: int
    cost_pico_usd: int | None
    cost_per_right_pico_usd: int | None
    spent_pico_usd: int
    p50_ms: float | None
    p95_ms: float | None


class Pairing(msgspec.Struct, frozen=True):
    """Two arms on the cases that both were asked.

    Attributes:
        unpaired: cases that only one of them was asked.
    """

    pairs: tuple[Pair, ...]
    unpaired: int
    old: Bill
    new: Bill

    def cases(self) -> tuple[Case, ...]:
        """The pairs as the gates take them."""
        broken = [one.new.is_broken and not one.old.is_broken for one in self.pairs]
        counted = [one for one in self.pairs if one.is_counted]
        worsened = sum(one.new.is_broken and not one.old.is_broken for one in counted)
        mended = sum(one.old.is_broken and not one.new.is_broken for one in counted)
        counts = mcnemar_midp(worsened, mended) < _CONTRACT_ALPHA
        return tuple(
            Case(
                case_id=one.case_id,
                reference=one.old.outcome,
                candidate=one.new.outcome,
                must_pass=one.must_pass,
                is_contract_broken=counts and is_broken,
                is_counted=one.is_counted,
            )
            for one, is_broken in zip(self.pairs, broken, strict=True)
        )

    def lost(self) -> tuple[Pair, ...]:
        """The cases that the old arm has right and the new one wrong; those that must pass first."""
        found = [one for one in self.pairs if (one.old.outcome, one.new.outcome) == ("right", "wrong")]
        return tuple(sorted(found, key=lambda one: not one.must_pass))

    def won(self) -> tuple[Pair, ...]:
        """The cases that the new arm has right and the old one wrong."""
        return tuple(one for one in self.pairs if (one.old.outcome, one.new.outcome) == ("wrong", "right"))

    def rows(self) -> tuple[PartRow, ...]:
        """All of the answer; whether it kept the contract, where one did not; then each part of the score, in the order
        in which they first come, on the answers that have one."""
        valid = [one for one in self.pairs if "invalid" not in (one.old.outcome, one.new.outcome)]
        rows = [_row("all", [(one.old.outcome == "right", one.new.outcome == "right") for one in valid])]
        if any(one.old.is_broken or one.new.is_broken for one in valid):
            rows.append(_row("contract kept", [(not one.old.is_broken, not one.new.is_broken) for one in valid]))
        names = dict.fromkeys(name for one in valid for name in one.old.parts if name in one.new.parts)
        for name in names:
            both = [(one.old.parts, one.new.parts) for one in valid]
            rows.append(_row(name, [(old[name], new[name]) for old, new in both if name in old and name in new]))
        return tuple(row for row in rows if row.cases)

    def value_row(self) -> ValueRow | None:
        """The graded values; None where they say no more than right and wrong do."""
        both = [
            (one.old.value, one.new.value)
            for one in self.pairs
            if one.old.value is not None and one.new.value is not None
        ]
        if len(both) < 2 or all(old in (0.0, 1.0) and new in (0.0, 1.0) for old, new in both):
            return None
        low, high = bootstrap_interval([new - old for old, new in both], seed=1)
        count = len(both)
        old_mean, new_mean = (sum(side) / count for side in zip(*both, strict=True))
        return ValueRow(count, old_mean, new_mean, max(-1.0, low), min(1.0, high))


def pair_up(old: Side, new: Side) -> Pairing:
    """Two arms, of one run or of two, case by case.

    The new run's set says which cases must pass.
    """
    is_one_run = old.folder is new.folder
    places: dict[tuple[str, str], int] = {}
    if not is_one_run:
        for place in old.folder.order:
            case = old.folder.cases[place]
            places[case.id, case.asked_hash] = place
    pairs, paired_old, paired_new = dict[int, Pair](), list[Result](), list[Result]()
    unpaired = 0
    clusters = set[str]()
    for place in new.folder.order:
        case = new.folder.cases[place]
        before = place if is_one_run else places.pop((case.id, case.asked_hash), None)
        results = new.results(place)
        earlier = [] if before is None else old.results(before)
        if not results or not earlier:
            unpaired += 1
            continue
        is_counted = clusters.isdisjoint(case.belongs_to)
        clusters |= case.belongs_to
        pairs[place] = Pair(case.id, case.must_pass, _seen(earlier), _seen(results), is_counted)
        paired_old += earlier
        paired_new += results
    return Pairing(
        tuple(pairs[place] for place in sorted(pairs)), unpaired + len(places), _bill(paired_old), _bill(paired_new)
    )


def _row(name: str, both: Sequence[tuple[bool, bool]]) -> PartRow:
    if not both:
        return PartRow(name, 0, 0.0, 0.0, 0, 0, -1.0, 1.0)
    lost, won = both.count((True, False)), both.count((False, True))
    low, high = tango_interval(lost, won, len(both))
    old, new = (sum(side) / len(both) for side in zip(*both, strict=True))
    return PartRow(name, len(both), old, new, lost, won, low, high)


def _seen(results: Sequence[Result]) -> Seen:
    decided = [one for one in results if one.verdict != "invalid"]
    first = next((one for one in results if one.verdict != "right"), results[0])
    if not decided:
        return Seen("invalid", reason_of(first), False, None, {})
    right = sum(one.verdict == "right" for one in decided)
    broken = sum(_breaks_contract(one) for one in decided)
    is_right = 2 * right > len(decided)
    scores = [one.scored.score for one in decided if one.scored is not None and one.scored.score is not None]
    parts: dict[str, list[bool]] = {}
    for score in scores:
        for part in score.parts:
            parts.setdefault(part.name, []).append(part.is_acceptable)
    return Seen(
        "right" if is_right else "wrong",
        "" if is_right else reason_of(first),
        2 * broken > len(decided),
        sum(one.value for one in scores) / len(scores) if scores else None,
        {name: 2 * sum(said) > len(said) for name, said in parts.items()},
    )


def _breaks_contract(result: Result) -> bool:
    error = result.answered.reply.error
    return error is not None and error.code in _CONTRACT_CODES


def _bill(results: Sequence[Result]) -> Bill:
    decided = [one for one in results if one.verdict != "invalid"]
    costs = list(_costs(decided))
    right = sum(one.verdict == "right" for one in decided)
    is_priced = bool(decided) and len(costs) == len(decided)
    latencies = [one.answered.reply.latency_ms for one in decided]
    return Bill(
        answers=len(results),
        cached=sum(one.answered.is_cached for one in results),
        cost_pico_usd=round(sum(costs) / len(costs)) if is_priced else None,
        cost_per_right_pico_usd=round(sum(costs) / right) if is_priced and right else None,
        spent_pico_usd=sum(_costs([one for one in results if not one.answered.is_cached])),
        p50_ms=percentile(latencies, 0.5),
        p95_ms=percentile(latencies, 0.95),
    )


def _costs(results: Sequence[Result]) -> Iterator[int]:
    for one in results:
        cost = one.answered.reply.cost_pico_usd
        if cost is not None:
            yield cost
