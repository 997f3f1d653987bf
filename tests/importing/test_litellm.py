import pytest

from headworks.errors import ConfigError
from headworks.importing import import_file
from headworks.simulator import load_plan


def entry(name, model, **params):
    info = params.pop("info", None)
    made = {"model_name": name, "litellm_params": {"model": model, **params}}
    return made if info is None else {**made, "model_info": info}


def models(*entries, **sections):
    return {"model_list": list(entries), **sections}


def test_deployments_of_one_name_that_differ_in_their_key_become_pools(imported):
    made = imported(
        "litellm",
        models(
            entry("chat", "openai/gpt-6-luna", api_key="os.environ/KEY_A", order=0, weight=3, rpm=100),
            entry("chat", "openai/gpt-6-luna", api_key="os.environ/KEY_B", order=1, tpm=5000),
        ),
    )

    pools = list(made.config.providers["openai"].pools.values())
    assert [(pool.api_key, pool.weight, pool.tier) for pool in pools] == [("env:KEY_A", 3, 0), ("env:KEY_B", 1, 1)]
    assert pools[0].model_limits["gpt-6-luna"].requests_per_minute == 100
    assert pools[1].model_limits["gpt-6-luna"].tokens_per_minute == 5000
    assert made.config.models["chat"].model == "gpt-6-luna"
    assert made.made.counts["missing"] == 0


def test_servers_of_ones_own_become_pools_with_their_addresses(imported):
    made = imported(
        "litellm",
        models(
            entry("local", "hosted_vllm/small", api_base="http://gpu-1:8000/v1", weight=2),
            entry("local", "hosted_vllm/small", api_base="http://gpu-2:8000/v1", rpm=60),
        ),
    )

    pools = made.config.providers["vllm"].pools.values()
    assert [(pool.base_url, pool.weight) for pool in pools] == [
        ("http://gpu-1:8000/v1", 2),
        ("http://gpu-2:8000/v1", 1),
    ]
    assert made.config.models["local"].pairs == (("vllm", "small"),)
    assert made.fate("model_list[1].litellm_params.api_base")[1] == "providers.vllm.pools.key-2.base_url"
    assert made.made.counts["missing"] == 0


def test_servers_that_are_asked_differently_become_targets(imported):
    made = imported(
        "litellm",
        models(
            entry("local", "hosted_vllm/small", api_base="http://gpu-1:8000/v1", timeout=60),
            entry("local", "hosted_vllm/small", api_base="http://gpu-2:8000/v1", timeout=300),
        ),
    )

    assert made.config.models["local"].pairs == (("vllm", "small"), ("vllm-2", "small"))
    assert made.config.providers["vllm-2"].timeouts.total_s == 300
    assert made.made.counts["missing"] == 0


def test_two_companies_that_serve_the_same_model_are_never_pools_of_one_provider(imported):
    made = imported("litellm", models(entry("scout", "groq/scout"), entry("scout", "together_ai/scout")))

    assert made.config.models["scout"].pairs == (("groq", "scout"), ("together", "scout"))


def test_servers_behind_a_wildcard_are_pools_too(imported):
    made = imported(
        "litellm",
        models(
            entry("hosted_vllm/*", "hosted_vllm/*", api_base="http://gpu-1:8000/v1"),
            entry("hosted_vllm/*", "hosted_vllm/*", api_base="http://gpu-2:8000/v1"),
        ),
    )

    assert [pool.base_url for pool in made.config.providers["hosted-vllm"].pools.values()] == [
        "http://gpu-1:8000/v1",
        "http://gpu-2:8000/v1",
    ]
    assert made.made.counts["missing"] == 0


def test_different_upstreams_behind_a_wildcard_are_told(imported):
    made = imported("litellm", models(entry("any/*", "openai/*", order=1), entry("any/*", "anthropic/*", order=2)))

    fate, text = made.fate("model_list[1].model_name")
    assert fate == "missing"
    assert "anthropic/NAME" in text


