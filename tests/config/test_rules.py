from typing import get_args

import pytest

from headworks.config import Connections, Model, Provider, Speech, Timeouts
from headworks.config.rules import is_safe_origin

SIMULATOR = "providers: {sim: {kind: simulator}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "providers:\n  a: {kind: openai}",
            "2:3: providers.a.api_key: is missing: `kind: openai` needs it, for example `api_key: env:OPENAI_API_KEY`",
        ),
        (
            "providers:\n  a: {kind: openai-compatible}",
            ("2:3: providers.a.base_url: is missing: `kind: openai-compatible` needs it, for example "
            "`http://127.0.0.1:8000/v1`"),
        ),
        (
            "providers:\n  a: {kind: azure, api_key: env:X}",
            ("2:3: providers.a.base_url: is missing: `kind: azure` needs it, for example "
            "`https://NAME.openai.azure.com`"),
        ),
        (
            "providers:\n  a: {kind: azure, base_url: 'https://x.openai.azure.com'}",
            ("2:3: providers.a.api_key: is missing: `kind: azure` needs it, for example "
            "`api_key: env:AZURE_OPENAI_API_KEY`"),
        ),
        (
            "providers:\n  a: {kind: azure, base_url: 'https://x', api_key: env:X, organization: o}",
            "2:73: providers.a.organization: has a meaning for OpenAI's API only",
        ),
        (
            "providers:\n  a: {kind: vertex, location: europe-west4}",
            "2:3: providers.a.project: is missing: `kind: vertex` needs it",
        ),
        (
            "providers:\n  a: {kind: vertex, project: p, location: eu, speaks: [chat]}",
            (
                "2:55: providers.a.speaks: `kind: vertex` serves `generate_content` and `embed_content` and "
                "`cached_contents` and nothing else; leave it out"
            ),
        ),
        (
            "providers:\n  a: {kind: openai, api_key: env:X, quirks: groq}",
            "2:45: providers.a.quirks: has a meaning for `kind: openai-compatible` only",
        ),
        (
            "providers:\n  a: {kind: openai, api_key: env:X, api_version: preview}",
            "2:50: providers.a.api_version: has a meaning for `kind: azure` only",
        ),
        (
            "providers:\n  a: {kind: openai-compatible, quirks: litellm}",
            ("2:3: providers.a.base_url: is missing: `kind: openai-compatible` needs it, for example "
            "`http://127.0.0.1:8000/v1`"),
        ),
        (
            "providers:\n  a: {kind: simulator, base_url: 'https://x'}",
            "2:34: providers.a.base_url: has no meaning for the simulator: it needs no network",
        ),
        (
            SIMULATOR + "screening: {unscreened: [nano]}",
            "2:26: screening.unscreened[0]: names no model: expected one of `models`, or `provider/model`",
        ),
        (
            SIMULATOR + "models:\n  a: {provider: sim, model: x, fallback: [sim/y]}\nscreening: {unscreened: [a]}",
            "4:26: screening.unscreened[0]: falls back to `sim/y`, which must stand here, too",
        ),
        (
            "providers:\n  a: {kind: simulator, api_key: env:X}",
            "2:33: providers.a.api_key: has no meaning for the simulator: it needs no network",
        ),
        (
            "providers:\n  a: {kind: openai, api_key: env:X, seed: 0}",
            "2:43: providers.a.seed: has a meaning for `kind: simulator` only",
        ),
        (
            "providers:\n  a: {kind: openai-compatible, base_url: 'https://x', plan: p.yaml}",
            "2:61: providers.a.plan: has a meaning for `kind: simulator` only",
        ),
        (
            "providers:\n  a: {kind: openai-compatible, base_url: 'http://api.example.com/v1'}",
            ("2:42: providers.a.base_url: expected `https://`: clear text is for loopback and private hosts; "
            "`insecure: true` allows it"),
        ),
        (SIMULATOR + "models: {fast: sin/x}", ("2:16: models.fast.provider: no provider has this name; "
         "did you mean `sim`?")),
        (SIMULATOR + "models: {fast: {model: x, provider: other}}",
         "2:37: models.fast.provider: no provider has this name; choices: `sim`"),
        (
            "providers: {sim: {kind: simulator, models: [gpt-6-luna, gpt-6.1-sol]}}\nmodels: {fast: sim/gpt-6-lunar}",
            "2:16: models.fast.model: is not among `providers.sim.models`; did you mean `gpt-6-luna`?",
        ),
        (
            SIMULATOR + "models: {sim/fast: sim/x}",
            "2:20: models.sim/fast: hides what `sim/…` already reaches: a public name needs another beginning",
        ),
        (SIMULATOR + "access: {mode: open}\nserver: {host: 0.0.0.0}",
         ("2:16: access.mode: `open` is for this machine alone, and other machines reach `server.host`: use keys, or "
         "listen on 127.0.0.1")),
        (SIMULATOR + "access: {mode: open}\nserver: {host: '::'}",
         ("2:16: access.mode: `open` is for this machine alone, and other machines reach `server.host`: use keys, or "
         "listen on 127.0.0.1")),
        (SIMULATOR + "server: {buffered_bytes: 2048, body_bytes: 4096}",
         "2:26: server.buffered_bytes: must not be below `body_bytes`"),
        (SIMULATOR + "server: {body_bytes: 1000000000}",
         "2:22: server.body_bytes: its default buffered_bytes must not be below `body_bytes`: set that too"),
        (SIMULATOR + "storage: {journal_bytes: 1048576}",
         ("2:26: storage.journal_bytes: its default segment_bytes must be at most half of `journal_bytes`: "
         "set that too")),
    ],
)  # fmt: skip
def test_fields_that_do_not_fit_together_are_a_problem_at_the_one_to_change(problems, text, expected):
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ("", "tokens[0]", "needs `jwks_url` or `jwks_file`, or an `issuer` that is an `https://` address"),
        ("jwks_url: 'https://a', jwks_file: b", "tokens[0]", "needs `jwks_url` or `jwks_file` and not both"),
        ("jwks_url: 'http://a'", "tokens[0].jwks_url", "expected `https://`: whoever can change this on its way"),
        ("jwks_file: b, team: c, claims: {team: d}", "tokens[0].team", "is said by the claim"),
        ("jwks_file: b, models: [c], claims: {models: d}", "tokens[0].models", "is said by the claim"),
    ],
)
def test_a_token_issuer_has_its_keys_in_one_place_and_each_thing_said_once(problems, fields, place, words):
    text = f"access: {{tokens: [{{issuer: a, audience: [b]{', ' if fields else ''}{fields}}}]}}"
    (problem,) = problems(f"{SIMULATOR}{text}\n")
    assert f": access.{place}: {words}" in problem


