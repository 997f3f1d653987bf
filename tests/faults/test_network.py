"""A network that fails: callers are answered by another provider in time, and by nobody whose certificate is wrong."""

import pytest
from faults_network import BARS
from faults_providers import Bar, quick
from faults_result import LONG, SHORT
from faults_stage import Stage


@pytest.mark.parametrize("bar", quick(BARS), ids=Bar.name)
def test_callers_are_answered(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("bar", BARS, ids=Bar.name)
def test_callers_are_answered_for_longer(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, LONG)
