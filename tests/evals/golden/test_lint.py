import random
import time

import pytest

from headworks.errors import ConfigError
from headworks.evals.golden import lint_golden, summarise
from headworks.evals.golden.likeness import LikenessTable
from headworks.evals.golden.reading import read_cases

LONG = "The export of last year's bookings to a spreadsheet stops at page three with an error, please help me today"


def lint(path, needed=0):
    return [(one.rule, one.line, one.weighs) for one in lint_golden(path, bar=0.9, needed_cases=lambda bar: needed)]


def test_a_good_set_has_no_findings(golden):
    assert (
        lint(
            golden({"id": "a", "input": "How are you?", "expected": "x"}, {"id": "b", "input": "Bye", "expected": "y"})
        )
        == []
    )


def test_the_same_question_twice_counts_twice_and_is_found(golden):
    path = golden({"id": "a", "input": "Hi", "expected": 1}, {"id": "b", "input": "Hi", "expected": 1})

    assert lint(path) == [("duplicate", 2, True)]


def test_a_remark_on_every_line_hides_no_problem(golden):
    cases = [{"id": str(n), "input": f"{n} is what it is about"} for n in range(250)]
    found = lint(golden(*cases, {"id": "again", "input": "7 is what it is about"}))

    assert ("duplicate", 251, True) in found
    assert len([one for one in found if one[0] == "no-expected"]) == 200


def test_cases_of_one_cluster_may_be_alike_and_are_one_to_what_a_set_can_defend(golden):
    cases = [{"id": str(n), "input": f"{LONG} {n}", "expected": 1, "cluster": "c"} for n in range(40)]
    (found,) = lint_golden(golden(*cases), bar=0.9, needed_cases=lambda bar: 36)

    assert found.message == (
        "this set has 40 cases in 1 independent groups and cannot defend a bar of 0.90; it needs n >= 36"
    )


def test_the_same_question_with_two_answers_is_a_contradiction(golden):
    path = golden({"id": "a", "input": "Hi", "expected": 1}, {"id": "b", "input": "Hi", "expected": 2})

    assert lint(path) == [("contradiction", 2, True)]


def test_nearly_the_same_question_is_found_by_its_words(golden):
    path = golden(
        {"id": "a", "variables": {"ticket": LONG}, "expected": 1},
        {"id": "other", "variables": {"ticket": "I cannot log in, my phone is broken"}, "expected": 1},
        {"id": "b", "variables": {"ticket": LONG.replace("today", "tomorrow")}, "expected": 1},
    )

    assert lint(path) == [("near-duplicate", 3, False)]


def test_a_case_in_both_splits_leaks(golden):
    path = golden(
        {"id": "a", "input": LONG, "expected": 1}, {"id": "b", "input": LONG, "expected": 1, "split": "held-out"}
    )

    assert lint(path) == [("leakage", 2, True)]


def test_a_cluster_in_both_splits_leaks(golden):
    path = golden(
        {"id": "a", "input": "One thing", "expected": 1, "cluster": "doc"},
        {"id": "b", "input": "Quite another", "expected": 1, "cluster": "doc", "split": "held-out"},
    )

    assert lint(path) == [("leakage", 2, True)]


def test_rare_and_overwhelming_classes_are_remarks(golden):
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    cases = [
        {
            "id": str(n),
            "input": " ".join(words[int(digit)] for digit in f"{n:06}"),
            "expected": {"team": "support" if n else "finance"},
            "tags": ["odd"] if n else ["even"],
        }
        for n in range(300)
    ]
    found = lint_golden(golden(*cases), bar=0.9, needed_cases=lambda bar: 0)

    assert [one.message for one in found if one.rule == "imbalance"] == [
        "too few cases to say anything of them have the tag `even`",
        "too few cases to say anything of them have the label of `team` `finance`",
        "100% of the cases have the label of `team` `support`: who always answers it is right as often",
    ]


