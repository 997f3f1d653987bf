"""What the ladder is to show, and what it has found: values only, and whether a set of cases can show it at all."""

import math
from typing import Literal

import msgspec

from headworks.errors import CommandError
from headworks.evals.statistics import cases_for_power, floor_plan, paired_power

Outcome = Literal["right", "wrong", "late", "invalid"]
"""Of one case. *Right*: acceptable. *Wrong*: not, and a refusal or a broken schema is just that. *Late*: wrong, because
there was no answer within the contract's `latency.total_s`. *Invalid*: infrastructure failed again and again; it says
nothing of the model."""

Verdict = Literal["passed", "failed", "inconclusive", "void", "chosen last", "not tried"]
"""*Failed*: shown to be below the floor or worse by the margin, or left as such. *Inconclusive*: neither that nor the
opposite is shown. *Void*: infrastructure failed too often."""

Reason = Literal["", "floor", "non-inferiority", "futility", "must pass", "latency", "invalid"]

ALPHA = 0.05
BETA = 0.10
MOST_INVALID = 0.02
"""Above this share of invalid outcomes a rung's result is void: something else is broken."""

MOST_LATE = 0.05
"""The share of answers that may be late: a contract's latency is what 95 of 100 calls keep to, as `plan` has it."""

LEAST_POWER = 0.5
"""A set on which a model half way between floor and perfection passes more rarely than this is underpowered; so is one
on which a model that is as good as the reference passes the comparison more rarely."""

FUTILE_PART = 0.5
"""The part of the margin that a rung may be worse by without being left as hopeless. With 0, as evals reference 2.7 has
it, five losses without a win are the end of a rung: one that is worse by 3 % then passes a margin of 10 % with 150
cases in 65 % of runs, for 91 % without futility, and 91 % with a half. A rung worse by 20 % takes 40 cases on average
instead of 25, and 56 without futility (400 simulated runs each)."""

_ROUNDING = 1e-9

USUAL_DISAGREEMENT = 0.02
"""Of two models that are equally good, the share of cases that each of them alone has right (evals reference, 2.2)."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be shown, frozen before anything is looked at.

    Attributes:
        floor: the share of right answers that a model must be above.
        margin: by less than this it may be worse than the reference.
        cases: of the golden set.
        alpha: probability, all rungs together, of choosing one that is below the floor or worse by the margin.
        beta: probability of leaving a rung as hopeless that is worse than the reference by half the margin at most.
    """

    floor: float
    cases: int
    margin: float = 0.1
    alpha: float = ALPHA
    beta: float = BETA

    def is_at_floor(self, right: int, cases: int) -> bool:
        """Whether this share of right answers is the floor or more; of no case nothing is. 55 of 100 are 0.55, which
        times a hundred is a little more than 55 as a float."""
        return cases > 0 and right >= self.floor * cases - _ROUNDING

    @classmethod
    def of(cls, floor: float, cases: int) -> "Terms":
        """With the usual margin: five points where there are cases enough to see them, else ten."""
        return cls(floor=floor, cases=cases, margin=0.05 if cases >= 200 else 0.1)


