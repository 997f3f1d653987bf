"""The usage tier of an account, as headworks.yaml names it, beside its limits."""

import pytest

from headworks.catalogue import shipped
from headworks.config import load, price_book, tier_limits, tier_warnings
from headworks.errors import ConfigError


@pytest.fixture
def told(tmp_path):
    """The warnings for a `providers` section, each from its line on."""

    def tell(providers, models=""):
        (tmp_path / "headworks.yaml").write_text(f"providers:\n{providers}{models}")
        project = load(tmp_path)
        book = price_book(project, shipped())
        return [str(one).partition("headworks.yaml:")[2] for one in tier_warnings(project, book)]

    return tell


def openai(*fields):
    return "\n".join(["  main:", "    kind: openai", "    api_key: env:KEY", *(f"    {one}" for one in fields)]) + "\n"


def test_what_the_tier_allows_and_the_file_says_nothing_of_is_to_be_written(told):
    (line,) = told(openai('usage_tier: "3"', "models: [gpt-6-luna]"))

    assert line.startswith(
        "5:17: providers.main.usage_tier: tier 3 may use 5,000 requests a minute and 4,000,000 tokens a minute of "
        "main/gpt-6-luna, and headworks.yaml says nothing of it"
    )
    assert "`providers.main.model_limits.gpt-6-luna: {requests_per_minute: 5000, tokens_per_minute: 4000000}`" in line
    assert "as a copy of the provider's page has it, seen on 2026-10-05" in line


def test_what_the_file_allows_beyond_the_tier_is_warned_of(told):
    limits = "limits: {requests_per_minute: 5001, tokens_per_minute: 4000000}"
    (line,) = told(openai('usage_tier: "3"', "models: [gpt-6-luna]", limits))

    assert "tier 3 may use less of main/gpt-6-luna than headworks.yaml allows: 5,000 requests a minute (" in line


def test_limits_within_the_tier_and_no_tier_at_all_are_no_reason_to_warn(told):
    limits = "limits: {requests_per_minute: 5000, tokens_per_minute: 1000}"

    assert told(openai('usage_tier: "3"', "models: [gpt-6-luna]", limits)) == []
    assert told(openai("models: [gpt-6-luna]")) == []


def test_a_tier_that_there_is_not_is_answered_with_those_that_there_are(told):
    (line,) = told(openai('usage_tier: "9"', "models: [gpt-6-luna]"))
    assert "the catalogue knows no tier `9` of main/gpt-6-luna; choices: `1`, `2`, `3`, `4`, `5`" in line


def test_of_a_model_whose_tiers_nobody_documents_nothing_is_said(told):
    assert told(openai('usage_tier: "9"', "models: [gpt-6.1-terra, of-nobody]")) == []


def test_a_pool_may_be_of_an_account_of_another_tier(told):
    pools = ("pools:", "  a: {api_key: env:A}", '  b: {api_key: env:B, usage_tier: "5"}')
    limits = "limits: {requests_per_minute: 30000, tokens_per_minute: 180000000}"
    (line,) = told(openai('usage_tier: "1"', "models: [gpt-6-luna]", limits, *pools))

    assert "tier 1 may use less of main:a/gpt-6-luna" in line  # b's own tier allows all of it


def test_a_cloud_has_tiers_of_its_own_for_the_models_of_others(told):
    azure = (
        "  main:\n    kind: azure\n    api_key: env:KEY\n    base_url: https://x.openai.azure.com\n"
        "    usage_tier: data-zone-1\n    models: [mine]\n    deployments: {mine: gpt-5.4}\n"
        "    limits: {requests_per_minute: 301}\n"
    )
    less, more = told(azure)

    assert "tier data-zone-1 may use less of main/mine than headworks.yaml allows: 300 requests a minute" in less
    assert "`providers.main.model_limits.mine: {tokens_per_minute: 300000}`" in more


def test_the_simulator_has_the_tiers_of_openai(told):
    (line,) = told('  main: {kind: simulator, usage_tier: "1", models: [gpt-6-luna]}\n')
    assert "500 requests a minute" in line


def test_what_can_wait_in_batches_is_no_limit_that_could_be_written(tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers:\n" + openai('usage_tier: "1"', "models: [gpt-6-luna]"))
    project = load(tmp_path)
    (one,) = tier_limits(project, price_book(project, shipped()))

    assert one.documented.queued_tokens == 5_000_000
    assert "queued_tokens" not in one.missing()


def test_a_tier_that_is_a_bare_number_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers:\n" + openai("usage_tier: 3"))
    with pytest.raises(ConfigError, match="put it in quotes"):
        load(tmp_path)
