from hypothesis import given
from hypothesis import strategies as st

from headworks.counting import Sample, calibrate


def sample(counted, billed, model="sim/a", certainty="exact"):
    return Sample(model, "o200k_base", certainty, counted, billed)


def test_each_model_has_its_ratio_and_spread_and_the_most_frequent_comes_first():
    found = calibrate(
        [sample(90, 100, "sim/b")] + [sample(100 + step, 100) for step in range(-5, 6)] + [sample(7, 0, "sim/c")]
    )

    assert [one.model for one in found] == ["sim/a", "sim/b"]
    assert (found[0].calls, found[0].counted, found[0].billed, found[0].ratio) == (11, 1_100, 1_100, 1.0)
    assert (found[0].low, found[0].high) == (0.96, 1.04)


def test_one_count_that_is_not_exact_makes_all_of_them_so():
    assert calibrate([sample(1, 1), sample(1, 1, certainty="estimated")])[0].certainty == "estimated"


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)), min_size=1))
def test_the_ratio_lies_among_those_of_the_calls(pairs):
    (found,) = calibrate([sample(counted, billed) for counted, billed in pairs])
    ratios = [counted / billed for counted, billed in pairs]

    assert min(ratios) * 0.999 <= found.ratio <= max(ratios) * 1.001
    assert min(ratios) <= found.low <= found.high <= max(ratios)
