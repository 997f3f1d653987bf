"""What a run came to: scores with intervals, money, latency, flicker, slices, and the cases that went wrong.

The case is what is counted: repeats of one are averaged first, cases of one cluster as well, for they are not
independent. What is invalid counts neither way, and is always shown. Where there is nothing to divide by, there is no
figure: None, never NaN.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from headworks.evals.golden.likeness import asked_text
from headworks.evals.runs import Arm, Manifest, Result, RunFolder, Unit, Verdict
from headworks.evals.scorers import Calibration
from headworks.evals.statistics import JudgeLabels, clopper_pearson, rogan_gladen

VOID_SHARE = 0.02
"""From this share of invalid answers on, a run says too little of its arms (evals reference, 2.7)."""

MOST_TAGS = 50


class Intervals(Protocol):
    """The intervals that are shown beside scores, from lowest to highest, 95 %."""

    def share(self, right: int, cases: int) -> tuple[float, float]:
        """Of the share of independent cases that are right, exact."""
        ...

    def mean(self, values: Sequence[float]) -> tuple[float, float]:
        """Of the mean of independent values from 0 to 1: cases with repeats, clusters."""
        ...


class Slice(msgspec.Struct, frozen=True):
    """The cases with one tag: how many were decided, and the share that is right, with its interval."""

    tag: str
    cases: int
    score: float
    low: float
    high: float


class ArmReport(msgspec.Struct, frozen=True, kw_only=True):
    """One arm.

    Attributes:
        cases: cases of which at least one answer was decided.
        score: the share that is right; None where nothing was decided. `low` and `high` are its interval.
        value: the mean of the scorers' values.
        right, wrong, invalid: answers.
        errors: of what is wrong or invalid without an answer, how many of which code.
        failed_scoring: answers that the scorer could not tell about.
        cost_pico_usd: of all decided answers, wherever they were paid for; None where no price is known.
        cost_per_call_pico_usd: of one.
        cost_per_right_pico_usd: all of it, for each answer that is right.
        p50_ms, p95_ms: of the time to the whole answer.
        corrected: where a judge alone decides, the share of right answers with the judge's known errors taken out, and
            its 95 % interval; None where something else decides, and with repeats or clusters.
        flicker: of the cases with several decided answers, the share that is right only sometimes; None without
            repeats.
        must_pass_failed: ids of cases that must pass and have a wrong answer.
        is_void: so many answers are invalid that the figures say little.
    """

    arm: Arm
    cases: int
    score: float | None
    low: float | None
    high: float | None
    value: float | None
    right: int
    wrong: int
    invalid: int
    errors: Mapping[str, int]
    failed_scoring: int
    cost_pico_usd: int | None
    cost_per_call_pico_usd: int | None
    cost_per_right_pico_usd: int | None
    p50_ms: float | None
    p95_ms: float | None
    flicker: float | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    served_models: tuple[str, ...]
    slices: tuple[Slice, ...]
    must_pass_failed: tuple[str, ...]
    is_void: bool
    corrected: tuple[float, float, float] | None = None


class ShownAnswer(msgspec.Struct, frozen=True):
    """What one arm answered to one case: the first answer that is not right, or the first."""

    arm: str
    verdict: Verdict
    text: str
    reason: str
    right: int
    asked: int


class FailingCase(msgspec.Struct, frozen=True):
    """A case that at least one arm got wrong. `expected` is JSON, "" where the case has none."""

    id: str
    tags: tuple[str, ...]
    must_pass: bool
    asked: str
    expected: str
    answers: tuple[ShownAnswer, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run.

    Attributes:
        units: how many questions it has; `answered` of them have been.
        spent_pico_usd: what it cost, judges included; what came from the cache cost nothing.
        lost: questions whose answer never came, because the process died.
        failing: the cases with a wrong answer: those that must pass first, then those that arms differ on. Of
            `failing_count` in all.
        warnings: what scorers that may not decide said, and how often.
    """

    manifest: Manifest
    units: int
    answered: int
    spent_pico_usd: int
    lost: int
    arms: tuple[ArmReport, ...]
    failing: tuple[FailingCase, ...]
    failing_count: int
    warnings: Mapping[str, int]

    @property
    def is_complete(self) -> bool:
        """Whether every question has been answered."""
        return self.answered == self.units


