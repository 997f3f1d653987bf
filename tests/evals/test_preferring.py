"""What a judge likes better, pair by pair."""

import asyncio
import json

import pytest
from scipy import stats

from headworks.evals.pairing import Side
from headworks.evals.preferring import prefer
from headworks.evals.scorers import Judge, JudgeReply

from .conftest import Model, numbered


def judge(says):
    """A judge that sees the first and the second answer."""

    async def ask(model, instructions, text):
        first, second = (text.partition(f"The {place} answer")[2].split("\n")[2] for place in ("first", "second"))
        return JudgeReply(says(first, second), 10)

    return Judge(ask, "sim/judge", "Be kind.")


def longer(first, second):
    return json.dumps({"better": "first" if len(first) > len(second) else "second"})


@pytest.fixture
def preferences(bench):
    """What a judge makes of two arms that say so."""

    def do(count, says, likes, cases=None, **options):
        with bench.create(cases or numbered(count), arms=("old", "new")) as folder:
            bench.run(folder, Model(says), **options)
            sides = Side(folder, 0), Side(folder, 1)
            return asyncio.run(prefer(judge(likes), *sides, concurrency=4, timeout_s=5))

    return do


def test_each_pair_is_preferred_one_way_or_the_other(preferences):
    """Of 20 cases the new arm says more in 12, less in 3, and the same in 5."""

    def says(arm, case):
        number = int(case.id.removeprefix("case-"))
        more = "new" if number < 12 else "old" if number < 15 else ""
        return "a long answer" if arm.name == more else "short"

    found = preferences(20, says, longer)
    assert (found.pairs, found.old, found.new, found.swayed, found.failed) == (20, 3, 12, 0, 0)
    assert found.interval[0] < 9 / 20 < found.interval[1]
    midp = stats.binom.sf(12, 15, 0.5) + stats.binom.pmf(12, 15, 0.5) / 2
    assert found.p_value == pytest.approx(2 * midp)
    assert found.cost_pico_usd == 15 * 2 * 10  # what is alike is not asked


def test_a_judge_that_goes_by_position_prefers_nothing(preferences):
    found = preferences(8, lambda arm, case: arm.name, lambda first, second: '{"better": "first"}')
    assert (found.old, found.new, found.swayed, found.p_value) == (0, 0, 8, 1.0)


def test_what_it_says_nothing_of_is_counted_as_that(preferences):
    found = preferences(8, lambda arm, case: arm.name, lambda first, second: "well")
    assert (found.pairs, found.failed, found.swayed) == (8, 8, 0)


def test_of_the_pairs_of_a_cluster_one_is_asked(preferences):
    cases = [case | ({"cluster": "c"} if number else {}) for number, case in enumerate(numbered(5))]
    assert preferences(5, lambda arm, case: arm.name * 2, longer, cases).pairs == 2
