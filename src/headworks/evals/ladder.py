"""The ladder: the cheapest model that is provably good enough, found with as few calls as the proof takes. Pure.

    ladder = Ladder(terms, rungs=("nano", "mini", "flagship"))
    while (wanted := ladder.wanted()) is not None:
        rung, cases = wanted                      # ask these, in this order, as many at once as you like
        for case in cases:
            ladder.observe(rung, case, outcome)   # in the order of the cases
    ladder.decision

Rungs are tried from cheapest to best. One is chosen as soon as it has shown, with error at most its part of `alpha`,
that its share of right answers is above the floor, and, where the outcomes of the best rung are known, that it is not
worse than that by the margin or more. It is left as soon as it cannot show that any more, or hardly will.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from headworks.errors import CommandError
from headworks.evals.statistics import (
    clopper_pearson,
    exact_bound,
    floor_plan,
    needed_cases,
    spending_bounds,
    tango_score,
    wilson,
)

Outcome = Literal["right", "wrong", "invalid"]
"""Of one case. *Invalid*: infrastructure failed again and again; it says nothing of the model."""

Verdict = Literal["passed", "failed", "void", "chosen last", "not tried"]
Reason = Literal["", "floor", "non-inferiority", "futility", "invalid"]

ALPHA = 0.05
BETA = 0.10
MOST_INVALID = 0.02
"""Above this share of invalid outcomes a rung's result is void: something else is broken."""

LEAST_POWER = 0.5
"""A set on which a model half way between floor and perfection passes more rarely than this is underpowered."""

_BETS = tuple(0.05 + 0.9 * index / 11 for index in range(12))
"""Bets of the e-process that finds clearly worse rungs, a mixture over them (Waudby-Smith and Ramdas 2024)."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be shown, frozen before anything is looked at.

    Attributes:
        floor: the share of right answers that a model must be above.
        margin: by less than this it may be worse than the best rung.
        cases: of the golden set.
        alpha: probability, all rungs together, of choosing one that is below the floor or worse by the margin.
        beta: probability of leaving a rung as hopeless that is as good as the best.
    """

    floor: float
    cases: int
    margin: float = 0.1
    alpha: float = ALPHA
    beta: float = BETA

    @classmethod
    def of(cls, floor: float, cases: int) -> "Terms":
        """With the usual margin: five points where there are cases enough to see them, else ten."""
        return cls(floor=floor, cases=cases, margin=0.05 if cases >= 200 else 0.1)


class RungResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one rung.

    Attributes:
        reason: what was not shown, of one that failed.
        asked, right, invalid: cases.
        losses, wins: against the best rung, where that was known.
        score: Tango's, at the last look; None where there was nothing to compare.
        alpha: its part.
        interval: of the share of right answers: exact, 95 %.
        cost_pico_usd: of a call on average; None where it is not known.
    """

    rung: str
    verdict: Verdict
    reason: Reason = ""
    asked: int = 0
    right: int = 0
    invalid: int = 0
    losses: int = 0
    wins: int = 0
    score: float | None = None
    alpha: float = 0.0
    interval: tuple[float, float] = (0.0, 1.0)
    cost_pico_usd: int | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The choice, and what it rests on.

    Attributes:
        chosen: the rung; "" where none is good enough.
        is_underpowered: the set was too small for its bar, and the choice was wanted all the same.
        calls, calls_saved: made, and not made that trying every case on every rung would have taken.
        needed: cases with which the floor could be shown with the present share, where it was not.
    """

    chosen: str
    terms: Terms
    rungs: tuple[RungResult, ...]
    is_underpowered: bool = False
    calls: int = 0
    calls_saved: int = 0
    needed: int = 0


def power_of(terms: Terms, rungs: int) -> float:
    """How probable it is that a rung passes whose true share is half way between the floor and 1."""
    plan = floor_plan(terms.cases, terms.floor, _part(terms, rungs))
    return plan.power((1.0 + terms.floor) / 2.0) if plan.can_pass else 0.0


def check_power(terms: Terms, rungs: int) -> None:
    """Refuse a set that is too small for its floor.

    Raises:
        CommandError: with how many cases it takes.
    """
    if rungs < 2:
        return
    power = power_of(terms, rungs)
    if power >= LEAST_POWER:
        return
    enough = terms.cases
    while power_of(msgspec.structs.replace(terms, cases=enough), rungs) < LEAST_POWER:
        enough = math.ceil(enough * 1.15) + 1
    raise CommandError(
        f"{terms.cases} cases cannot defend a bar of {terms.floor:.0%}: a model that is right in "
        f"{(1 + terms.floor) / 2:.1%} of all cases would pass in {power:.0%} of such runs. It takes about {enough} "
        "cases, or a lower `quality.bar`; --underpowered goes on all the same, and the record says so"
    )


def _part(terms: Terms, rungs: int) -> float:
    """What one rung may err: the union bound over those that are chosen on a test. The last one needs none."""
    return terms.alpha / max(1, rungs - 1)


