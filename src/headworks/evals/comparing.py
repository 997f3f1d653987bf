"""Two arms against one another: the gate of a change, the gate of a release, and two spans of live traffic. Pure.

A *change* (a pull request) is blocked when something is shown to be worse: a significant regression, a case that must
pass, a contract that is broken. A *release* is let through only when it is shown not to be: non-inferiority. What is
neither shown to be worse nor to be as good passes the one and not the other; the set is then too small for the margin,
and the verdict says how many cases it would take.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from headworks.evals.statistics import (
    Tally,
    always_valid_interval,
    clopper_pearson,
    exact_bound,
    fisher_exact,
    is_shown_as_good,
    mcnemar_exact,
    mcnemar_midp,
    newcombe_interval,
    paired_power,
    tango_interval,
    tango_score,
)
from headworks.evals.statistics.paired_looks import MOST_DISAGREEMENT
from headworks.evals.terms import Outcome, most_invalid

REGRESSION_ALPHA = 0.05
"""Below this mid-p a change is blocked: one of twenty that change nothing at all (evals reference, 2.7)."""

RELEASE_ALPHA = 0.05
"""The probability that a release is let through that is worse by the margin (evals reference, 2.7)."""

ENOUGH_POWER = 0.8
_MOST_CASES = 20_000
_NORMAL_CASES = 6.18
"""(1.645 + 0.842) squared: the cases that a normal statistic takes at an error of 5 % and a power of 80 %, times the
variance over the square of the margin."""

_BELOW_NORMAL = 0.7
"""Where the search for what the exact test takes begins, of what a normal one would."""

Block = Literal["regression", "must pass", "contract", "not shown to be as good", "infrastructure"]
"""Why a gate is shut. *Infrastructure*: too much of the run is invalid to say anything."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case with both arms' outcomes.

    Attributes:
        case_id: names it in the verdict.
        reference, candidate: the outcomes before and after.
        must_pass: whether the candidate may not get it wrong, whatever the others are.
        is_contract_broken: the candidate's answer does not fit the workload's schema or rules, and the reference's did.
        is_counted: the statistics go by it. Not by a further case of a cluster, which is not independent of the first;
            it may still not fail where it must pass.
    """

    case_id: str
    reference: Outcome
    candidate: Outcome
    must_pass: bool = False
    is_contract_broken: bool = False
    is_counted: bool = True


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """Two arms on the same cases.

    Attributes:
        cases: of which both outcomes are valid; of these:
        reference_right, candidate_right: how many each arm has right.
        losses, wins: that only the reference, and only the candidate has right.
        invalid: cases of which one outcome or both are not: left out.

    Cases that are not counted are in none of these.
    """

    cases: int
    reference_right: int
    candidate_right: int
    losses: int
    wins: int
    invalid: int

    @property
    def difference(self) -> float:
        """The candidate's share less the reference's; 0 of no case."""
        return (self.wins - self.losses) / self.cases if self.cases else 0.0


class PairedVerdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a gate found. JSON values only, once encoded.

    Attributes:
        is_open: nothing blocks.
        blocks: why not, the gravest first.
        counts: of the comparison.
        difference: of the shares, and `interval` its 95 % interval (Tango's).
        p_value: McNemar's mid-p that the candidate is worse; `p_exact` the exact one.
        score, bound: Tango's, and what it takes; None where there was nothing to compare, or where nothing could pass.
        margin: by less than this a release may be worse; None of a change.
        must_pass, broken: the cases that the candidate may not get wrong and did, and whose contract it broke.
        power: how probable it was that a candidate passes that is as good and disagrees as much as this one; None of a
            change.
        needed: cases with which that would be four times in five; 0 where it was, or where no number would do.
    """

    is_open: bool
    blocks: tuple[Block, ...]
    counts: Paired
    difference: float
    interval: tuple[float, float]
    p_value: float
    p_exact: float
    score: float | None = None
    bound: float | None = None
    margin: float | None = None
    must_pass: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    power: float | None = None
    needed: int = 0


def count_pairs(cases: Sequence[Case]) -> Paired:
    """How the two arms did on the cases of which both outcomes are valid."""
    counted = [one for one in cases if one.is_counted]
    valid = [one for one in counted if "invalid" not in (one.reference, one.candidate)]
    right = [(one.reference == "right", one.candidate == "right") for one in valid]
    return Paired(
        cases=len(valid),
        reference_right=sum(reference for reference, _ in right),
        candidate_right=sum(candidate for _, candidate in right),
        losses=sum(reference and not candidate for reference, candidate in right),
        wins=sum(candidate and not reference for reference, candidate in right),
        invalid=len(counted) - len(valid),
    )


def gate_change(cases: Sequence[Case], *, alpha: float = REGRESSION_ALPHA) -> PairedVerdict:
    """Whether a change may go in: it is blocked by a significant regression (McNemar's mid-p below `alpha`), by any
    case that must pass and does not, and by a contract that the reference kept and it breaks.

    A case that must pass and came to no outcome blocks as infrastructure: nobody knows.
    """
    counts = count_pairs(cases)
    must_pass = tuple(one.case_id for one in cases if one.must_pass and one.candidate == "wrong")
    broken = tuple(one.case_id for one in cases if one.is_contract_broken)
    p_value = mcnemar_midp(counts.losses, counts.wins)
    found: list[tuple[Block, bool]] = [
        ("must pass", bool(must_pass)),
        ("contract", bool(broken)),
        ("regression", p_value < alpha),
        ("infrastructure", _is_void(counts) or any(one.must_pass and one.candidate == "invalid" for one in cases)),
    ]
    return _verdict(counts, found, must_pass=must_pass, broken=broken)


