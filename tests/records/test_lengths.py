import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Opened, Settled
from headworks.records.stores.lengths import bounds_of, bucket_of, has_length, length_of, wasted_by

OPENED = Opened("call_1", 1, "responses", "fast")


def settled(outcome="answered", **fields) -> Settled:
    return Settled(OPENED, outcome, 200, 1, output_tokens=100, usage_source="provider", **fields)


@given(st.integers(0, 10**15))
def test_every_length_lies_in_its_bucket(tokens):
    least, most = bounds_of(bucket_of(tokens))

    assert least <= tokens <= most
    assert bucket_of(most + 1) == bucket_of(tokens) + 1


@pytest.mark.parametrize(
    ("call", "wasted"),
    [
        (settled(finish_reason="stop"), {}),
        (settled(finish_reason="length"), {"cut": 100}),
        (settled(finish_reason="max_output_tokens"), {"cut": 100}),
        (settled("cancelled"), {"cancelled": 100}),
        (settled("failed"), {"failed": 100}),
        (settled("failed", verdict="invalid"), {"rejected": 100}),
        (settled("failed", verdict="invalid", wasted_tokens=100), {"rejected": 100}),
        (settled(verdict="valid"), {}),
        (settled(verdict="repaired", repairs=1, wasted_tokens=60), {"validation": 60}),
        (settled("cancelled", repairs=1, wasted_tokens=60), {"rejected": 60, "cancelled": 40}),
        (
            settled(verdict="repaired", repairs=1, wasted_tokens=60, finish_reason="length"),
            {"validation": 60, "cut": 40},
        ),
        (settled(wasted_tokens=30), {"failed": 30}),
        (settled(verdict="blocked", wasted_tokens=100), {"validation": 100}),
    ],
)
def test_what_was_thrown_away_is_counted_under_its_reason(call, wasted):
    assert dict(wasted_by(call)) == wasted


@given(
    st.sampled_from(["answered", "refused", "failed", "cancelled", "lost"]),
    st.sampled_from(["", "valid", "repaired", "marked", "invalid", "blocked", "held"]),
    st.integers(-5, 2**64 - 1),
    st.integers(-5, 2**64 - 1),
    st.integers(0, 3),
    st.sampled_from(["stop", "length"]),
)
def test_never_more_is_thrown_away_than_there_was(outcome, verdict, output, thrown, repairs, reason):
    call = Settled(
        OPENED,
        outcome,
        200,
        1,
        output_tokens=output,
        verdict=verdict,
        wasted_tokens=thrown,
        repairs=repairs,
        finish_reason=reason,
    )
    found = list(wasted_by(call))

    assert all(tokens > 0 for _, tokens in found)
    assert sum(tokens for _, tokens in found) <= max(0, output)
    assert len({name for name, _ in found}) == len(found)


def test_turns_that_were_thrown_away_and_static_answers_do_not_make_answers_longer():
    answered = settled(wasted_tokens=60, repairs=1, verdict="repaired")
    static = settled(wasted_tokens=100, finish_reason="degraded")

    assert (has_length(answered), length_of(answered)) == (True, 40)
    assert not has_length(static)


def test_what_was_judged_bad_before_a_static_answer_has_failed_validation():
    course = "sim/a: invalid (/team: is no choice); sim/b: upstream_timeout"
    static = settled(wasted_tokens=60, finish_reason="degraded", course=course)

    assert dict(wasted_by(static)) == {"validation": 60}
