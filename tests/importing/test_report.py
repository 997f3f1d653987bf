"""What must hold of every import: nothing is left out, nothing has two fates, no secret is copied."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headworks.config import parse
from headworks.importing import import_file

FILES = Path(__file__).parent / "files"
SAMPLES = [
    ("litellm", "litellm.yaml"),
    ("portkey", "portkey.json"),
    ("portkey", "conf.json"),
    ("tensorzero", "tensorzero/tensorzero.toml"),
]
SECRETS = [
    "sk-clear",
    "very-secret",
    "hunter2",
    "sk-1234",
    "sk-lf",
    "abcdefghijklmnopqrst",
    "sk-portkey",
    "sk-ant",
    "pk-0",
]


def leaves(value, place=""):
    """Places of all settings, as the report writes them."""
    if isinstance(value, dict) and value:
        return [one for key, item in value.items() for one in leaves(item, f"{place}.{key}" if place else str(key))]
    if isinstance(value, list) and value:
        return [one for index, item in enumerate(value) for one in leaves(item, f"{place}[{index}]")]
    return [place]


def covers(setting, leaf):
    return leaf == setting or leaf.startswith((f"{setting}.", f"{setting}["))


def plain(path):
    text = path.read_text()
    return tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text.replace("\t", " "))


@pytest.mark.parametrize(("gateway", "name"), SAMPLES)
def test_each_setting_of_a_file_has_exactly_one_fate(imported, gateway, name):
    made = imported(gateway, name).made

    for leaf in leaves(plain(FILES / name)):
        assert sum(covers(one.setting, leaf) for one in made.findings) == 1, leaf


@pytest.mark.parametrize(("gateway", "name"), SAMPLES)
def test_each_finding_stands_on_the_line_of_its_setting(imported, gateway, name):
    lines = (FILES / name).read_text().splitlines()

    for one in imported(gateway, name).made.findings:
        if not one.setting.endswith("]"):  # an item of a list has no name
            assert one.setting.rpartition(".")[2] in lines[one.line - 1], one


@pytest.mark.parametrize(("gateway", "name"), SAMPLES)
def test_no_secret_of_the_source_is_in_our_files_or_in_the_report(imported, gateway, name):
    made = imported(gateway, name).made
    told = json.dumps([made.files, [(one.setting, one.text) for one in made.findings]])

    assert not [secret for secret in SECRETS if secret in told]


words = st.sampled_from(
    ["seed", "openai/gpt-6-luna",
      "azure/x", "anthropic/claude", "gpt-6-luna", "a b", "", "*", "openai/*", "mistral/*", "chat", "30d",
     "os.environ/KEY", "os.environ/URL", "sk-abcdefghijklmnopqrstuvwx1", "http://127.0.0.1:1/v1", "https://u:p@x.example/?k=1"]
)  # fmt: skip
scalars = words | st.integers(-5, 5000) | st.floats(-1, 2, allow_nan=False) | st.booleans() | st.none()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2), max_leaves=4
)


def some(*names):
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))


entries = st.fixed_dictionaries(
    {"model_name": words},
    optional={
        "litellm_params": some(
            "model", "api_key", "api_base", "organization", "rpm", "tpm", "weight", "order", "timeout",
            "stream_timeout", "extra_headers", "input_cost_per_token", "output_cost_per_token",
            "litellm_credential_name", "drop_params", "additional_drop_params", "odd",
        ),
        "model_info": some("mode", "base_model", "input_cost_per_token", "access_groups"),
    },
)  # fmt: skip
configurations = st.fixed_dictionaries(
    {"model_list": st.lists(entries, max_size=4)},
    optional={
        "router_settings": some(
            "fallbacks",
            "timeout",
            "num_retries",
            "redis_url",
            "redis_host",
            "model_group_alias",
            "routing_strategy",
            "odd",
        ),
        "litellm_settings": some(
            "fallbacks",
            "default_fallbacks",
            "context_window_fallbacks",
            "cache",
            "callbacks",
            "request_timeout",
            "drop_params",
        ),
        "general_settings": some("master_key", "max_request_size_mb", "maximum_spend_logs_retention_period", "odd"),
        "credential_list": values,
        "guardrails": values,
        "odd": values,
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(configurations)
def test_whatever_a_file_of_litellm_says_ours_is_valid_and_everything_is_told(tmp_path, configuration):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(configuration, sort_keys=False))

    made = import_file("litellm", path, environment={"URL": "http://127.0.0.1:2/v1"})

    parse(made.files["headworks.yaml"], file="headworks.yaml", base=tmp_path)
    found = [one.setting.replace("(hidden)", "sk-abcdefghijklmnopqrstuvwx1") for one in made.findings]
    for leaf in leaves(configuration):
        assert sum(covers(setting, leaf) for setting in found) == 1, (leaf, found)
    assert "sk-abcdef" not in made.files["headworks.yaml"]


targets = st.recursive(
    some("provider", "api_key", "virtual_key", "override_params", "weight", "custom_host", "request_timeout", "odd"),
    lambda inner: st.fixed_dictionaries(
        {"targets": st.lists(inner, max_size=3)},
        optional={
            "strategy": st.fixed_dictionaries(
                {"mode": st.sampled_from(["fallback", "loadbalance", "single", "conditional"])}
            ),
            "retry": some("attempts", "on_status_codes"),
            "cache": values,
            "request_timeout": values,
            "provider": st.sampled_from(["openai", "anthropic", "azure-openai", "@openai-prod"]),
        },
    ),
    max_leaves=5,
)


@pytest.mark.uncounted
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(targets)
def test_whatever_a_config_of_portkey_says_ours_is_valid_and_everything_is_told(tmp_path, configuration):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(configuration))

    made = import_file("portkey", path, environment={})

    parse(made.files["headworks.yaml"], file="headworks.yaml", base=tmp_path)
    found = [one.setting.replace("(hidden)", "sk-abcdefghijklmnopqrstuvwx1") for one in made.findings]
    for leaf in leaves(configuration):
        assert leaf == "" or sum(covers(setting, leaf) for setting in found) == 1, (leaf, found)