def test_deployments_of_one_name_at_different_upstreams_become_its_targets(imported):
    made = imported(
        "litellm",
        models(
            entry(
                "chat",
                "azure/terra-eu",
                api_base="https://eu.openai.azure.com",
                api_key="os.environ/EU",
                order=1,
                weight=3,
            ),
            entry("chat", "azure/terra-us", api_base="https://us.openai.azure.com", api_key="os.environ/US", order=1),
            entry("chat", "openai/gpt-6.1-terra", order=2, rpm=500),
            entry("nano", "openai/gpt-6-luna"),
            router_settings={"fallbacks": [{"chat": ["nano"]}]},
        ),
    )

    chat = made.config.models["chat"]
    assert [(one.target, one.weight, one.tier) for one in chat.targets] == [
        ("azure/terra-eu", 3, 0),
        ("azure-2/terra-us", 1, 0),
        ("openai/gpt-6.1-terra", 1, 1),
    ]
    assert chat.fallback == ("nano",)
    assert made.config.providers["azure-2"].api_key == "env:US"
    assert made.fate("model_list[1].model_name") == ("mapped", "models.chat.targets: azure-2/terra-us")
    assert made.fate("model_list[0].litellm_params.weight") == ("mapped", "models.chat.targets.weight")
    assert made.fate("model_list[2].litellm_params.order") == ("mapped", "models.chat.targets.tier")
    assert made.made.counts["missing"] == 0


def test_an_order_is_a_tier_and_nothing_is_missing(imported):
    made = imported(
        "litellm",
        models(
            entry("chat", "anthropic/claude-sonnet-5", order=2),
            entry("chat", "openai/gpt-6-luna", order=1),
        ),
    )

    chat = made.config.models["chat"]
    assert [(one.target, one.tier) for one in chat.targets] == [
        ("openai/gpt-6-luna", 0),
        ("anthropic/claude-sonnet-5", 1),
    ]
    assert chat.fallback == ()
    assert made.made.counts["missing"] == 0


def test_what_has_no_order_is_asked_after_all_that_has_one(imported):
    made = imported("litellm", models(entry("chat", "openai/gpt-6-luna"), entry("chat", "groq/scout", order=3)))

    assert [(one.target, one.tier) for one in made.config.models["chat"].targets] == [
        ("groq/scout", 0),
        ("openai/gpt-6-luna", 1),
    ]


def test_two_keys_of_one_upstream_share_its_load_and_have_both_shares_beside_another(imported):
    made = imported(
        "litellm",
        models(
            entry("chat", "openai/gpt-6-luna", api_key="os.environ/KEY_A", weight=2),
            entry("chat", "openai/gpt-6-luna", api_key="os.environ/KEY_B", weight=1),
            entry("chat", "anthropic/claude-sonnet-5", weight=1),
        ),
    )

    assert [(one.target, one.weight) for one in made.config.models["chat"].targets] == [
        ("openai/gpt-6-luna", 3),
        ("anthropic/claude-sonnet-5", 1),
    ]
    assert [pool.weight for pool in made.config.providers["openai"].pools.values()] == [2, 1]


def test_a_tier_that_lies_between_those_of_another_upstream_stays_there(imported):
    made = imported(
        "litellm",
        models(
            entry("chat", "openai/gpt-6-luna", api_key="os.environ/KEY_A", order=1),
            entry("chat", "anthropic/claude-sonnet-5", order=2),
            entry("chat", "openai/gpt-6-luna", api_key="os.environ/KEY_B", order=3),
            entry("chat", "openai/gpt-6-luna", api_key="os.environ/KEY_A", order=4),
        ),
    )

    chat = made.config.models["chat"]
    assert [(one.target, one.tier) for one in chat.targets] == [
        ("openai/gpt-6-luna", 0),
        ("anthropic/claude-sonnet-5", 1),
        ("openai-2/gpt-6-luna", 2),
    ]
    assert made.config.providers["openai-2"].api_key == "env:KEY_B"


