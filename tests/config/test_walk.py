from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import parse
from headworks.config.walk import nearest, shown
from headworks.errors import ConfigError

SIMULATOR = "providers: {sim: {kind: simulator}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sever: {}", "2:1: `sever` is not a field; did you mean `server`?"),
        ("server:\n  prot: 1", "3:3: server: `prot` is not a field; did you mean `port`?"),
        (
            "storage: {zzz: 1}",
            "2:11: storage: `zzz` is not a field; choices: `journal_bytes`, `path`, `segment_bytes`",
        ),
        ("server:\n  port: 70000", "3:9: server.port: expected at most 65535"),
        ("server:\n  port: -1", "3:9: server.port: expected at least 0"),
        ("server: {port: 1.5}", "2:16: server.port: expected a whole number, got a number"),
        (
            "server: {port: '80'}",
            "2:16: server.port: expected a whole number, got text in quotes: remove the quotes",
        ),
        ("server: {port: many}", "2:16: server.port: expected a whole number, got text"),
        ("server: {port: [1]}", "2:16: server.port: expected a whole number, got a list"),
        ("server:\n  port:", "3:3: server.port: expected a whole number, got nothing"),
        ("server: {idle_timeout_s: 0}", "2:26: server.idle_timeout_s: expected more than 0"),
        ("server: {idle_timeout_s: soon}", "2:26: server.idle_timeout_s: expected a number, got text"),
        ("server: [1]", "2:9: server: expected a mapping (`name: value` lines), got a list"),
        ("server: text", "2:9: server: expected a mapping (`name: value` lines), got text"),
        ("server: {host: 8}", "2:16: server.host: expected text, got a whole number: put it in quotes"),
        ("server: {host: true}", "2:16: server.host: expected text, got a truth value: put it in quotes"),
        ("server: {host: {a: 1}}", "2:16: server.host: expected text, got a mapping"),
        ("server: {host: }", "2:10: server.host: expected text, got nothing"),
        ("server:\n  tls:\n    key: k.pem", "3:3: server.tls.certificate: is missing"),
        ("records: {bodies: yes}", "2:19: records.bodies: expected `true` or `false`; did you mean `true`?"),
        ("records: {bodies: Off}", "2:19: records.bodies: expected `true` or `false`; did you mean `false`?"),
        ("records: {bodies: 1}", "2:19: records.bodies: expected `true` or `false`, got a whole number"),
        ("access: {mode: key}", "2:16: access.mode: expected one of `keys`, `open`; did you mean `keys`?"),
        ("access: {mode: [keys]}", "2:16: access.mode: expected one of `keys`, `open`, got a list"),
        ("version: 2", "2:10: version: expected `1`"),
        ("version: '1'", "2:10: version: expected `1`"),
        ("storage: {path: ''}", "2:17: storage.path: must not be empty"),
        (f"storage: {{path: {'x' * 5000}}}", "2:17: storage.path: expected at most 4096 characters"),
        ("models: {a b: sim/x}", ("2:10: models.a b: expected a name of letters, digits and `. _ : / @ + -`, "
         "beginning with a letter or digit")),
        ("models:\n  fast: sim", "3:9: models.fast: expected `provider/model`"),
        ("models:\n  fast: {provider: sim}", "3:3: models.fast.model: is missing"),
        ("models:\n  fast: [sim, x]", "3:9: models.fast: expected a mapping (`name: value` lines), got a list"),
    ],
)  # fmt: skip
def test_a_problem_has_its_place_and_says_what_was_expected(problems, text, expected):
    assert problems(SIMULATOR + text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1", "1:1: providers: is missing"),
        ("", "1:1: providers: is missing"),
        ("providers:", "1:1: providers: must not be empty"),
        ("providers: {}", "1:12: providers: must not be empty"),
        ("- a", "1:1: expected a mapping (`name: value` lines), got a list"),
        ("providers:\n  sim:\n    pace: 1", "2:3: providers.sim.kind: is missing"),
        (
            "providers:\n  Sim: {kind: simulator}",
            "2:3: providers.Sim: expected a name of lower-case letters, digits and `-`, beginning with a letter",
        ),
        (
            "providers:\n  a: {kind: simulatr}",
            ("2:13: providers.a.kind: expected one of `anthropic`, `azure`, `bedrock`, `gemini`, `openai`, "
            "`openai-compatible`, `simulator`, `vertex`; did you mean `simulator`?"),
        ),
        (
            "providers:\n  a: {kind: simulator, speaks: [chat, responces]}",
            ("2:39: providers.a.speaks[1]: expected one of `audio`, `batches`, `cached_contents`, `chat`, "
            "`completions`, `conversations`, `converse`, `embed_content`, `embeddings`, `evals`, `files`, "
            "`fine_tuning`, `generate_content`, `images`, `invoke_model`, `messages`, `models`, `moderations`, "
            "`realtime`, `responses`, `vector_stores`; did you mean `responses`?"),
        ),
        (
            "providers:\n  a: {kind: simulator, speaks: [chat, chat]}",
            "2:39: providers.a.speaks[1]: stands in this list a second time",
        ),
        ("providers:\n  a: {kind: simulator, speaks: chat}", "2:32: providers.a.speaks: expected a list, got text"),
        ("providers:\n  a: {kind: simulator, models: []}", "2:32: providers.a.models: must not be empty"),
        ("providers:\n  a: {kind: simulator}\n  a: {kind: simulator}",
         "3:3: this key stands here a second time; the first is on line 2"),
    ],
)  # fmt: skip
def test_a_problem_among_the_providers_has_its_place(problems, text, expected):
    assert problems(text) == [expected]


