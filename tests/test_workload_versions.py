"""A version of a workload is its prompt, its schema and its parameters together, whichever way a call comes to it."""

import json

import msgspec
import pytest

from headworks.calls import FailureKind
from headworks.compiled import Published
from headworks.errors import ConfigError
from headworks.prompts import Companions, Publication, parse
from headworks.screening import OutputSchema
from played_work import PROMPT, SCHEMA, TOOLS, team

OLD_SCHEMA = {
    "type": "object",
    "properties": {"team": {"type": "string", "enum": ["green"]}},
    "required": ["team"],
    "additionalProperties": False,
}
OLD = Companions(
    json.dumps(OLD_SCHEMA),
    json.dumps({"temperature": 0.5, "stop": ["END"], "max_tokens": 50, "tools": None}),
)
CONTRACT = "output: {max_tokens: 900, temperature: 1}\n"


def published(companions=OLD, *, active=None):
    text = PROMPT.replace("1.2.0", "1.0.0").replace("Sort tickets.", "Sort tickets, as ever.")
    prompt = parse(text, name="triage", file="prompt.md")
    old = Publication("triage", "1.0.0", prompt.hash, text, 1.0, companions)
    return Published([old], old if active else None)


PINNED = {"prompt": {"version": "1.0", "variables": {"ticket": "x"}}}


@pytest.mark.parametrize("way", ["rolled back", "pinned", "canary"])
def test_a_version_brings_its_schema_and_parameters_along(hall, work, way):
    contract = CONTRACT + ("canary: {version: 1.0.0, share: 1, key: call}\n" if way == "canary" else "")
    work.make(contract, published=published(active=way == "rolled back"))
    answered = work.chat(**(PINNED if way == "pinned" else {}))

    sent = hall.flight.body
    assert sent["messages"][0]["content"] == "Sort tickets, as ever."
    assert (sent["temperature"], sent["stop"], sent["max_completion_tokens"]) == (0.5, ["END"], 50)
    assert sent["response_format"]["json_schema"]["schema"] == OLD_SCHEMA
    work.answer(team("green"))

    assert answered.status == 200
    assert answered.headers["x-headworks-prompt-version"] == "1.0.0"
    assert hall.settled.schema_hash == OutputSchema.compile(OLD.schema.encode(), name="triage").hash


def test_what_an_earlier_version_does_not_take_is_not_passed_on(hall, work):
    work.make("validation: {repairs: 0}\n", published=published())
    answered = work.chat(**PINNED)
    work.answer(team("red"))

    assert (answered.status, answered.error["code"]) == (502, "output_invalid")


def test_tools_are_those_of_the_version(hall, work):
    tools = [{"type": "function", "function": {name: TOOLS[0][name] for name in ("name", "parameters")}}]
    work.make(
        "actions: {pay: allow}\n".replace("allow", "{policy: allow}"),
        tools=TOOLS,
        published=published(Companions("", json.dumps({"tools": tools}))),
    )
    answered = work.respond(prompt={"id": "triage", "version": "1.0.0", "variables": {"ticket": "x"}})
    hall.turn()

    assert [tool["name"] for tool in hall.flight.body["tools"]] == ["look"]
    assert hall.flight.body["tools"][0]["parameters"] == TOOLS[0]["parameters"]
    answered.running.cancel()


def test_what_was_not_kept_of_a_version_is_the_folders(hall, work):
    work.make(CONTRACT, published=published(None, active=True))
    answered = work.chat()

    assert hall.flight.body["temperature"] == 1
    assert hall.flight.body["response_format"]["json_schema"]["schema"] == SCHEMA
    answered.running.cancel()


def test_a_static_answer_that_an_earlier_version_does_not_take_is_not_given(hall, work):
    work.make("fallback: [deterministic]\n", fallback={"team": "red"}, published=published())
    own = work.chat()
    work.fail(FailureKind.UNREACHABLE)
    pinned = work.chat(**PINNED)
    work.fail(FailureKind.UNREACHABLE)

    assert json.loads(json.loads(own.body)["choices"][0]["message"]["content"]) == {"team": "red"}
    assert (pinned.status, pinned.error["code"]) == (502, "upstream_unreachable")


def test_a_broken_folder_keeps_nobody_from_a_version_that_is_active(hall, work):
    broken = PROMPT.replace("{{ ticket }}", "{{ nothing }}")
    with pytest.raises(ConfigError):
        work.make(prompt=broken)
    (work.folder / "schema.json").write_text("{")
    work.make(prompt=broken, schema=None, published=published(active=True))
    answered = work.chat()
    work.answer(team("green"))

    assert answered.status == 200


def test_the_parameters_of_a_version_are_read_whatever_they_are(hall, work):
    output = {"verbosity": "low", "reasoning_effort": "high", "temperature": 0.25, "max_tokens": 77}
    work.make(published=published(Companions("", msgspec.json.encode(output).decode())))
    answered = work.respond(prompt={"id": "triage", "version": "1.0", "variables": {"ticket": "x"}})
    hall.turn()

    sent = hall.flight.body
    assert (sent["text"], sent["reasoning"]) == ({"verbosity": "low"}, {"effort": "high"})
    assert (sent["temperature"], sent["max_output_tokens"]) == (0.25, 77)
    answered.running.cancel()
