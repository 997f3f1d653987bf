"""What the official client was answered, replayed from what was kept of it, weeks of changes later."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from e2e_desk import Desk, asked, call_id_of, cases, prompt_of

NAME = "ticket-triage"
CASE = cases(NAME)[0]
PROMPT = "workloads/ticket-triage/prompt.md"


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[openai.OpenAI]:
    """Of a gateway that keeps content in full; ticket-triage's prompt is published, invoice-extraction's is not."""
    for name in (NAME, "invoice-extraction"):
        contract = desk.folder / "workloads" / name / "workload.yaml"
        text = contract.read_text().replace("content: redacted", "content: full")
        contract.write_text(text if "retention" in text else text + "retention: { content: full }\n")
    desk.command("prompts", "publish", NAME)
    desk.start()
    with desk.client() as made:
        yield made


@pytest.fixture
def call(client: openai.OpenAI) -> Any:
    """The raw answer to a call of Responses."""
    return client.responses.with_raw_response.create(prompt=prompt_of(NAME, CASE), user="u-7")  # type: ignore[call-overload]


def recorded(desk: Desk, call_id: str) -> bytes:
    command = [sys.executable, "-m", "headworks", "replay", call_id, "--recorded"]
    return subprocess.run(command, cwd=desk.folder, capture_output=True, check=True, timeout=60).stdout


def test_the_recorded_answer_is_what_the_client_got_byte_by_byte(desk: Desk, client: openai.OpenAI, call: Any) -> None:
    chat = client.chat.completions.with_raw_response.create(**asked(NAME, CASE))

    assert recorded(desk, call_id_of(call)) == call.http_response.content
    assert recorded(desk, call_id_of(chat)) == chat.http_response.content


@pytest.mark.parametrize("dialect", ["responses", "chat"])
def test_a_recorded_stream_is_the_stream_that_the_client_read(desk: Desk, client: openai.OpenAI, dialect: str) -> None:
    made: Any = client.responses if dialect == "responses" else client.chat.completions
    fields = {"prompt": prompt_of(NAME, CASE)} if dialect == "responses" else asked(NAME, CASE)
    with made.with_streaming_response.create(**fields, stream=True) as raw:
        body = b"".join(raw.iter_bytes())

    desk.running.record(call_id_of(raw))
    assert recorded(desk, call_id_of(raw)) == body


def test_a_published_prompt_is_verified_whatever_becomes_of_the_template(desk: Desk, call: Any) -> None:
    text = (desk.folder / PROMPT).read_text()
    desk.edit(PROMPT, "twelve words", "ten words")

    (found,) = desk.told("replay", call_id_of(call), "--verify")
    (shown,) = desk.told("calls", "show", call_id_of(call))
    (desk.folder / PROMPT).write_text(text)

    assert (found["ok"], found["prompt"]["is_same"], found["messages"]["is_same"]) == (True, True, True)
    assert "twelve words" in shown["template"]


def test_an_unpublished_prompt_is_verified_and_shown_though_its_template_is_another_now(
    desk: Desk, client: openai.OpenAI
) -> None:
    name, prompt = "invoice-extraction", "workloads/invoice-extraction/prompt.md"
    raw = client.responses.with_raw_response.create(prompt=prompt_of(name, cases(name)[0]))  # type: ignore[call-overload]
    assert desk.told("replay", call_id_of(raw), "--verify")[0]["ok"] is True
    text = (desk.folder / prompt).read_text()
    desk.edit(prompt, "You read invoices.", "You read bills.")

    (found,) = desk.told("replay", call_id_of(raw), "--verify")
    (shown,) = desk.told("calls", "show", call_id_of(raw))
    said = desk.command("calls", "show", call_id_of(raw)).stdout
    (desk.folder / prompt).write_text(text)

    assert (found["ok"], found["prompt"]["is_same"], found["messages"]["is_same"]) == (True, True, True)
    assert shown["template"] == text
    assert "kept when it was served: never published, and prompt.md is another now" in said


def test_a_call_is_sent_again_as_it_was_and_is_a_call_of_its_own(desk: Desk, call: Any) -> None:
    (found,) = desk.told("replay", call_id_of(call), "--resend")
    was, again = desk.running.record(call_id_of(call)), desk.running.record(found["sent_as"])

    assert (found["model"], found["prompt_version"], found["diff"]) == ("simulator/gpt-6-luna", "1.0.0", "")
    assert found["recorded"]["text"] == found["again"]["text"] == call.parse().output_text
    assert (was.workload, again.workload) == (NAME, "")
    assert (was.input_tokens, was.model) == (again.input_tokens, again.model)


def test_another_model_and_another_version_of_the_prompt_are_set_beside_it(desk: Desk, call: Any) -> None:
    text = (desk.folder / PROMPT).read_text()
    desk.edit(PROMPT, "You sort support tickets.", "You sort support tickets, one by one.")
    desk.command("prompts", "bump", NAME)
    desk.command("prompts", "publish", NAME)

    (found,) = desk.told("replay", call_id_of(call), "--model", "mini", "--prompt-version", "1.1")
    desk.command("prompts", "rollback", NAME)
    (desk.folder / PROMPT).write_text(text)

    again = desk.running.record(found["sent_as"])
    assert (found["model"], found["prompt_version"]) == ("simulator/gpt-6.1-terra", "1.1.0")
    assert again.model == "gpt-6.1-terra"
    assert again.input_tokens > desk.running.record(call_id_of(call)).input_tokens
    assert json.loads(found["again"]["text"]) == CASE["expected"]


def test_a_call_is_put_together_again(desk: Desk, client: openai.OpenAI, call: Any) -> None:
    client.post("/outcomes", cast_to=object, body={"call_id": call_id_of(call), "name": "solved", "value": True})
    (shown,) = desk.told("calls", "show", call_id_of(call), "--bodies")
    usage = call.parse().usage

    assert (shown["workload"], shown["prompt_version"], shown["user"]) == (NAME, "1.0.0", "u-7")
    assert (shown["model"], shown["served_model"]) == ("gpt-6-luna", call.parse().model)
    assert shown["variables"] == CASE["variables"]
    assert [(one["name"], one["value"]) for one in shown["outcomes"]] == [("solved", True)]
    assert shown["input_tokens"] == usage.input_tokens
    assert shown["verdict"] == call.headers["x-headworks-verdict"]
    assert "You sort support tickets" in shown["template"]


def test_a_blocked_answer_can_be_looked_at_though_no_caller_saw_it(desk: Desk, client: openai.OpenAI) -> None:
    name = "invoice-extraction"
    blocked = []
    for case in cases(name)[:20]:
        try:
            client.responses.create(prompt=prompt_of(name, case))  # type: ignore[call-overload]
        except openai.APIStatusError as error:
            blocked.append((case, error.response.headers["x-headworks-call-id"]))
    case, call_id = blocked[0]

    assert desk.running.record(call_id).error_code == "output_blocked"
    answer = json.loads(json.loads(recorded(desk, call_id))["output"][0]["content"][0]["text"])
    assert answer["total"] == pytest.approx(case["expected"]["total"] + 10)
    assert "blocked" in desk.command("calls", "show", call_id).stdout


def test_nothing_is_replayed_of_what_is_not_kept(desk: Desk, client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model="simulator/gpt-6-luna", input="Hello")

    assert "no content is kept of call_" in desk.command("replay", call_id_of(raw), "--verify", code=1).stderr
    assert "there is no call 'call_ffff'" in desk.command("replay", "call_ffff", "--recorded", code=1).stderr