@pytest.mark.parametrize(
    ("given", "ours"),
    [((0.7, 0.3), (70, 30)), ((1, 0.5), (100, 50)), ((5000, 2500), (1000, 500)), ((4, 4), (1, 1))],
)
def test_shares_are_kept_in_proportion(imported, given, ours):
    upstreams = ("openai/gpt-6-luna", "anthropic/claude-sonnet-5")
    made = imported(
        "litellm", models(*(entry("chat", one, weight=weight) for one, weight in zip(upstreams, given, strict=True)))
    )

    assert tuple(one.weight for one in made.config.models["chat"].targets) == ours


def test_what_has_weight_0_gets_calls_only_while_nothing_else_of_its_order_can(imported):
    made = imported(
        "litellm",
        models(
            entry("chat", "openai/gpt-6-luna", weight=0),
            entry("chat", "anthropic/claude-sonnet-5", weight=3),
            entry("chat", "groq/scout", weight=1),
            entry("chat", "gemini/gemini-3.5-flash", weight=1, order=2),
            entry("keys", "openai/gpt-6-luna", api_key="os.environ/KEY_A", weight=1),
            entry("keys", "openai/gpt-6-luna", api_key="os.environ/KEY_B", weight=0),
            entry("lone", "openai/gpt-6-terra", weight=0),
        ),
    )

    assert [(one.target, one.weight, one.tier) for one in made.config.models["chat"].targets] == [
        ("gemini/gemini-3.5-flash", 1, 0),
        ("anthropic/claude-sonnet-5", 3, 1),
        ("groq/scout", 1, 1),
        ("openai/gpt-6-luna", 1, 2),
    ]
    name = made.config.models["keys"].provider
    assert [pool.tier for pool in made.config.providers[name].pools.values()] == [0, 1]
    assert made.fate("model_list[0].litellm_params.weight") == (
        "mapped",
        "models.chat.targets.tier: it gets calls only while what has a share cannot be asked",
    )
    assert made.fate("model_list[6].litellm_params.weight")[0] == "mapped"
    assert made.made.counts["missing"] == 0


def test_an_order_may_stand_in_the_model_info(imported):
    made = imported(
        "litellm",
        models(
            entry("chat", "openai/gpt-6-luna") | {"model_info": {"order": 2}},
            entry("chat", "anthropic/claude-sonnet-5") | {"model_info": {"order": 1}},
            entry("chat", "groq/scout", order=3) | {"model_info": {"order": 1}},
        ),
    )

    assert [(one.target, one.tier) for one in made.config.models["chat"].targets] == [
        ("anthropic/claude-sonnet-5", 0),
        ("openai/gpt-6-luna", 1),
        ("groq/scout", 2),
    ]
    assert made.fate("model_list[0].model_info.order") == ("mapped", "models.chat.targets.tier")
    assert made.fate("model_list[2].model_info.order")[0] == "needless"


def test_without_weights_load_goes_by_the_limits_as_there(imported):
    source = models(entry("chat", "openai/gpt-6-luna", rpm=9000), entry("chat", "anthropic/claude-sonnet-5", rpm=3000))
    made = imported("litellm", source)
    other = imported("litellm", source | {"router_settings": {"routing_strategy": "least-busy"}})

    assert [one.weight for one in made.config.models["chat"].targets] == [3, 1]
    assert "share" in made.fate("model_list[0].litellm_params.rpm")[1]
    assert [one.weight for one in other.config.models["chat"].targets] == [1, 1]


def test_an_alias_has_all_the_targets_of_its_model(imported):
    made = imported(
        "litellm",
        models(
            entry("chat", "openai/gpt-6-luna"),
            entry("chat", "anthropic/claude-sonnet-5"),
            router_settings={"model_group_alias": {"old": "chat"}},
            litellm_settings={"drop_params": True},
        ),
    )

    assert made.config.models["old"].pairs == made.config.models["chat"].pairs
    assert made.config.models["old"].droppable == made.config.models["chat"].droppable