class _Tally:
    """What is counted of one arm; a few bytes a case."""

    def __init__(self, arm: Arm, cases: int) -> None:
        self.arm = arm
        self.right = array("H", [0]) * cases
        self.decided = array("H", [0]) * cases
        self.latencies = array("d")
        self.verdicts: Counter[Verdict] = Counter()
        self.errors: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.failed_scoring = self.cost = self.priced = 0
        self.input_tokens = self.cached_tokens = self.output_tokens = 0
        self.value = 0.0
        self.must_pass_failed: dict[str, None] = {}

    def add(self, result: Result) -> None:
        reply, verdict, case = result.answered.reply, result.verdict, result.unit.case
        self.verdicts[verdict] += 1
        if reply.error is not None:
            self.errors[reply.error.code] += 1
        if verdict == "invalid":
            self.failed_scoring += reply.error is None
            return
        self.decided[case] += 1
        self.right[case] += verdict == "right"
        if result.case.must_pass and verdict == "wrong":
            self.must_pass_failed[result.case.id] = None
        if result.scored is not None and result.scored.score is not None:
            self.value += result.scored.score.value
        self.latencies.append(reply.latency_ms)
        if reply.cost_pico_usd is not None:
            self.cost += reply.cost_pico_usd
            self.priced += 1
        self.input_tokens += reply.usage.input_tokens
        self.cached_tokens += reply.usage.cached_tokens
        self.output_tokens += reply.usage.output_tokens
        if reply.served_model:
            self.served[reply.served_model] += 1


def make_report(folder: RunFolder, intervals: Intervals, *, most_failing: int = 100) -> Report:
    """What a run came to, as far as it is.

    Arguments:
        most_failing: how many failing cases are shown.
    """
    manifest = folder.manifest
    tallies = [_Tally(arm, len(folder.cases)) for arm in manifest.arms]
    tags: dict[str, array[int]] = {}
    clusters: dict[str, array[int]] = {}
    is_failing = bytearray(len(folder.cases))
    must_pass = bytearray(len(folder.cases))
    is_seen = bytearray(len(folder.cases))
    warnings: Counter[str] = Counter()
    answered = 0
    for result in folder.results():
        answered += 1
        index, case = result.unit.case, result.case
        tallies[result.unit.arm].add(result)
        if not is_seen[index]:
            is_seen[index] = 1
            must_pass[index] = case.must_pass
            for tag in set(case.tags):
                tags.setdefault(tag, array("Q")).append(index)
            if case.cluster:
                clusters.setdefault(case.cluster, array("Q")).append(index)
        if result.verdict == "wrong":
            is_failing[index] = 1
        if result.scored is not None and result.scored.score is not None:
            warnings.update(result.scored.score.warnings)
    groups = _Groups(manifest, clusters, intervals)
    failing = sorted(
        (index for index in folder.order if is_failing[index]),
        key=lambda index: (not must_pass[index], not _differs(index, tallies)),
    )
    return Report(
        manifest=manifest,
        units=folder.units,
        answered=answered,
        spent_pico_usd=folder.spent_pico_usd,
        lost=folder.lost,
        arms=tuple(
            msgspec.structs.replace(
                _arm_report(tally, groups, tags),
                corrected=_corrected(tally, manifest.calibration) if groups.is_plain else None,
            )
            for tally in tallies
        ),
        failing=tuple(failing_case(folder, index) for index in failing[:most_failing]),
        failing_count=len(failing),
        warnings=dict(warnings.most_common(20)),
    )


def failing_case(folder: RunFolder, index: int) -> FailingCase:
    """One case with what every arm answered to it."""
    manifest, case = folder.manifest, folder.cases[index]
    shown = []
    for number, arm in enumerate(manifest.arms):
        units = [Unit(number, index, repeat) for repeat in range(manifest.repeats)]
        results = [
            Result(unit, case, answered, folder.scored(unit))
            for unit in units
            if (answered := folder.answered(unit)) is not None
        ]
        if results:
            right = sum(one.verdict == "right" for one in results)
            first = next((one for one in results if one.verdict != "right"), results[0])
            text, reason = _said(first), reason_of(first)
            shown.append(ShownAnswer(arm.name, first.verdict, text, reason, right, len(results)))
    expected = "" if not case.has_expected else msgspec.json.encode(case.expected_value()).decode()
    return FailingCase(case.id, case.tags, case.must_pass, asked_text(case), expected, tuple(shown))


def reason_of(result: Result) -> str:
    """Why an answer is not right; "" for one that is."""
    error = result.answered.reply.error
    if error is not None:
        return f"{error.code}: {error.message}" if error.message else error.code
    if result.scored is None:
        return "is not scored"
    return result.scored.failed or (result.scored.score.reason if result.scored.score is not None else "")


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of all does not exceed (nearest rank); None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


