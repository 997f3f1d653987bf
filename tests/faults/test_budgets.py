"""A hard budget is not overspent, by the provider's own count, whoever fails while it is spent."""

import pytest
from faults_budgets import BARS
from faults_providers import Bar
from faults_result import LONG_SHARED
from faults_stage import Stage


@pytest.mark.long
@pytest.mark.parametrize("bar", BARS, ids=Bar.name)
def test_a_budget_is_not_overspent(stage: Stage, bar: Bar) -> None:
    bar.prove(stage, LONG_SHARED)
