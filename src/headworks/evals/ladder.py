"""The ladder: the cheapest model that is provably good enough, found with as few calls as the proof takes. Pure.

    ladder = Ladder(terms, rungs=("nano", "mini", "flagship"))
    while (wanted := ladder.wanted(8)) is not None:
        rung, cases = wanted                      # ask these, all at once if you like
        for case in cases:
            ladder.observe(rung, case, outcome)   # as they come, in any order
    ladder.decision

Rungs are tried from cheapest to best. One is chosen as soon as it has shown, with error at most its part of `alpha`,
that its share of right answers is above the floor, and that it is not worse than the *reference* (the best rung, say)
by the margin or more. It is left as soon as it cannot show that any more, or hardly will. The reference is asked only
once a rung has shown the floor, and as few cases as settle it.

Outcomes count in the order of the cases, whenever they come: what takes long is often wrong, so counting them as they
come would choose by speed. A case that must pass and is wrong ends a rung, whatever the others say; before one is
chosen, those of them that it was not asked yet are asked. One whose answers are late too often is left, too. What came
early is kept until its turn. To go on after a crash, make the ladder anew and observe again what was observed: the same
outcomes, in any order, are the same ladder.
"""

from collections.abc import Mapping, Sequence

from headworks.evals.decision_record import evidence_of, render_record
from headworks.evals.statistics import cases_for_margin, cases_for_power, clopper_pearson
from headworks.evals.terms import (
    ALPHA,
    BETA,
    LEAST_POWER,
    MOST_INVALID,
    Decision,
    Look,
    Outcome,
    Reason,
    RungResult,
    Terms,
    Verdict,
    cases_to_choose,
    cases_to_compare,
    check_power,
    compared_power_of,
    most_invalid,
    part_of_alpha,
    power_of,
)
from headworks.evals.trial import Trial

__all__ = [
    "ALPHA",
    "BETA",
    "LEAST_POWER",
    "MOST_INVALID",
    "Decision",
    "Ladder",
    "Look",
    "Outcome",
    "Reason",
    "RungResult",
    "Terms",
    "Verdict",
    "cases_to_choose",
    "cases_to_compare",
    "check_power",
    "compared_power_of",
    "evidence_of",
    "power_of",
    "render_record",
]


