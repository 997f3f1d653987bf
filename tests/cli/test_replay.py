"""Past calls, printed, verified and sent again: each was made through the gateway in this process."""

import io
import json
import sys

import openai
import pytest

import headworks
from headworks.config import load
from headworks.records import Selection, open_store

NAME = "ticket-triage"
TICKET = "I was charged twice for order SD-104233 this morning, 49 euros each time. Please send one of them back."
VALUES = {"product": "Ledgerly", "plan": "pro", "ticket": TICKET}


@pytest.fixture
def desk(desk):
    """The desk, keeping content, with a prompt that has messages on both sides of the caller's."""
    desk.edit("workload.yaml", "content: redacted", "content: full")
    desk.edit("prompt.md", "{% input %}\n", "{% input %}\n{% user %}\nAnswer for {{ product }} now.\n")
    assert desk.run("prompts", "publish", NAME)[0] == 0
    return desk


@pytest.fixture
def call(desk):
    """Makes a call; gives its id and the answer's bytes."""

    def do(endpoint="responses", **fields):
        prompt = {"id": NAME, "variables": VALUES}
        with headworks.connect(desk.folder) as gateway, gateway.openai(max_retries=0) as client:
            if endpoint == "responses":
                made = client.responses.with_raw_response.create(prompt=prompt, input="And quickly.", **fields)
            else:
                messages = [{"role": "user", "content": "And quickly."}]
                made = client.chat.completions.with_raw_response.create(
                    model=NAME, messages=messages, extra_body={"prompt": prompt}, **fields
                )
            return made.headers["x-headworks-call-id"], made.content

    return do


@pytest.fixture
def replay(desk):
    """Runs `headworks replay`."""
    return lambda *words: desk.run("replay", *words)


def records(desk):
    store = open_store(load(desk.folder).storage)
    try:
        return store.select(Selection(limit=10))
    finally:
        store.close()


def test_a_recorded_answer_is_printed_byte_by_byte(call, replay, monkeypatch):
    call_id, answer = call()
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)

    code, _, _ = replay(call_id, "--recorded")

    assert (code, out.buffer.getvalue()) == (0, answer)


@pytest.mark.parametrize("endpoint", ["responses", "chat"])
def test_the_prompt_is_rendered_again_to_the_same_bytes(desk, call, replay, endpoint):
    call_id, _ = call(endpoint)
    desk.edit("prompt.md", "twelve", "ten")

    code, out, _ = replay(call_id, "--verify")

    assert code == 0
    assert out.splitlines()[0] == f"{call_id}: ticket-triage 1.0.0"
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["prompt", "messages"]
    assert all(line.endswith("  the same") for line in out.splitlines()[1:])
    assert len(records(desk)) == 1


def test_what_was_never_published_is_verified_by_what_was_kept_when_it_was_served(desk, call, replay):
    for path in (desk.folder / ".headworks").glob("prompts.db*"):
        path.unlink()
    call_id, _ = call()
    assert replay(call_id, "--verify")[0] == 0
    desk.edit("prompt.md", "twelve", "ten")

    assert replay(call_id, "--verify")[0] == 0

    for path in (desk.folder / ".headworks").glob("prompts.db*"):
        path.unlink()
    code, _, err = replay(call_id, "--verify")

    assert code == 1
    assert "prompt.md says version 1.0.0, and is not what the call was made with; it was never published" in err


def test_a_request_that_was_not_what_is_rendered_now_is_found(desk, call, replay, monkeypatch):
    call_id, _ = call()
    monkeypatch.setattr("headworks.prompts.prompt.render_static", lambda _: "Another text.")

    code, out, _ = replay(call_id, "--verify", "--json")

    found = json.loads(out)
    assert (code, found["ok"], found["prompt"]["is_same"], found["messages"]["is_same"]) == (1, False, True, False)


@pytest.mark.parametrize("endpoint", ["responses", "chat"])
def test_a_call_is_sent_again_to_the_model_that_answered_it(desk, call, replay, endpoint):
    call_id, _ = call(endpoint)

    code, out, err = replay(call_id, "--resend")

    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "The answers are the same."
    again, first = records(desk)
    assert (first.call_id, again.workload) == (call_id, "")
    assert (again.provider, again.model) == (first.provider, first.model)
    assert again.input_tokens == first.input_tokens


def test_another_model_and_another_version_are_set_beside_it(desk, call, replay):
    call_id, _ = call()
    desk.edit("prompt.md", "You sort support tickets.", "You sort tickets of any kind, with care and without haste.")
    desk.run("prompts", "bump", NAME)
    desk.run("prompts", "publish", NAME)

    code, text, _ = replay(call_id, "--model", "simulator/gpt-6.1-sol", "--prompt-version", "1.1", "--json")

    found = json.loads(text)
    again, first = records(desk)
    assert (code, found["model"], found["prompt_version"]) == (0, "simulator/gpt-6.1-sol", "1.1.0")
    assert (again.call_id, again.model) == (found["sent_as"], "gpt-6.1-sol")
    assert again.input_tokens > first.input_tokens
    assert found["recorded"]["text"]
    assert bool(found["diff"]) == (found["recorded"]["text"] != found["again"]["text"])