def test_a_set_that_cannot_defend_its_bar_says_what_it_needs(golden):
    found = lint_golden(golden({"id": "a", "expected": 1}), bar=0.9, needed_cases={0.9: 36}.__getitem__)

    assert found[-1].message == "this set has 1 cases and cannot defend a bar of 0.90; it needs n >= 36"


def test_power_is_that_of_the_deciding_part_where_there_is_one(golden):
    path = golden(
        {"id": "a", "input": "x", "expected": 1}, {"id": "b", "input": "y", "expected": 1, "split": "held-out"}
    )

    assert lint_golden(path, bar=0.9, needed_cases=lambda bar: 2)[-1].message.startswith("its part `test` has 1")


def test_what_says_nothing_of_what_is_right_and_fields_of_no_case_are_remarks(golden):
    assert lint(golden({"id": "a", "expcted": 1})) == [("no-expected", 1, False), ("unknown-field", 1, False)]


def test_a_broken_set_is_not_linted(golden):
    with pytest.raises(ConfigError):
        lint(golden("{"))


@pytest.mark.uncounted
def test_ten_thousand_cases_of_one_template_are_compared_quickly():
    chance = random.Random(1)
    words = [f"word{number}" for number in range(2000)]
    table = LikenessTable()
    from headworks.evals.golden import GoldenCase

    begin = time.process_time()
    found = 0
    for number in range(10_000):
        text = "Dear team, I write to you about the order that I have placed: " + " ".join(chance.choices(words, k=30))
        found += table.add(GoldenCase(str(number), {"ticket": text})) is not None
    assert found == 0
    assert time.process_time() - begin < 20


def test_each_of_many_near_duplicates_is_found(golden):
    chance = random.Random(1)
    texts = [LONG * 3 + f" {chance.random()}" for _ in range(60)]
    table = LikenessTable()
    cases = read_cases(golden(*({"id": str(n), "input": text} for n, text in enumerate(texts))))

    assert sum(table.add(case) is not None for case in cases) == 59


def test_a_summary_counts_cases_groups_tags_and_labels(golden):
    found = summarise(
        golden(
            {"id": "a", "expected": {"team": "x", "n": 1}, "tags": ["t"], "cluster": "c", "must_pass": True},
            {"id": "b", "expected": {"team": "y", "n": 1}, "tags": ["t", "u"], "cluster": "c"},
            {"id": "c", "split": "held-out"},
        )
    )

    assert (found.cases, found.groups, found.must_pass, found.without_expected) == (3, 2, 1, 1)
    assert found.splits == {"dev": 2, "test": 1}
    assert found.tags == {"t": 2, "u": 1}
    assert found.labels == {"team": {"x": 1, "y": 1}}


def test_an_example_of_the_prompt_that_decides_leaks(golden):
    path = golden(
        {"id": "a", "input": LONG, "expected": 1, "split": "train"},
        {"id": "b", "input": LONG, "expected": 1, "split": "dev"},
    )

    (finding,) = lint_golden(path, bar=0.9, needed_cases=lambda bar: 0)

    assert (finding.rule, finding.ids) == ("leakage", ("b", "a"))
    assert "example" in finding.message


def test_a_case_that_stands_in_the_prompt_is_found_unless_it_may(golden):
    path = golden(
        {"id": "a", "variables": {"ticket": LONG}, "expected": 1, "split": "test"},
        {"id": "b", "input": LONG.upper(), "expected": 1, "split": "train", "cluster": "b"},
        {"id": "c", "input": "please help me", "expected": 1},
    )
    prompt = f"Sort tickets.\nFor example:\n{LONG.replace(' stops', chr(10) + 'stops')}\nis 1. please help me"

    found = lint_golden(path, bar=0.9, needed_cases=lambda bar: 0, prompt=prompt)

    assert [(one.line, one.weighs) for one in found if one.rule == "shown"] == [(1, True)]
    assert LONG[:20] not in "".join(one.message for one in found)
    assert not [one for one in lint_golden(path, bar=0.9, needed_cases=lambda bar: 0) if one.rule == "shown"]
