"""Which limits a target has, of those that stand in several places."""

from headworks.config import parse
from headworks.config.limits import limits_of_target, listed_targets

TEXT = """
providers:
  openai:
    kind: openai
    api_key: env:KEY
    models: [big, small]
    limits: {requests_per_minute: 500}
    model_limits: {small: {requests_per_minute: 5000}}
    pools:
      main: {}
      spare: {limits: {requests_per_minute: 50}, model_limits: {big: {requests_per_day: 7}}}
  plain: {kind: simulator, limits: {tokens_per_day: 9}}
models: {fast: plain/quick}
"""


def config(tmp_path):
    return parse(TEXT, file="headworks.yaml", base=tmp_path).config


def rpm(tmp_path, provider, model):
    return limits_of_target(config(tmp_path), provider, model).requests_per_minute


def test_the_nearest_place_counts(tmp_path):
    assert rpm(tmp_path, "openai:main", "big") == 500
    assert rpm(tmp_path, "openai:main", "small") == 5000
    assert rpm(tmp_path, "openai:spare", "unlisted") == 50
    assert rpm(tmp_path, "openai:spare", "small") == 5000
    assert rpm(tmp_path, "openai:spare", "big") is None
    assert limits_of_target(config(tmp_path), "openai:spare", "big").requests_per_day == 7
    assert limits_of_target(config(tmp_path), "plain", "any").tokens_per_day == 9


def test_what_is_configured_no_more_has_none(tmp_path):
    assert limits_of_target(config(tmp_path), "gone", "big") is None
    assert limits_of_target(config(tmp_path), "openai:gone", "big") is None
    assert limits_of_target(config(tmp_path), "openai", "big") is None


def test_listed_are_models_in_every_pool(tmp_path):
    assert listed_targets(config(tmp_path)) == [
        ("openai:main", "big"),
        ("openai:spare", "big"),
        ("openai:main", "small"),
        ("openai:spare", "small"),
        ("plain", "quick"),
    ]
