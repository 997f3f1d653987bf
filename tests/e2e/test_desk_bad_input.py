"""Bad input to workloads: each is the official client's own error, in the right place, with nothing half done."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from e2e_desk import DESK, Desk, asked, call_id_of, cases, prompt_of

import headworks

NAME = "ticket-triage"
CASE = cases(NAME)[0]
GOOD = CASE["variables"]
RULES = {
    "raising": "def raises(output, context):\n    raise ValueError('what the customer wrote')\n",
    "hanging": "def hangs(output, context):\n    while True:\n        pass\n",
    "lying": "def lies(output, context):\n    return 'no verdict'\n",
}
"""Workloads as ticket-triage, but for the rules: by name, their rules.py."""


def copy_workload(folder: Path, name: str, **changes: str) -> Path:
    """Another workload that is as ticket-triage, without its fallbacks."""
    made = folder / "workloads" / name
    made.mkdir()
    for path in (DESK / "workloads" / NAME).iterdir():
        if path.is_file() and path.name != "fallback.json":
            (made / path.name).write_bytes(path.read_bytes())
    contract = (made / "workload.yaml").read_text()
    contract = contract.replace("fallback: [mini, deterministic]", "fallback: [mini]")
    (made / "workload.yaml").write_text(
        contract.replace("{ repairs: 1, otherwise: fallback }", "{ repairs: 0, otherwise: fail, rules_timeout_s: 0.3 }")
    )
    for file, text in changes.items():
        (made / file.replace("_", ".")).write_text(text)
    return made


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[openai.OpenAI]:
    for name, rules in RULES.items():
        copy_workload(desk.folder, name, rules_py=rules)
    loose = json.loads((DESK / "workloads" / NAME / "schema.json").read_text())
    loose["required"].remove("order")
    copy_workload(desk.folder, "loose", schema_json=json.dumps(loose, indent=2))
    desk.start()
    with desk.client() as made:
        yield made


def refused(desk: Desk, client: openai.OpenAI, **fields: Any) -> openai.APIStatusError:
    """The error of a call that must not have gone up: it is on record as refused, without an attempt or a token."""
    with pytest.raises(openai.APIStatusError) as error:
        client.responses.create(**fields)
    record = desk.running.record(error.value.response.headers["x-headworks-call-id"])
    assert (record.outcome, record.status) == ("refused", error.value.status_code)
    assert (record.attempts, record.input_tokens, record.output_tokens) == (0, 0, 0)
    assert record.error_code == error.value.code
    return error.value


@pytest.mark.parametrize(
    ("variables", "code", "param"),
    [
        ({"product": "Desk", "plan": "pro"}, "missing_prompt_variable", "ticket"),
        (GOOD | {"ticket": "x" * 8001}, "invalid_prompt_variable", "ticket"),
        (GOOD | {"ticket": 17}, "invalid_prompt_variable", "ticket"),
        (GOOD | {"ticket": None}, "invalid_prompt_variable", "ticket"),
        (GOOD | {"ticket": {"type": "input_text"}}, "invalid_prompt_variable", "ticket"),
        (GOOD | {"ticket": {"type": "input_image", "detail": "auto"}}, "invalid_prompt_variable", "ticket"),
        (GOOD | {"plan": "gold"}, "invalid_prompt_variable", "plan"),
        (GOOD | {"colour": "red"}, "unknown_prompt_variable", "colour"),
    ],
    ids=["missing", "too long", "a number", "null", "an object", "an image", "no such word", "unknown"],
)
def test_a_variable_that_does_not_fit_is_named_and_never_quoted(
    desk: Desk, client: openai.OpenAI, variables: dict[str, Any], code: str, param: str
) -> None:
    error = refused(desk, client, prompt={"id": NAME, "variables": variables})
    with pytest.raises(openai.BadRequestError) as in_chat:
        client.chat.completions.create(**asked(NAME, {"variables": variables}))

    assert isinstance(error, openai.BadRequestError)
    assert (error.code, error.param) == (code, f"prompt.variables.{param}")
    assert (in_chat.value.code, in_chat.value.param) == (code, f"prompt.variables.{param}")
    assert f"`{param}`" in error.message
    assert "gold" not in error.message
    assert "xxx" not in error.message


@pytest.mark.parametrize("version", ["9", "1.0.1", "2.0.0", "latest", ""])
def test_a_version_that_does_not_exist_is_not_found(desk: Desk, client: openai.OpenAI, version: str) -> None:
    error = refused(desk, client, prompt={"id": NAME, "version": version, "variables": GOOD})

    assert isinstance(error, openai.NotFoundError)
    assert (error.code, error.param) == ("prompt_version_not_found", "prompt.version")
    assert "in use is 1.0.0" in error.message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", sorted(RULES))
def test_rules_that_raise_hang_or_give_no_verdict_block_the_answer(
    desk: Desk, client: openai.OpenAI, name: str, stream: bool
) -> None:
    def ask() -> str:
        text = ""
        made: Any = client.responses.create(prompt=prompt_of(name, CASE), stream=stream)  # type: ignore[call-overload]
        for event in made if stream else ():
            assert event.type != "response.completed", "it ends as if it were good"
            text += getattr(event, "delta", "")
        return text if stream else str(made.output_text)

    with pytest.raises(openai.APIError) as error:
        ask()

    assert error.value.code == "output_blocked"
    assert {"raising": "raises", "hanging": "hangs", "lying": "lies"}[name] in error.value.message
    assert "what the customer wrote" not in error.value.message
    if not stream:
        assert isinstance(error.value, openai.InternalServerError)
        assert error.value.status_code == 502
    assert client.responses.create(prompt=prompt_of(NAME, CASE)).status == "completed"  # type: ignore[call-overload]


def test_a_blocked_answer_is_on_record_with_the_rule_that_blocked_it(desk: Desk, client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as error:
        client.responses.create(prompt=prompt_of("hanging", CASE))  # type: ignore[call-overload]
    record = desk.running.record(error.value.response.headers["x-headworks-call-id"])

    assert (record.outcome, record.verdict, record.error_code) == ("failed", "blocked", "output_blocked")
    assert record.wasted_tokens == record.output_tokens > 0
    assert "hangs" in record.course
    assert "0.3 s" in record.course


def test_a_schema_outside_of_the_strict_subset_is_warned_of_in_its_place_and_answers_are_held_to_it(
    desk: Desk, client: openai.OpenAI
) -> None:
    done = desk.command("check")
    (warning,) = [line for line in done.stderr.splitlines() if "loose" in line]
    raw = client.responses.with_raw_response.create(prompt=prompt_of("loose", CASE))  # type: ignore[call-overload]

    assert warning.startswith("workloads/loose/schema.json:")
    assert "until then the provider is not held to the schema, only answers are" in warning
    assert raw.headers["x-headworks-verdict"] == "valid"
    assert json.loads(raw.parse().output_text)["team"] == "finance"


READS_TOO_MUCH = {
    "classes": "{{ ticket.__class__.__mro__ }}",
    "files": "{% include 'headworks.yaml' %}",
    "filters": "{{ ticket | attr('__class__') }}",
    "globals": "{{ cycler.__init__.__globals__ }}",
    "undeclared": "{{ secret }}",
}
"""By the workload's name, what its template tries."""


