"""A provider that fails: its callers are answered all the same, in time, and it is not asked more than it can bear."""

import pytest
from faults_providers import BARS, Bar, cut_streams
from faults_result import LONG, SHORT, Size, check
from faults_stage import Stage


def names(bar: Bar) -> str:
    return bar.play.__name__


def play(stage: Stage, bar: Bar, size: Size) -> None:
    result = bar.play(stage, size)
    print(result.summary())
    check(result, bar.unseen_s * size.a_second)
    assert result.load.within(bar.within_s) >= bar.answered
    if bar.targets:
        assert set(result.load.by_target()) <= bar.targets


@pytest.mark.parametrize("bar", BARS, ids=names)
def test_callers_are_answered(stage: Stage, bar: Bar) -> None:
    play(stage, bar, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("bar", BARS, ids=names)
def test_callers_are_answered_for_longer(stage: Stage, bar: Bar) -> None:
    play(stage, bar, LONG)


def test_a_stream_that_is_cut_goes_on_elsewhere_or_ends_honestly(stage: Stage) -> None:
    result = cut_streams(stage, SHORT, step=17)
    print(result.summary())
    assert "not as" not in result.remark


@pytest.mark.long
def test_a_stream_that_is_cut_anywhere_goes_on_elsewhere_or_ends_honestly(stage: Stage) -> None:
    result = cut_streams(stage, SHORT)
    print(result.summary())
    assert "not as" not in result.remark
