"""AWS Bedrock in an assembly: what is signed with what, for which host and region."""

import pytest

from headworks.config import load
from headworks.errors import ConfigError
from headworks.provider_plans import key_blocks
from headworks.providers.bedrock import BedrockProvider
from headworks.secrets import look_at_keys
from headworks.settings import read_settings
from headworks.sigv4 import Credentials, packed, unpacked

CONFIG = """
version: 1
providers:
  aws:
    kind: bedrock
    region: eu-central-1
    access_key_id: env:ID
    secret_access_key: file:key
    session_token: env:TOKEN
    guardrail: ab12:3
    latency: optimized
    pools:
      home: {}
      away: {base_url: "https://bedrock-runtime.us-east-1.amazonaws.com", api_key: env:BEARER}
      near: {base_url: "https://vpce-1.example.com:8443/x"}
models:
  claude: aws/eu.anthropic.claude-sonnet-5-v1:0
"""
ENVIRONMENT = {"ID": "AKIDEXAMPLE", "TOKEN": "session", "BEARER": "bedrock-key"}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    (tmp_path / "key").write_text("secret-0815")
    return load(tmp_path)


def test_each_pool_has_its_key_its_host_and_its_region(project):
    (plan,) = read_settings(project, ENVIRONMENT).providers
    found = {pool.name: (pool.settings.host, pool.settings.region, pool.settings.base_path) for pool in plan.pools}
    assert found == {
        "home": ("bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1", ""),
        "away": ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1", ""),
        "near": ("vpce-1.example.com:8443", "eu-central-1", "/x"),
    }
    keys = {pool.name: pool.settings.api_key for pool in plan.pools}
    assert unpacked(keys["home"]) == Credentials("AKIDEXAMPLE", "secret-0815", "session")
    assert keys["away"] == "bedrock-key"
    assert {(pool.settings.guardrail, pool.settings.latency) for pool in plan.pools} == {("ab12:3", "optimized")}
    assert [isinstance(plan.make(pool.settings), BedrockProvider) for pool in plan.pools] == [True] * 3


def test_a_new_secret_access_key_is_taken_without_a_restart(project):
    kept = look_at_keys(project, ENVIRONMENT)
    (project.folder / "key").write_text("secret-new")
    kept = look_at_keys(project, ENVIRONMENT, kept)
    (plan,) = read_settings(project, ENVIRONMENT, kept).providers
    home = plan.pools[0]
    assert home.is_keyed
    assert key_blocks(plan, home) == [packed(Credentials("AKIDEXAMPLE", "secret-new", "session")).encode()]


def test_a_secret_that_is_not_there_is_named_with_its_place(project):
    with pytest.raises(ConfigError, match=r"access_key_id: env:ID is not set"):
        read_settings(project, {"TOKEN": "t", "BEARER": "b"})


def test_a_model_has_its_price_also_behind_an_address_of_ones_own(project):
    settings = read_settings(project, ENVIRONMENT)
    price = settings.book.for_target("aws", "eu.anthropic.claude-sonnet-5-v1:0")
    assert price.is_known
    worldwide = settings.book.for_target("aws", "global.anthropic.claude-sonnet-5-v1:0")
    assert worldwide.prices != price.prices
    arn = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-5-v1:0"
    assert settings.book.for_target("aws", arn).prices == price.prices


def test_nothing_of_it_shows_a_key(project):
    settings = read_settings(project, ENVIRONMENT)
    for shown in (repr(settings), repr(settings.providers), str(settings.providers[0].pools)):
        assert "secret-0815" not in shown
        assert "bedrock-key" not in shown