class _Trial:
    """One rung while it is tried. State: what has been observed, in the order of the cases."""

    def __init__(self, rung: str, terms: Terms, alpha: float, reference: Sequence[bool | None] | None) -> None:
        self.rung = rung
        self.alpha = alpha
        self.asked = self.right = self.invalid = self.losses = self.wins = 0
        self.score: float | None = None
        self.verdict: Verdict | None = None
        self.reason: Reason = ""
        self._terms = terms
        self._plan = floor_plan(terms.cases, terms.floor, alpha)
        self._reference = reference
        self._bounds = spending_bounds(alpha)
        self._last_bound = (
            0.0 if reference is None else max(self._bounds[-1], exact_bound(terms.cases, terms.margin, alpha))
        )
        self._products = [1.0] * len(_BETS)

    def observe(self, index: int, outcome: Outcome) -> None:
        """The next case's outcome. An invalid one counts as wrong here, which can only keep a rung from passing."""
        is_right = outcome == "right"
        self.asked += 1
        self.right += is_right
        self.invalid += outcome == "invalid"
        known = None if self._reference is None else self._reference[index]
        if known is not None:
            difference = int(is_right) - int(known)
            self.losses += difference < 0
            self.wins += difference > 0
            self._products = [
                product * (1.0 - bet * difference) for product, bet in zip(self._products, _BETS, strict=True)
            ]
        self._look()

    def _look(self) -> None:
        terms, plan = self._terms, self._plan
        if self.invalid > max(1, MOST_INVALID * terms.cases):
            self._end("void", "invalid")
        elif self.asked - self.right > plan.most_errors:
            self._end("failed", "floor")
        elif self._reference is not None and self._cannot_compare():
            self._end("failed", "non-inferiority")
        elif sum(self._products) / len(_BETS) >= 1.0 / terms.beta:
            self._end("failed", "futility")
        elif self.asked in plan.at:
            self._at_look(plan.at.index(self.asked))

    def _at_look(self, look: int) -> None:
        is_last = look == len(self._plan.at) - 1
        is_above = self.right >= self._plan.passes[look]
        is_as_good = True
        if self._reference is not None:
            self.score = tango_score(self.losses, self.wins, self.asked, self._terms.margin)
            is_as_good = self.score >= (self._last_bound if is_last else self._bounds[min(look, len(self._bounds) - 1)])
        if is_above and is_as_good:
            self._end("passed", "")
        elif is_last:
            self._end("failed", "non-inferiority" if is_above else "floor")

    def _cannot_compare(self) -> bool:
        """Whether not even being right in all that is left could show non-inferiority."""
        assert self._reference is not None, "who asks has looked"
        rest = self._reference[self.asked :]
        wins = self.wins + sum(known is False for known in rest)
        return tango_score(self.losses, wins, self._terms.cases, self._terms.margin) < self._last_bound

    def _end(self, verdict: Verdict, reason: Reason) -> None:
        self.verdict, self.reason = verdict, reason


class Ladder:
    """State: the rung that is being tried, and the results of those before it.

    Arguments:
        rungs: from the cheapest to the best, by measured cost.
        costs: of a call at each rung, in pico-dollars, where it is known.
        reference: the outcomes of the best rung, in the order of the cases, None where invalid; None if not known.

    Attributes:
        decision: None until all is decided.

    Raises:
        ValueError: no rung, no case, or a floor that is none.
    """

    def __init__(
        self,
        terms: Terms,
        rungs: Sequence[str],
        *,
        costs: Mapping[str, int] | None = None,
        reference: Sequence[bool | None] | None = None,
        is_underpowered: bool = False,
    ) -> None:
        if not rungs or terms.cases < 1 or not 0.0 < terms.floor < 1.0:
            raise ValueError("a ladder needs a rung, a case, and a floor between 0 and 1")
        self._terms = terms
        self._rungs = tuple(rungs)
        self._costs = dict(costs or {})
        self._reference = reference
        self._is_underpowered = is_underpowered
        self._results: list[RungResult] = []
        self._trial = self._next_trial()
        self.decision: Decision | None = None

    def wanted(self, most: int = 1) -> tuple[str, range] | None:
        """The next cases to ask of which rung, by their index in the run's order; None when all is decided.

        Arguments:
            most: how many at once.
        """
        if self.decision is not None:
            return None
        asked = self._trial.asked
        looks = [
            look for look in floor_plan(self._terms.cases, self._terms.floor, self._trial.alpha).at if look > asked
        ]
        end = min(asked + most, looks[0] if looks and not self._is_last else self._terms.cases)
        return self._trial.rung, range(asked, end)

    def observe(self, rung: str, case: int, outcome: Outcome) -> None:
        """An outcome; those that come after the rung has been decided on are passed over."""
        trial = self._trial
        if self.decision is not None or rung != trial.rung or case != trial.asked:
            return
        trial.observe(case, outcome)
        if self._is_last:
            if trial.asked == self._terms.cases:
                self._end_last()
        elif trial.verdict is not None:
            self._results.append(self._result(trial, trial.verdict))
            if trial.verdict == "passed":
                self._decide(rung)
            else:
                self._trial = self._next_trial()

    @property
    def _is_last(self) -> bool:
        return len(self._results) == len(self._rungs) - 1

    def _next_trial(self) -> _Trial:
        rung = self._rungs[len(self._results)]
        # The best rung is not compared with itself, and is tried to its end: it is what is left.
        reference = None if self._is_last else self._reference
        return _Trial(rung, self._terms, _part(self._terms, len(self._rungs)), reference)

    def _end_last(self) -> None:
        trial = self._trial
        is_void = trial.invalid > max(1, MOST_INVALID * self._terms.cases)
        is_enough = trial.right >= self._terms.floor * self._terms.cases and not is_void
        verdict: Verdict = "chosen last" if is_enough else "void" if is_void else "failed"
        trial.reason = "" if is_enough else "invalid" if is_void else "floor"
        self._results.append(self._result(trial, verdict))
        self._decide(trial.rung if is_enough else "")

    def _decide(self, chosen: str) -> None:
        for rung in self._rungs[len(self._results) :]:
            self._results.append(RungResult(rung=rung, verdict="not tried", cost_pico_usd=self._costs.get(rung)))
        calls = sum(result.asked for result in self._results)
        self.decision = Decision(
            chosen=chosen,
            terms=self._terms,
            rungs=tuple(self._results),
            is_underpowered=self._is_underpowered,
            calls=calls,
            calls_saved=len(self._rungs) * self._terms.cases - calls,
            needed=0 if chosen else needed_cases(self._terms.floor, self._terms.alpha),
        )

    def _result(self, trial: _Trial, verdict: Verdict) -> RungResult:
        return RungResult(
            rung=trial.rung,
            verdict=verdict,
            reason=trial.reason,
            asked=trial.asked,
            right=trial.right,
            invalid=trial.invalid,
            losses=trial.losses,
            wins=trial.wins,
            score=trial.score,
            alpha=trial.alpha if verdict != "chosen last" else 0.0,
            interval=clopper_pearson(trial.right, trial.asked),
            cost_pico_usd=self._costs.get(trial.rung),
        )