def test_all_problems_come_at_once_in_the_order_of_the_file(problems):
    found = problems(
        "version: 3\n"
        "server: {port: x, host: 'a b', workers: 0}\n"
        "providers:\n"
        "  a: {kind: openai, api_key: plain}\n"
        "  b: {kind: openai-compatible, base_url: 'ftp://x', connections: {limit: 0}}\n"
        "models: {fast: c/x, slow: a}\n"
        "colour: red\n"
    )

    assert [line.split(": ")[0] for line in found] == [
        "1:10", "2:16", "2:25", "2:41", "4:30", "5:42", "5:74", "6:16", "6:27", "7:1",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["no", "on", "0x10", "1:30", "2026-11-24", "1_000", "nan", ".inf"])
def test_text_that_older_yaml_takes_for_something_else_stays_text(project, text):
    config = project(f"providers: {{sim: {{kind: simulator, models: [{text}]}}}}").config

    assert config.providers["sim"].models == (text,)


def test_numbers_with_leading_zeros_are_decimal(project):
    assert project(SIMULATOR + "server: {port: 0100}").config.server.port == 100


@pytest.mark.parametrize(("text", "value"), [("5", 5.0), ("0.25", 0.25), (".5", 0.5), ("1e2", 100.0), ("+3.", 3.0)])
def test_numbers_may_be_written_in_every_usual_way(project, text, value):
    assert project(SIMULATOR + f"server: {{grace_s: {text}}}").config.server.grace_s == value


@pytest.mark.parametrize("text", ["server:", "server: ~", "server: null", "server: {}"])
def test_an_empty_section_is_all_defaults(project, text):
    assert project(SIMULATOR + text).config == project(SIMULATOR).config


def test_a_value_that_may_be_left_out_may_be_null(project):
    assert project("providers: {sim: {kind: simulator, timeouts: null, models: ~}}").config == project(SIMULATOR).config


def test_anchors_and_merge_keys_share_settings(project):
    config = project(
        "providers:\n"
        "  a: &base\n"
        "    kind: openai-compatible\n"
        "    base_url: https://a.example/v1\n"
        "  b: {<<: *base, base_url: 'https://b.example/v1'}\n"
    ).config

    assert [provider.base_url for provider in config.providers.values()] == [
        "https://a.example/v1",
        "https://b.example/v1",
    ]


@pytest.mark.parametrize(
    ("word", "names", "expected"),
    [
        ("prot", ["port", "host"], "port"),
        ("Base-URL", ["base_url", "kind"], "base_url"),
        ("gpt6-luna", ["gpt-6-luna", "gpt-6.1-sol"], "gpt-6-luna"),
        ("zebra", ["port", "host"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(word, names, expected):
    assert nearest(word, names) == expected


def test_a_key_in_a_path_is_shown_unless_it_may_be_a_secret():
    assert shown(("providers", "a", "speaks", 2)) == "providers.a.speaks[2]"
    assert shown(("providers", "sk-proj-1234", "kind")) == "providers.….kind"


SECRET = st.sampled_from(["sk-proj-", "hw-", "AKIA", "ghp_", "Bearer "]).flatmap(
    lambda prefix: st.text(alphabet="QXZ0123456789", min_size=12, max_size=40).map(lambda rest: prefix + rest)
)
PLACES = [
    "access: {{secret: '{0}'}}",
    "access: {{mode: '{0}'}}",
    "server: {{port: '{0}', host: '{0}', tls: '{0}'}}",
    "version: '{0}'",
    "'{0}': x",
    "server: {{'{0}': 1}}",
    "server: ['{0}']",
    "records: {{bodies: '{0}'}}",
    "storage: {{path: ['{0}']}}",
    "models: {{fast: '{0}'}}",
    "models: {{'{0}': x}}",
    "models: {{'{0}': nobody/x}}",
    "models: {{fast: '{0}/x'}}",
    "models: {{fast: {{provider: '{0}', model: ''}}}}",
    "providers: {{a: {{kind: openai, api_key: '{0}'}}}}",
    "providers: {{a: {{kind: '{0}'}}}}",
    "providers: {{'{0}': {{kind: simulator, pace: x}}}}",
    "providers: {{a: {{kind: simulator, speaks: ['{0}'], models: [' {0}']}}}}",
    "providers: {{a: {{kind: openai-compatible, base_url: 'https://u:{0}@h/v1'}}}}",
    "providers: {{a: {{kind: openai-compatible, base_url: 'https://h/?key={0}'}}}}",
    "providers: {{a: {{kind: openai-compatible, base_url: '{0}'}}}}",
    "providers: {{a: {{kind: openai-compatible, proxy: 'http://u:{0}@h:1'}}}}",
    "providers: {{a: {{kind: openai-compatible, headers: {{x-key: '{0}'}}}}}}",
    "providers: {{a: {{kind: openai-compatible, headers: {{'{0} ': x}}}}}}",
    "providers: {{a: {{kind: openai-compatible, headers: {{authorization: '{0}'}}}}}}",
    "providers: {{a: {{kind: openai-compatible, base_url: 'https://h', organization: '{0}'}}}}",
    "a: '{0}",
    "a: *{0}",
    "a: !{0} x",
    "a: '{0}': b",
]


@pytest.mark.parametrize("place", PLACES)
@given(secret=SECRET)
def test_no_message_holds_a_secret_wherever_it_was_put(place, secret):
    with pytest.raises(ConfigError) as raised:
        parse(place.format(secret), file="headworks.yaml", base=Path())

    assert secret.split()[-1].lower() not in str(raised.value).lower()