class _Groups:
    """Cases as independent groups: clusters, and those that stand alone."""

    def __init__(self, manifest: Manifest, clusters: "Mapping[str, array[int]]", intervals: Intervals) -> None:
        self.is_plain = manifest.repeats == 1 and not any(len(one) > 1 for one in clusters.values())
        self._cluster_of = {index: name for name, indexes in clusters.items() for index in indexes}
        self._intervals = intervals

    def score(self, tally: _Tally, cases: Iterator[int] | Sequence[int]) -> tuple[int, float, float, float] | None:
        """How many of these cases were decided, their score, and its interval; None where none was."""
        shares = [(index, tally.right[index] / tally.decided[index]) for index in cases if tally.decided[index]]
        if not shares:
            return None
        score = sum(share for _, share in shares) / len(shares)
        if self.is_plain:
            low, high = self._intervals.share(sum(int(share) for _, share in shares), len(shares))
            return len(shares), score, low, high
        grouped: dict[object, list[float]] = {}
        for index, share in shares:
            grouped.setdefault(self._cluster_of.get(index, index), []).append(share)
        low, high = self._intervals.mean([sum(group) / len(group) for group in grouped.values()])
        return len(shares), score, min(low, score), max(high, score)


def _arm_report(tally: _Tally, groups: _Groups, tags: "Mapping[str, array[int]]") -> ArmReport:
    scored = groups.score(tally, range(len(tally.decided)))
    right, wrong, invalid = (tally.verdicts[verdict] for verdict in ("right", "wrong", "invalid"))
    decided = right + wrong
    several = [index for index in range(len(tally.decided)) if tally.decided[index] > 1]
    flickering = sum(0 < tally.right[index] < tally.decided[index] for index in several)
    slices = []
    for tag in sorted(tags, key=lambda name: (-len(tags[name]), name))[:MOST_TAGS]:
        found = groups.score(tally, tags[tag])
        if found is not None:
            slices.append(Slice(tag, *found))
    is_priced = decided > 0 and tally.priced == decided
    return ArmReport(
        arm=tally.arm,
        cases=0 if scored is None else scored[0],
        score=None if scored is None else scored[1],
        low=None if scored is None else scored[2],
        high=None if scored is None else scored[3],
        value=tally.value / decided if decided else None,
        right=right,
        wrong=wrong,
        invalid=invalid,
        errors=dict(tally.errors.most_common()),
        failed_scoring=tally.failed_scoring,
        cost_pico_usd=tally.cost if is_priced else None,
        cost_per_call_pico_usd=round(tally.cost / decided) if is_priced else None,
        cost_per_right_pico_usd=round(tally.cost / right) if is_priced and right else None,
        p50_ms=percentile(tally.latencies, 0.5),
        p95_ms=percentile(tally.latencies, 0.95),
        flicker=flickering / len(several) if several else None,
        input_tokens=tally.input_tokens,
        cached_tokens=tally.cached_tokens,
        output_tokens=tally.output_tokens,
        served_models=tuple(name for name, _ in tally.served.most_common(5)),
        slices=tuple(slices),
        must_pass_failed=tuple(tally.must_pass_failed),
        is_void=invalid > VOID_SHARE * (decided + invalid),
    )


def _corrected(tally: _Tally, calibration: Calibration | None) -> tuple[float, float, float] | None:
    """The share of right answers, with the errors that the judge is known to make taken out (`rogan_gladen`). What is
    no answer was not judged, and is wrong for certain."""
    right, wrong, invalid = (tally.verdicts[verdict] for verdict in ("right", "wrong", "invalid"))
    unanswered = sum(tally.errors.values()) - (invalid - tally.failed_scoring)
    judged = right + wrong - unanswered
    if calibration is None or judged <= 0:
        return None
    labels = JudgeLabels(
        acceptable=calibration.acceptable,
        accepted=calibration.agreed_acceptable,
        unacceptable=calibration.unacceptable,
        rejected=calibration.agreed_unacceptable,
    )
    try:
        found = rogan_gladen(right, judged, labels)
    except ValueError:
        return None  # it is no better than chance, and decides nothing
    # A judge that errs makes nothing more certain than it would be with one that does not.
    skill = labels.sensitivity + labels.specificity - 1.0
    low, high = ((share + labels.specificity - 1.0) / skill for share in clopper_pearson(right, judged))
    part = judged / (right + wrong)
    return part * found.value, part * max(0.0, min(found.low, low)), part * min(1.0, max(found.high, high))


def _differs(index: int, tallies: Sequence[_Tally]) -> bool:
    """Whether arms differ on a case."""
    return len({tally.right[index] / tally.decided[index] for tally in tallies if tally.decided[index]}) > 1


def _said(result: Result) -> str:
    reply = result.answered.reply
    answer = reply.answer or reply.withheld
    if answer is None:
        return ""
    return "\n".join([answer.text, *(f"{call.name}({call.arguments})" for call in answer.tool_calls)]).strip()
