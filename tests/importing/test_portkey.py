import json


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
