"""What a golden set is made of, in numbers."""

from collections import Counter
from pathlib import Path

import msgspec

from headworks.errors import ConfigError
from headworks.evals.golden.lint import MOST_LABELS, labels_of
from headworks.evals.golden.reading import CaseReader


class GoldenSummary(msgspec.Struct, frozen=True):
    """Counts of cases.

    Attributes:
        groups: cases that are independent of one another: clusters, and cases without one.
        tags: cases by tag; a case may have several.
        labels: for each class of the expected answer (see `labels_of`), cases by value.
    """

    cases: int
    groups: int
    must_pass: int
    without_expected: int
    splits: dict[str, int]
    tags: dict[str, int]
    labels: dict[str, dict[str, int]]


def summarise(path: Path) -> GoldenSummary:
    """Count what is in a golden set.

    Raises:
        ConfigError: it is no golden set.
    """
    reader = CaseReader(path)
    splits, tags, clusters = Counter[str](), Counter[str](), set[str]()
    labels: dict[str, Counter[str]] = {}
    must_pass = without_expected = alone = 0
    for found in reader:
        case = found.case
        splits[case.part] += 1
        tags.update(set(case.tags))
        must_pass += case.must_pass
        without_expected += not case.has_expected
        if case.cluster:
            clusters.add(case.cluster)
        else:
            alone += 1
        for field, value in labels_of(case).items():
            counted = labels.setdefault(field, Counter())
            if value in counted or len(counted) <= MOST_LABELS:
                counted[value] += 1
    if reader.problems:
        raise ConfigError(*reader.problems)
    classes = {name: dict(found.most_common()) for name, found in labels.items() if 1 < len(found) <= MOST_LABELS}
    return GoldenSummary(
        cases=reader.count,
        groups=alone + len(clusters),
        must_pass=must_pass,
        without_expected=without_expected,
        splits=dict(sorted(splits.items())),
        tags=dict(tags.most_common()),
        labels=classes,
    )