def test_an_issuer_that_is_an_address_needs_nothing_more(problems, project):
    for issuer in ("https://id.example", "https://id.example/realms/staff/", "http://127.0.0.1:8080"):
        project(f"{SIMULATOR}access: {{tokens: [{{issuer: '{issuer}', audience: [b]}}]}}\n")
    for issuer in (
        "http://id.example",
        "https://",
        "id.example",
        "https://a:b@id.example",
        "https://id.example?x",
        "ftp://a",
    ):
        (problem,) = problems(f"{SIMULATOR}access: {{tokens: [{{issuer: '{issuer}', audience: [b]}}]}}\n")
        assert "they are found there" in problem


def test_keys_of_a_token_issuer_may_come_by_tls_or_from_this_machine(problems):
    urls = ["https://id.example/keys", "http://127.0.0.1:8080/keys", "http://localhost/keys", "http://10.0.0.1/keys"]
    issuers = ", ".join(f"{{issuer: a, audience: [b], jwks_url: '{url}'}}" for url in urls)
    (problem,) = problems(f"{SIMULATOR}access: {{tokens: [{issuers}]}}\n")
    assert "access.tokens[3].jwks_url: expected `https://`" in problem


@pytest.mark.parametrize("network", ["10.0.0.1/8", "ten", "10.0.0.0/33", "2001:db8::1/32"])
def test_a_trusted_proxy_is_a_network(problems, network):
    (problem,) = problems(f"{SIMULATOR}server: {{trusted_proxies: ['{network}']}}\n")
    assert "expected a network as" in problem


def test_a_password_without_a_database_is_a_problem(problems):
    assert problems(SIMULATOR + "records: {store_password: env:X}\n") == [
        "2:27: records.store_password: has a meaning only beside `store`"
    ]


def test_a_field_that_is_wrong_in_itself_is_named_once(problems):
    assert problems("providers:\n  a: {kind: openai, api_key: oops}") == [
        (
            "2:30: providers.a.api_key: expected a secret reference, `env:NAME`, `file:PATH` or a "
            "secret manager's, such as `vault:MOUNT/PATH#FIELD`; "
            "a secret itself does not belong in this file"
        )
    ]


def test_a_model_of_a_provider_that_is_wrong_itself_is_not_a_second_problem(problems):
    assert problems("providers:\n  a: {kind: openai}\nmodels: {fast: a/x}") == [
        "2:3: providers.a.api_key: is missing: `kind: openai` needs it, for example `api_key: env:OPENAI_API_KEY`"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://anything.example",
        "http://localhost:1",
        "http://127.0.0.1",
        "http://127.9.9.9:80/v1",
        "http://[::1]:8000",
        "http://10.0.0.1",
        "http://192.168.1.9",
        "http://172.16.0.1",
        "http://[fd00::1]",
        "http://169.254.1.1",
        "http://vllm:8000",
        "http://models.svc.internal",
        "http://box.local",
    ],
)
def test_a_key_may_travel_by_tls_or_within_a_private_network(url):
    assert is_safe_origin(url)


@pytest.mark.parametrize(
    "url",
    ["http://api.example.com", "http://8.8.8.8", "http://[2606:4700::1]", "http://localhost.example.com", "http://local.de",
     "http://172.32.0.1", ""],
)  # fmt: skip
def test_a_key_may_not_travel_in_clear_text_elsewhere(url):
    assert not is_safe_origin(url)


