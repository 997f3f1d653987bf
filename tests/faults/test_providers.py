"""A provider that fails: its callers are answered all the same, in time, and it is not asked more than it can bear."""

import pytest
from faults_providers import BARS, Bar, broken_frames, cut_streams, quick
from faults_result import LONG, SHORT, failings
from faults_stage import Stage
from faults_upstreams import FIRST_CONTENT, FIRST_EVENT, STREAM


@pytest.mark.parametrize("bar", quick(BARS), ids=Bar.name)
def test_callers_are_answered(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("bar", BARS, ids=Bar.name)
def test_callers_are_answered_for_longer(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, LONG)


def test_a_stream_that_is_cut_goes_on_elsewhere_or_ends_honestly(stage: Stage) -> None:
    result = cut_streams(stage, SHORT, range(0, len(STREAM) + 1, 17))
    assert not failings(result, unseen=len(result.load.calls))  # each has a target of its own
    assert "not as" not in result.remark, result.summary()


@pytest.mark.long
def test_a_stream_that_is_cut_anywhere_goes_on_elsewhere_or_ends_honestly(stage: Stage) -> None:
    result = cut_streams(stage, SHORT)
    assert not failings(result, unseen=len(result.load.calls))
    assert "not as" not in result.remark, result.summary()


def test_a_stream_that_is_cut_before_its_first_text_is_answered_by_somebody_else(stage: Stage) -> None:
    result = cut_streams(stage, SHORT, range(FIRST_EVENT, FIRST_CONTENT, 8))
    assert result.load.by_target() == {"second": len(result.load.calls)}


def test_an_answer_that_is_none_is_not_passed_on(stage: Stage) -> None:
    result = broken_frames(stage, SHORT)
    assert not failings(result, unseen=len(result.load.calls))
    assert "not as" not in result.remark, result.summary()
