"""Which cases of a golden set are asked: those that decide, or those that a prompt is worked on with.

A set in which some cases are `test` is decided by these alone. Without any, all decide that are not `train`: what a
prompt shows as its examples, or a model was tuned on, tells nothing of what it does with other inputs.
"""

from typing import Literal

from headworks.errors import CommandError
from headworks.evals.golden.cases import Part
from headworks.evals.golden.reading import GoldenFile

Wanted = Literal["deciding", "train", "dev", "test", "all"]
WANTED: tuple[Wanted, ...] = ("deciding", "train", "dev", "test", "all")


def deciding_part(cases: GoldenFile) -> Part | Literal[""]:
    """The part of a set that decides; "" where it is the whole."""
    parts = set(cases.parts)
    if "test" in parts:
        return "test"
    return "dev" if "train" in parts else ""


def part_of(cases: GoldenFile, wanted: Wanted) -> Part | Literal[""]:
    """The part that is meant; "" for the whole set.

    Raises:
        CommandError: no case is of it.
    """
    if wanted == "all":
        return ""
    part = deciding_part(cases) if wanted == "deciding" else wanted
    if part and part not in cases.parts:
        why = "nothing can be decided by `train` cases, and" if wanted == "deciding" else "of the golden set,"
        raise CommandError(f'{why} no case has the split `{part}`: give some cases `"split": "{part}"`')
    return part


def indexes_of(cases: GoldenFile, part: str) -> list[int]:
    """The cases of a part, by their place in the file; all of them for ""."""
    return [index for index, one in enumerate(cases.parts) if not part or one == part]