def test_parameters_that_were_dropped_may_be_left_out(imported):
    made = imported(
        "litellm",
        models(entry("chat", "anthropic/claude-sonnet-5"), litellm_settings={"drop_params": True}),
    )

    droppable = made.config.models["chat"].droppable
    assert {"seed", "logit_bias", "presence_penalty"} <= set(droppable)
    assert not {"tools", "response_format", "max_tokens"} & set(droppable)
    assert made.fate("litellm_settings.drop_params")[0] == "mapped"


def test_what_many_names_may_leave_out_is_written_once(imported):
    made = imported(
        "litellm",
        models(
            entry("a", "anthropic/claude-sonnet-5"),
            entry("b", "openai/gpt-6-luna"),
            entry("vectors", "openai/text-embedding-3-small"),
            litellm_settings={"drop_params": True},
        ),
    )

    assert made.text.count("logit_bias") == 1
    assert made.config.models["a"].droppable == made.config.models["b"].droppable
    assert made.config.models["vectors"].droppable == ()


def test_parameters_that_one_deployment_drops_are_those_of_its_name(imported):
    made = imported(
        "litellm",
        models(
            entry("chat", "openai/gpt-6-luna", additional_drop_params=["seed", "tools", "odd"]),
            entry("other", "openai/gpt-6-luna"),
            entry("all", "anthropic/claude-sonnet-5", drop_params=True),
        ),
    )

    assert made.config.models["chat"].droppable == ("seed",)
    assert made.config.models["other"].droppable == ()
    assert "seed" in made.config.models["all"].droppable
    assert made.fate("model_list[0].litellm_params.additional_drop_params[0]")[0] == "mapped"
    assert "what the model may do" in made.fate("model_list[0].litellm_params.additional_drop_params[1]")[1]
    assert made.fate("model_list[0].litellm_params.additional_drop_params[2]")[0] == "missing"


def test_what_callers_name_by_its_provider_has_no_list_of_what_may_be_dropped(imported):
    made = imported(
        "litellm",
        models(entry("openai/*", "openai/*", additional_drop_params=["seed"]), litellm_settings={"drop_params": True}),
    )

    assert made.fate("litellm_settings.drop_params")[0] == "missing"
    assert made.fate("model_list[0].litellm_params.additional_drop_params[0]")[0] == "missing"


def test_a_strategy_that_goes_by_price_is_told_with_what_to_do(imported):
    source = models(entry("chat", "openai/gpt-6-luna"), router_settings={"routing_strategy": "cost-based-routing"})

    fate, text = imported("litellm", source).fate("router_settings.routing_strategy")
    assert fate == "missing"
    assert "tier" in text


def test_a_key_that_stands_in_clear_gets_a_variable_that_nothing_else_has(imported):
    made = imported(
        "litellm",
        models(
            entry("one", "openai/gpt-6-luna", api_key="sk-one-0123456789"),
            entry("two", "openai/gpt-6-luna", api_key="sk-two-0123456789"),
            entry("again", "openai/gpt-6.1-sol", api_key="sk-one-0123456789"),
            entry("usual", "openai/gpt-6.1-terra"),
        ),
    )

    reached = {name: made.config.providers[model.provider].api_key for name, model in made.config.models.items()}
    assert reached["one"] == reached["again"]
    assert reached["usual"] == "env:OPENAI_API_KEY"
    assert len(set(reached.values())) == 3
    assert "sk-one" not in made.text
    assert [one.name for one in made.made.variables if one.was_clear] == ["OPENAI_API_KEY_2", "OPENAI_API_KEY_3"]
    assert "stands in clear" in made.fate("model_list[0].litellm_params.api_key")[1]


@pytest.mark.parametrize(
    "model",
    ["azure/east", "azure_ai/mistral", "sagemaker/claude", "vertex_ai/claude-opus", "cohere/command", "gemini-pro"],
)
def test_a_provider_that_is_no_kind_here_is_told_with_what_to_do(imported, model):
    made = imported("litellm", models(entry("chat", model), entry("nano", "openai/gpt-6-luna")))

    fate, text = made.fate("model_list[0]")
    assert fate == "missing"
    assert len(text) > 30
    assert list(made.config.models) == ["nano"]


