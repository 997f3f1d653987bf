"""How often a judge agrees with people: what it must show before it may say that an answer is wrong."""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.evals.golden import CaseReader, GoldenCase
from headworks.evals.scorers.scoring import Answer, Scorer

LEAST_LABELS = 40
"""Human labels that each class must have: with fewer, the judge's own error is wider than the margins that it is to
decide on (evals reference, 2.6; arXiv 2511.21140)."""


class HumanLabel(msgspec.Struct, frozen=True):
    """What a person said of an answer."""

    case: GoldenCase
    answer: Answer
    is_acceptable: bool


class Calibration(msgspec.Struct, frozen=True):
    """A judge against people.

    Attributes:
        acceptable: answers that people found acceptable.
        agreed_acceptable: of these, so did the judge.
        unacceptable: answers that people found not to be.
        agreed_unacceptable: of these, so did the judge.
    """

    acceptable: int
    agreed_acceptable: int
    unacceptable: int
    agreed_unacceptable: int

    @property
    def sensitivity(self) -> float | None:
        """Of the acceptable answers, the share that the judge accepts; None without labels."""
        return self.agreed_acceptable / self.acceptable if self.acceptable else None

    @property
    def specificity(self) -> float | None:
        """Of the others, the share that the judge does not accept; None without labels."""
        return self.agreed_unacceptable / self.unacceptable if self.unacceptable else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond what chance would give; None where it is not defined."""
        whole = self.acceptable + self.unacceptable
        if not whole:
            return None
        accepted = self.agreed_acceptable + self.unacceptable - self.agreed_unacceptable
        agreed = (self.agreed_acceptable + self.agreed_unacceptable) / whole
        chance = (accepted * self.acceptable + (whole - accepted) * self.unacceptable) / whole**2
        return None if math.isclose(chance, 1.0) else (agreed - chance) / (1 - chance)

    def corrected(self, accepted_share: float) -> float | None:
        """The true share of acceptable answers, from the share that the judge accepts (Rogan and Gladen 1978); None
        where the judge is no better than chance."""
        if self.sensitivity is None or self.specificity is None:
            return None
        gain = self.sensitivity + self.specificity - 1
        return None if gain <= 0 else min(1.0, max(0.0, (accepted_share + self.specificity - 1) / gain))

    def may_gate(self, bar: float, *, least_labels: int = LEAST_LABELS) -> bool:
        """Whether sensitivity and specificity reach the bar, each over enough labels."""
        return not self.shortcoming(bar, least_labels=least_labels)

    def shortcoming(self, bar: float, *, least_labels: int = LEAST_LABELS) -> str:
        """Why the judge may only warn; "" if it may gate."""
        for name, count, share in (
            ("acceptable", self.acceptable, self.sensitivity),
            ("unacceptable", self.unacceptable, self.specificity),
        ):
            if count < least_labels or share is None:
                return f"only {count} of at least {least_labels} answers are labelled {name} by people"
            if share < bar:
                measure = "sensitivity" if name == "acceptable" else "specificity"
                return f"its {measure} is {share:.2f}, below {bar:.2f}"
        return ""


def read_labels(path: Path) -> tuple[HumanLabel, ...]:
    """Human labels: golden cases with two more fields, `answer` (a text) and `acceptable` (true or false).

    Raises:
        ConfigError: a line is none; with file and line.
    """
    reader = CaseReader(path)
    labels, problems = list[HumanLabel](), list[Problem]()
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for found in reader:
        try:
            said = msgspec.json.decode(lines[found.line - 1], type=_Labelled)
        except msgspec.ValidationError:
            message = "expected `answer`, a text, and `acceptable`, true or false"
            problems.append(Problem(str(path), found.line, 1, message))
            continue
        labels.append(HumanLabel(found.case, Answer(said.answer), said.acceptable))
    problems += reader.problems
    if problems:
        raise ConfigError(*problems)
    return tuple(labels)


async def calibrate(judge: Scorer, labels: Sequence[HumanLabel]) -> Calibration:
    """Have the judge score what people have judged.

    Raises:
        ScoringFailed: it cannot be asked.
    """
    counts = {(human, judged): 0 for human in (True, False) for judged in (True, False)}
    for label in labels:
        score = await judge.score(label.case, label.answer)
        counts[label.is_acceptable, score.is_acceptable] += 1
    return Calibration(
        acceptable=counts[True, True] + counts[True, False],
        agreed_acceptable=counts[True, True],
        unacceptable=counts[False, True] + counts[False, False],
        agreed_unacceptable=counts[False, False],
    )


class _Labelled(msgspec.Struct):
    answer: str
    acceptable: bool
