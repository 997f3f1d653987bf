"""A workload whose code answers before any model does: what it answers, what it leaves, and what it breaks."""

import json

import pytest

from headworks.errors import ConfigError
from played_work import chat_answer
from test_deterministic import FREE, PATIENT, PROMPT, text_of, until_answered

FIRST = "first: deterministic\n" + PATIENT
CODE = """
def answer(asked, context):
    ticket = context["variables"]["ticket"]
    return {"team": ticket, "count": len(asked)} if ticket in ("red", "violet-blue") else None
"""


@pytest.fixture
def ask(hall, work):
    """Makes a call from within the loop, as a server does."""

    def do(ticket, **fields):
        made = []
        hall.loop.call_soon(lambda: made.append(work.chat(ticket, turns=0, **fields)))
        hall.until(lambda: made)
        return made[0]

    return do


@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_code_answers_is_asked_of_no_model_and_costs_nothing(hall, work, ask, is_streamed):
    work.make(FIRST, schema=FREE, prompt=PROMPT, first_code=CODE)
    answered = ask("red", stream=is_streamed, messages=[{"role": "user", "content": "four"}])
    until_answered(hall, answered)

    assert (answered.status, hall.upstream.flights) == (200, [])
    assert b'\\"team\\":\\"red\\",\\"count\\":4' in answered.body
    assert answered.headers["x-headworks-decided-by"] == "code"
    assert answered.headers["x-headworks-cost-usd"] == "0.000000000000"
    settled = hall.settled
    assert (settled.opened.provider, settled.served_model, settled.cost_pico) == ("", "headworks/deterministic", 0)
    assert (settled.finish_reason, settled.course, settled.usage_source) == ("stop", "first.py: answered", "none")


def test_what_code_leaves_is_the_models(hall, work, ask):
    work.make(FIRST, schema=FREE, prompt=PROMPT, first_code=CODE)
    answered = ask("blue")
    hall.until(lambda: hall.upstream.flights)
    hall.answer(chat_answer('{"team": "blue"}'))
    until_answered(hall, answered)

    assert json.loads(text_of(answered)) == {"team": "blue"}
    assert "x-headworks-decided-by" not in answered.headers
    assert "first.py" not in hall.settled.course


@pytest.mark.parametrize(
    ("ticket", "fields", "reason"),
    [
        ("violet-blue", {}, "breaks the schema at /team"),
        ("red", {"messages": [{"role": "user", "content": "secret"}]}, "raised ZeroDivisionError in line 4"),
    ],
)
def test_code_that_breaks_the_schema_or_fails_does_not_answer(hall, work, ask, ticket, fields, reason):
    code = CODE.replace("return {", "return 1 / 0 if asked else {")
    work.make(FIRST, schema=FREE, prompt=PROMPT, first_code=code)
    answered = ask(ticket, **fields)
    hall.until(lambda: hall.upstream.flights)
    hall.answer(chat_answer('{"team": "blue"}'))
    until_answered(hall, answered)

    assert json.loads(text_of(answered)) == {"team": "blue"}
    assert f"first.py: {reason}; stub/small" in hall.settled.course
    assert "secret" not in hall.settled.course


def test_code_is_not_asked_where_the_contract_does_not_say_so(work):
    work.make(PATIENT, schema=FREE, prompt=PROMPT)
    (work.folder / "first.py").write_text(CODE)
    work.make(PATIENT, schema=FREE, prompt=PROMPT)

    assert work.first is None


def test_a_contract_that_wants_code_has_its_file(work):
    with pytest.raises(ConfigError, match=r"first: `deterministic` needs a file `first\.py`"):
        work.make(FIRST, schema=FREE, prompt=PROMPT)
