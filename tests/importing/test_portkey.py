import json

import pytest


def test_a_strategy_within_a_strategy_becomes_pools_and_fallbacks(imported):
    made = imported("portkey", "portkey.json")

    provider = made.config.providers["openai"]
    assert [(pool.api_key, pool.weight, pool.tier) for pool in provider.pools.values()] == [
        ("env:OPENAI_API_KEY", 75, 0),
        ("env:OPENAI_SECOND_API_KEY", 25, 0),
    ]
    model = made.config.models["portkey"]
    assert (model.model, model.fallback) == ("gpt-6-luna", ("anthropic/claude-sonnet-5",))
    assert made.config.providers["anthropic"].timeouts.total_s == 20
    assert made.config.defaults.timeouts.total_s == 30
    assert made.config.defaults.retries == 2
    assert "vault" in made.fate("targets[0].targets[1].virtual_key")[1]


def test_a_config_without_a_model_leaves_the_model_to_callers(imported):
    made = imported("portkey", json.dumps({"provider": "groq", "api_key": "os.environ/GROQ", "retry": {"attempts": 5}}))

    assert made.config.providers["groq"].models is None
    assert made.config.models == {}
    assert made.made.counts["missing"] == 0


def test_several_keys_of_one_provider_without_a_model_are_its_pools(imported):
    targets = [{"provider": "openai", "api_key": "env.KEY_A"}, {"provider": "openai", "api_key": "$KEY_B"}]
    made = imported("portkey", json.dumps({"strategy": {"mode": "loadbalance"}, "targets": targets}))

    assert len(made.config.providers["openai"].pools) == 2
    assert "env:KEY_B" in made.text


def test_conditions_are_told(imported):
    config = {
        "strategy": {"mode": "conditional", "conditions": [{"query": {}, "then": "a"}], "default": "a"},
        "targets": [{"name": "a", "provider": "openai", "override_params": {"model": "gpt-6-luna"}}],
    }
    made = imported("portkey", json.dumps(config))

    assert made.fate("strategy")[0] == "missing"
    assert "source" in made.config.models


def test_what_is_only_in_the_vault_is_told(imported):
    made = imported("portkey", json.dumps({"virtual_key": "team-blue"}))

    assert "vault" in made.fate("virtual_key")[1]


def test_the_open_gateways_own_file_names_providers_models_and_limits(imported):
    made = imported("portkey", "conf.json")

    provider = made.config.providers["dev-anthropic"]
    assert provider.models == ("claude-sonnet-5",)
    assert next(iter(provider.pools.values()), provider).limits.requests_per_minute == 60
    assert made.fate("integrations[0].rate_limits[1]")[0] == "missing"


def balanced(*targets):
    return {"strategy": {"mode": "loadbalance"}, "targets": list(targets)}


def target(provider, model, **more):
    return {"provider": provider, "override_params": {"model": model}, **more}


def test_load_is_balanced_over_different_providers_by_weight(imported):
    config = balanced(target("openai", "gpt-6-luna", weight=0.7), target("anthropic", "claude-sonnet-5", weight=0.3))
    made = imported("portkey", json.dumps(config))

    model = made.config.models["source"]
    assert [(one.target, one.weight, one.tier) for one in model.targets] == [
        ("openai/gpt-6-luna", 70, 0),
        ("anthropic/claude-sonnet-5", 30, 0),
    ]
    assert made.fate("targets[1].weight") == ("mapped", "models.source.targets.weight")
    assert made.made.counts["missing"] == 0


def test_weights_below_and_above_one_keep_their_proportion(imported):
    config = balanced(target("openai", "gpt-6-luna", weight=0.5), target("groq", "scout", weight=2))

    weights = [one.weight for one in imported("portkey", json.dumps(config)).config.models["source"].targets]
    assert weights == [50, 200]


def test_a_balanced_step_of_a_chain_is_targets_and_the_next_step_its_fallback(imported):
    first = balanced(target("openai", "gpt-6-luna"), target("anthropic", "claude-sonnet-5"))
    config = {"strategy": {"mode": "fallback"}, "targets": [first, target("groq", "scout")]}
    made = imported("portkey", json.dumps(config))

    model = made.config.models["source"]
    assert model.pairs == (("openai", "gpt-6-luna"), ("anthropic", "claude-sonnet-5"))
    assert model.fallback == ("groq/scout",)


def test_a_later_step_that_is_balanced_is_a_tier(imported):
    later = balanced(target("groq", "scout"), target("anthropic", "claude-sonnet-5"))
    config = {"strategy": {"mode": "fallback"}, "targets": [target("openai", "gpt-6-luna"), later]}
    made = imported("portkey", json.dumps(config))

    assert [(one.target, one.tier) for one in made.config.models["source"].targets] == [
        ("openai/gpt-6-luna", 0),
        ("groq/scout", 1),
        ("anthropic/claude-sonnet-5", 1),
    ]


def test_a_balanced_target_without_weight_in_portkey_is_not_asked(imported):
    config = balanced(target("openai", "gpt-6-luna", weight=1), target("groq", "scout", weight=0))
    made = imported("portkey", json.dumps(config))

    assert made.config.models["source"].pairs == (("openai", "gpt-6-luna"),)
    assert made.fate("targets[1]")[0] == "needless"


def test_a_balanced_target_that_is_a_chain_itself_keeps_its_share(imported):
    chain = {
        "strategy": {"mode": "fallback"},
        "weight": 3,
        "targets": [target("openai", "gpt-6-luna"), target("groq", "scout")],
    }
    made = imported("portkey", json.dumps(balanced(chain, target("anthropic", "claude-sonnet-5", weight=1))))

    assert [(one.target, one.weight, one.tier) for one in made.config.models["source"].targets] == [
        ("openai/gpt-6-luna", 3, 0),
        ("anthropic/claude-sonnet-5", 1, 0),
    ]
    assert made.config.models["source"].fallback == ("groq/scout",)


def test_resources_of_azure_share_load_by_weight(imported):
    def azure(resource, weight):
        more = {"azure_resource_name": resource, "azure_deployment_id": "terra", "api_key": f"${resource.upper()}_KEY"}
        return {"provider": "azure-openai", "weight": weight, **more}

    made = imported("portkey", json.dumps(balanced(azure("east", 1), azure("west", 3))))

    model = made.config.models["source"]
    assert [(one.target, one.weight) for one in model.targets] == [("azure/terra", 1), ("azure-2/terra", 3)]
    assert made.fate("targets[0].weight") == ("mapped", "models.source.targets.weight")


def test_what_comes_after_a_balanced_step_comes_after_the_longest_of_its_chains(imported):
    chain = {"strategy": {"mode": "fallback"}, "targets": [target("openai", "gpt-6-luna"), target("groq", "scout")]}
    first = balanced(chain, target("anthropic", "claude-sonnet-5"))
    last = target("gemini", "gemini-3.5-flash")
    made = imported("portkey", json.dumps({"strategy": {"mode": "fallback"}, "targets": [first, last]}))

    assert made.config.models["source"].fallback == ("groq/scout", "gemini/gemini-3.5-flash")


@pytest.mark.parametrize("name", ["attempts", "count"])
def test_retries_are_counted_by_either_name(imported, name):
    made = imported("portkey", json.dumps({"retry": {name: 5}, "provider": "openai", "api_key": "any"}))

    assert made.config.defaults.retries == 5