def test_templates_that_read_what_they_may_not_are_refused_with_their_places_and_the_old_ones_stay(
    desk: Desk, client: openai.OpenAI
) -> None:
    text = (DESK / "workloads" / NAME / "prompt.md").read_text()
    made = [
        copy_workload(desk.folder, name, prompt_md=text.replace("Plan: {{ plan }}", template))
        for name, template in READS_TOO_MUCH.items()
    ]
    try:
        checked = json.loads(desk.command("check", "--json", code=1).stdout)
        published = desk.command("prompts", "publish", "classes", code=1).stderr
        desk.reload(says="the old configuration stays")
        with pytest.raises(headworks.HeadworksError, match=r"prompt\.md:32:"):
            headworks.connect(desk.folder)
        with pytest.raises(openai.NotFoundError):
            client.responses.create(prompt=prompt_of("classes", CASE), model="classes")  # type: ignore[call-overload]
        again = client.responses.with_raw_response.create(prompt=prompt_of(NAME, CASE))  # type: ignore[call-overload]
    finally:
        for folder in made:
            shutil.rmtree(folder)

    assert {(problem["file"], problem["line"]) for problem in checked["problems"]} == {
        (f"workloads/{name}/prompt.md", 32) for name in READS_TOO_MUCH
    }
    assert "workloads/classes/prompt.md:32:" in published
    assert desk.told("prompts", "list")[0]["published"] == []
    assert again.headers["x-headworks-prompt-version"] == "1.0.0"


def test_an_outcome_of_an_unknown_call_waits_and_one_of_no_call_is_refused(desk: Desk, client: openai.OpenAI) -> None:
    known = call_id_of(client.responses.with_raw_response.create(prompt=prompt_of(NAME, CASE)))  # type: ignore[call-overload]
    many = [{"call_id": known, "name": "half", "value": True}, {"call_id": "resp_1", "name": "half", "value": True}]
    with pytest.raises(openai.BadRequestError) as error:
        client.post("/outcomes", cast_to=object, body={"outcomes": many})
    client.post("/outcomes", cast_to=object, body={"call_id": f"call_{'0' * 27}", "name": "whole", "value": True})

    assert (error.value.code, error.value.param) == ("invalid_outcome", "outcomes[1].call_id")
    assert desk.told("outcomes", "list", "--name", "half") == []
    assert [one["state"] for one in desk.told("outcomes", "list", "--name", "whole")] == ["waiting"]
