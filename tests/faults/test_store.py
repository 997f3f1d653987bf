"""The store fails: calls are answered all the while, and every one is in the store once when it is back."""

import pytest
from faults_providers import Bar, quick
from faults_result import LONG, SHORT_SHARED
from faults_stage import Stage
from faults_store import BARS


@pytest.mark.parametrize("bar", quick(BARS), ids=Bar.name)
def test_calls_are_answered_and_recorded_once(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, SHORT_SHARED)


@pytest.mark.long
@pytest.mark.parametrize("bar", BARS, ids=Bar.name)
def test_calls_are_answered_and_recorded_once_for_longer(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, LONG)
