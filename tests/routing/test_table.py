"""Public names and what they mean: models, pools, fallbacks."""

import msgspec
import pytest

from headworks.calls import Endpoint
from headworks.errors import Refusal
from headworks.routing import Member, Reach, RouteTable

ALL = frozenset(Endpoint)


def reach(name, models=None, pools=("",)):
    def maker(pool):
        return lambda model: f"station of {model} in {pool or name}"

    return Reach(name, tuple((pool, maker(pool)) for pool in pools), ALL, models)


def table(*reaches, names=()):
    return RouteTable(reaches, names)


def test_a_model_of_several_pools_is_the_first_and_knows_the_others():
    found = table(reach("openai", ("m",), ("main", "spare"))).resolve("openai/m")

    assert (found.provider, found.station) == ("openai:main", "station of m in main")
    assert [one.provider for one in found.pools] == ["openai:main", "openai:spare"]
    assert found.pools[0] is found
    assert all(one.pools is found.pools for one in found.pools)
    assert b"x-headworks-provider: openai:spare\r\n" in found.pools[1].headers


def test_what_lies_in_a_pool_is_reached_through_it():
    routes = table(reach("openai", ("m",), ("main", "spare")), reach("other", ("x",)))
    first = routes.resolve("m")

    assert routes.station_of("openai:spare").station == "station of  in spare"
    assert routes.station_of("openai").provider == "openai:main"  # recorded before there were pools
    assert routes.station_of("openai:gone") is None
    assert routes.in_pool(first, "openai:spare").provider == "openai:spare"
    assert routes.in_pool(first, "openai:gone") is first
    assert routes.station_of("other").pools == ()


def test_a_public_name_has_fallbacks_and_the_model_itself_has_none():
    routes = table(
        reach("a", ("m",)), reach("b", ("n",)), names=[("smart", "a", "m", ("b/n",)), ("plain", "a", "m", ())]
    )

    assert routes.resolve("smart").fallback == ("b/n",)
    assert routes.resolve("smart").station is routes.resolve("a/m").station
    assert routes.resolve("plain") is routes.resolve("a/m")
    assert routes.resolve("m").fallback == ()


def test_an_unlisted_model_keeps_its_station_and_no_caller_can_fill_the_memory():
    made = []
    open_ended = Reach("open", (("", lambda model: made.append(model) or model),), ALL)
    routes = table(open_ended)
    first = routes.resolve("open/one")

    assert routes.resolve("one") is first
    assert not first.is_listed
    for number in range(3000):
        routes.resolve(f"open/model-{number}")
    assert routes.resolve("open/one") is not first
    assert len(routes.names) == 0


def test_a_name_that_is_no_name_is_not_passed_on():
    with pytest.raises(Refusal) as refused:
        table(reach("open")).resolve("open/a b")
    assert refused.value.code == "model_not_found"


def test_its_targets_are_every_model_in_every_pool_once():
    routes = table(
        reach("a", ("m",), ("main", "spare")), reach("b"), names=[("smart", "a", "m", ("b/n",)), ("new", "b", "n", ())]
    )
    routes.resolve("b/unlisted")

    assert [f"{target.provider}/{target.model}" for target in routes.targets()] == [
        "a:main/m",
        "a:spare/m",
        "b/n",
        "b/unlisted",
    ]


# -- names that stand for several targets --------------------------------------------------------------------


def group(*members, names=(), pools=("main", "spare"), lots=None):
    first = msgspec.structs.replace(reach("openai", ("m",), pools), lots=lots or {})
    other = reach("azure", ("n",))
    return RouteTable([first, other], [("fast", "openai", "m", names)], {"fast": members})


def test_a_name_that_stands_for_several_targets_knows_all_their_pools():
    found = group(Member("openai", "m"), Member("azure", "n")).resolve("fast")

    assert [one.key for one in found.pools] == [("openai:main", "m"), ("openai:spare", "m"), ("azure", "n")]
    assert all(one.pools is found.pools for one in found.pools)


def test_its_targets_have_the_health_that_they_have_under_their_own_names():
    routes = group(Member("openai", "m"), Member("azure", "n"))

    assert routes.resolve("fast").pools[2].station is routes.resolve("azure/n").station
    assert len(list(routes.targets())) == 3


def test_a_weight_is_that_of_all_pools_together_and_tiers_go_by_the_target_first():
    members = Member("openai", "m", weight=3), Member("azure", "n", tier=1)
    found = group(*members, lots={"main": (2, 0), "spare": (1, 1)}).resolve("fast")

    assert [one.weight for one in found.pools] == [2.0, 1.0, 1.0]
    assert [one.tier for one in found.pools] == [0, 1, 2]


def test_whoever_of_them_is_asked_the_fallback_is_the_names():
    found = group(Member("openai", "m"), Member("azure", "n"), names=("azure/n",)).resolve("fast")

    assert {one.fallback for one in found.pools} == {("azure/n",)}


def test_a_model_of_several_pools_has_its_names_fallback_in_each_of_them():
    routes = table(
        reach("openai", ("m",), ("main", "spare")), reach("b", ("x",)), names=[("q", "openai", "m", ("b/x",))]
    )

    assert {one.fallback for one in routes.resolve("q").pools} == {("b/x",)}
    assert {one.fallback for one in routes.resolve("openai/m").pools} == {()}
