"""`headworks conformance` on the simulator, in every API, and on one that lacks things."""

import json

import pytest

from headworks.calls import Endpoint
from headworks.cli import main
from headworks.extending import recorded

CONFIG = """
version: 1
providers:
  sim: {kind: simulator, pace: 0, speaks: [responses, chat, messages, embeddings, files]}
  stubborn: {kind: simulator, plan: stubborn.yaml, speaks: [chat]}
  gone: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1"}
  pictures: {kind: simulator, pace: 0, speaks: [images]}
  files: {kind: simulator, pace: 0, speaks: [files]}
models:
  nano: sim/gpt-6-luna
  stubborn: stubborn/gpt-6-luna
  gone: gone/x
"""


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    (tmp_path / "headworks.yaml").chmod(0o600)
    (tmp_path / "stubborn.yaml").write_text("pace: 0\nrules: [{when: {contains: capital}, say: No.}]\n")
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main(["conformance", *words])
        return code, capsys.readouterr()

    return run


def test_the_simulator_has_what_is_needed_in_every_api(ask):
    code, said = ask("sim", "--json")
    told = json.loads(said.out)
    odd = {one["case"]: one["says"] for one in told["cases"] if one["outcome"] in ("wrong", "failed")}

    assert odd == {}
    assert code == 0
    assert told["ok"]
    assert {one["spoken"] for one in told["cases"]} == {"responses", "chat.completions", "messages"}
    assert {one["spoken"] for one in told["not_asked"]} == {"embeddings", "files"}


def test_what_the_other_api_has_no_words_for_is_named(ask):
    _, said = ask("sim", "--json")
    told = json.loads(said.out)["cases"]
    untranslated = {(one["case"], one["spoken"]): one["says"] for one in told if one["outcome"] == "untranslated"}

    assert untranslated["seed", "messages"] == "seed has no place in this API"
    assert ("seed", "chat.completions") not in untranslated


def test_the_table_says_what_is_there(ask):
    code, said = ask("sim")

    assert code == 0
    assert "asked in messages" in said.out
    assert "recorded of messages" in said.out
    assert "has what Headworks needs, and answers as its API promises" in said.out


def test_what_is_answered_well_and_does_not_happen_fails_a_strict_run(ask):
    assert [ask(provider, "--strict")[0] for provider in ("sim", "stubborn")] == [0, 1]


def test_a_server_that_is_not_there_lacks_everything(ask):
    code, said = ask("gone", "--json")
    told = json.loads(said.out)

    assert code == 1
    assert {one["outcome"] for one in told["cases"]} == {"failed"}
    assert not told["ok"]


def test_recorded_requests_are_sent_in_each_api_and_answered_as_recorded(ask):
    code, said = ask("sim", "--json", "--model", "embeddings=text-embedding-3-small")
    told = json.loads(said.out)
    shapes = {(one["spoken"], one["case"]): one["outcome"] for one in told["cases"] if one["part"] == "shape"}
    asked = (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.EMBEDDINGS)

    assert code == 0
    assert shapes == {(spoken.value, one.name): "supported" for spoken in asked for one in recorded(spoken)}


MORE = """{"chat.completions": [
  {"name": "logit bias", "request": {"messages": [{"role": "user", "content": "Hi"}], "logit_bias": {"1": 1}},
   "answer": {"object": "chat.completion", "choices": [{"message": {"content": "Hi"}}]}},
  {"name": "ours alone", "request": {"messages": [{"role": "user", "content": "Hi"}]}, "answer": {"acme": {"id": "x"}}}
]}"""


def test_records_of_a_package_are_asked_beside_ours(ask, tmp_path):
    (tmp_path / "acme.json").write_text(MORE)
    code, said = ask("sim", "--json", "--recorded", "acme.json")
    told = {one["case"]: one for one in json.loads(said.out)["cases"] if one["part"] == "shape"}

    assert code == 1
    assert told["logit bias"]["outcome"] == "supported"
    assert told["ours alone"]["differences"] == ["acme: is missing"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("{", "acme.json: "),
        ('{"files": []}', "`files` is no API"),
        ('{"messages": [{"name": "x", "request": {}}]}', "`x` must have either `answer` or `events`"),
    ],
)
def test_records_that_are_none_are_refused(ask, tmp_path, text, says):
    if text is not None:
        (tmp_path / "acme.json").write_text(text)
    code, said = ask("sim", "--recorded", "acme.json")

    assert code == 1
    assert says in said.err


def test_what_is_not_asked_is_said(ask):
    _, said = ask("sim")

    assert "not asked: embeddings: say which model of it: --model embeddings=NAME" in said.out
    assert "not asked: files: nothing is recorded of it" in said.out


def test_a_provider_without_text_is_asked_what_is_recorded(ask):
    code, said = ask("pictures", "--model", "gpt-image-1")

    assert code == 0
    assert "recorded shapes: 1 supported" in said.out


def test_where_nothing_can_be_asked_nothing_is_well(ask):
    code, said = ask("files", "--model", "x")

    assert code == 1
    assert "nothing to ask" in said.out


@pytest.mark.parametrize(
    ("words", "ends_with", "says"),
    [
        (("sim", "--model", "a", "--model", "b"), 2, "--model b: name one model for an API"),
        (("sim", "--model", "embeddings="), 2, "name one model for an API"),
        (("other",), 1, "there is sim, stubborn, gone, pictures, files"),
        (("pictures",), 2, "say which with --model"),
    ],
)
def test_what_cannot_be_asked_is_said(ask, words, ends_with, says):
    code, said = ask(*words)

    assert code == ends_with
    assert says in said.err
