"""The wall clock is set: no limit is exceeded, no call is lost or there twice, and what waits does so in its time."""

import pytest
from faults_clock import BARS, IS_THERE, NOT_HERE, SHARED_BARS
from faults_providers import Bar, quick
from faults_result import LONG, LONG_SHARED, SHORT_SHARED
from faults_stage import Stage

pytestmark = pytest.mark.skipif(not IS_THERE, reason=NOT_HERE)


@pytest.mark.parametrize("bar", quick((*SHARED_BARS, *BARS)), ids=Bar.name)
def test_a_clock_that_is_set_changes_nothing(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, SHORT_SHARED)


@pytest.mark.long
@pytest.mark.parametrize("bar", SHARED_BARS, ids=Bar.name)
def test_limits_hold_when_the_clock_is_set_for_longer(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, LONG_SHARED)


@pytest.mark.long
@pytest.mark.parametrize("bar", BARS, ids=Bar.name)
def test_a_clock_that_is_set_changes_nothing_for_longer(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, LONG)
