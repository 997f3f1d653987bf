"""Which successors are tried, and which of them is taken."""

from hypothesis import given
from hypothesis import strategies as st

from headworks.evals.migration import Finding, Successor, choose, part_of_alpha, successors, worst_word

WORDS = st.sampled_from(["not worse", "worse", "too thin"])
FINDINGS = st.lists(
    st.builds(
        Finding,
        st.integers(0, 99).map(lambda number: Successor(f"m{number}", f"p/m{number}", "rung")),
        WORDS,
        st.none() | st.integers(0, 10**9),
    ),
    max_size=6,
)


def test_each_model_is_tried_once_under_its_first_name_and_never_the_one_that_goes():
    offered = [
        Successor("p/new", "p/new", "recommended"),
        Successor("nano", "p/old", "rung"),
        Successor("mini", "p/new", "rung"),
        Successor("flagship", "p/best", "rung"),
    ]
    assert [one.name for one in successors("p/old", offered)] == ["p/new", "flagship"]


@given(FINDINGS)
def test_only_what_is_shown_to_be_no_worse_is_taken_and_of_that_the_cheapest(findings):
    chosen = choose(findings)
    passed = [one for one in findings if one.word == "not worse"]

    assert (chosen is None) is (not passed)
    if chosen is not None:
        taken = next(one for one in passed if one.successor == chosen)
        priced = [one.cost_pico_usd for one in passed if one.cost_pico_usd is not None]
        assert taken.cost_pico_usd == min(priced, default=None)


@given(FINDINGS)
def test_as_long_as_more_cases_may_help_it_is_not_said_to_be_worse(findings):
    word = worst_word(findings)
    assert (word == "not worse") is (choose(findings) is not None)
    if word == "worse":
        assert all(one.word == "worse" for one in findings)


def test_the_error_is_divided_among_those_that_are_tried():
    assert [part_of_alpha(count) * max(1, count) for count in range(5)] == [0.05] * 5
