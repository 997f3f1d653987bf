"""The one word that a change gets: not worse, worse, or too thin to say. Pure.

*Worse* is shown: a significant regression, a case that must pass, a contract that is broken more often. *Not worse* is
shown as well: worse by less than the margin, at most one error in twenty. Between the two lies what a set of this size
cannot tell, and that is no pass: it says how many cases would tell.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from headworks.evals.comparing import RELEASE_ALPHA, Case, PairedVerdict, gate_change, gate_release

Word = Literal["not worse", "worse", "too thin"]

EXIT_CODES: dict[Word, int] = {"not worse": 0, "worse": 1, "too thin": 3}
"""2 is wrong usage, as everywhere on the command line."""


class Judgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """A word, and why.

    Attributes:
        reasons: in words for people; they name no case.
        paired: the statistics of the release gate; None where nothing was compared.
    """

    word: Word
    reasons: tuple[str, ...]
    paired: PairedVerdict | None = None


def usual_margin(cases: int) -> float:
    """Five points where there are cases enough to see them, else ten (evals reference, 2.7)."""
    return 0.05 if cases >= 200 else 0.1


def judge(cases: Sequence[Case], *, margin: float, may_gate: bool = True, alpha: float = RELEASE_ALPHA) -> Judgement:
    """What may be said of a candidate against its reference.

    Arguments:
        margin: a share, above 0 and below 1: by less than this a candidate that is not worse may be worse.
        may_gate: the scorer may decide; a judge that is not calibrated may not.
        alpha: the probability that *not worse* is said of one that is worse by the margin.
    """
    if not cases:
        return Judgement("too thin", ("no case was asked of both",))
    change = gate_change(cases)
    paired = gate_release(cases, margin=margin, alpha=alpha)
    if not may_gate:
        reason = "the scorer may not decide: a judge is not calibrated, or `gates: false`"
        return Judgement("too thin", (reason,), paired)
    shut = list[str]()
    if "must pass" in change.blocks:
        shut.append(f"{_cases(len(change.must_pass))} that must pass {_does(len(change.must_pass))} not")
    if "contract" in change.blocks:
        shut.append(f"the contract is broken in {_cases(len(change.broken))} where it was kept")
    if "regression" in change.blocks:
        shut.append(
            f"right before and wrong now: {change.counts.losses}, the other way round: {change.counts.wins}; by chance "
            f"alone that happens with a probability of {change.p_value:.2g}"
        )
    if shut:
        return Judgement("worse", tuple(shut), paired)
    counts = change.counts
    if "infrastructure" in change.blocks:
        return Judgement("too thin", (f"{_cases(counts.invalid)} came to no outcome: nobody knows",), paired)
    if paired.is_open:
        said = f"if it is worse, then by less than {margin:.0%}, with an error of at most {_share(alpha)}"
        return Judgement("not worse", ("better" if paired.interval[0] > 0.0 else said,), paired)
    needed = f": about {paired.needed:,} would, four times in five, of a change that is just as good"
    reason = (
        f"{_cases(counts.cases)} with {counts.losses} lost and {counts.wins} won show neither that it is worse nor "
        f"that it is worse by less than {margin:.0%}{needed if paired.needed > counts.cases else ''}"
    )
    return Judgement("too thin", (reason,), paired)


def _share(alpha: float) -> str:
    return f"{100 * alpha:.3g}%"


def _cases(count: int) -> str:
    return f"{count:,} case" + ("" if count == 1 else "s")


def _does(count: int) -> str:
    return "does" if count == 1 else "do"
