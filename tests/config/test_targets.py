"""Names that several targets serve, and providers with several servers."""

import pytest

from headworks.config import model_named, target_of_rung
from headworks.config.limits import listed_targets
from headworks.config.sections.models import ModelTarget

TWO = """\
providers:
  a: {kind: openai-compatible, base_url: "http://a:1/v1"}
  b: {kind: openai-compatible, base_url: "http://b:1/v1", models: [x, y]}
"""


def test_a_name_may_stand_for_several_targets_in_short_or_with_shares(project):
    config = project(TWO + "models: {fast: {targets: [a/m/n, {target: b/x, weight: 3, tier: 1}]}}").config

    assert config.models["fast"].targets == (ModelTarget("a/m/n"), ModelTarget("b/x", weight=3, tier=1))
    assert config.models["fast"].pairs == (("a", "m/n"), ("b", "x"))
    assert (config.models["fast"].provider, config.models["fast"].model) == ("a", "m/n")
    assert {("a", "m/n"), ("b", "x")} <= set(listed_targets(config))


def test_a_rung_means_all_of_them(project):
    config = project(
        TWO + "models: {fast: {targets: [a/m, b/x]}, one: a/m}\ntiers: {nano: fast, mini: one, flagship: b/y}"
    ).config

    assert [target_of_rung(config, name) for name in ("nano", "fast", "mini", "flagship", "a/m", "gone")] == [
        "fast", "fast", "a/m", "b/y", "a/m", None,
    ]  # fmt: skip
    assert model_named(config, "fast") is config.models["fast"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("{targets: [a/m, c/x]}", "models.fast.targets[1]: no provider has the name before the slash"),
        ("{targets: [a/m, {target: c/x}]}", "models.fast.targets[1]: no provider has the name before the slash"),
        ("{targets: [a/m, b/z]}", "models.fast.targets[1]: is not among `providers.b.models`"),
        ("{targets: [a/m], provider: a}", "models.fast.provider: has no meaning beside `targets`"),
        ("{targets: [a/m, {target: a/m, weight: 2}]}", "models.fast.targets[1]: is the same as an earlier one"),
        ("{targets: [a/m, a/m]}", "models.fast.targets[1]: stands in this list a second time"),
        ("{targets: [m]}", "models.fast.targets[0]: expected `provider/model`"),
        ("{targets: [{target: m}]}", "models.fast.targets[0].target: expected `provider/model`"),
        ("{targets: [{target: a/m, weight: 0}]}", "models.fast.targets[0].weight: expected"),
        ("{targets: []}", "models.fast.targets: must not be empty"),
        ("{fallback: [a/m]}", "models.fast.provider: is missing"),
    ],
)
def test_what_no_target_can_be_is_named_where_it_stands(problems, model, expected):
    assert any(expected in problem for problem in problems(TWO + f"models: {{fast: {model}}}"))


def test_pools_may_be_servers_and_the_provider_needs_no_address_then(project):
    config = project(
        "providers:\n  own:\n    kind: openai-compatible\n    pools:\n"
        "      one: {base_url: 'http://one:8000/v1'}\n      two: {base_url: 'http://two:8000/v1', weight: 2}\n"
    ).config

    assert [pool.base_url for pool in config.providers["own"].pools.values()] == [
        "http://one:8000/v1", "http://two:8000/v1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("kind: openai-compatible, pools: {one: {base_url: 'http://one/v1'}, two: {}}", "providers.own.base_url: is"),
        (
            "kind: openai-compatible, pools: {one: {base_url: 'http://api.example.com/v1'}}",
            "providers.own.pools.one.base_url: expected `https://`",
        ),
        (
            "kind: simulator, pools: {one: {base_url: 'http://one/v1'}}",
            "providers.own.pools.one.base_url: has no meaning for the simulator",
        ),
    ],
)
def test_a_server_that_is_missing_or_must_not_be_asked_is_named(problems, provider, expected):
    (problem,) = problems(f"providers:\n  own: {{{provider}}}")

    assert expected in problem
