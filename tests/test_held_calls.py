"""A tool call that waits for a person: kept, shown as what it is, decided by another, let go once and unchanged."""

import json

import pytest

from headworks.access import Grant
from headworks.calls import AuditEvent, Caller, Endpoint
from played_work import DONE, EVENTS, TOOLS, call_chunk, call_item, chat_answer, completed, event, response_object

CONTRACT = "actions: {pay: {policy: hold, expires_s: 60}, erase: {policy: deny}, send: {policy: hold}}\n"
PAY = '{"amount": 12.50, "to": "Ann"}'
APPROVER = Grant(Caller("key_boss", "bob"), endpoints=(Endpoint.APPROVALS,))


@pytest.fixture
def desk(work):
    tools = [tool | {"parameters": {"type": "object"}} for tool in TOOLS]
    return work.make(CONTRACT, schema=None, tools=[*tools, tools[0] | {"name": "send"}])


def held(desk, *calls, **fields):
    """A call through Responses whose answer waits."""
    answered = desk.respond(**fields)
    desk.answer(response_object(*(call_item(name, arguments) for name, arguments in calls or [("pay", PAY)])))
    return answered


def get(hall, path, grant=None, **options):
    """What another request gets."""
    return asked(hall, path, None, grant, method="GET", **options)


def asked(hall, path, body=None, grant=None, method="POST"):
    usual = hall.ring.grant
    hall.ring.grant, hall.ring.edition = grant or usual, object()
    answered = hall.ask(path, body, method=method)
    for _ in range(200):
        if answered.is_over:
            break
        hall.loop.run_until_complete(_pause())
    hall.ring.grant, hall.ring.edition = usual, object()
    return answered


async def _pause():
    import asyncio

    await asyncio.sleep(0.005)


def read(answered):
    return json.loads(answered.body)


def poll(hall, answered):
    return get(hall, f"/v1/responses/{read(answered)['id']}")


def decide(hall, decision="approve", number=0, **fields):
    ids = [one["id"] for one in read(get(hall, "/v1/approvals", APPROVER))["data"]]
    return asked(hall, f"/v1/approvals/{ids[number]}", {"decision": decision} | fields, APPROVER)


def test_a_held_call_is_a_response_that_is_queued_until_it_is_approved(hall, desk):
    answered = held(desk, metadata={"mine": "1"})
    pending = read(answered)

    assert (answered.status, pending["status"], pending["output"]) == (202, "queued", [])
    assert "12.50" not in answered.body.decode()
    assert pending["id"].startswith("resp_call_")
    assert (hall.settled.verdict, hall.settled.outcome, hall.settled.status) == ("held", "answered", 202)
    assert hall.settled.output_tokens == 5
    assert read(poll(hall, answered))["status"] == "queued"

    decided = decide(hall, reason="checked")
    assert (decided.status, read(decided)["state"], read(decided)["decided_by"]) == (200, "approved", "bob (key_boss)")
    whole = read(poll(hall, answered))
    assert whole["status"] == "completed"
    assert (whole["output"][0]["name"], whole["output"][0]["arguments"]) == ("pay", PAY)
    assert read(poll(hall, answered)) == whole


@pytest.mark.parametrize(("decision", "action"), [("approve", "approval.approved"), ("deny", "approval.denied")])
def test_the_audit_log_is_told_who_decided_what(hall, desk, decision, action):
    held(desk)
    decide(hall, decision)

    (told,) = [entry for entry in hall.entries() if isinstance(entry, AuditEvent)]
    assert (told.action, told.actor) == (action, "bob (key_boss)")
    assert json.loads(told.detail)["tool"] == "pay"
    assert "12.50" not in told.detail


def test_the_callers_metadata_is_kept_beside_what_has_to_be_decided(hall, desk):
    answered = desk.respond(metadata={"mine": "1"})
    desk.answer(response_object(call_item("pay", PAY)) | {"metadata": {"mine": "1"}})
    metadata = read(answered)["metadata"]

    assert metadata["mine"] == "1"
    (waiting,) = read(get(hall, "/v1/approvals", APPROVER))["data"]
    assert metadata["headworks.approvals"] == waiting["id"]
    assert (waiting["tool"], waiting["workload"], waiting["arguments"]) == ("pay", "triage", json.loads(PAY))


