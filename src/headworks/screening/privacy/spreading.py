"""Where values that were found once stand again: what words gave away in one place is the same without them.

Time grows with the texts, and not with texts times values: a hostile caller chooses both.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from headworks.screening.privacy.finding import without_overlaps
from headworks.screening.privacy.findings import Finding
from headworks.screening.steps import Steps

Occurrence: TypeAlias = tuple[int, int, str]
"""Where a value starts and ends in a text, and the value."""

_RUN = re.compile(r"[^\W_]+")
"""Letters and digits: a value that begins with one is only looked for where such a run begins."""

_RUNS_AT_ONCE = 256

_FEW = 100_000
"""Values times characters up to which each value is looked for by itself, which is quicker then."""


def occurrences(texts: Sequence[str], values: Collection[str]) -> Steps[list[list[Occurrence]]]:
    """For each text, where values stand in it as whole words; they may overlap.

    Arguments:
        values: none of them empty.
    """
    if len(values) * sum(map(len, texts)) <= _FEW:
        return [_by_value(text, values) for text in texts]
    by_run, others = _by_first_run(values)
    found = []
    for text in texts:
        one: list[Occurrence] = []
        yield from _by_run(text, by_run, one)
        found.append(one + _by_value(text, others))
    return found


def spread(findings: Sequence[Finding], found: Sequence[Occurrence], models: Mapping[str, Finding]) -> list[Finding]:
    """A text's findings with those that its occurrences are, in order. What was found already stays as it is.

    Arguments:
        findings: in order, without overlaps.
        models: what each value was found as.
    """
    starts = [one.start for one in findings]
    more = []
    for start, end, value in found:
        before = bisect_right(starts, start)
        is_free = (not before or findings[before - 1].end <= start) and (before == len(starts) or starts[before] >= end)
        if is_free:
            more.append(Finding(start, end, models[value].kind, models[value].confidence))
    return sorted([*findings, *without_overlaps(more)]) if more else list(findings)


def apart(findings: Sequence[Finding], spans: Sequence[tuple[int, int]]) -> list[Finding]:
    """The findings that none of the spans overlaps. Both in order, and without overlaps of their own."""
    if not spans:
        return list(findings)
    ends = [end for _, end in spans]
    kept = []
    for one in findings:
        next_span = bisect_right(ends, one.start)
        if next_span == len(spans) or spans[next_span][0] >= one.end:
            kept.append(one)
    return kept


def _by_value(text: str, values: Collection[str]) -> list[Occurrence]:
    found = []
    for value in values:
        start = text.find(value)
        while start >= 0:
            end = start + len(value)
            is_whole = _is_whole(text, start, end)
            if is_whole:
                found.append((start, end, value))
            start = text.find(value, end if is_whole else start + 1)
    return found


def _by_first_run(values: Collection[str]) -> tuple[dict[str, list[tuple[int, str]]], list[str]]:
    """Values by their first run, each with what stands before it; and those that have none."""
    by_run: dict[str, list[tuple[int, str]]] = {}
    others = []
    for value in values:
        run = _RUN.search(value)
        if run is None:
            others.append(value)
        else:
            by_run.setdefault(run[0], []).append((run.start(), value))
    return by_run, others


def _by_run(text: str, by_run: Mapping[str, Sequence[tuple[int, str]]], found: list[Occurrence]) -> Steps[None]:
    ends: dict[str, int] = {}  # of the last one of each value: one does not overlap itself
    for count, run in enumerate(_RUN.finditer(text)):
        if not count % _RUNS_AT_ONCE:
            yield
        for offset, value in by_run.get(run[0], ()):
            start = run.start() - offset
            end = start + len(value)
            if start < ends.get(value, 0) or not text.startswith(value, start) or not _is_whole(text, start, end):
                continue
            ends[value] = end
            found.append((start, end, value))


def _is_whole(text: str, start: int, end: int) -> bool:
    return not (start and text[start - 1].isalnum() and text[start].isalnum()) and not (
        text[end : end + 1].isalnum() and text[end - 1].isalnum()
    )
