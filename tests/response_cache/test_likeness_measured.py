"""How many paraphrases the guards beside nearness let through, and how many that only look alike: the figures of
docs/how-to/semantic-cache.md."""

from pathlib import Path

import pytest

from headworks.embedding import load_local_model
from headworks.response_cache import may_stand, wording_of

PAIRS = [line.split("\t") for line in (Path(__file__).parent / "likeness_pairs.tsv").read_text().splitlines()]
AT_LEAST = 0.8


def part(kind, is_looked_at):
    """Every other pair was looked at while the rules were made, from the first on."""
    of_kind = [(one, other) for found, one, other in PAIRS if found == kind]
    return of_kind[0 if is_looked_at else 1 :: 2]


@pytest.mark.parametrize(
    ("kind", "is_looked_at", "figures"),
    [
        ("same", True, (30, 19, 16)),
        ("same", False, (30, 23, 12)),
        ("other", True, (35, 12, 0)),
        ("other", False, (35, 16, 0)),
    ],
)
def test_the_figures_of_the_page(kind, is_looked_at, figures):
    model = load_local_model()
    pairs = part(kind, is_looked_at)
    near = [pair for pair in pairs if model.cosines(model.packed(pair[0]), model.packed(pair[1]))[0] >= AT_LEAST]
    passed = [(one, other) for one, other in near if may_stand(wording_of(one, b"k"), wording_of(other, b"k"))]

    assert (len(pairs), len(near), len(passed)) == figures


def test_nothing_that_only_looks_alike_passes_however_near_it_is():
    found = [pair for kind, *pair in PAIRS if kind == "other"]
    assert [pair for pair in found if may_stand(*(wording_of(text, b"k") for text in pair))] == []
