"""LiteLLM's budgets and what it gives new keys: teams of ours, and commands that make such keys."""

import shlex

import pytest

from headworks.cli import main

CHAT = "model_list:\n  - model_name: chat\n    litellm_params: {model: openai/gpt-6.1-terra, api_key: os.environ/K}\n"


@pytest.mark.parametrize(
    ("duration", "period"),
    [("30d", "per_month"), ("1mo", "per_month"), ("1d", "per_day"), ("24h", "per_day")],
)
def test_the_budget_of_the_whole_proxy_is_that_of_a_team_of_all_keys(imported, duration, period):
    found = imported("litellm", f"{CHAT}litellm_settings: {{max_budget: 100.50, budget_duration: {duration}}}")

    assert getattr(found.config.access.teams["everyone"].budget, period) == 100.50
    assert found.fate("litellm_settings.max_budget")[0] == "mapped"
    assert found.fate("litellm_settings.budget_duration")[0] == "mapped"
    assert [one.line for one in found.made.commands] == ["headworks keys create NAME --team=everyone"]


@pytest.mark.parametrize("settings", ["max_budget: 100", "max_budget: 100, budget_duration: 7d", "max_budget: much"])
def test_a_budget_of_no_calendar_day_or_month_is_missing_and_says_what_to_choose(imported, settings):
    found = imported("litellm", f"{CHAT}litellm_settings: {{{settings}}}")

    fate, text = found.fate("litellm_settings.max_budget")
    assert fate == "missing"
    assert "`per_day` and `per_month`" in text
    assert found.made.commands == ()
    assert not found.config.access.teams


def test_a_duration_without_a_budget_asks_for_nothing(imported):
    found = imported("litellm", f"{CHAT}litellm_settings: {{budget_duration: 30d}}")

    assert found.fate("litellm_settings.budget_duration")[0] == "needless"


KEYS = """
litellm_settings:
  max_budget: 100
  budget_duration: 30d
  default_internal_user_params:
    {user_role: internal_user, max_budget: 5.50, budget_duration: 1d, models: [chat, gone], teams: [a]}
  default_key_generate_params:
    {duration: 30d, tpm_limit: 1000, rpm_limit: 10, max_parallel_requests: 3, metadata: {a: b}, blocked: false}
  upperbound_key_generate_params: {max_budget: 7, budget_duration: 1mo, models: [all-proxy-models]}
"""


def test_what_new_keys_begin_with_is_in_commands_that_can_be_run(imported, monkeypatch, capsys):
    found = imported("litellm", CHAT + KEYS)
    lines = [one.line for one in found.made.commands]
    monkeypatch.chdir(found.folder)

    assert lines == [
        "headworks keys create NAME --rpm=10 --tpm=1000 --expires=30d --team=everyone",
        "headworks keys create NAME --budget-month=7 --team=everyone",
        "headworks keys create NAME --budget-day=5.5 --models=chat --team=everyone",
    ]
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0
        assert "team       everyone" in capsys.readouterr().out


def test_each_setting_of_new_keys_has_its_fate(imported):
    found = imported("litellm", CHAT + KEYS)
    fates = {
        one.setting.removeprefix("litellm_settings."): one.fate
        for one in found.made.findings
        if "_params" in one.setting and one.setting.startswith("litellm_settings")
    }

    assert fates == {
        "default_internal_user_params.user_role": "needless",
        "default_internal_user_params.max_budget": "mapped",
        "default_internal_user_params.budget_duration": "mapped",
        "default_internal_user_params.models[0]": "mapped",
        "default_internal_user_params.models[1]": "missing",
        "default_internal_user_params.teams": "missing",
        "default_key_generate_params.duration": "mapped",
        "default_key_generate_params.tpm_limit": "mapped",
        "default_key_generate_params.rpm_limit": "mapped",
        "default_key_generate_params.max_parallel_requests": "missing",
        "default_key_generate_params.metadata": "missing",
        "default_key_generate_params.blocked": "needless",
        "upperbound_key_generate_params.max_budget": "mapped",
        "upperbound_key_generate_params.budget_duration": "mapped",
        "upperbound_key_generate_params.models": "needless",
    }


def test_an_administrator_gets_a_key_of_that_role(imported):
    found = imported(
        "litellm",
        f"{CHAT}litellm_settings: {{default_internal_user_params: {{user_role: proxy_admin, team_id: core}}}}",
    )

    assert [one.line for one in found.made.commands] == ["headworks keys create NAME --role=admin --team=core"]


TEAMS = """
litellm_settings:
  max_budget: 100
  budget_duration: 30d
  default_team_settings:
    - {team_id: search, success_callback: [langfuse], max_budget: 4, budget_duration: 30d}
    - {team_id: sk-0123456789abcdefghijklmnop}
    - {team_id: mail, max_budget: 4}
  default_team_params: {max_budget: 9, budget_duration: 1d, rpm_limit: 4, models: [chat]}
"""


def test_teams_with_names_become_ours_and_what_others_begin_with_is_told(imported):
    found = imported("litellm", CHAT + TEAMS)

    assert set(found.config.access.teams) == {"search", "mail"}
    assert found.config.access.teams["search"].budget.per_month == 4
    assert "sk-0123456789" not in found.text
    assert found.fate("litellm_settings.default_team_settings[1].team_id")[0] == "missing"
    assert found.fate("litellm_settings.default_team_settings[0].success_callback")[0] == "missing"
    assert found.fate("litellm_settings.default_team_settings[2].max_budget")[0] == "missing"
    assert "divide it among them" in found.fate("litellm_settings.max_budget")[1]
    assert found.fate("litellm_settings.default_team_params.rpm_limit") == (
        "missing",
        (
            "the file names no team: write each as `access.teams.NAME: "
            "{ budget: { per_day: 9 }, limits: { requests_per_minute: 4 } }`"
        ),
    )


def test_budgets_of_deployments_and_providers_say_the_way_out(imported):
    found = imported(
        "litellm",
        CHAT.replace("K}", "K, max_budget: 10, budget_duration: 1d}")
        + "router_settings: {provider_budget_config: {openai: {budget_limit: 50, time_period: 30d}}}",
    )

    fate, text = found.fate("model_list[0].litellm_params.max_budget")
    assert (fate, "budget: { per_day: 10 }" in text) == ("missing", True)
    fate, text = found.fate("router_settings.provider_budget_config.openai")
    assert (fate, "budget: { per_month: 50 }" in text) == ("missing", True)
