"""One rung of the ladder while it is tried: case after case, in their order, until it has passed or cannot any more.

Three things end a trial before its last case. A *look*, at a half and at three quarters, when what is right by then
shows enough; its bounds are exact and share one alpha with the last look's. *Curtailment*, when not even being right
in all that is left could pass any look: this changes no verdict. *Futility*, when the evidence that the rung is worse
than the reference by more than half the margin reaches 1 / beta: this can only make a rung fail.

A comparison waits for the floor: only a look whose floor is shown asks what the reference makes of a case, and of as
few cases as settle it. What is not known is taken against the rung: what it has right the reference has right, too, and
what it has wrong the reference has right. Where that passes, whatever the reference would say passes, so the error is
at most that of the test with everything known. First it is asked about the cases that the rung has wrong: only these
can be losses. Those that the rung has right can be wins, and are asked at the last look alone, in their order; before
it, a further case of a cheap rung is the better buy.

Invalid outcomes are left out on both sides of a comparison and of the floor, and a look's bounds are those of the cases
that are left, though never laxer than planned: so what curtailment finds unreachable stays so.
"""

from collections import deque
from collections.abc import Iterator

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
from headworks.evals.terms import FUTILE_PART, MOST_LATE, Look, Outcome, Reason, Terms, Verdict, most_invalid