def test_a_file_without_any_provider_of_ours_is_whole_all_the_same(imported):
    made = imported("litellm", models(entry("chat", "azure/east")))

    assert made.config.providers["simulator"].kind == "simulator"


@pytest.mark.parametrize(
    ("model", "base", "kind", "ours"),
    [
        ("openai/m", "https://api.openai.com/v1", "openai", ""),
        ("openai/m", "https://llm.example.com/v1/", "openai-compatible", "https://llm.example.com/v1"),
        ("anthropic/m", "https://proxy.example.com", "anthropic", "https://proxy.example.com/v1"),
        ("gemini/m", "https://proxy.example.com/v1beta", "gemini", "https://proxy.example.com/v1beta"),
        ("ollama_chat/m", "http://127.0.0.1:11434", "openai-compatible", "http://127.0.0.1:11434/v1"),
        ("hosted_vllm/m", "http://10.0.0.8:8000/v1", "openai-compatible", "http://10.0.0.8:8000/v1"),
    ],
)
def test_an_address_becomes_the_base_url_of_its_kind(imported, model, base, kind, ours):
    provider = next(iter(imported("litellm", models(entry("m", model, api_base=base))).config.providers.values()))

    assert provider.kind == kind
    assert provider.base_url == (ours or "https://api.openai.com/v1")


def test_an_address_in_a_variable_is_taken_as_it_is_set_now(imported):
    source = models(entry("m", "hosted_vllm/m", api_base="os.environ/VLLM_URL"))

    assert imported("litellm", source).fate("model_list[0]")[0] == "missing"
    made = imported("litellm", source, environment={"VLLM_URL": "http://127.0.0.1:8000/v1"})
    assert made.config.providers["vllm"].base_url == "http://127.0.0.1:8000/v1"


def test_clear_text_to_a_public_host_is_allowed_as_it_was_and_said(imported):
    made = imported("litellm", models(entry("m", "openai/m", api_base="http://llm.example.com/v1")))

    assert made.config.providers["example"].insecure


def test_a_wildcard_is_a_provider_whose_models_callers_name(imported):
    made = imported("litellm", models(entry("openai/*", "openai/*"), entry("openai/gpt-6-luna", "openai/gpt-6-luna")))

    assert made.config.providers["openai"].models is None
    assert made.config.models == {}
    assert made.made.counts["missing"] == 0


def test_a_public_name_with_a_slash_keeps_its_meaning(imported):
    made = imported("litellm", models(entry("openai/gpt-6-luna", "openai/gpt-6-luna"), entry("b", "openai/gpt-6-luna")))

    assert made.config.models["openai/gpt-6-luna"].provider == "openai-api"
    assert made.config.models["b"].provider == "openai-api"


def test_a_wildcard_for_any_name_is_a_provider_too_and_what_callers_must_change_is_told(imported):
    made = imported("litellm", models(entry("*", "openai/*", api_key="os.environ/KEY")))

    assert made.config.providers["openai"].models is None
    fate, text = made.fate("model_list[0].model_name")
    assert fate == "missing"
    assert "openai/NAME" in text


@pytest.mark.parametrize("name", ["claude-*", "a/*/b"])
def test_other_wildcards_are_told(imported, name):
    made = imported("litellm", models(entry(name, "openai/*")))

    assert "provider/NAME" in made.fate("model_list[0]")[1]


def test_fallbacks_come_from_each_section_and_the_default_ones_where_there_are_no_others(imported):
    made = imported(
        "litellm",
        models(
            entry("a", "openai/gpt-6-luna"),
            entry("b", "anthropic/claude-sonnet-5"),
            entry("c", "gemini/gemini-3.5-flash"),
            entry("vectors", "openai/text-embedding-3-small"),
            router_settings={"default_fallbacks": ["c"], "model_group_alias": {"old": "a"}},
            litellm_settings={"fallbacks": [{"a": ["b", "nowhere"]}]},
        ),
    )

    chains = {name: model.fallback for name, model in made.config.models.items()}
    assert chains == {"a": ("b",), "b": ("c",), "c": (), "vectors": (), "old": ("b",)}
    assert made.fate("litellm_settings.fallbacks[0].a[0]") == ("mapped", "models.a.fallback: b")
    assert made.fate("litellm_settings.fallbacks[0].a[1]")[0] == "missing"


