"""Providers as they answer: good keys and bad ones, lists of models or none, and what only money shows."""

import asyncio
import json

import msgspec
import pytest
from played_servers import answer, by_about, serving, situation

from headworks.doctoring import providers


def models(*names, **more):
    return answer(200, json.dumps({"data": [{"id": name} for name in names], **more}).encode())


def look(project_of, answers, *, kind="openai-compatible", lines="", before=None, **given):
    """What is found of the only provider, by check, and what it was asked."""

    async def run():
        async with serving(answers) as server:
            text = (
                f"providers:\n  up:\n    kind: {kind}\n    base_url: {server.url}/v1\n    api_key: env:KEY\n{lines}\n"
                "models: {fast: up/a}\n"
            )
            project = project_of(text)
            checks = providers.checks(situation(project=project, **given))
            return {check.name: by_about(await check.look()) for check in checks}, server.asked

    return asyncio.run(run())


def one(project_of, answers, **given):
    found, asked = look(project_of, answers, **given)
    return found["provider up"], asked


def test_a_key_is_tried_with_the_list_of_models_which_costs_nothing(project_of):
    found, asked = one(project_of, {"GET /v1/models": models("a", "b")})

    assert {about: finding.verdict.value for about, finding in found.items()} == {
        "reached": "ok",
        "answers": "ok",
        "key": "ok",
        "models": "ok",
        "limits": "skipped",
    }
    assert {line for line, _, _ in asked} == {"GET /v1/models"}
    assert "authorization: bearer sk-1" in asked[0][1].lower()


@pytest.mark.parametrize(
    ("kind", "status", "body", "verdict"),
    [
        ("openai", 401, {}, "problem"),
        ("anthropic", 401, {"type": "error", "error": {"type": "authentication_error"}}, "problem"),
        (
            "gemini",
            400,
            {"error": {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}},
            "problem",
        ),
        ("openai", 403, {}, "warning"),
        ("openai", 429, {"error": {"code": "rate_limit_exceeded"}}, "warning"),
        ("openai", 429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}, "problem"),
    ],
)
def test_a_refused_key_is_told_from_one_that_is_over_its_limit(project_of, kind, status, body, verdict):
    found, _ = one(project_of, {"GET /v1/models": answer(status, json.dumps(body).encode())}, kind=kind)

    assert found["key"].verdict == verdict
    assert str(status) in found["key"].says
    assert "sk-1" not in str(found)
    if status in (400, 401):
        assert "env:KEY" in found["key"].way_out


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(200, b"<html>welcome</html>"), "no list of models"),
        (answer(301, location="https://elsewhere.example/"), "301"),
        (answer(503), "503"),
        (None, "closed the connection"),
    ],
)
def test_what_is_no_such_api_is_a_problem_of_its_answers(project_of, said, words):
    found, _ = one(project_of, {"GET /v1/models": said})
    assert found["answers"].verdict == "problem"
    assert words in found["answers"].says


@pytest.mark.parametrize(("status", "verdict"), [(400, "ok"), (422, "ok"), (401, "problem"), (200, "warning")])
def test_where_no_list_is_served_a_call_without_content_shows_whether_the_key_is_good(project_of, status, verdict):
    found, asked = one(project_of, {"GET /v1/models": answer(404), "POST /v1/chat/completions": answer(status, b"{}")})

    assert found["key"].verdict == verdict
    assert [body for line, _, body in asked if line.startswith("POST")] == [b"{}"]
    assert "POST /chat/completions" in found["key"].says


def test_a_model_that_the_key_does_not_see_is_named_unless_the_list_goes_on(project_of):
    found, _ = one(project_of, {"GET /v1/models": models("b")})
    assert "not among the models that this key sees: a" in found["models"].says

    found, _ = one(project_of, {"GET /v1/models": models("b", has_more=True)}, kind="anthropic")
    assert "models" not in found


def test_googles_list_has_names_with_a_prefix(project_of):
    listed = answer(200, json.dumps({"models": [{"name": "models/a"}]}).encode())
    found, asked = one(project_of, {"GET /v1/models": listed}, kind="gemini")
    assert found["models"].verdict == "ok"
    assert asked[0][0] == "GET /v1/models?pageSize=1000"


def test_every_pool_is_tried_with_its_own_key(project_of):
    lines = "    pools: {eu: {api_key: env:EU}, us: {organization: org-us}}"
    environment = {"KEY": "sk-1", "EU": "sk-eu"}
    found, asked = look(
        project_of, {"GET /v1/models": models("a")}, kind="openai", lines=lines, environment=environment
    )

    assert set(found) == {"provider up, pool eu", "provider up, pool us"}
    heads = [head.lower() for _, head, _ in asked]
    assert any("bearer sk-eu" in head for head in heads)
    assert any("bearer sk-1" in head and "openai-organization: org-us" in head for head in heads)


def test_a_secret_that_is_missing_is_a_problem_of_that_provider_alone(project_of):
    found, asked = one(project_of, {}, environment={})
    assert "env:KEY is not set" in found["key"].says
    assert asked == []


def test_a_simulator_needs_nothing_and_no_project_has_no_providers(project_of):
    (check,) = providers.checks(situation(project=project_of("providers: {sim: {kind: simulator}}\n")))
    assert asyncio.run(check.look())[0].verdict == "ok"
    assert providers.checks(situation()) == []