def test_clear_text_can_be_asked_for(project):
    config = project(
        "providers: {a: {kind: openai-compatible, base_url: 'http://api.example.com/v1', insecure: true}}"
    ).config

    assert config.providers["a"].base_url == "http://api.example.com/v1"


def test_a_kind_implies_where_the_api_is_and_what_it_speaks():
    openai = Provider(kind="openai", api_key="env:X")
    compatible = Provider(kind="openai-compatible", base_url="https://x")
    simulator = Provider(kind="simulator")

    assert openai.base_url == "https://api.openai.com/v1"
    assert openai.speaks == simulator.speaks
    assert set(openai.speaks) == set(get_args(Speech)) - {
        *("messages", "generate_content", "embed_content", "cached_contents", "converse", "invoke_model"),
    }
    assert compatible.speaks == ("chat", "embeddings")
    assert simulator.base_url == ""


def test_a_provider_inherits_the_time_limits_that_it_leaves_out(project):
    config = project(
        "defaults: {timeouts: {connect_s: 1, total_s: 30}}\n"
        "providers:\n"
        "  plain: {kind: simulator}\n"
        "  own: {kind: simulator, timeouts: {total_s: 600}}\n"
    ).config

    assert config.defaults.timeouts == Timeouts(connect_s=1, total_s=30)
    assert config.providers["plain"].timeouts is None
    assert config.providers["own"].timeouts == Timeouts(connect_s=1, total_s=600)


def test_the_short_form_of_a_model_divides_at_its_first_slash(project):
    config = project(
        "providers: {router: {kind: simulator}}\n"
        "models:\n"
        "  a: router/meta/llama\n"
        "  b: {provider: router, model: meta/llama}\n"
    ).config

    assert config.models["a"] == config.models["b"] == Model(provider="router", model="meta/llama")


def test_everything_that_a_provider_may_say_arrives(project):
    config = project(
        "providers:\n"
        "  a:\n"
        "    kind: openai\n"
        "    api_key: env:KEY\n"
        "    organization: org-1\n"
        "    project: proj_1\n"
        "    speaks: [responses]\n"
        "    models: [x]\n"
        "    headers: {X-Tenant: blue, x-key: 'file:key'}\n"
        "    proxy: http://proxy:3128\n"
        "    ca_file: ca.pem\n"
        "    connections: {limit: 3, waiting: 0}\n"
    ).config

    assert config.providers["a"] == Provider(
        kind="openai",
        api_key="env:KEY",
        organization="org-1",
        project="proj_1",
        speaks=("responses",),
        models=("x",),
        headers={"x-tenant": "blue", "x-key": "file:key"},
        proxy="http://proxy:3128",
        ca_file="ca.pem",
        connections=Connections(limit=3, waiting=0),
    )


def test_a_header_named_twice_in_different_cases_is_a_problem(problems):
    assert problems("providers: {a: {kind: openai, api_key: env:X, headers: {X-A: b, x-a: c}}}") == [
        "1:65: providers.a.headers.x-a: is the same as an earlier name"
    ]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("kind: anthropic", "api_key: is missing: `kind: anthropic` needs it"),
        ("kind: anthropic, api_key: env:X, speaks: [chat]", "speaks: `kind: anthropic` serves `messages`"),
        ("kind: anthropic, api_key: env:X, organization: o", "organization: has a meaning for OpenAI's API only"),
        ("kind: anthropic, api_key: env:X, pace: 0", "pace: has a meaning for `kind: simulator` only"),
        ("kind: simulator, speaks: [chat, generate_content]", "speaks: `generate_content` is Google's API"),
        (
            "kind: openai-compatible, base_url: 'http://127.0.0.1:1/v1', speaks: [generate_content]",
            "whose paths name the model: use `kind: gemini`",
        ),
        ("kind: simulator, speaks: [chat, converse]", "use `kind: bedrock`"),
        ("kind: openai, api_key: env:X, speaks: [generate_content]", "use `kind: gemini`"),
        ("kind: gemini", "`kind: gemini` needs it, for example `api_key: env:GEMINI_API_KEY`"),
        (
            "kind: gemini, api_key: env:X, speaks: [chat]",
            "speaks: `kind: gemini` serves `generate_content` and `embed_content` and `cached",
        ),
        ("kind: openai, api_key: env:X, speaks: [cached_contents]", "use `kind: gemini`"),
    ],
)
def test_what_anthropic_and_google_need_and_what_they_do_not_have(problems, fields, problem):
    (found,) = problems(f"providers: {{a: {{{fields}}}}}")
    assert problem in found


def test_anthropic_is_where_it_is_and_speaks_messages():
    provider = Provider(kind="anthropic", api_key="env:X")
    assert provider.base_url == "https://api.anthropic.com/v1"
    assert provider.speaks == ("messages",)


def test_gemini_is_where_it_is_and_speaks_generate_content():
    provider = Provider(kind="gemini", api_key="env:X")
    assert provider.base_url == "https://generativelanguage.googleapis.com/v1beta"
    assert provider.speaks == ("generate_content", "embed_content", "cached_contents")