def test_fallbacks_for_long_input_come_last_and_keep_no_default_one_away(imported):
    made = imported(
        "litellm",
        models(
            entry("a", "openai/gpt-6-luna"),
            entry("b", "anthropic/claude-sonnet-5"),
            entry("c", "gemini/gemini-3.5-flash"),
            litellm_settings={
                "fallbacks": [{"a": ["b"]}],
                "default_fallbacks": ["c"],
                "context_window_fallbacks": [{"a": ["c"]}, {"b": ["a"]}],
                "content_policy_fallbacks": [{"a": ["b"]}],
            },
        ),
    )

    assert {name: model.fallback for name, model in made.config.models.items()} == {
        "a": ("b", "c"),
        "b": ("c", "a"),
        "c": (),
    }
    assert "too long" in made.fate("litellm_settings.context_window_fallbacks[0].a[0]")[1]
    assert "refusals: fallback" in made.fate("litellm_settings.content_policy_fallbacks")[1]


def test_time_limits_bound_whole_answers_too(imported):
    made = imported(
        "litellm",
        models(
            entry("a", "openai/gpt-6-luna", timeout=300, stream_timeout=15),
            entry("b", "anthropic/claude-sonnet-5"),
            router_settings={"timeout": 900, "num_retries": 25},
            litellm_settings={"request_timeout": 6000},
        ),
    )

    own, inherited = made.config.providers["openai"].timeouts, made.config.providers["anthropic"].timeouts
    assert (own.total_s, own.first_byte_s, own.between_bytes_s) == (300, 300, 15)
    assert made.config.defaults.deadline_s == made.config.defaults.timeouts.first_byte_s == 900
    assert inherited is None or inherited.total_s == 900
    assert made.config.defaults.retries == 10
    assert made.fate("litellm_settings.request_timeout")[0] == "needless"


def test_prices_of_a_token_become_prices_of_a_million(imported):
    made = imported(
        "litellm",
        models(
            entry("a", "openai/gpt-6-luna", input_cost_per_token=1.5e-7, info={"output_cost_per_token": "0.0000006"}),
            entry("b", "openai/gpt-6.1-sol", input_cost_per_token=1e-6),
        ),
    )

    prices = made.config.prices.models["openai/gpt-6-luna"]
    assert (float(prices.input), float(prices.output)) == (0.15, 0.6)
    assert made.fate("model_list[1].litellm_params.input_cost_per_token")[0] == "missing"


def test_redis_of_the_router_keeps_the_books_of_limits(imported):
    parts = {"redis_host": "redis", "redis_port": 6379, "redis_password": "very-secret-password"}
    made = imported("litellm", models(entry("a", "openai/gpt-6-luna"), router_settings=parts))
    url = imported("litellm", models(entry("a", "openai/gpt-6-luna"), router_settings={"redis_url": "os.environ/R"}))

    assert made.config.quotas.valkey == "env:VALKEY_URL"
    assert "very-secret" not in made.text
    assert url.config.quotas.valkey == "env:R"


def test_an_organization_is_the_pools_own_and_several_are_several_pools(imported):
    made = imported("litellm", models(entry("a", "openai/gpt-6-luna", organization=["org-1", "org-2"])))

    assert [pool.organization for pool in made.config.providers["openai"].pools.values()] == ["org-1", "org-2"]