class Trial:
    """State: how many outcomes of each kind were observed, what is known of the reference, and how the trial has ended,
    if it has.

    Arguments:
        alpha: what the rung may err.
        is_compared: with the reference, too.
        is_stopping: by curtailment; without it, the same verdict comes later.
        is_to_the_end: no look ends it, and `end_last` says what becomes of it.

    Attributes:
        late: of those that are not right, how many came too late.
        losses, wins: of the cases whose reference is known.
    """

    def __init__(
        self,
        terms: Terms,
        alpha: float,
        *,
        is_compared: bool = False,
        is_stopping: bool = True,
        is_to_the_end: bool = False,
    ) -> None:
        self.alpha = alpha
        self.asked = self.right = self.late = self.invalid = self.losses = self.wins = 0
        self.verdict: Verdict | None = None
        self.reason: Reason = ""
        self.looks: list[Look] = []
        self._terms = terms
        self._is_compared = is_compared
        self._is_stopping = is_stopping
        self._is_to_the_end = is_to_the_end
        self._places = look_places(terms.cases)
        self._allowed = allowed_errors(terms.cases, alpha)
        passes = floor_plan(terms.cases, terms.floor, alpha).passes
        # Never fewer at a later look: the bound on rights rises by at most one a case.
        self._most_wrong = tuple(place - least for place, least in zip(self._places, passes, strict=True))
        self._planned_bounds = self._bounds_of(self._places) if is_compared else ()
        self._pairs_at_looks: list[int] = []
        self._needed = 0
        self._is_weighing = False
        self._unknown_wrong, self._unknown_right = deque[int](), deque[int]()
        self._invalid_reference = 0
        self._outcomes: list[Outcome] = []
        self._reference: dict[int, bool | None] = {}
        self._prefix = _Prefix()

    @property
    def valid(self) -> int:
        """Cases that say something of the model."""
        return self.asked - self.invalid

    @property
    def next_look(self) -> int:
        """After how many cases it is looked at next."""
        return next((place for place in self._places if place > self.asked), self._terms.cases)

    @property
    def is_too_slow(self) -> bool:
        """Whether it is shown (exact, one-sided 2.5 %) that more of its answers are late than may be."""
        return clopper_pearson(self.late, self.valid)[0] > MOST_LATE

    @property
    def is_hopeless(self) -> bool:
        """Whether not even being right in all that is left would bring its share up to the floor."""
        most = self._terms.cases - self.invalid
        return not self._terms.is_at_floor(most - (self.valid - self.right), most)

    @property
    def compared(self) -> int:
        """Of how many cases the reference is known and valid."""
        return len(self._reference) - self._invalid_reference

    @property
    def score(self) -> float | None:
        """Tango's, so far, at least; None where nothing was compared."""
        return tango_score(self._most_losses, self.wins, self._pairs, self._terms.margin) if self._has_pairs else None

    @property
    def futility(self) -> float | None:
        """The evidence that it is worse than the reference by half the margin, of the cases in their order as far as
        both are known; None where the first is not."""
        return self._prefix.futility(self._terms.margin)

    @property
    def difference(self) -> tuple[float, float] | None:
        """The 95 % interval of its share less the reference's: the lower end of what is least for it, the upper end of
        what is best; None where nothing was compared."""
        if not self._has_pairs:
            return None
        low, _ = tango_interval(self._most_losses, self.wins, self._pairs)
        _, high = tango_interval(self.losses, self.wins + len(self._unknown_right), self._pairs)
        return low, high

    def observe(self, outcome: Outcome) -> None:
        """The next case's outcome. Not after the trial has ended, nor while it waits for the reference."""
        assert self.verdict is None, "nobody asks for more"
        assert not self._is_weighing, "it waits for the reference"
        case = self.asked
        self.asked += 1
        self._outcomes.append(outcome)
        if outcome == "invalid":
            self.invalid += 1
        else:
            self.right += outcome == "right"
            self.late += outcome == "late"
            (self._unknown_right if outcome == "right" else self._unknown_wrong).append(case)
        if not self._is_to_the_end:
            self._judge()

    def awaited(self) -> Iterator[int]:
        """The cases whose reference this look waits for, the next one first: as they are compared, the later ones may
        turn out not to be needed. None while it waits for nothing."""
        if self.verdict is None and self._is_weighing:
            yield from self._unknown_wrong
            if self._is_last_look:
                yield from self._unknown_right

    def compare(self, outcome: Outcome) -> None:
        """What the reference makes of the next case of `awaited`."""
        is_wrong = bool(self._unknown_wrong)
        case = (self._unknown_wrong if is_wrong else self._unknown_right).popleft()
        known = None if outcome == "invalid" else outcome == "right"
        self._reference[case] = known
        if known is None:
            self._invalid_reference += 1
        else:
            self.losses += known and is_wrong
            self.wins += not known and not is_wrong
        is_hopeless = self._prefix.grow(self._outcomes, self._reference, self._terms)
        if self._invalid_reference > most_invalid(self._terms.cases):
            self._end("void", "invalid")
        elif is_hopeless:
            self._end("failed", "futility")
        else:
            self._weigh()

    def end_last(self, *, is_enough: bool, is_void: bool) -> None:
        """What becomes of the best rung, once all its cases were tried, or it is hopeless."""
        if is_void:
            self._end("void", "invalid")
        elif is_enough and self.is_too_slow:
            self._end("failed", "latency")
        elif is_enough:
            self._end("chosen last", "")
        else:
            self._end_unshown("floor")

    def reject(self, reason: Reason) -> None:
        """Whatever else was shown, the rung is not taken: a case that must pass is wrong, or its answers are late. That
        makes no false choice more probable."""
        self._end("void" if reason == "invalid" else "failed", reason)

    @property
    def _pairs(self) -> int:
        return self.valid - self._invalid_reference

    @property
    def _has_pairs(self) -> bool:
        return self._is_compared and bool(self._pairs_at_looks) and self._pairs > 0

    @property
    def _most_losses(self) -> int:
        return self.losses + len(self._unknown_wrong)

    @property
    def _is_last_look(self) -> bool:
        return self.asked == self._terms.cases

    def _judge(self) -> None:
        if self.invalid > most_invalid(self._terms.cases):
            self._end("void", "invalid")
        elif self.asked in self._places:
            self._look()
        elif self._is_stopping and self.valid - self.right > self._most_wrong[-1]:
            self._end_unshown("floor")

    def _look(self) -> None:
        """Look: is the floor shown, and that it is as good as the reference where that is asked for?"""
        number = len(self.looks)
        counts = (*(look.valid for look in self.looks), self.valid)
        self._needed = max(
            floor_passes(counts, self._terms.floor, self._allowed[: number + 1])[-1],
            self.valid - self._most_wrong[number],
        )
        if self.right < self._needed or not self._is_compared:
            if self._is_compared:
                self._pairs_at_looks.append(self._pairs)
            self._note_look(None, is_passed=self.right >= self._needed)
            return
        self._is_weighing = True
        self._weigh()

    def _weigh(self) -> None:
        """Settle the comparison of this look, as soon as what is not known of the reference changes nothing."""
        pairs, bound = self._pairs, self._bound()
        if self._is_as_good(self._most_losses, self.wins, pairs, bound):
            self._end_weighing(bound, is_passed=True)
            return
        most_wins = self.wins
        if self._is_last_look:
            most_wins = max(
                most_wins, min(most_wins + len(self._unknown_right), most_disagreements(pairs) - self.losses)
            )
        if not self._is_as_good(self.losses, most_wins, pairs, bound):
            self._end_weighing(bound, is_passed=False)

    def _end_weighing(self, bound: float, *, is_passed: bool) -> None:
        self._is_weighing = False
        self._pairs_at_looks.append(self._pairs)
        self._note_look(bound, is_passed=is_passed)

    def _note_look(self, bound: float | None, *, is_passed: bool) -> None:
        """Write down what was seen, and end the trial where that ends it."""
        self.looks.append(
            Look(
                asked=self.asked,
                valid=self.valid,
                right=self.right,
                needed=self._needed,
                alpha=self._allowed[len(self.looks)],
                losses=self.losses,
                wins=self.wins,
                compared=self.compared,
                score=self.score if bound is not None else None,
                bound=bound if bound is not None and bound < float("inf") else None,
            )
        )
        if is_passed:
            self._end("passed", "")
        elif self._is_last_look:
            self._end_unshown("floor" if self.right < self._needed else "non-inferiority")
        elif self._is_stopping and self.valid - self.right > self._most_wrong[-1]:
            self._end_unshown("floor")
        elif self._is_stopping and not self._may_still_compare():
            self._end_unshown("non-inferiority")

    def _bound(self) -> float:
        """Of Tango's score at this look, with as many pairs as there are."""
        number = len(self.looks)
        counts = (*self._pairs_at_looks, self._pairs)
        planned = self._planned_bounds[number]
        if counts == self._places[: number + 1]:
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
        """Whether a later look could show that it is as good as the reference: right in all cases until then, and the
        reference wrong in all that are not known."""
        if not self._is_compared:
            return True
        unseen = self.invalid + self._invalid_reference
        return any(
            self._is_as_good(
                self.losses,
                max(
                    self.wins,
                    min(
                        self.wins + len(self._unknown_right) + place - self.asked,
                        most_disagreements(place - unseen) - self.losses,
                    ),
                ),
                place - unseen,
                bound,
            )
            for place, bound in zip(self._places, self._planned_bounds, strict=True)
            if place > self.asked
        )

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
        self._is_weighing = False


class _Prefix:
    """The first cases, in their order, as far as both outcomes are known. What is asked first because the rung has it
    wrong must not count before its turn: that would be evidence that was looked for."""

    def __init__(self) -> None:
        self._seen = self._pairs = self._losses = self._wins = 0

    def futility(self, margin: float) -> float | None:
        """The evidence against the rung: an e-value; None of nothing."""
        return futility(self._losses, self._wins, self._pairs, FUTILE_PART * margin) if self._pairs else None

    def grow(self, outcomes: list[Outcome], reference: dict[int, bool | None], terms: Terms) -> bool:
        """Go on as far as is known; whether the evidence was enough on the way to leave the rung."""
        while self._seen < len(outcomes):
            outcome = outcomes[self._seen]
            if outcome != "invalid" and self._seen not in reference:
                break
            known = reference.get(self._seen)
            self._seen += 1
            if outcome == "invalid" or known is None:
                continue
            self._pairs += 1
            self._losses += known and outcome != "right"
            self._wins += not known and outcome == "right"
            if (self.futility(terms.margin) or 0.0) >= 1.0 / terms.beta:
                return True
        return False
