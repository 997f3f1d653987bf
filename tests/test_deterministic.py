"""The answer that no model gives: from a template, from a function, and held to the schema like any other."""

import asyncio
import json

import pytest

from headworks.calls import Failure, FailureKind
from headworks.errors import ConfigError

LAST = "fallback: [deterministic]\n"
PATIENT = "validation: {rules_timeout_s: 20}\n"
"""Where it is not the time limit that is looked at."""

FREE = {
    "type": "object",
    "properties": {"team": {"type": "string", "maxLength": 8}, "count": {"type": "integer"}},
    "required": ["team"],
    "additionalProperties": False,
}
PROMPT = """---
version: 1.0.0
variables:
  ticket: string
  count: {type: integer, default: 3}
---
{% developer %}
Sort tickets.
{% user %}
{{ ticket }}, {{ count }}
{% input %}
"""


def until_answered(hall, answered):
    async def wait():
        while not answered.is_over:
            await asyncio.sleep(0.005)

    hall.loop.run_until_complete(asyncio.wait_for(wait(), 60))


@pytest.fixture
def failed(hall, work):
    """A call whose only model has failed, answered."""

    def do(ticket="x", **fields):
        answered = work.chat(ticket, **fields)
        failure = Failure(FailureKind.UNREACHABLE, "stub failed")
        hall.loop.call_soon(hall.flight.sink.on_failure, failure)
        until_answered(hall, answered)
        return answered

    return do


def text_of(answered):
    return json.loads(answered.body)["choices"][0]["message"]["content"]


def test_a_template_in_json_holds_the_values_of_the_call_and_stays_json_whatever_they_are(work, failed):
    work.make(LAST, schema=FREE, prompt=PROMPT, fallback={"team": "{{ ticket }}", "count": "{{ count }}"})

    assert json.loads(text_of(failed('","a":1'))) == {"team": '","a":1', "count": 3}


def test_a_template_whose_answer_breaks_the_schema_is_not_passed_on(hall, work, failed):
    work.make(LAST, schema=FREE, prompt=PROMPT, fallback={"team": "{{ ticket }}"})
    answered = failed("longer than eight")

    assert (answered.status, answered.error["code"]) == (502, "upstream_unreachable")
    assert "fallback template: breaks the schema at /team" in hall.settled.course
    assert "longer" not in hall.settled.course


def test_a_text_template_knows_what_the_caller_asked(work, failed):
    text = "We cannot answer {% if input %}“{{ input | truncate(12) }}”{% endif %} now.\n"
    work.make(LAST, schema=None, prompt=PROMPT, fallback_text=text)

    assert text_of(failed(messages=[{"role": "user", "content": "Where is it?"}])) == (
        "We cannot answer “Where is it?” now."
    )
    assert text_of(failed()) == "We cannot answer  now."


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        ({"team": "{{ tiket }}"}, "not declared under `variables`"),
        ({"team": "{{ ticket.upper() }}"}, "a call is not part of templates"),
        ({"team": "{{ ticket"}, "not a template"),
        ({"team": "{{ ticket | fence }}"}, "`fence` is for what a model reads"),
        ({"team": 1, "count": "{{ count }}"}, "breaks the workload's schema, as no answer may: /team"),
        ({"team": "{{ ticket }}", "more": 1}, "breaks the workload's schema"),
    ],
)
def test_what_can_be_known_to_be_wrong_with_a_template_is_told_when_it_is_loaded(work, fallback, message):
    with pytest.raises(ConfigError) as raised:
        work.make(LAST, schema=FREE, prompt=PROMPT, fallback=fallback)

    assert message in str(raised.value)
    assert "fallback.json" in str(raised.value)


def test_a_text_cannot_be_the_answer_where_there_is_a_schema(work):
    with pytest.raises(ConfigError, match=r"write it as `fallback\.json`"):
        work.make(LAST, fallback_text="Later.")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_function_answers_from_what_was_asked_and_known(work, failed, is_streamed):
    code = """
def answer(asked, context):
    print("lost")
    return {"team": context["variables"]["ticket"][:3], "count": len(asked) + len(context["reason"])}
"""
    work.make(LAST + PATIENT, schema=FREE, prompt=PROMPT, fallback_code=code)
    answered = failed("reddish", stream=is_streamed, messages=[{"role": "user", "content": "four"}])

    assert answered.status == 200
    assert answered.headers["x-headworks-degraded"] == "upstream_unreachable"
    assert b'\\"team\\":\\"red\\",\\"count\\":24' in answered.body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError(asked)", "raised ValueError in line 3"),
        ("return None", "gave no answer"),
        ("return {1j}", "returned a value of type set, which is not JSON"),
        ("return {'team': 7}", "breaks the schema at /team"),
        ("import os; os._exit(1)", "ended the process that it ran in"),
        ("while True: pass", "gave no answer within 0.2 s"),
    ],
)
def test_a_function_that_fails_leaves_the_word_to_the_file_beside_it(hall, work, failed, body, reason):
    code = f"\ndef answer(asked, context):\n    {body}\n"
    contract = LAST + ("validation: {rules_timeout_s: 0.2}\n" if body.startswith("while") else PATIENT)
    work.make(contract, schema=FREE, prompt=PROMPT, fallback={"team": "red"}, fallback_code=code)

    assert json.loads(text_of(failed("secret"))) == {"team": "red"}
    assert f"fallback.py: {reason}" in hall.settled.course
    assert "secret" not in hall.settled.course


def test_a_function_that_fails_alone_leaves_the_error(work, failed):
    work.make(
        LAST + PATIENT, schema=FREE, prompt=PROMPT, fallback_code="def answer(asked, context):\n    return None\n"
    )

    assert failed().error["code"] == "upstream_unreachable"
