"""One rung of the ladder while it is tried: case after case, in their order, until it has passed or cannot any more.

Three things end a trial before its last case. A *look*, at a half and at three quarters, when what is right by then
shows enough; its bounds are exact and share one alpha with the last look's. *Curtailment*, when not even being right
in all that is left could pass any look: this changes no verdict. *Futility*, when the evidence that the rung is worse
than the best by more than half the margin reaches 1 / beta: this can only make a rung fail.

Invalid outcomes are left out on both sides of a comparison and of the floor, and a look's bounds are those of the cases
that are left, though never laxer than planned: so what curtailment finds unreachable stays so.
"""

import itertools
from collections.abc import Sequence

from headworks.evals.statistics import (
    allowed_errors,
    clopper_pearson,
    floor_passes,
    floor_plan,
    futility,
    is_as_good,
    look_places,
    most_disagreements,
    paired_bounds,
    tango_interval,
    tango_score,
)
from headworks.evals.terms import FUTILE_PART, Look, Outcome, Reason, Terms, Verdict, most_invalid


class Trial:
    """State: how many outcomes of each kind were observed, and how the trial has ended, if it has.

    Arguments:
        alpha: what the rung may err.
        reference: the best rung's outcomes in the order of the cases, None where invalid; None where not known.
        is_stopping: by curtailment; without it, the same verdict comes later.
        is_to_the_end: whatever is seen, all cases are tried, and `end_last` says what becomes of it.
    """

    def __init__(
        self,
        terms: Terms,
        alpha: float,
        reference: Sequence[bool | None] | None,
        *,
        is_stopping: bool = True,
        is_to_the_end: bool = False,
    ) -> None:
        self.alpha = alpha
        self.asked = self.right = self.invalid = self.losses = self.wins = 0
        self.verdict: Verdict | None = None
        self.reason: Reason = ""
        self.looks: list[Look] = []
        self._pairs = 0
        self._lost_pairs = 0
        self._terms = terms
        self._is_stopping = is_stopping
        self._is_to_the_end = is_to_the_end
        self._places = look_places(terms.cases)
        self._allowed = allowed_errors(terms.cases, alpha)
        passes = floor_plan(terms.cases, terms.floor, alpha).passes
        # Never fewer at a later look: the bound on rights rises by at most one a case.
        self._most_wrong = tuple(place - least for place, least in zip(self._places, passes, strict=True))
        self._reference = reference
        self._invalid_reference = 0
        self._planned_pairs: tuple[int, ...] = ()
        self._planned_bounds: tuple[float, ...] = ()
        if reference is not None:
            self._invalid_reference = sum(one is None for one in reference)
            self._wrong_before = (0, *itertools.accumulate(one is False for one in reference))
            self._planned_pairs = tuple(sum(one is not None for one in reference[:place]) for place in self._places)
            if self._invalid_reference <= most_invalid(terms.cases):
                self._planned_bounds = self._bounds_of(self._planned_pairs)
        self._pairs_at_looks: list[int] = []

    @property
    def valid(self) -> int:
        """Cases that say something of the model."""
        return self.asked - self.invalid

    @property
    def next_look(self) -> int:
        """After how many cases it is looked at next."""
        return next((place for place in self._places if place > self.asked), self._terms.cases)

    @property
    def score(self) -> float | None:
        """Tango's, so far; None where there is nothing to compare."""
        return tango_score(self.losses, self.wins, self._pairs, self._terms.margin) if self._pairs else None

    @property
    def futility(self) -> float | None:
        """The evidence that it is worse than the best rung by half the margin; None where there is nothing to
        compare."""
        if not self._pairs:
            return None
        return futility(self.losses, self.wins, self._pairs, FUTILE_PART * self._terms.margin)

    @property
    def difference(self) -> tuple[float, float] | None:
        """The 95 % interval of its share less the best rung's; None where there is nothing to compare."""
        return tango_interval(self.losses, self.wins, self._pairs) if self._pairs else None

    def observe(self, outcome: Outcome) -> None:
        """The next case's outcome. Not after the trial has ended."""
        assert self.verdict is None, "nobody asks for more"
        known = None if self._reference is None else self._reference[self.asked]
        self.asked += 1
        if outcome == "invalid":
            self.invalid += 1
            self._lost_pairs += known is not None
        else:
            self.right += outcome == "right"
            if known is not None:
                self._pairs += 1
                self.losses += known and outcome == "wrong"
                self.wins += not known and outcome == "right"
        if not self._is_to_the_end:
            self._judge()

    def end_last(self, *, is_enough: bool, is_void: bool) -> None:
        """What becomes of the best rung, once all its cases were tried."""
        if is_void:
            self._end("void", "invalid")
        elif is_enough:
            self._end("chosen last", "")
        else:
            self._end_unshown("floor")

    def fail_must_pass(self, outcome: Outcome) -> None:
        """A case that must pass did not. Whatever else was shown, the rung is not taken: that makes no false choice
        more probable."""
        if outcome == "wrong":
            self._end("failed", "must pass")
        else:
            self._end("void", "invalid")

    def _judge(self) -> None:
        most = most_invalid(self._terms.cases)
        if self.invalid > most or self._invalid_reference > most:
            self._end("void", "invalid")
        elif self.asked in self._places and self._passes_look():
            self._end("passed", "")
        elif self.asked == self._terms.cases:
            self._end_unshown("floor" if self.right < self.looks[-1].needed else "non-inferiority")
        elif self._is_stopping and self.valid - self.right > self._most_wrong[-1]:
            self._end_unshown("floor")
        elif self._is_stopping and not self._may_still_compare():
            self._end_unshown("non-inferiority")
        elif (self.futility or 0.0) >= 1.0 / self._terms.beta:
            self._end("failed", "futility")

    def _passes_look(self) -> bool:
        """Look: is the floor shown, and that it is as good as the best where that is known?"""
        number = len(self.looks)
        counts = (*(look.valid for look in self.looks), self.valid)
        needed = max(
            floor_passes(counts, self._terms.floor, self._allowed[: number + 1])[-1],
            self.valid - self._most_wrong[number],
        )
        bound = self._bound_at(number)
        self.looks.append(
            Look(
                asked=self.asked,
                valid=self.valid,
                right=self.right,
                needed=needed,
                alpha=self._allowed[number],
                losses=self.losses,
                wins=self.wins,
                score=self.score,
                bound=bound if bound is not None and bound < float("inf") else None,
            )
        )
        return self.right >= needed and (bound is None or self._is_as_good(self.losses, self.wins, self._pairs, bound))

    def _bound_at(self, number: int) -> float | None:
        """Of Tango's score at this look; None where there is no comparison."""
        if self._reference is None:
            return None
        self._pairs_at_looks.append(self._pairs)
        planned = self._planned_bounds[number]
        counts = tuple(self._pairs_at_looks)
        if counts == self._planned_pairs[: number + 1]:
            return planned
        return max(planned, self._bounds_of(counts)[number])

    def _bounds_of(self, counts: tuple[int, ...]) -> tuple[float, ...]:
        """The bounds with so many pairs at each look, infinite at those that no pair comes to."""
        first = sum(one == 0 for one in counts)
        if first == len(counts):
            return (float("inf"),) * first
        found = paired_bounds(counts[first:], self._terms.margin, self._allowed[first : len(counts)])
        return (float("inf"),) * first + found

    def _may_still_compare(self) -> bool:
        """Whether being right in all cases until a later look could show there that it is as good as the best."""
        if self._reference is None:
            return True
        return any(self._may_compare(number) for number, place in enumerate(self._places) if place > self.asked)

    def _may_compare(self, number: int) -> bool:
        pairs = self._planned_pairs[number] - self._lost_pairs
        to_win = self._wrong_before[self._places[number]] - self._wrong_before[self.asked]
        wins = min(self.wins + to_win, most_disagreements(pairs) - self.losses)
        return wins >= self.wins and self._is_as_good(self.losses, wins, pairs, self._planned_bounds[number])

    def _is_as_good(self, losses: int, wins: int, pairs: int, bound: float) -> bool:
        return is_as_good(losses, wins, pairs, margin=self._terms.margin, bound=bound)

    def _end_unshown(self, reason: Reason) -> None:
        """Something was not shown: is the opposite, or is nothing known?"""
        if reason == "floor":
            is_failed = clopper_pearson(self.right, self.valid)[1] < self._terms.floor
        else:
            is_failed = self.difference is not None and self.difference[1] < -self._terms.margin
        self._end("failed" if is_failed else "inconclusive", reason)

    def _end(self, verdict: Verdict, reason: Reason) -> None:
        self.verdict, self.reason = verdict, reason