class Look(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was seen at one look, beside what it took.

    Attributes:
        asked: cases until then; `valid` of these were not invalid, and `right` of those right.
        needed: right answers that show the floor.
        losses, wins: of the `compared` cases whose reference was known.
        score: with what was not known of the reference taken against the rung; None where nothing was compared.
        bound: None where nothing was compared, or nothing could pass.
        alpha: the error that may have been spent until then.
    """

    asked: int
    valid: int
    right: int
    needed: int
    alpha: float
    losses: int = 0
    wins: int = 0
    compared: int = 0
    score: float | None = None
    bound: float | None = None


class RungResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one rung.

    Attributes:
        reason: what was not shown, of one that did not pass.
        asked, right, invalid: cases.
        late: of those that are not right, how many came too late.
        surplus: cases that were under way when the rung was decided on, or asked only because they must pass, or to
            compare others with: paid, and not counted.
        saved: calls that trying every case would have taken, and were not made.
        losses, wins: against the reference, of the `compared` cases of which it is known.
        score: Tango's, after the last case, at least: what is not known is taken against the rung. None where nothing
            was compared.
        futility: the evidence that it is worse than the reference by more than half the margin: an e-value.
        alpha: its part.
        looks: at which it might have passed.
        interval: of the share of right answers: exact, 95 %, as if the number of cases had been fixed.
        difference: likewise, of its share less the reference's: Tango's; where not all is known, the lower end of what
            is worst for it, and the upper end of what is best.
        needed: cases with which its present share would be shown to be above the floor four times in five, or, where
            that is what was not shown, its present difference to be within the margin; 0 where it has passed, or is
            not.
        cost_pico_usd: of a call on average; None where it is not known.
    """

    rung: str
    verdict: Verdict
    reason: Reason = ""
    asked: int = 0
    right: int = 0
    late: int = 0
    invalid: int = 0
    surplus: int = 0
    saved: int = 0
    losses: int = 0
    wins: int = 0
    compared: int = 0
    score: float | None = None
    futility: float | None = None
    alpha: float = 0.0
    looks: tuple[Look, ...] = ()
    interval: tuple[float, float] = (0.0, 1.0)
    difference: tuple[float, float] | None = None
    needed: int = 0
    cost_pico_usd: int | None = None

    @property
    def valid(self) -> int:
        """Cases that say something of the model."""
        return self.asked - self.invalid


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The choice, and what it rests on. Written whole.

    Attributes:
        chosen: the rung; "" where none is good enough.
        reference: the rung that the others were compared with; "" for none.
        is_underpowered: the set was too small for its bar, and the choice was wanted all the same.
        calls, calls_saved: made, and not made that trying every case on every rung would have taken.
        needed: cases that would change the answer where none was chosen: the fewest of the rungs'; 0 where no number
            would.
    """

    chosen: str
    terms: Terms
    rungs: tuple[RungResult, ...]
    reference: str = ""
    is_underpowered: bool = False
    calls: int = 0
    calls_saved: int = 0
    needed: int = 0


def most_invalid(cases: int) -> int:
    """How many of so many cases may be invalid: one at least."""
    return max(1, math.floor(MOST_INVALID * cases))


def part_of_alpha(terms: Terms, rungs: int) -> float:
    """What one rung may err: the union bound over those that are chosen on a test. The last one needs none, and a
    floor and a comparison that must both be met need no more between them (evals reference, 2.5)."""
    return terms.alpha / max(1, rungs - 1)


def power_of(terms: Terms, rungs: int) -> float:
    """How probable it is that a rung passes whose true share is half way between the floor and 1."""
    plan = floor_plan(terms.cases, terms.floor, part_of_alpha(terms, rungs))
    return plan.power((1.0 + terms.floor) / 2.0) if plan.can_pass else 0.0


def compared_power_of(terms: Terms, rungs: int) -> float:
    """How probable it is that a rung passes the comparison that is as good as the reference, and disagrees as much with
    it as is usual."""
    return paired_power(
        terms.cases,
        terms.margin,
        part_of_alpha(terms, rungs),
        win=USUAL_DISAGREEMENT,
        loss=USUAL_DISAGREEMENT,
    )


def cases_to_choose(terms: Terms, rungs: int) -> int:
    """The cases with which a choice among so many rungs is no longer underpowered: `terms.cases` where they are enough,
    and for one rung, which is taken as it is."""
    if rungs < 2 or power_of(terms, rungs) >= LEAST_POWER:
        return terms.cases
    half_way = (1.0 + terms.floor) / 2.0
    enough = cases_for_power(terms.floor, part_of_alpha(terms, rungs), half_way, LEAST_POWER) or terms.cases
    enough = max(terms.cases, enough)
    while power_of(msgspec.structs.replace(terms, cases=enough), rungs) < LEAST_POWER:
        enough += 1 + enough // 50
    return enough


def cases_to_compare(terms: Terms, rungs: int) -> int:
    """The cases with which a comparison with a reference is no longer underpowered: `terms.cases` where they are
    enough, and for one rung, which is compared with none."""
    enough = terms.cases
    while rungs > 1 and compared_power_of(msgspec.structs.replace(terms, cases=enough), rungs) < LEAST_POWER:
        enough = math.ceil(enough * 1.1)
    return enough


def check_power(terms: Terms, rungs: int, *, is_compared: bool = False) -> None:
    """Refuse a set that is too small for its floor, or for its margin.

    Arguments:
        rungs: how many there are; one alone is taken as it is.
        is_compared: with a reference, too.

    Raises:
        CommandError: with how many cases it takes.
    """
    if rungs < 2:
        return
    enough = cases_to_choose(terms, rungs)
    if enough > terms.cases:
        half_way, power = (1.0 + terms.floor) / 2.0, power_of(terms, rungs)
        raise CommandError(
            f"{terms.cases} cases cannot defend a bar of {terms.floor:.0%}: a model that is right in "
            f"{half_way:.1%} of all cases would pass in {power:.0%} of such runs. It takes about {enough} "
            "cases, or a lower `quality.bar`; --underpowered goes on all the same, and the record says so"
        )
    enough = cases_to_compare(terms, rungs) if is_compared else terms.cases
    if enough > terms.cases:
        power = compared_power_of(terms, rungs)
        raise CommandError(
            f"{terms.cases} cases cannot show that a model is worse by less than {terms.margin:.0%}: one that is as "
            f"good as the reference would pass in {power:.0%} of such runs. It takes about {enough} cases, a larger "
            "--margin, or --reference none; --underpowered goes on all the same, and the record says so"
        )