def test_the_template_that_a_call_was_made_with_is_shown_for_as_long_as_there_is_one(desk, call):
    call_id, _ = call()
    desk.edit("prompt.md", "twelve", "ten")

    published = desk.run("calls", "show", call_id, "--bodies")[1]

    assert f"template             headworks prompts show {NAME} --version 1.0.0 --source\n" in published
    assert "\ntemplate:\n---\nversion: 1.0.0\n" in published
    assert "at most twelve words" in json.loads(desk.run("calls", "show", call_id, "--json")[1])["template"]

    for path in (desk.folder / ".headworks").glob("prompts.db*"):
        path.unlink()
    assert "template             gone: 1.0.0 was not published" in desk.run("calls", "show", call_id)[1]
    desk.edit("prompt.md", "ten words", "twelve words")
    assert f"template             {desk.triage / 'prompt.md'}\n" in desk.run("calls", "show", call_id)[1]


def test_a_rung_of_the_contract_stands_for_its_model(call, replay):
    call_id, _ = call()

    code, text, _ = replay(call_id, "--model", "flagship", "--json")

    assert (code, json.loads(text)["model"]) == (0, "simulator/gpt-6.1-sol")


def test_a_call_that_was_blocked_can_be_printed_and_sent_again(desk, call, replay):
    desk.edit("workload.yaml", "otherwise: fallback", "otherwise: fail")
    rule = "from headworks.screening import Verdict\ndef never(output, context):\n    return Verdict.block('never')\n"
    (desk.triage / "rules.py").write_text(rule)
    with pytest.raises(openai.APIStatusError, match="is blocked by") as refused:
        call()
    call_id = refused.value.response.headers["x-headworks-call-id"]

    _, recorded, _ = replay(call_id, "--resend", "--json")
    shown = desk.run("calls", "show", call_id)[1]

    assert json.loads(recorded)["recorded"]["text"].startswith('{"category"')
    assert json.loads(recorded)["diff"] == ""
    assert "Ledgerly" in shown


def test_a_call_without_an_answer_says_so(desk, call, replay):
    plan = desk.folder / "simulator.yaml"
    plan.write_text(plan.read_text() + "\nfaults: [{kind: error, status: 500}]\n")
    desk.edit("workload.yaml", "fallback: [mini, deterministic]", "fallback: []")
    with pytest.raises(openai.APIStatusError) as refused:
        call()

    code, _, err = replay(refused.value.response.headers["x-headworks-call-id"], "--recorded")

    assert code == 1
    assert "no answer is kept of call_" in err


def test_a_model_that_there_is_not_is_told_what_was_answered(call, replay):
    call_id, _ = call()

    code, _, err = replay(call_id, "--model", "nowhere/model")

    assert code == 1
    assert "sent again, it was answered with status 404" in err


def test_a_version_that_is_not_published_is_told_so_and_nothing_is_sent(desk, call, replay):
    call_id, _ = call()

    assert "ticket-triage 3 is not published; published: 1.0.0" in replay(call_id, "--prompt-version", "3")[2]
    assert len(records(desk)) == 1


def test_a_call_without_content_says_how_it_is_kept(desk, call, replay):
    desk.edit("workload.yaml", "content: full", "content: 'off'")
    call_id, _ = call()

    code, _, err = replay(call_id, "--verify")

    assert code == 1
    assert "no content is kept of call_" in err
    assert "`retention.content: full`" in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "say how: --recorded, --verify, --resend"),
        (["--verify", "--model", "x"], "--recorded and --verify do not"),
    ],
)
def test_what_is_meant_must_be_said(replay, words, reason):
    code, _, err = replay("call_1", *words)

    assert code == 2
    assert reason in err


def test_an_answer_that_was_cut_is_said_to_be(desk, call, replay, monkeypatch):
    call_id, _ = call()
    cut = {"output": [{"type": "reasoning"}], "incomplete_details": {"reason": "max_output_tokens"}}
    monkeypatch.setattr("headworks.cli.replay._send", lambda *_: (json.dumps(cut).encode(), "call_again"))

    shown = replay(call_id, "--model", "flagship")[1]
    (found,) = map(json.loads, replay(call_id, "--model", "flagship", "--json")[1].splitlines())

    assert shown.count("(ended by max_output_tokens)") == 1
    assert (found["recorded"]["ended_by"], found["again"]["ended_by"]) == ("", "max_output_tokens")


@pytest.mark.parametrize("model", ["away/x", "x"])
@pytest.mark.parametrize("field", ["residency: [eu]", "sensitivity: restricted"])
def test_what_a_call_held_goes_to_no_model_where_its_contract_does_not_allow_it(desk, call, replay, field, model):
    call_id, _ = call()
    desk.edit("workload.yaml", "sensitivity: confidential", field)
    path = desk.folder / "headworks.yaml"
    away = '  away: { kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", regions: [us] }\n'
    path.write_text(path.read_text().replace("providers:\n", f"providers:\n{away}"))

    code, _, error = replay(call_id, "--model", model)

    assert code == 1
    assert f"what {call_id} held must not go to `{model}`: data." in error
    assert f"data.{field.partition(':')[0]}: " in error