def test_a_call_that_is_denied_is_a_response_that_failed_and_says_why(hall, desk):
    answered = held(desk)
    decide(hall, "deny", reason="not this customer")
    failed = read(poll(hall, answered))

    assert (failed["status"], failed["output"], failed["error"]["code"]) == ("failed", [], "action_denied")
    assert failed["error"]["message"] == "The call of pay was denied: not this customer."


@pytest.mark.parametrize("is_approved", [True, False])
def test_nothing_is_let_go_after_its_time(hall, desk, is_approved):
    answered = held(desk)
    if is_approved:
        decide(hall)
    desk.now_s += 60

    assert read(poll(hall, answered))["error"]["code"] == "action_expired"
    assert read(get(hall, "/v1/approvals", APPROVER))["data"] == []


def test_all_calls_of_an_answer_have_to_be_approved(hall, desk):
    answered = held(desk, ("pay", PAY), ("look", "{}"), ("send", "{}"))
    decide(hall)
    assert read(poll(hall, answered))["status"] == "queued"
    decide(hall)

    assert [item["name"] for item in read(poll(hall, answered))["output"]] == ["pay", "look", "send"]


def test_an_answer_with_a_call_that_is_denied_by_the_contract_is_not_held(hall, desk):
    answered = held(desk, ("pay", PAY), ("erase", "{}"))

    assert (answered.status, answered.error["code"]) == (403, "action_denied")
    assert read(get(hall, "/v1/approvals", APPROVER))["data"] == []


def test_arguments_that_could_mean_two_things_are_mended_and_not_held(hall, desk):
    answered = desk.respond()
    desk.answer(response_object(call_item("pay", '{"amount": 1, "amount": 1000}')))
    assert "property twice" in hall.flight.body["input"][-1]["content"]
    desk.answer(response_object(call_item("pay", PAY)))

    assert (answered.status, read(answered)["status"]) == (202, "queued")


def test_chat_says_what_it_waits_for_and_where_the_answer_will_be(hall, desk):
    answered = desk.chat()
    desk.answer(chat_answer(calls=[("pay", PAY)]))
    assert (answered.status, answered.error["code"]) == (403, "action_held")
    path = next(word for word in answered.error["message"].split() if word.startswith("/v1/chat/completions/"))

    waiting = get(hall, path)
    assert (waiting.status, waiting.error["code"]) == (403, "action_held")
    decide(hall)
    (call,) = read(get(hall, path))["choices"][0]["message"]["tool_calls"]
    assert (call["function"]["name"], call["function"]["arguments"]) == ("pay", PAY)


@pytest.mark.parametrize("is_denied", [True, False])
def test_chat_says_that_it_will_not_be(hall, desk, is_denied):
    answered = desk.chat()
    desk.answer(chat_answer(calls=[("pay", PAY)]))
    path = next(word for word in answered.error["message"].split() if word.startswith("/v1/chat/completions/"))
    if is_denied:
        decide(hall, "deny")
    desk.now_s += 60

    refused = get(hall, path)
    assert (refused.status, refused.error["code"]) == (403, "action_denied" if is_denied else "action_expired")


def test_a_chat_stream_goes_out_up_to_the_call_and_its_answer_waits(hall, desk):
    answered = desk.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    first = call_chunk("look", '{"id": 1}')
    desk.come(first, call_chunk("pay", PAY[:9], index=1), call_chunk(arguments=PAY[9:], index=1), DONE)

    assert answered.body.startswith(first)
    assert b"pay" not in answered.body.split(b'"error"')[0]
    assert b"12.50" not in answered.body
    error = json.loads(answered.body.rpartition(b"data: ")[2])["error"]
    assert error["code"] == "action_held"
    path = next(word for word in error["message"].split() if word.startswith("/v1/chat/completions/"))
    decide(hall)
    message = read(get(hall, path))["choices"][0]["message"]
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"id": 1}', PAY]


