"""Two arms case by case: what is paired, what flips, what parts and money come to."""

import pytest

from headworks.evals.comparing import gate_change
from headworks.evals.pairing import Side, pair_up
from headworks.evals.runs import CallError, Reply
from headworks.evals.scorers import Combined, Part, Score, Weighted

from .conftest import Model, numbered, reply

BROKEN = Reply(error=CallError("output_invalid", "breaks the schema"), cost_pico_usd=5)


@pytest.fixture
def paired(bench):
    """The pairing of two arms of one run. `says(arm, case)` is what they answer."""
    folders = []

    def do(count, says, **options):
        repeats = options.pop("repeats", 1)
        folder = bench.create(numbered(count, **options.pop("fields", {})), arms=("old", "new"), repeats=repeats)
        folders.append(folder)
        bench.run(folder, Model(says), **options)
        return pair_up(Side(folder, 0), Side(folder, 1))

    yield do
    for folder in folders:
        folder.close()


def right(case):
    return f"answer {case.id.removeprefix('case-')}"


def test_cases_that_flip_are_told_apart(paired):
    wrong = {("new", "case-1"), ("old", "case-2"), ("old", "case-3"), ("new", "case-3")}
    found = paired(6, lambda arm, case: "no" if (arm.name, case.id) in wrong else right(case))

    assert [one.case_id for one in found.lost()] == ["case-1"]
    assert [one.case_id for one in found.won()] == ["case-2"]
    assert found.lost()[0].new.reason != ""
    whole = found.rows()[0]
    assert (whole.name, whole.cases, whole.lost, whole.won) == ("all", 6, 1, 1)
    assert whole.low < 0 < whole.high


def test_of_a_cluster_one_case_is_counted_and_each_may_not_fail_where_it_must_pass(bench):
    """Six cases, of which five are one customer's: two that are independent."""
    cases = [
        case | ({"cluster": "c"} if number else {}) | {"must_pass": True} for number, case in enumerate(numbered(6))
    ]
    with bench.create(cases, arms=("old", "new")) as folder:
        bench.run(folder, Model(lambda arm, case: "no" if arm.name == "new" else right(case)))
        found = pair_up(Side(folder, 0), Side(folder, 1)).cases()

    assert [one.case_id for one in found] == [f"case-{number}" for number in range(6)]
    assert sum(one.is_counted for one in found) == 2
    verdict = gate_change(found)
    assert (verdict.counts.cases, verdict.counts.losses) == (2, 2)
    assert len(verdict.must_pass) == 6


def test_the_bill_is_of_the_pairs_and_cache_is_seen(paired):
    found = paired(4, lambda arm, case: reply(right(case), cost_pico_usd=7 if arm.name == "old" else 9))

    assert (found.old.cost_pico_usd, found.new.cost_pico_usd) == (7, 9)
    assert (found.new.cost_per_right_pico_usd, found.new.spent_pico_usd, found.new.cached) == (9, 36, 0)
    assert found.new.p50_ms == 5.0


def test_one_broken_contract_is_a_wrong_answer_and_many_shut_the_gate(paired):
    one = paired(20, lambda arm, case: BROKEN if (arm.name, case.id) == ("new", "case-3") else right(case))
    assert not any(case.is_contract_broken for case in one.cases())
    assert [row.name for row in one.rows()] == ["all", "contract kept"]


def test_many_broken_contracts_are_marked(paired):
    few = {f"case-{n}" for n in range(4)}
    found = paired(20, lambda arm, case: BROKEN if arm.name == "new" and case.id in few else right(case))
    assert sum(case.is_contract_broken for case in found.cases()) == 4


def test_with_repeats_most_answers_decide_and_half_is_not_most(paired):
    turns = {"case-0": iter(["no", right_of(0), right_of(0)]), "case-1": iter(["no", "no", right_of(1)])}
    found = paired(
        2,
        lambda arm, case: right(case) if arm.name == "old" else next(turns[case.id]),
        repeats=3,
        concurrency=1,
    )
    assert {one.case_id: one.new.outcome for one in found.pairs} == {"case-0": "right", "case-1": "wrong"}


def right_of(number):
    return f"answer {number}"


def test_what_is_invalid_on_one_side_is_no_flip(paired):
    broken = Reply(error=CallError("upstream_overloaded", is_infrastructure=True))
    found = paired(3, lambda arm, case: broken if (arm.name, case.id) == ("new", "case-0") else right(case), attempts=1)
    assert found.lost() == ()
    assert found.rows()[0].cases == 2
    assert [case.candidate for case in found.cases()].count("invalid") == 1


def test_runs_are_paired_by_what_is_asked(bench):
    with bench.create(numbered(5)) as old:
        bench.run(old, Model())
        cases = numbered(7)[1:]
        cases[0]["input"] = "another question"
        with bench.create(cases, run="20261125-120000-0002") as new:
            bench.run(new, Model())
            found = pair_up(Side(old, 0), Side(new, 0))

    assert sorted(one.case_id for one in found.pairs) == ["case-2", "case-3", "case-4"]
    assert found.unpaired == 2 + 3  # two that only the old one has in this form, three that only the new one has


class Graded:
    """Gives marks: parts by length and by form."""

    name, may_gate = "graded", True
    identity = {"scorer": "graded"}  # noqa: RUF012

    async def score(self, case, answer):
        value = min(1.0, len(answer.text) / 20)
        parts = (Part("long", value, value > 0.5), Part("said", 1.0, is_acceptable=True))
        return Score(value, value > 0.5, parts=parts)

    async def close(self):
        """Nothing to let go of."""


def test_parts_and_graded_values_have_rows_of_their_own(bench):
    scorer = Combined([Weighted(Graded(), "graded")])
    with bench.create(numbered(10), arms=("old", "new"), scorer=scorer) as folder:
        bench.run(
            folder, Model(lambda arm, case: "x" * (18 if arm.name == "old" else 4 + int(case.id[-1]))), scorer=scorer
        )
        found = pair_up(Side(folder, 0), Side(folder, 1))

    rows = {row.name: row for row in found.rows()}
    assert list(rows) == ["all", "long", "said"]
    assert (rows["long"].lost, rows["said"].lost) == (7, 0)
    value = found.value_row()
    assert value.old == pytest.approx(0.9)
    assert value.low < value.new - value.old < value.high < 0
