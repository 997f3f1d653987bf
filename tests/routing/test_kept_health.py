"""What a reload keeps of what was learnt of targets, and what it forgets."""

from headworks.calls import FailureKind
from headworks.routing.kept_health import KeptHealth

POOLS = {"openai": ("https://a", "key-1"), "other": ("https://b", "key-2")}


def kept():
    healths = KeptHealth(lambda most: most)
    healths.begin(POOLS, 0.0)
    return healths


def break_(health):
    for _ in range(5):
        health.begin(0.0)
        health.failed(0.0, FailureKind.ERROR)


def test_a_breaker_that_is_open_stays_open_over_a_reload():
    healths = kept()
    break_(healths.of("openai", "m", 60.0))
    healths.begin(POOLS, 1.0)

    assert not healths.of("openai", "m", 60.0).may_pass(1.0)
    assert healths.of("openai", "n", 60.0).may_pass(1.0)


def test_what_is_under_way_by_the_old_configuration_counts_for_the_new_one():
    healths = kept()
    health = healths.of("openai", "m", 60.0)
    health.begin(0.0)
    healths.begin(POOLS, 1.0)

    assert healths.of("openai", "m", 60.0).pending == 1


def test_a_pool_with_another_key_or_address_begins_anew():
    healths = kept()
    health = healths.of("openai", "m", 60.0)
    health.begin(0.0)
    health.failed(0.0, FailureKind.UNAUTHORIZED)
    assert not health.may_pass(1.0)
    healths.begin(POOLS | {"openai": ("https://a", "the right key")}, 1.0)

    assert healths.of("openai", "m", 60.0).may_pass(1.0)


def test_what_is_not_there_any_more_or_says_nothing_is_forgotten():
    healths = kept()
    break_(healths.of("other", "m", 60.0))
    idle = healths.of("openai", "m", 60.0)
    healths.begin({"openai": POOLS["openai"]}, 1.0)

    assert healths.of("openai", "m", 60.0) is not idle
    healths.begin(POOLS, 2.0)
    assert healths.of("other", "m", 60.0).may_pass(2.0)