def test_a_responses_stream_goes_out_up_to_the_call_and_cannot_be_had_from_who_stored_it(hall, desk):
    answered = desk.respond(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    created = event("response.created", response=response_object(status="in_progress"))
    hall.flight.sink.on_body(created + event("response.reasoning_summary_text.delta", delta="Hm."))
    item = call_item("pay", PAY)
    desk.come(event("response.output_item.added", output_index=0, item=item | {"arguments": ""}))
    desk.come(event("response.output_item.done", output_index=0, item=item), completed(item))

    assert answered.body.startswith(created)
    assert b"12.50" not in answered.body
    error = json.loads(answered.body.rpartition(b"data: ")[2])
    assert error["code"] == "action_held"
    assert hall.settled.verdict == "held"
    assert get(hall, "/v1/responses/resp_1").status == 404
    path = next(word for word in error["message"].split() if word.startswith("/v1/responses/"))
    decide(hall)
    assert read(get(hall, path))["output"][0]["arguments"] == PAY


def test_a_stream_that_does_not_end_is_not_held(hall, desk):
    answered = desk.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    desk.come(call_chunk("look", "{}"), call_chunk("pay", PAY[:9], index=1))
    hall.flight.sink.on_end()
    desk.settle()

    assert b"upstream_broken" in answered.body
    assert read(get(hall, "/v1/approvals", APPROVER))["data"] == []


def test_what_is_held_for_one_key_is_not_there_for_another(hall, desk):
    answered = held(desk)
    decide(hall)
    other = Grant(Caller("key_2", "ann", "search"))

    assert get(hall, f"/v1/responses/{read(answered)['id']}", other).status == 404
    assert get(hall, "/v1/responses/resp_call_abc").status == 404
    assert get(hall, f"/v1/chat/completions/{read(answered)['id'].replace('resp_', 'chatcmpl-')}").status == 404
    assert read(poll(hall, answered))["status"] == "completed"


def test_only_a_key_whose_scope_names_it_decides_and_never_what_it_asked_for_itself(hall, desk):
    held(desk)
    assert get(hall, "/v1/approvals").error["code"] == "endpoint_not_allowed"
    own = Grant(Caller("key_1"), endpoints=(Endpoint.APPROVALS,))
    (waiting,) = read(get(hall, "/v1/approvals", own))["data"]
    path = f"/v1/approvals/{waiting['id']}"
    refused = asked(hall, path, {"decision": "approve"}, own)
    assert (refused.status, refused.error["code"]) == (409, "approval_not_possible")
    assert "another one" in refused.error["message"]

    assert asked(hall, path, {"decision": "approve"}, APPROVER).status == 200
    again = asked(hall, path, {"decision": "deny"}, APPROVER)
    assert (again.status, "decided once" in again.error["message"]) == (409, True)


@pytest.mark.parametrize("body", [{}, {"decision": "maybe"}, {"decision": "approve", "by": "me"}, [], "x"])
def test_a_decision_that_is_none_changes_nothing(hall, desk, body):
    held(desk)
    (waiting,) = read(get(hall, "/v1/approvals", APPROVER))["data"]
    refused = asked(hall, f"/v1/approvals/{waiting['id']}", body, APPROVER)

    assert (refused.status, refused.error["param"]) == (400, "decision")
    assert read(get(hall, f"/v1/approvals/{waiting['id']}", APPROVER))["state"] == "pending"


def test_an_approval_that_is_not_there_is_said(hall, desk):
    refused = asked(hall, "/v1/approvals/appr_0123", {"decision": "approve"}, APPROVER)
    assert (refused.status, refused.error["code"]) == (404, "approval_not_found")


def test_where_no_workload_is_there_is_nothing_to_approve(hall):
    assert get(hall, "/v1/approvals", APPROVER).status == 404
    assert get(hall, "/v1/responses/resp_call_abc").status == 404


def test_nothing_that_was_held_lies_in_the_clear(hall, desk):
    held(desk)
    for file in desk.project.glob("approvals.db*"):
        assert b"12.50" not in file.read_bytes()