def test_a_credential_that_has_a_name_is_followed(imported):
    made = imported(
        "litellm",
        models(
            entry("a", "openai/gpt-6-luna", litellm_credential_name="main"),
            entry("b", "openai/gpt-6.1-sol", litellm_credential_name="main"),
            credential_list=[{"credential_name": "main", "credential_values": {"api_key": "os.environ/MAIN"}}],
        ),
    )

    assert made.config.providers["openai"].api_key == "env:MAIN"
    assert made.fate("credential_list[0].credential_values.api_key")[0] == "mapped"


def test_the_simulator_stands_in_for_every_provider(imported):
    made = imported("litellm", "litellm.yaml", simulator="http://127.0.0.1:4010")

    urls = {provider.base_url for provider in made.config.providers.values()}
    origin = "http://127.0.0.1:4010"
    assert urls == {origin, f"{origin}/v1", f"{origin}/v1beta"}


def test_tags_and_second_keys_are_told_with_their_line(imported):
    made = imported("litellm", "model_list: []\nrouter_settings: {timeout: 5}\nrouter_settings: {timeout: 6}\n")

    assert [(one.line, one.fate) for one in made.made.findings if one.setting == "(this line)"] == [(3, "missing")]


@pytest.mark.parametrize("text", ["model_list: ]", "- 1", "just text", "a: *b"])
def test_a_file_that_is_none_is_refused_with_its_place(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"config\.yaml:1"):
        import_file("litellm", path, environment={})


def test_a_simulator_that_stands_in_has_every_model_and_every_provider_a_key(imported):
    source = models(
        entry("chat", "ollama/llama3.1"),
        entry("claude", "bedrock/claude", aws_region_name="eu-west-1"),
        entry("find", "openai/text-embedding-3-large"),
        entry("groq/*", "groq/*"),
        entry("scout", "groq/scout"),
    )
    made = imported("litellm", source, simulator="http://127.0.0.1:4010")

    plan = load_plan(made.folder / "simulator.yaml")
    assert {"llama3.1", "claude", "gpt-6-luna", "scout"} <= set(plan.models)
    assert plan.models["text-embedding-3-large"].kind == "embedding"
    keys = {name: provider.api_key for name, provider in made.config.providers.items()}
    assert keys == dict.fromkeys(("ollama", "bedrock", "openai", "groq"), "file:simulator.key")


def test_a_trial_with_the_simulator_needs_no_variable_and_no_other_server(imported):
    made = imported("litellm", "litellm.yaml", simulator="http://127.0.0.1:4010")

    assert made.made.variables == ()
    assert "env:" not in made.text
    assert made.config.quotas.valkey is None
    assert "a trial on one machine does without" in made.fate("router_settings.redis_host")[1]
    assert made.made.files["simulator.key"].strip()


def test_a_trial_asks_for_no_address_that_a_variable_has(imported):
    source = models(
        entry("chat", "openai/small", api_base="os.environ/NOT_SET", api_key="os.environ/NOR_THIS"),
        entry("azure", "azure/east", api_base="os.environ/AZURE_BASE", api_key="os.environ/AZURE_KEY"),
        entry("vertex", "vertex_ai/gemini-3.5-flash", vertex_project="os.environ/GCP_PROJECT", vertex_location="eu"),
        entry("claude", "bedrock/claude", aws_region_name="os.environ/AWS_REGION"),
    )

    made = imported("litellm", source, simulator="http://127.0.0.1:4010")

    assert {name: model.model for name, model in made.config.models.items()} == {
        "chat": "small", "azure": "east", "vertex": "gemini-3.5-flash", "claude": "claude"
    }  # fmt: skip
    fate, told = made.fate("model_list[0].litellm_params.api_base")
    assert fate == "mapped"
    assert "NOT_SET must be set when it is imported for good" in told


def test_what_is_here_by_now_is_not_called_absent(imported):
    source = models(entry("nano", "openai/gpt-6-luna")) | {
        "general_settings": {"enable_jwt_auth": True, "alerting": ["slack"]},
        "files_settings": [{"custom_llm_provider": "openai"}],
    }
    told = {one.setting: one.text for one in imported("litellm", source).made.findings}

    assert "access.tokens" in told["general_settings.enable_jwt_auth"]
    assert "`alerts`" in told["general_settings.alerting"]
    assert "`speaks`" in next(text for setting, text in told.items() if setting.startswith("files_settings"))


