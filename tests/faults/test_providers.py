"""A provider that fails: its callers are answered all the same, in time, and it is not asked more than it can bear."""

from faults_providers import outage
from faults_result import SHORT, check
from faults_stage import Stage


def test_a_total_outage_of_the_primary_is_answered_by_the_secondary(stage: Stage) -> None:
    result = outage(stage, SHORT)
    print(result.load.by_failure(), result.load.by_target(), result.attempts, result.ledger)
    check(result)
    assert result.load.within(2.0) >= 0.999
    assert set(result.load.by_target()) == {"second"}