def gate_release(cases: Sequence[Case], *, margin: float, alpha: float = RELEASE_ALPHA) -> PairedVerdict:
    """Whether a release may go out: only when it is shown, with error at most `alpha`, to be worse by less than the
    margin; and when the gate of a change is open, too.

    Arguments:
        margin: a share, above 0 and below 1.
    """
    change = gate_change(cases)
    counts = change.counts
    bound = exact_bound(counts.cases, margin, alpha) if counts.cases else math.inf
    is_shown = bool(counts.cases) and is_shown_as_good(
        counts.losses, counts.wins, counts.cases, margin=margin, alpha=alpha
    )
    found: list[tuple[Block, bool]] = [(block, True) for block in change.blocks]
    found.append(("not shown to be as good", not is_shown))
    verdict = _verdict(counts, found, must_pass=change.must_pass, broken=change.broken)
    rate = _disagreement(counts)
    power = paired_power(counts.cases, margin, alpha, win=rate, loss=rate) if counts.cases else 0.0
    return msgspec.structs.replace(
        verdict,
        score=tango_score(counts.losses, counts.wins, counts.cases, margin) if counts.cases else None,
        bound=bound if math.isfinite(bound) else None,
        margin=margin,
        power=power,
        needed=0 if is_shown else cases_to_compare(margin, alpha, rate, least=counts.cases),
    )


def cases_to_compare(margin: float, alpha: float, disagreement: float, *, least: int = 1) -> int:
    """About how many cases it takes for a candidate that is just as good to pass four times in five; 0 where no number
    does, for arms that disagree so often are never taken for as good as one another.

    Arguments:
        disagreement: the share of cases that each arm alone has right.
        least: where the search starts. Fewer are never said.
    """
    if 2.0 * disagreement >= MOST_DISAGREEMENT:
        return 0
    usual = _NORMAL_CASES * 2.0 * disagreement / margin**2
    cases = max(10, least, min(_MOST_CASES, math.floor(_BELOW_NORMAL * usual)))
    while (
        cases < _MOST_CASES and paired_power(cases, margin, alpha, win=disagreement, loss=disagreement) < ENOUGH_POWER
    ):
        cases += 1 + cases // 10
    return cases


def _disagreement(counts: Paired) -> float:
    """The share of cases that each arm alone has right, of arms that are equally good and differ as much as these;
    never none, since a hundred cases without any may well be followed by one."""
    return (counts.losses + counts.wins + 1) / 2.0 / (counts.cases + 2) if counts.cases else 0.0


def _is_void(counts: Paired) -> bool:
    return counts.invalid > most_invalid(counts.cases + counts.invalid) or counts.cases == 0


def _verdict(
    counts: Paired, found: Sequence[tuple[Block, bool]], *, must_pass: tuple[str, ...], broken: tuple[str, ...]
) -> PairedVerdict:
    blocks = tuple(block for block, is_shut in found if is_shut)
    return PairedVerdict(
        is_open=not blocks,
        blocks=blocks,
        counts=counts,
        difference=counts.difference,
        interval=tango_interval(counts.losses, counts.wins, counts.cases),
        p_value=mcnemar_midp(counts.losses, counts.wins),
        p_exact=mcnemar_exact(counts.losses, counts.wins),
        must_pass=must_pass,
        broken=broken,
    )


Finding = Literal["better", "worse", "no difference shown"]


class SpanComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two spans of live traffic, by their outcomes.

    Attributes:
        first, second: good outcomes of all, with their exact 95 % intervals beside them.
        difference: the second one's share less the first one's.
        interval: of the difference, if this is the only look: Newcombe's, 95 %.
        always: of the difference, however often one looks.
        p_value: Fisher's exact one that the second is worse, for one look.
        finding: what may be said: by `interval` for one look, else by `always`.
    """

    first: Tally
    second: Tally
    first_interval: tuple[float, float]
    second_interval: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    always: tuple[float, float]
    p_value: float
    finding: Finding


def compare_spans(first: Tally, second: Tally, *, is_only_look: bool = False, alpha: float = 0.05) -> SpanComparison:
    """Whether a span of live traffic went better or worse than another one.

    Two spans hold different calls at different times: what else has changed between them is in the difference too. For
    two versions side by side take `statistics.CanarySequence`.

    Arguments:
        is_only_look: the end of the spans was fixed before anybody looked. Else the always-valid interval decides.
        alpha: the probability of a finding where there is no difference.
    """
    once = newcombe_interval(first, second, 1.0 - alpha)
    always = always_valid_interval(first, second, alpha)
    low, high = once if is_only_look else always
    return SpanComparison(
        first=first,
        second=second,
        first_interval=clopper_pearson(first.good, first.cases, 1.0 - alpha),
        second_interval=clopper_pearson(second.good, second.cases, 1.0 - alpha),
        difference=second.share - first.share,
        interval=once,
        always=always,
        p_value=fisher_exact(first, second),
        finding="better" if low > 0.0 else "worse" if high < 0.0 else "no difference shown",
    )
