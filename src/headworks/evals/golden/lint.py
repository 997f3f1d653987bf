"""What could be better in a golden set: what makes it say less, or something else, than its size promises."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from headworks.errors import ConfigError
from headworks.evals.golden.cases import GoldenCase, Split
from headworks.evals.golden.likeness import LikenessTable
from headworks.evals.golden.reading import CaseReader

Rule = Literal[
    "duplicate", "near-duplicate", "contradiction", "leakage", "imbalance", "no-expected", "unknown-field", "power"
]

MOST_LABELS = 20
"""More values than that are no classes but free content."""

RARE_SHARE = 0.02
"""A class of less than this share, and fewer than `RARE_CASES` cases, says nothing of how it goes with it."""

RARE_CASES = 5
LARGE_SHARE = 0.8
"""A class of more than this share: who always answers it has this score."""

_LEAST_FOR_CLASSES = 20
_MOST_FINDINGS = 200


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
    split: Split
    expected: bytes


class _Counts:
    """What the whole set is made of."""

    def __init__(self) -> None:
        self.cases = 0
        self.tags: Counter[str] = Counter()
        self.labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.splits: Counter[Split] = Counter()

    def add(self, case: GoldenCase) -> None:
        self.cases += 1
        self.splits[case.split] += 1
        self.tags.update(set(case.tags))
        for field, value in labels_of(case).items():
            counted = self.labels[field]
            if value in counted or len(counted) <= MOST_LABELS:
                counted[value] += 1


def lint_golden(path: Path, *, bar: float, needed_cases: Callable[[float], int]) -> tuple[GoldenFinding, ...]:
    """Every finding, in the order of the lines; those about the whole set last. At most two hundred.

    Arguments:
        path: the golden set.
        bar: the share that must be right, from the contract.
        needed_cases: the least number of cases with which a bar can be defended.

    Raises:
        ConfigError: it is no golden set.
    """
    reader = CaseReader(path)
    table, counts, seen = LikenessTable(), _Counts(), list[_Seen]()
    clusters: dict[str, _Seen] = {}
    findings: list[GoldenFinding] = []
    for found in reader:
        case = found.case
        expected = b"" if not case.has_expected else msgspec.json.encode(case.expected_value(), order="deterministic")
        here = _Seen(found.line, case.id, case.split, expected)
        like = table.add(case)
        seen.append(here)
        counts.add(case)
        if len(findings) >= _MOST_FINDINGS:
            continue
        if like is not None:
            findings.append(_alike(here, seen[like.index], like.share))
        if case.cluster:
            first = clusters.setdefault(case.cluster, here)
            if first.split != here.split and (like is None or seen[like.index].split == here.split):
                findings.append(_leak(here, first, "belongs to the same cluster as"))
        if not case.has_expected:
            message = "says nothing of what is right: only a judge, a schema or rules can score it"
            findings.append(GoldenFinding("no-expected", found.line, message, weighs=False, ids=(case.id,)))
        if found.unknown:
            names = ", ".join(f"`{name[:40]}`" for name in found.unknown[:5] if name.isprintable())
            message = f"has fields that no case has, and that are passed over: {names}"
            findings.append(GoldenFinding("unknown-field", found.line, message, weighs=False, ids=(case.id,)))
    if reader.problems:
        raise ConfigError(*reader.problems)
    return (*findings, *_of_whole(counts, bar, needed_cases))


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


def _word(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _alike(here: _Seen, other: _Seen, share: float) -> GoldenFinding:
    if share == 1.0 and here.expected != other.expected:
        message = f"asks what line {other.line} asks (`{other.id}`), and expects something else: one of them is wrong"
        return GoldenFinding("contradiction", here.line, message, weighs=True, ids=(here.id, other.id))
    if here.split != other.split:
        return _leak(here, other, "asks the same as" if share == 1.0 else f"is to {share:.0%} the same as")
    if share == 1.0:
        message = f"asks the same as line {other.line} (`{other.id}`): it counts twice and tells nothing new"
        return GoldenFinding("duplicate", here.line, message, weighs=True, ids=(here.id, other.id))
    message = (
        f"is to {share:.0%} the same as line {other.line} (`{other.id}`): give both one `cluster`, "
        "or they count as two independent cases"
    )
    return GoldenFinding("near-duplicate", here.line, message, weighs=False, ids=(here.id, other.id))


def _leak(here: _Seen, other: _Seen, how: str) -> GoldenFinding:
    message = (
        f"{how} line {other.line} (`{other.id}`), which is in the split `{other.split}`, and this one is in "
        f"`{here.split}`: what decides must not be known while the prompt is written"
    )
    return GoldenFinding("leakage", here.line, message, weighs=True, ids=(here.id, other.id))


def _of_whole(counts: _Counts, bar: float, needed_cases: Callable[[float], int]) -> Iterator[GoldenFinding]:
    if counts.cases >= _LEAST_FOR_CLASSES:
        yield from _imbalance("tag", counts.tags, counts.cases, is_exclusive=False)
        for field, values in counts.labels.items():
            if 1 < len(values) <= MOST_LABELS and sum(values.values()) == counts.cases:
                what = f"label of `{field}`" if field else "label"
                yield from _imbalance(what, values, counts.cases, is_exclusive=True)
    deciding = counts.splits["held-out"] or counts.cases
    needed = needed_cases(bar)
    if deciding < needed:
        which = "its held-out part" if counts.splits["held-out"] else "this set"
        message = f"{which} has {deciding:,} cases and cannot defend a bar of {bar:.2f}; it needs n >= {needed:,}"
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
