import pytest

from headworks.config import Config, Model, Provider, Tiers, model_named, model_of_rung

CONFIG = Config(
    providers={"sim": Provider(kind="simulator"), "two": Provider(kind="simulator", models=("x",))},
    models={"fast": Model("sim", "a"), "mini": Model("sim", "public"), "flagship": Model("sim", "public")},
    tiers=Tiers(nano="fast", mini="sim/bound"),
)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("fast", Model("sim", "a")),
        ("sim/any/thing", Model("sim", "any/thing")),
        ("two/x", Model("two", "x")),
        ("two/y", None),
        ("gone/x", None),
        ("sim/", None),
        ("nano", None),
    ],
)
def test_a_name_means_a_public_model_or_one_at_a_provider(name, model):
    assert model_named(CONFIG, name) == model


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("nano", Model("sim", "a")),
        ("mini", Model("sim", "bound")),
        ("flagship", Model("sim", "public")),
        ("two/x", Model("two", "x")),
        ("other", None),
    ],
)
def test_in_a_contract_a_role_goes_before_a_public_name(name, model):
    assert model_of_rung(CONFIG, name) == model


@pytest.mark.parametrize(
    ("tiers", "problem"),
    [
        (
            "{nano: fst}",
            "2:15: tiers.nano: names no model: expected one of `models`, or `provider/model`; did you mean",
        ),
        ("{mini: gone/x}", "2:15: tiers.mini: names no model: expected one of `models`, or `provider/model`; choices:"),
        ("{tiny: fast}", "2:9: tiers: `tiny` is not a field; choices: `flagship`, `mini`, `nano`"),
    ],
)
def test_a_tier_must_name_something_that_exists(problems, tiers, problem):
    found = problems(f"providers: {{sim: {{kind: simulator}}}}\ntiers: {tiers}\nmodels: {{fast: sim/a}}\n")

    assert len(found) == 1
    assert found[0].startswith(problem)