def guardrail(name="presidio", mode="pre_call", **params):
    return {"guardrail_name": "pii", "litellm_params": {"guardrail": name, "mode": mode, **params}}


def test_presidio_for_all_calls_is_the_screening_of_all_calls(imported):
    entities = {
        "CREDIT_CARD": "BLOCK",
        "EMAIL_ADDRESS": "MASK",
        "LOCATION": "MASK",
        "ES_NIF": "BLOCK",
        "ES_NIE": "MASK",
    }
    params = {"default_on": True, "pii_entities_config": entities, "presidio_analyzer_api_base": "http://presidio:3000"}
    source = models(entry("chat", "openai/gpt-6-luna")) | {"guardrails": [guardrail(**params), guardrail("lakera_v2")]}
    made = imported("litellm", source)

    privacy = made.config.screening.privacy
    assert (privacy.otherwise, privacy.restore) == ("allow", "nothing")
    assert privacy.kinds == {"card": "block", "email": "tokenise", "es_dni": "block"}
    place = "guardrails[0].litellm_params"
    assert made.fate(f"{place}.pii_entities_config.CREDIT_CARD") == ("mapped", "screening.privacy.kinds.card: block")
    assert made.fate(f"{place}.pii_entities_config.LOCATION")[0] == "missing"
    assert made.fate(f"{place}.presidio_analyzer_api_base")[0] == "needless"
    assert made.fate("guardrails[1].litellm_params.guardrail")[0] == "missing"


def test_without_entities_presidio_looks_for_all_and_its_tokens_may_be_turned_back(imported):
    params = {"mode": ["pre_call", "post_call"], "default_on": True, "output_parse_pii": True}
    made = imported("litellm", models(entry("chat", "openai/gpt-6-luna")) | {"guardrails": [guardrail(**params)]})

    privacy = made.config.screening.privacy
    assert (privacy.otherwise, privacy.restore, privacy.kinds) == ("tokenise", "everything", {})
    assert made.made.counts["missing"] == 0


@pytest.mark.parametrize(
    ("params", "says"),
    [({}, "screening.teams"), ({"default_on": True, "mode": "post_call"}, "`answer`"), ({"mode": None}, "`answer`")],
)
def test_a_guardrail_that_is_not_for_what_goes_up_in_all_calls_is_missing(imported, params, says):
    made = imported("litellm", models(entry("chat", "openai/gpt-6-luna")) | {"guardrails": [guardrail(**params)]})

    assert made.config.screening.privacy is None
    fate, told = made.fate("guardrails[0].litellm_params.guardrail")
    assert fate == "missing"
    assert says in told


def test_of_two_guardrails_for_all_calls_one_is_taken_over(imported):
    two = [guardrail(default_on=True), guardrail(default_on=True, pii_entities_config={"US_SSN": "BLOCK"})]
    made = imported("litellm", models(entry("chat", "openai/gpt-6-luna")) | {"guardrails": two})

    assert made.config.screening.privacy.kinds == {}
    assert made.fate("guardrails[1].litellm_params.pii_entities_config.US_SSN")[0] == "missing"


def test_limits_beside_the_parameters_are_those_of_the_deployment(imported):
    made = imported(
        "litellm",
        """
model_list:
  - {model_name: chat, litellm_params: {model: openai/gpt-6-luna, api_key: os.environ/A, rpm: 5}, rpm: 5, tpm: 20000}
  - {model_name: odd, litellm_params: {model: cohere/x, rpm: 5}, rpm: 5}
""",
    )

    limits = made.config.providers["openai"].model_limits["gpt-6-luna"]
    assert (limits.requests_per_minute, limits.tokens_per_minute) == (5, 20_000)
    assert made.fate("model_list[0].tpm")[0] == "mapped"
    assert made.fate("model_list[0].rpm")[0] == "needless"