class Ladder:
    """State: every outcome that was observed, the rung that is being tried, and the results of those before it.

    Arguments:
        rungs: from the cheapest to the best, by measured cost.
        costs: of a call at each rung, in pico-dollars, where it is known.
        reference: the rung that the others are compared with; "" for none. The last one is what is left, and neither it
            nor the reference is compared.
        is_underpowered: the set was found to be too small; noted in the decision.
        must_pass: the cases that no rung may get wrong, by their index in the run's order. Those at `terms.cases` and
            behind are asked for that alone, and not counted: further cases of a cluster, say.

    Attributes:
        decision: None until all is decided.

    Raises:
        ValueError: no rung or the same one twice, no case, a floor that is none, or a reference that is no rung.
    """

    def __init__(
        self,
        terms: Terms,
        rungs: Sequence[str],
        *,
        costs: Mapping[str, int] | None = None,
        reference: str = "",
        is_underpowered: bool = False,
        must_pass: Sequence[int] = (),
    ) -> None:
        if not rungs or terms.cases < 1 or not 0.0 < terms.floor < 1.0:
            raise ValueError("a ladder needs a rung, a case, and a floor between 0 and 1")
        if len(set(rungs)) < len(rungs):
            raise ValueError("a ladder has each rung once")
        if reference and reference not in rungs:
            raise ValueError(f"the reference `{reference}` is no rung of this ladder")
        self._terms = terms
        self._rungs = tuple(rungs)
        self._costs = dict(costs or {})
        self._reference = reference
        self._is_underpowered = is_underpowered
        self._must_pass = frozenset(must_pass)
        self._observed: dict[str, dict[int, Outcome]] = {rung: {} for rung in rungs}
        self._trials: list[Trial] = []
        self._trial = self._next_trial()
        self.decision: Decision | None = None

    def wanted(self, most: int = 1) -> tuple[str, tuple[int, ...]] | None:
        """The next cases to ask of which rung, by their index in the run's order; None when all is decided.

        Those that have no outcome yet, up to the next look: they may be under way already, so ask for as many as may
        be under way at once, and begin those that are not.

        Arguments:
            most: how many at most.
        """
        if self.decision is not None:
            return None
        rung, observed = self.rung, self._observed[self.rung]
        if next(self._trial.awaited(), None) is not None:
            rung, observed = self._reference, self._observed[self._reference]
            missing = (case for case in self._trial.awaited() if case not in observed)
        elif self._is_confirming:
            missing = (case for case in sorted(self._must_pass) if case not in observed)
        else:
            end = self._terms.cases if self._is_last else self._trial.next_look
            missing = (case for case in range(self._trial.asked, end) if case not in observed)
        return rung, tuple(case for case, _ in zip(missing, range(max(1, most)), strict=False))

    def observe(self, rung: str, case: int, outcome: Outcome) -> None:
        """An outcome, in whatever order. The first one of a case holds. One of a rung that was decided on is counted as
        surplus, also after the decision; one of a rung whose turn has not come is kept for then.

        Raises:
            ValueError: no such rung or case.
        """
        if rung not in self._observed or not (0 <= case < self._terms.cases or case in self._must_pass):
            raise ValueError(f"this ladder has no case {case} of a rung `{rung}`")
        if case in self._observed[rung]:
            return
        self._observed[rung][case] = outcome
        if self.decision is not None:
            self._decide(self.decision.chosen)
        while self._goes_on():
            pass

    @property
    def rung(self) -> str:
        """The one that is being tried, or was last."""
        return self._rungs[len(self._trials) - 1]

    @property
    def _is_last(self) -> bool:
        return len(self._trials) == len(self._rungs)

    @property
    def _is_confirming(self) -> bool:
        """Whether all that is left to know of the rung is whether it gets the cases right that must pass."""
        return self._trial.verdict == "passed" or (self._is_last and self._trial.asked == self._terms.cases)

    def _goes_on(self) -> bool:
        """Take what comes next, if it has come; whether it had."""
        if self.decision is not None:
            return False
        awaited = next(self._trial.awaited(), None)
        if awaited is not None:
            return self._has_compared(awaited)
        if self._is_confirming:
            return self._has_confirmed()
        outcome = self._observed[self.rung].get(self._trial.asked)
        if outcome is not None:
            self._take(outcome)
        return outcome is not None

    def _has_compared(self, case: int) -> bool:
        """Take what the reference makes of a case, if that is known; whether it is."""
        outcome = self._observed[self._reference].get(case)
        if outcome is None:
            return False
        self._trial.compare(outcome)
        if self._trial.verdict not in (None, "passed"):
            self._trial = self._next_trial()
        return True

    def _has_confirmed(self) -> bool:
        """Choose the rung, or leave it for a case that must pass, or for its time; whether that is known yet."""
        if not self._is_last and self._trial.is_too_slow:
            self._leave("latency")
            return True
        outcomes = {self._observed[self.rung].get(case) for case in self._must_pass}
        is_wrong = not outcomes.isdisjoint(("wrong", "late"))
        found: Outcome = "wrong" if is_wrong else "invalid" if "invalid" in outcomes else "right"
        if None in outcomes and found != "wrong":
            return False
        if self._is_last:
            self._end_last(found)
        elif found != "right":
            self._leave("must pass" if found == "wrong" else "invalid")
        else:
            self._decide(self.rung)
        return True

    def _take(self, outcome: Outcome) -> None:
        trial, case = self._trial, self._trial.asked
        trial.observe(outcome)
        if self._is_last:
            if outcome in ("wrong", "late") and case in self._must_pass:
                self._end_last("wrong")
            elif trial.is_hopeless:
                self._end_last("right")
            return
        if trial.verdict == "passed":
            return
        if trial.verdict is None and outcome in ("wrong", "late") and case in self._must_pass:
            self._leave("must pass")
        elif trial.verdict is not None:
            self._trial = self._next_trial()

    def _leave(self, reason: Reason) -> None:
        """Go on with the next rung, for something else than what the trial has shown."""
        self._trial.reject(reason)
        self._trial = self._next_trial()

    def _end_last(self, confirmed: Outcome) -> None:
        trial = self._trial
        if confirmed == "wrong":
            trial.reject("must pass")
        else:
            is_enough = self._terms.is_at_floor(trial.right, trial.valid)
            is_void = trial.invalid > most_invalid(self._terms.cases) or confirmed == "invalid"
            trial.end_last(is_enough=is_enough, is_void=is_void)
        self._decide(self.rung if trial.verdict == "chosen last" else "")

    def _next_trial(self) -> Trial:
        is_last = len(self._trials) == len(self._rungs) - 1
        is_reference = self._rungs[len(self._trials)] == self._reference
        # The best rung is what is left: no look ends it.
        trial = Trial(
            self._terms,
            part_of_alpha(self._terms, len(self._rungs)),
            is_compared=bool(self._reference) and not is_reference and not is_last,
            is_to_the_end=is_last,
        )
        self._trials.append(trial)
        return trial

    def _decide(self, chosen: str) -> None:
        results = tuple(
            self._result(rung, self._trials[number] if number < len(self._trials) else None)
            for number, rung in enumerate(self._rungs)
        )
        calls = sum(result.asked + result.surplus for result in results)
        needed = [result.needed for result in results if result.needed]
        self.decision = Decision(
            chosen=chosen,
            terms=self._terms,
            rungs=results,
            reference=self._reference,
            is_underpowered=self._is_underpowered,
            calls=calls,
            calls_saved=sum(result.saved for result in results),
            needed=min(needed, default=0) if not chosen else 0,
        )

    def _result(self, rung: str, trial: Trial | None) -> RungResult:
        cost = self._costs.get(rung)
        observed = len(self._observed[rung])
        if trial is None or trial.verdict is None:
            return RungResult(
                rung=rung,
                verdict="not tried",
                surplus=observed,
                saved=max(0, self._terms.cases - observed),
                cost_pico_usd=cost,
            )
        return RungResult(
            rung=rung,
            verdict=trial.verdict,
            reason=trial.reason,
            asked=trial.asked,
            right=trial.right,
            late=trial.late,
            invalid=trial.invalid,
            surplus=observed - trial.asked,
            saved=max(0, self._terms.cases - observed),
            losses=trial.losses,
            wins=trial.wins,
            compared=trial.compared,
            score=trial.score,
            futility=trial.futility,
            alpha=0.0 if trial.verdict == "chosen last" else trial.alpha,
            looks=tuple(trial.looks),
            interval=clopper_pearson(trial.right, trial.valid),
            difference=trial.difference,
            needed=self._needed(trial),
            cost_pico_usd=cost,
        )

    def _needed(self, trial: Trial) -> int:
        """Cases with which the present share would be shown to be above the floor, or the present difference to be
        within the margin, where that is what failed."""
        if trial.reason == "non-inferiority":
            return cases_for_margin(
                self._terms.margin, trial.alpha, losses=trial.losses, wins=trial.wins, cases=trial.compared
            )
        if trial.reason != "floor" or not trial.valid:
            return 0
        return cases_for_power(self._terms.floor, trial.alpha, trial.right / trial.valid) or 0
