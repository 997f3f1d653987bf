"""What is shared fails: no limit is exceeded by the provider's own count, and no call is lost or recorded twice."""

import pytest
from faults_providers import Bar, quick
from faults_result import LONG_SHARED, SHORT_SHARED
from faults_sharing import BARS
from faults_stage import Stage


@pytest.mark.parametrize("bar", quick(BARS), ids=Bar.name)
def test_limits_hold_and_nothing_is_lost(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, SHORT_SHARED)


@pytest.mark.long
@pytest.mark.parametrize("bar", BARS, ids=Bar.name)
def test_limits_hold_and_nothing_is_lost_for_longer(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, LONG_SHARED)
