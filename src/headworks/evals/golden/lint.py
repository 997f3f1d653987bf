"""What could be better in a golden set: what makes it say less, or something else, than its size promises."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from headworks.errors import ConfigError
from headworks.evals.golden.cases import GoldenCase, Part
from headworks.evals.golden.likeness import LikenessTable, asked_text
from headworks.evals.golden.reading import CaseLine, CaseReader

Rule = Literal[
    "duplicate", "near-duplicate", "contradiction", "leakage", "shown", "imbalance", "no-expected", "unknown-field",
    "power", "unfit",
]  # fmt: skip

MOST_LABELS = 20
"""More values than that are no classes but free content."""

RARE_SHARE = 0.02
"""A class of less than this share, and fewer than `RARE_CASES` cases, says nothing of how it goes with it."""

RARE_CASES = 5
LARGE_SHARE = 0.8
"""A class of more than this share: who always answers it has this score."""

_LEAST_SHOWN = 7
"""Spaces: a text of fewer than six words may stand in a prompt for another reason."""

_LEAST_FOR_CLASSES = 20
_MOST_OF_A_KIND = 200


class GoldenFinding(msgspec.Struct, frozen=True):
    """One finding.

    Attributes:
        rule: what kind it is.
        line: where, from 1; 0 for the whole set.
        message: in a sentence, without anything of a case but ids, tags and labels.
        weighs: it makes the set's verdicts wrong, and is not only a remark.
        ids: the cases that it is about.
    """

    rule: Rule
    line: int
    message: str
    weighs: bool
    ids: tuple[str, ...] = ()


class _Seen(msgspec.Struct, frozen=True):
    line: int
    id: str
    part: Part
    cluster: str
    expected: bytes


class _Counts:
    """What the whole set is made of."""

    def __init__(self) -> None:
        self.cases = 0
        self.tags: Counter[str] = Counter()
        self.labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.splits: Counter[Part] = Counter()
        self.independent: Counter[Part] = Counter()
        self._clusters: set[tuple[Part, str]] = set()

    def add(self, case: GoldenCase) -> None:
        self.cases += 1
        self.splits[case.part] += 1
        if not case.cluster or (case.part, case.cluster) not in self._clusters:
            self.independent[case.part] += 1
            self._clusters.add((case.part, case.cluster))
        self.tags.update(set(case.tags))
        for field, value in labels_of(case).items():
            counted = self.labels[field]
            if value in counted or len(counted) <= MOST_LABELS:
                counted[value] += 1


def lint_golden(
    path: Path, *, bar: float, needed_cases: Callable[[float], int], prompt: str = ""
) -> tuple[GoldenFinding, ...]:
    """Every finding, in the order of the lines; those about the whole set last. At most two hundred of each rule.

    Arguments:
        path: the golden set.
        bar: the share that must be right, from the contract.
        needed_cases: the least number of cases with which a bar can be defended.
        prompt: the text of the workload's prompt, which must not show what decides.

    Raises:
        ConfigError: it is no golden set.
    """
    reader = CaseReader(path)
    told = _words(prompt)
    table, counts, seen = LikenessTable(), _Counts(), list[_Seen]()
    clusters: dict[str, _Seen] = {}
    findings = _Findings()
    for found in reader:
        case = found.case
        expected = b"" if not case.has_expected else msgspec.json.encode(case.expected_value(), order="deterministic")
        here = _Seen(found.line, case.id, case.part, case.cluster, expected)
        like = table.add(case)
        seen.append(here)
        counts.add(case)
        other = None if like is None else seen[like.index]
        findings.add(_shown_to_models(here, case, told))
        if like is not None and other is not None:
            findings.add(_alike(here, other, like.share))
        if case.cluster:
            first = clusters.setdefault(case.cluster, here)
            if first.part != here.part and (other is None or other.part == here.part):
                findings.add(_leak(here, first, "belongs to the same cluster as"))
        findings.add(_without_expected(found))
        findings.add(_unknown_fields(found))
    if reader.problems:
        raise ConfigError(*reader.problems)
    return (*findings.found, *_of_whole(counts, bar, needed_cases))


def labels_of(case: GoldenCase) -> dict[str, str]:
    """What of the expected answer may be a class: the whole (named by "") where it is a word, a number or a truth
    value; else each of an object's fields that is one."""
    expected = case.expected_value()
    if isinstance(expected, str | bool | int):
        return {"": _word(expected)}
    if not isinstance(expected, dict):
        return {}
    return {
        str(name): _word(value)
        for name, value in expected.items()
        if value is None or isinstance(value, bool | int) or (isinstance(value, str) and len(value) <= 40)
    }


class _Findings:
    """What is told: of each kind so many, so that a remark on every line does not hide a problem on the last."""

    def __init__(self) -> None:
        self.found: list[GoldenFinding] = []
        self._of: Counter[Rule] = Counter()

    def add(self, one: GoldenFinding | None) -> None:
        if one is not None:
            self._of[one.rule] += 1
            if self._of[one.rule] <= _MOST_OF_A_KIND:
                self.found.append(one)