def evidence_of(decision: Decision) -> dict[str, object]:
    """What goes into headworks.lock: JSON values, texts as keys."""
    found: object = msgspec.to_builtins(decision)
    assert isinstance(found, dict), "a struct"
    return {str(name): value for name, value in found.items()}


def render_record(workload: str, decision: Decision, facts: Iterable[tuple[str, str]] = ()) -> str:
    """The decision as a page in Markdown for who reviews it.

    Arguments:
        facts: further lines, as name and value: hashes, seed, date.
    """
    terms = decision.terms
    chosen = f"`{decision.chosen}`" if decision.chosen else "none: mend the prompt, or lower the bar"
    promise = (
        "The probability of choosing a rung that is below the bar (or, where it was compared, worse than the best by "
        f"{terms.margin:.0%} or more) is at most {terms.alpha:.0%}, all rungs together; of leaving one as hopeless "
        f"that is as good as the best, at most {terms.beta:.0%} each. This holds for cases like those of the set."
    )
    wanted = (
        f"Asked for: more than {terms.floor:.0%} right. {terms.cases} cases, {decision.calls:,} calls made, "
        f"{decision.calls_saved:,} saved by stopping early."
    )
    lines = [
        f"# Model of {workload}: {chosen}",
        "",
        wanted,
        "",
        promise,
        "",
        "| rung | verdict | right | 95 % (exact) | on average | against the best | $ a call | $ an acceptable answer |",
        "|---|---|---|---|---|---|---|---|",
        *("| " + " | ".join(_row(one)) + " |" for one in decision.rungs),
    ]
    if decision.is_underpowered:
        lines += ["", "**Underpowered**: the set is too small for this bar; the choice was wanted all the same."]
    if decision.needed:
        lines += ["", f"To show this bar at all takes {decision.needed} cases, with every one of them right."]
    lines += ["", *(f"- {name}: {value}" for name, value in facts)]
    return "\n".join(lines).rstrip() + "\n"


def _row(one: RungResult) -> Iterable[str]:
    verdict = one.verdict + (f" ({one.reason})" if one.reason else "")
    if not one.asked:
        return (one.rung, verdict, "", "", "", "", _usd(one.cost_pico_usd), "")
    share = one.right / one.asked
    low, high = wilson(one.right, one.asked)
    acceptable = None if one.cost_pico_usd is None or not one.right else round(one.cost_pico_usd / share)
    compared = "" if one.score is None else f"{one.wins} better, {one.losses} worse, T = {one.score:.2f}"
    return (
        one.rung,
        verdict,
        f"{one.right} of {one.asked}",
        f"{one.interval[0]:.1%} to {one.interval[1]:.1%}",
        f"{low:.1%} to {high:.1%}",
        compared,
        _usd(one.cost_pico_usd),
        _usd(acceptable),
    )


def _usd(pico: int | None) -> str:
    return "" if pico is None else f"{pico / 1e12:.6f}"
