"""Which pool is asked."""

from collections import Counter
from random import Random

import pytest

from headworks.calls import FailureKind
from headworks.routing import Health, choose


class Pool:
    """A pool that is nothing but its health."""

    def __init__(self, weight, tier):
        self.health = Health(lambda most: most)
        self.weight, self.tier = weight, tier


def pools(*weights, tiers=None):
    return [Pool(weight, (tiers or [0] * 9)[n]) for n, weight in enumerate(weights)]


def pick(found, count=2000, **options):
    random = Random(1)
    drawn = Counter()
    for _ in range(count):
        one = choose(found, lambda pool: pool.health, 0.0, lambda most: random.random() * most, **options)
        drawn[found.index(one)] += 1
    return drawn


def fail(pool, kind=FailureKind.RATE_LIMITED):
    pool.health.begin(0.0)
    pool.health.failed(0.0, kind, 10.0)


def test_load_goes_by_weight_and_to_whoever_has_less_to_do():
    found = pools(3, 1)
    random = Random(1)
    for _ in range(400):  # nobody ends: the load settles where the weights say
        choose(found, lambda pool: pool.health, 0.0, lambda most: random.random() * most).health.begin(0.0)
    assert 280 <= found[0].health.pending <= 320


def test_a_slow_pool_gets_less():
    found = pools(1, 1)
    for pool, took_s in zip(found, (0.1, 1.0), strict=True):
        pool.health.begin(0.0)
        pool.health.succeeded(0.0, took_s)
    random = Random(2)
    for _ in range(110):
        choose(found, lambda pool: pool.health, 0.0, lambda most: random.random() * most).health.begin(0.0)
    assert found[0].health.pending > 5 * found[1].health.pending


def test_a_pool_that_rests_is_left_out_and_when_all_do_there_is_none():
    found = pools(1, 1)
    fail(found[0])
    assert set(pick(found)) == {1}
    fail(found[1])
    assert choose(found, lambda pool: pool.health, 0.0, lambda most: 0.0) is None


def test_a_higher_tier_waits_until_no_lower_one_can():
    found = pools(1, 1, 1, tiers=[0, 0, 1])
    assert set(pick(found)) == {0, 1}
    for pool in found[:2]:
        fail(pool)
    assert set(pick(found)) == {2}


def test_a_key_stays_with_its_pool_and_keys_are_spread():
    found = pools(1, 1, 1)
    owners = {key: set(pick(found, 20, key=key)) for key in map(str, range(60))}
    assert all(len(owner) == 1 for owner in owners.values())
    assert len(set.union(*owners.values())) == 3


def test_a_key_leaves_a_pool_that_is_overloaded_or_rests_and_comes_back():
    found = pools(1, 1)
    (home,) = pick(found, 5, key="k")
    for _ in range(50):
        found[home].health.begin(0.0)
    assert set(pick(found, 20, key="k")) == {1 - home}
    for _ in range(50):
        found[home].health.succeeded(0.0, 0.1)
    assert set(pick(found, 5, key="k")) == {home}
    fail(found[home])
    assert set(pick(found, 5, key="k")) == {1 - home}


def test_what_is_left_of_limits_draws_load():
    found = pools(1, 1)
    left = {id(found[0]): 0.9, id(found[1]): 0.1}
    drawn = pick(found, 3000, headroom_of=lambda pool: left[id(pool)])
    assert drawn[0] > 2 * drawn[1]


def drive(found, *, at_once, count=4000, every_s=0.1, took_s=None):
    """Calls at a steady pace, so many under way at a time, each of which ends; how many each pool had."""
    random = Random(3)
    drawn, under_way = Counter(), []
    for number in range(count):
        now_s = number * every_s
        if len(under_way) == at_once:
            pool = under_way.pop(0)
            pool.health.succeeded(now_s, took_s(pool) if took_s else 0.2)
        pool = choose(found, lambda pool: pool.health, now_s, lambda most: random.random() * most)
        pool.health.begin(now_s)
        under_way.append(pool)
        drawn[found.index(pool)] += 1
    return drawn


@pytest.mark.parametrize("at_once", [1, 8, 64])
@pytest.mark.parametrize("weights", [(1, 1), (2, 1), (19, 1), (5, 3, 2)])
def test_shares_are_as_the_weights_say_however_many_calls_are_under_way(weights, at_once):
    drawn = drive(pools(*weights), at_once=at_once)

    for index, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(drawn[index] / 4000 - share) < 0.03


def test_one_slow_answer_is_forgotten_in_time():
    found = pools(1, 1)
    for pool, took_s in zip(found, (0.2, 30.0), strict=True):
        pool.health.begin(0.0)
        pool.health.succeeded(0.0, took_s)

    drawn = drive(found, at_once=1, every_s=1.0)

    assert drawn[1] > 0.4 * 4000


def test_a_pool_that_stays_slow_gets_less_and_is_not_given_up():
    found = pools(1, 1)
    drawn = drive(found, at_once=4, took_s=lambda pool: 0.2 if pool is found[0] else 2.0)

    assert 0.05 < drawn[1] / 4000 < 0.3