def _shown_to_models(here: _Seen, case: GoldenCase, told: str) -> GoldenFinding | None:
    shown = "" if case.part == "train" else _shown_text(case, told)
    if not shown:
        return None
    message = (
        f"its {shown} stands in the prompt: who is shown the case knows the answer. Make it a `train` case, or "
        "take it out of the prompt"
    )
    return GoldenFinding("shown", here.line, message, weighs=True, ids=(case.id,))


def _without_expected(found: CaseLine) -> GoldenFinding | None:
    if found.case.has_expected:
        return None
    message = "says nothing of what is right: only a judge, a schema or rules can score it"
    return GoldenFinding("no-expected", found.line, message, weighs=False, ids=(found.case.id,))


def _unknown_fields(found: CaseLine) -> GoldenFinding | None:
    if not found.unknown:
        return None
    names = ", ".join(f"`{name[:40]}`" for name in found.unknown[:5] if name.isprintable())
    message = f"has fields that no case has, and that are passed over: {names}"
    return GoldenFinding("unknown-field", found.line, message, weighs=False, ids=(found.case.id,))


def _shown_text(case: GoldenCase, told: str) -> str:
    """Which of a case's texts stands in the prompt, word for word; "" for none. Short ones may do so by chance."""
    for name, value in case.variables.items():
        if isinstance(value, str) and _is_within(value, told):
            return f"variable `{name}`" if name.isidentifier() else "text"
    return "input" if _is_within(asked_text(msgspec.structs.replace(case, variables={})), told) else ""


def _is_within(text: str, told: str) -> bool:
    words = _words(text)
    return words.count(" ") >= _LEAST_SHOWN and words in told


def _words(text: str) -> str:
    """A text's words, so that line breaks, case and punctuation make no difference; a space before and behind each."""
    return " " + " ".join(re.findall(r"\w+", text.casefold())) + " " if text else ""


def _word(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _alike(here: _Seen, other: _Seen, share: float) -> GoldenFinding | None:
    if share == 1.0 and here.expected != other.expected:
        message = f"asks what line {other.line} asks (`{other.id}`), and expects something else: one of them is wrong"
        return GoldenFinding("contradiction", here.line, message, weighs=True, ids=(here.id, other.id))
    if here.part != other.part:
        return _leak(here, other, "asks the same as" if share == 1.0 else f"is to {share:.0%} the same as")
    if share == 1.0:
        message = f"asks the same as line {other.line} (`{other.id}`): it counts twice and tells nothing new"
        return GoldenFinding("duplicate", here.line, message, weighs=True, ids=(here.id, other.id))
    if here.cluster and here.cluster == other.cluster:
        return None  # it is known that they belong together
    message = (
        f"is to {share:.0%} the same as line {other.line} (`{other.id}`): give both one `cluster`, "
        "or they count as two independent cases"
    )
    return GoldenFinding("near-duplicate", here.line, message, weighs=False, ids=(here.id, other.id))


def _leak(here: _Seen, other: _Seen, how: str) -> GoldenFinding:
    why = "what decides must not be known while the prompt is written"
    if "test" not in (here.part, other.part):
        why = "an example that the prompt shows is answered well whatever the prompt is"
    message = (
        f"{how} line {other.line} (`{other.id}`), which is in the split `{other.part}`, and this one is in "
        f"`{here.part}`: {why}"
    )
    return GoldenFinding("leakage", here.line, message, weighs=True, ids=(here.id, other.id))


def _of_whole(counts: _Counts, bar: float, needed_cases: Callable[[float], int]) -> Iterator[GoldenFinding]:
    if counts.cases >= _LEAST_FOR_CLASSES:
        yield from _imbalance("tag", counts.tags, counts.cases, is_exclusive=False)
        for field, values in counts.labels.items():
            if 1 < len(values) <= MOST_LABELS and sum(values.values()) == counts.cases:
                what = f"label of `{field}`" if field else "label"
                yield from _imbalance(what, values, counts.cases, is_exclusive=True)
    part: Part = "test" if counts.splits["test"] else "dev"
    deciding, independent = counts.splits[part], counts.independent[part]
    needed = needed_cases(bar)
    if independent < needed:
        which = "its part `test`" if counts.splits["test"] else "this set"
        groups = f" in {independent:,} independent groups" if independent < deciding else ""
        message = (
            f"{which} has {deciding:,} cases{groups} and cannot defend a bar of {bar:.2f}; it needs n >= {needed:,}"
        )
        yield GoldenFinding("power", 0, message, weighs=True)


def _imbalance(what: str, values: Counter[str], cases: int, *, is_exclusive: bool) -> Iterator[GoldenFinding]:
    rare = sorted(value for value, count in values.items() if count < RARE_CASES and count < RARE_SHARE * cases)
    if rare:
        names = ", ".join(f"`{_shown(value)}`" for value in rare[:5]) + (
            f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        )
        message = f"too few cases to say anything of them have the {what} {names}"
        yield GoldenFinding("imbalance", 0, message, weighs=False)
    largest, count = values.most_common(1)[0] if values else ("", 0)
    if is_exclusive and count > LARGE_SHARE * cases:
        message = (
            f"{count / cases:.0%} of the cases have the {what} `{_shown(largest)}`: "
            "who always answers it is right as often"
        )
        yield GoldenFinding("imbalance", 0, message, weighs=False)


def _shown(value: str) -> str:
    return value[:40] if value.isprintable() else "…"