@pytest.mark.parametrize(
    ("kind", "path", "field"),
    [
        ("openai", "/v1/chat/completions", "max_completion_tokens"),
        ("openai-compatible", "/v1/chat/completions", "max_tokens"),
        ("anthropic", "/v1/messages", "max_tokens"),
        ("gemini", "/v1/models/a:generateContent", "generationConfig"),
    ],
)
def test_only_when_paid_for_each_model_is_called_once_for_its_limits(project_of, kind, path, field):
    stated = answer(200, b"{}", x_ratelimit_limit_requests=500)
    answers = {"GET /v1/models": models("a"), f"POST {path}": stated}

    found, asked = one(project_of, answers, kind=kind, is_paid=True)

    (body,) = [msgspec.json.decode(body) for line, _, body in asked if line == f"POST {path}"]
    assert field in body
    assert found["call a"].verdict == "ok"
    assert found["requests_per_minute a"].verdict == "warning"
    assert "`providers.up.model_limits.a.requests_per_minute: 500`" in found["requests_per_minute a"].way_out


def on_tier(limits):
    return (
        f'    usage_tier: "1"\n    deployments: {{a: gpt-6-luna}}\n    limits: {limits}\n'
        "prices: {providers: {up: {catalogue: openai}}}"
    )


def test_without_paying_limits_are_held_against_the_usage_tier_of_the_account(project_of):
    answers = {"GET /v1/models": models("a")}

    found, asked = one(project_of, answers, lines=on_tier("{requests_per_minute: 600}"))

    more, unsaid = found["requests_per_minute a"], found["tokens_per_minute a"]
    assert (more.verdict, unsaid.verdict) == ("warning", "warning")
    assert "usage tier 1 allows a 500 requests a minute (as a copy of the provider's page has it" in more.says
    assert "`providers.up.model_limits.a.tokens_per_minute: 500000`" in unsaid.way_out
    assert {line for line, _, _ in asked} == {"GET /v1/models"}


def test_limits_within_the_usage_tier_are_well(project_of):
    lines = on_tier("{requests_per_minute: 500, tokens_per_minute: 9}")
    found, _ = one(project_of, {"GET /v1/models": models("a")}, lines=lines)

    assert (found["requests_per_minute a"].verdict, found["tokens_per_minute a"].verdict) == ("ok", "ok")


def test_a_usage_tier_that_the_catalogue_does_not_know_is_told_with_those_that_it_has(project_of):
    lines = on_tier("{}").replace('"1"', '"build"')
    found, _ = one(project_of, {"GET /v1/models": models("a")}, lines=lines)

    assert found["limits a"].verdict == "warning"
    assert "it has 1, 2, 3, 4, 5" in found["limits a"].says


def test_without_a_usage_tier_it_is_said_how_limits_can_be_found_out(project_of):
    found, _ = one(project_of, {"GET /v1/models": models("a")})
    assert "--paid" in found["limits"].way_out


def test_a_provider_that_states_no_limits_is_not_blamed(project_of):
    answers = {"GET /v1/models": models("a"), "POST /v1/chat/completions": answer(200, b"{}")}
    found, _ = one(project_of, answers, is_paid=True)
    assert found["limits a"].verdict == "skipped"


def test_a_secret_manager_that_does_not_give_the_key_is_a_problem_of_that_provider(project_of):
    project = project_of(
        "secrets: {vault: {address: 'http://127.0.0.1:9', token: env:KEY}}\n"
        "providers: {up: {kind: openai, api_key: 'vault:secret/openai#key'}}\n"
    )
    (check,) = providers.checks(situation(project=project))

    (finding,) = asyncio.run(check.look())

    assert finding.verdict.value == "problem"
    assert "vault:secret/openai#key: 127.0.0.1:9 cannot be reached: Connection refused" in finding.says


def test_where_the_model_is_in_the_path_the_call_without_content_names_one_that_there_is(project_of):
    path = "POST /v1/publishers/google/models/a:generateContent"
    found, asked = one(project_of, {"GET /v1/models": answer(404), path: answer(400, b"{}")}, kind="vertex")
    assert found["key"].verdict == "ok"
    assert asked[-1][2] == b"{}"


def bedrock(status, name, message="m"):
    path = "POST /v1/model/a/converse"
    head = {"x-amzn-errortype": name}
    return {"GET /v1/models": answer(404), path: answer(status, json.dumps({"message": message}).encode(), **head)}


def test_the_key_for_bedrock_is_tried_with_a_call_without_content(project_of):
    lines = "    region: eu-west-1"
    found, asked = one(project_of, bedrock(400, "ValidationException"), kind="bedrock", lines=lines)
    assert found["key"].verdict == "ok"
    assert asked[-1][2] == b"{}"


@pytest.mark.parametrize(
    ("name", "message", "words"),
    [
        ("UnrecognizedClientException", "m", "answered with 403"),
        ("InvalidSignatureException", "Signature expired: 2026 is now earlier than 2026", "clock is more than five"),
    ],
)
def test_why_bedrock_refuses_a_key_is_told(project_of, name, message, words):
    lines = "    region: eu-west-1"
    found, _ = one(project_of, bedrock(403, name, message), kind="bedrock", lines=lines)
    assert found["key"].verdict == "problem"
    assert words in found["key"].says
    assert "env:KEY" in found["key"].way_out
