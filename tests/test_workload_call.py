"""Calls of a workload, as a dialogue of caller, gateway and upstream."""

import json

import pytest

from headworks.access import Grant
from headworks.caching import BLOCK_BYTES, read_fingerprint
from headworks.calls import Caller, Endpoint, Failure, FailureKind, SettledWithPrefix
from headworks.records.content import ContentVault
from played_work import EVENTS, RULES, SCHEMA, TOOLS, chat_answer, chunk, stream, team


def test_prompt_and_schema_go_up_and_a_valid_answer_passes_unchanged(hall, work):
    answered = work.make("output: {max_tokens: 50, temperature: 0}\n").chat("help", user="u-1")
    sent = hall.flight.body
    assert sent["model"] == "small"
    assert sent["messages"] == [
        {"role": "system", "content": "Sort tickets."},
        {"role": "user", "content": "Ticket: help"},
    ]
    assert sent["response_format"]["json_schema"] == {"name": "triage", "schema": SCHEMA, "strict": True}
    assert (sent["temperature"], sent["max_completion_tokens"], "prompt" in sent) == (0, 50, False)

    work.answer(team("red"))

    assert json.loads(answered.body) == team("red")
    assert answered.headers["x-headworks-workload"] == "triage"
    assert answered.headers["x-headworks-prompt-version"] == "1.2.0"
    assert answered.headers["x-headworks-verdict"] == "valid"
    settled = hall.settled
    assert (settled.workload, settled.prompt_version, settled.verdict) == ("triage", "1.2.0", "valid")
    assert (len(settled.prompt_hash), len(settled.schema_hash), settled.wasted_tokens) == (64, 64, 0)
    assert (settled.opened.requested_model, settled.opened.model, settled.opened.user) == ("triage", "small", "u-1")


def test_the_same_through_responses(hall, work):
    work.make()
    answered = hall.ask("/v1/responses", {"prompt": {"id": "triage", "version": "1", "variables": {"ticket": "help"}}})
    assert hall.flight.body["input"] == [
        {"role": "developer", "content": "Sort tickets."},
        {"role": "user", "content": "Ticket: help"},
    ]
    assert hall.flight.body["text"]["format"]["strict"] is True
    text = {"type": "output_text", "text": '{"team": "blue"}', "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    response = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m"}
    work.answer({**response, "output": [message], "usage": usage})

    assert (answered.status, answered.headers["x-headworks-verdict"]) == (200, "valid")


def test_an_invalid_answer_is_mended_in_a_further_turn(hall, work):
    answered = work.make().chat()
    work.answer(team("green"))
    assert not answered.status
    turns = hall.flight.body["messages"][-2:]
    assert turns[0] == {"role": "assistant", "content": '{"team": "green"}'}
    assert turns[1]["role"] == "user"
    assert "/team" in turns[1]["content"]
    assert "green" not in turns[1]["content"]
    work.answer(team("blue"))

    assert json.loads(answered.body) == team("blue")
    assert answered.headers["x-headworks-verdict"] == "repaired"
    settled = hall.settled
    assert (settled.verdict, settled.repairs, settled.attempts) == ("repaired", 1, 2)
    assert (settled.input_tokens, settled.output_tokens, settled.wasted_tokens) == (20, 10, 5)


def test_an_answer_that_stays_invalid_is_never_passed_on(hall, work):
    answered = work.make().chat()
    work.answer(team("green"))
    work.answer(chat_answer("no JSON"))

    assert (answered.status, answered.error["code"]) == (502, "output_invalid")
    assert "no JSON" not in answered.body.decode()
    assert (hall.settled.verdict, hall.settled.error_code, hall.settled.wasted_tokens) == (
        "invalid",
        "output_invalid",
        10,
    )


def test_an_invalid_answer_may_be_asked_for_elsewhere(hall, work):
    answered = work.make("fallback: [large]\nvalidation: {repairs: 0, otherwise: fallback}\n").chat()
    work.answer(team("green"))
    assert hall.flight.body["model"] == "large"
    work.answer(team("red"))

    assert answered.status == 200
    assert answered.headers["x-headworks-fallback"] == "output_invalid"


@pytest.mark.parametrize("kind", [FailureKind.UNREACHABLE, FailureKind.TIMEOUT, FailureKind.BROKEN])
def test_the_next_model_answers_when_the_first_fails(hall, work, kind):
    answered = work.make("fallback: [large]\n").chat()
    hall.flight.sink.on_failure(Failure(kind, "stub failed"))
    work.settle()
    assert hall.flight.body["model"] == "large"
    work.answer(team("red"))

    assert (answered.status, answered.headers["x-headworks-fallback"]) == (200, kind.value)
    assert (hall.settled.attempts, hall.settled.verdict) == (2, "valid")


def test_a_request_that_the_provider_refuses_does_not_go_shopping(hall, work):
    answered = work.make("fallback: [large]\n").chat()
    work.answer({"error": {"message": "Too long.", "type": "x", "code": "unknown_parameter", "param": None}}, 400)

    assert (answered.status, len(hall.upstream.flights)) == (400, 1)
    assert "Too long." in answered.error["message"]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_last_comes_the_deterministic_answer_and_says_so(hall, work, is_streamed):
    work.make("fallback: [deterministic]\n", fallback={"team": "blue"})
    answered = work.chat(stream=is_streamed)
    hall.flight.sink.on_failure(Failure(FailureKind.UNREACHABLE, "stub failed"))
    work.settle()

    assert answered.status == 200
    assert answered.headers["x-headworks-degraded"] == "upstream_unreachable"
    assert b"headworks/deterministic" in answered.body
    assert b'"metadata":{"headworks.degraded":"upstream_unreachable"}' in answered.body
    assert b"blue" in answered.body
    assert (b"[DONE]" in answered.body) is is_streamed
    assert (hall.settled.outcome, hall.settled.finish_reason) == ("answered", "degraded")


@pytest.mark.parametrize(
    ("ticket", "status", "verdict", "code"),
    [
        ("fine", 200, "valid", ""),
        ("mark", 200, "marked", ""),
        ("block", 502, "blocked", "output_blocked"),
        ("broken", 502, "blocked", "output_blocked"),
    ],
)
def test_rules_are_asked_before_anything_acts(hall, work, ticket, status, verdict, code):
    answered = work.make(rules=RULES).chat(ticket)
    work.answer(team("blue"))

    assert answered.status == status
    assert (hall.settled.verdict, hall.settled.error_code) == (verdict, code)
    assert b"what the customer wrote" not in answered.body


def test_a_rule_may_have_the_answer_mended(hall, work):
    answered = work.make(rules=RULES).chat("repair")
    work.answer(team("red"))
    assert "red is closed" in hall.flight.body["messages"][-1]["content"]
    work.answer(team("blue"))

    assert answered.headers["x-headworks-verdict"] == "repaired"


def test_a_rule_that_hangs_blocks_within_its_time(hall, work):
    rules = "def slow(output, context):\n    while True: pass\n"
    answered = work.make("validation: {rules_timeout_s: 0.2}\n", rules=rules).chat()
    work.answer(team("red"))

    assert (answered.status, answered.error["code"]) == (502, "output_blocked")


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        (("look", '{"id": 1}'), 200, ""),
        (("look", '{"id": "one"}'), 502, "output_invalid"),
        (("guess", "{}"), 502, "output_invalid"),
        (("erase", "{}"), 403, "action_denied"),
        (("pay", "{}"), 403, "action_held"),
    ],
)
def test_tool_calls_are_known_well_formed_and_allowed(hall, work, call, status, code):
    contract = "actions: {erase: {policy: deny}, pay: {policy: hold}}\nvalidation: {repairs: 0}\n"
    answered = work.make(contract, schema=None, tools=TOOLS).chat()
    assert [tool["function"]["name"] for tool in hall.flight.body["tools"]] == ["look", "pay", "erase"]
    work.answer(chat_answer(calls=[call]))

    assert answered.status == status
    assert hall.settled.error_code == code


def test_a_stream_that_keeps_to_the_schema_passes_piece_by_piece(hall, work):
    work.make()
    answered = stream(hall, work, '{"te', 'am": "re')
    assert answered.body.count(b"data: ") == 2
    hall.flight.sink.on_body(chunk('d"}') + chunk(finish_reason="stop") + b"data: [DONE]\n\n")
    work.settle()

    assert answered.body.endswith(b"data: [DONE]\n\n")
    assert answered.headers["x-headworks-prompt-version"] == "1.2.0"
    assert (hall.settled.verdict, hall.settled.outcome) == ("valid", "answered")


def test_a_stream_that_breaks_the_schema_ends_with_an_error_at_once(hall, work):
    work.make()
    answered = stream(hall, work, '{"team": ', '"green"')
    work.settle()

    assert answered.is_over
    assert b'"code":"output_invalid"' in answered.body
    assert b"green" not in answered.body
    assert hall.flight.is_cancelled
    assert (hall.settled.verdict, hall.settled.error_code) == ("invalid", "output_invalid")


def test_rules_judge_a_stream_before_its_last_piece(hall, work):
    work.make(rules=RULES)
    answered = stream(hall, work, '{"team": "blue"}', ticket="block")
    hall.loop.call_soon(hall.flight.sink.on_body, chunk(finish_reason="stop") + b"data: [DONE]\n\n")
    hall.turn(1)
    work.settle()

    assert b'"code":"output_blocked"' in answered.body
    assert b"[DONE]" not in answered.body
    assert (hall.settled.verdict, hall.settled.error_code) == ("blocked", "output_blocked")


def test_a_stream_that_fails_before_its_first_piece_goes_on_elsewhere(hall, work):
    work.make("fallback: [large]\n")
    answered = work.chat(stream=True)
    hall.flight.sink.on_failure(Failure(FailureKind.OVERLOADED, "stub is overloaded"))
    hall.turn()
    assert hall.flight.body["model"] == "large"
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk('{"team": "red"}') + chunk(finish_reason="stop") + b"data: [DONE]\n\n")
    work.settle()

    assert answered.body.endswith(b"[DONE]\n\n")
    assert answered.headers["x-headworks-fallback"] == "upstream_overloaded"


def test_a_caller_who_goes_leaves_one_record_and_no_attempt(hall, work):
    answered = work.make().chat()
    answered.running.cancel()
    hall.turn()

    assert hall.flight.is_cancelled
    assert (hall.settled.outcome, hall.settled.workload) == ("cancelled", "triage")


def test_a_call_that_must_end_before_its_time_is_refused(hall, work):
    answered = work.make().chat()
    answered.running.stop()
    hall.turn()

    assert (answered.status, answered.error["code"]) == (503, "gateway_stopping")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"prompt": {"variables": {}}}, 400, "missing_prompt_variable"),
        ({"prompt": {"variables": {"ticket": 5}}}, 400, "invalid_prompt_variable"),
        ({"prompt": {"variables": {"ticket": "x", "more": "y"}}}, 400, "unknown_prompt_variable"),
        ({"prompt": {"variables": {"ticket": {"type": "input_image"}}}}, 400, "invalid_prompt_variable"),
        ({"prompt": {"version": "7", "variables": {"ticket": "x"}}}, 404, "prompt_version_not_found"),
        ({"model": "small", "prompt": {"id": "triage", "variables": {"ticket": "x"}}}, 400, "parameter_fixed"),
        ({"response_format": {"type": "text"}}, 400, "parameter_fixed"),
        ({"messages": [{"role": "system", "content": "obey"}]}, 400, "role_not_allowed"),
    ],
)
def test_what_a_caller_sends_wrongly_is_refused_before_anything_goes_up(hall, work, fields, status, code):
    answered = work.make().chat(**fields)

    assert (answered.status, answered.error["code"]) == (status, code)
    assert not hall.upstream.flights
    assert hall.settled.outcome == "refused"


@pytest.mark.parametrize("version", ["1", "1.2", "1.2.0", None])
def test_a_version_may_be_named_in_part(hall, work, version):
    work.make().chat(prompt={"version": version, "variables": {"ticket": "x"}})
    work.answer(team("red"))

    assert hall.settled.prompt_version == "1.2.0"


def test_a_key_sees_only_the_workloads_that_it_may_use(hall, work):
    work.make()
    hall.ring.grant = Grant(Caller("key_1", "ann", "search"), models=("nano",))
    answered = work.chat()
    listed = hall.ask("/v1/models", method="GET")

    assert (answered.status, answered.error["code"]) == (404, "model_not_found")
    assert "triage" not in listed.body.decode()


def test_a_prompt_that_a_key_may_not_use_looks_like_one_that_is_not_there(hall, work):
    work.make()
    hall.ring.grant = Grant(Caller("key_1", "ann", "search"), models=("nano",))
    refused = [hall.ask("/v1/responses", {"prompt": {"id": name}}) for name in ("triage", "none")]

    assert [answered.status for answered in refused] == [404, 404]
    assert refused[0].error == refused[1].error
    assert refused[0].error["code"] == "prompt_not_found"


def test_a_variable_may_come_as_an_input_item(hall, work):
    work.make().chat(prompt={"variables": {"ticket": {"type": "input_text", "text": "It is down."}}})

    assert "It is down." in hall.flight.body["messages"][-1]["content"]
    work.answer(team("red"))


def test_an_answer_that_breaks_the_schema_since_it_was_cut_says_so(hall, work):
    work.make("validation: {repairs: 0}\n")
    answered = work.chat()
    cut = chat_answer('{"team": "re')
    cut["choices"][0]["finish_reason"] = "length"
    work.answer(cut)

    assert answered.error["code"] == "output_invalid"
    assert "cut at its maximum of output tokens" in answered.error["message"]


def test_a_workload_is_listed_as_a_model(hall, work):
    work.make()
    listed = json.loads(hall.ask("/v1/models", method="GET").body)["data"]

    assert {"triage": "headworks"}.items() <= {one["id"]: one["owned_by"] for one in listed}.items()


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/responses", "max_output_tokens"), ("/v1/chat/completions", "max_tokens")]
)
def test_what_output_calls_by_one_name_is_freed_under_all_that_requests_have_for_it(hall, work, path, limit):
    work.make("output: {max_tokens: 50}\ncaller_may_set: [max_tokens]\n")
    prompt = {"prompt": {"variables": {"ticket": "help"}}, "messages": []}
    hall.ask(path, {"model": "triage", limit: 90, **prompt})

    sent = hall.flight.body
    assert (sent.get("max_output_tokens") or sent["max_completion_tokens"]) == 90
    work.fail(FailureKind.UNREACHABLE)


@pytest.mark.parametrize("name", ["tools", "functions"])
def test_tools_of_a_caller_are_refused_where_nothing_would_judge_their_calls(work, name):
    offered = {name: [{"type": "function", "function": {"name": "pay"}}]}
    refused = work.make().chat(**offered)

    assert (refused.status, json.loads(refused.body)["error"]["param"]) == (400, name)
    work.make("caller_may_set: [tools]\n").chat(**offered)
    assert name in work.hall.flight.body
    work.fail(FailureKind.UNREACHABLE)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_content_is_kept_sealed_and_nowhere_in_the_clear(hall, work, is_streamed):
    work.make("retention: {content: full, days: 3}\n")
    work.chat("a secret ticket", stream=is_streamed)
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        hall.flight.sink.on_body(chunk('{"team": "red"}') + chunk(finish_reason="stop") + b"data: [DONE]\n\n")
        work.settle()
    else:
        work.answer(team("red"))

    settled, vault = hall.settled, ContentVault(b"s" * 32)
    call_id = settled.opened.call_id
    assert settled.content_expires_us > 0
    assert b"a secret ticket" in vault.open(call_id, "triage", "request", settled.request_body)
    assert b"red" in vault.open(call_id, "triage", "response", settled.response_body)
    assert json.loads(vault.open(call_id, "triage", "values", settled.template_values)) == {"ticket": "a secret ticket"}
    written = b"".join(path.read_bytes() for path in hall.folder.glob("*.journal"))
    assert b"secret ticket" not in written


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_fingerprint_is_kept_where_the_contract_asks_for_it_and_holds_no_text(hall, work, is_streamed):
    work.make("retention: {prefixes: true}\n")
    work.chat("a secret ticket " * 100, stream=is_streamed)
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        hall.flight.sink.on_body(chunk('{"team": "red"}') + chunk(finish_reason="stop") + b"data: [DONE]\n\n")
        work.settle()
    else:
        work.answer(team("red"))

    (entry,) = [one for one in hall.entries() if isinstance(one, SettledWithPrefix)]
    found = read_fingerprint(entry.prefix)
    assert (entry.settled.outcome, entry.settled.workload) == ("answered", "triage")
    assert len(found.blocks) == found.whole_bytes // BLOCK_BYTES >= 3
    assert b"secret" not in entry.prefix


def test_without_being_asked_for_no_fingerprint_is_kept(hall, work):
    work.make("retention: {content: full}\n").chat("x" * 2_000)
    work.answer(team("red"))

    assert not any(isinstance(entry, SettledWithPrefix) for entry in hall.entries())


def test_content_of_a_call_whose_answer_is_blocked_is_kept_with_what_the_model_said(hall, work):
    answered = work.make("retention: {content: full}\n", rules=RULES).chat("block")
    work.answer(team("blue"))

    settled, vault = hall.settled, ContentVault(b"s" * 32)
    kept = {"request": settled.request_body, "response": settled.response_body, "values": settled.template_values}
    opened = {kind: vault.open(settled.opened.call_id, "triage", kind, data) for kind, data in kept.items()}
    assert (answered.status, settled.outcome, settled.content_expires_us > 0) == (502, "failed", True)
    assert b"Ticket: block" in opened["request"]
    assert b"blue" in opened["response"]
    assert json.loads(opened["values"]) == {"ticket": "block"}


def test_values_of_a_call_that_fails_are_not_written_in_the_clear(hall, work):
    work.make("retention: {content: full}\n").chat("a secret ticket")
    hall.flight.sink.on_failure(Failure(FailureKind.UNREACHABLE, "stub failed"))
    work.settle()

    assert hall.settled.outcome == "failed"
    assert (hall.settled.request_body != b"", hall.settled.response_body) == (True, b"")
    assert b"secret" not in b"".join(path.read_bytes() for path in hall.folder.glob("*.journal"))


def test_the_output_limit_has_the_name_that_the_server_knows(hall, work):
    hall.limit_name = "max_tokens"
    work.make("output: {max_tokens: 50}\n").chat()

    assert hall.flight.body["max_tokens"] == 50
    assert "max_completion_tokens" not in hall.flight.body
    work.answer(team("red"))


STOPS = "output: {stop: ['END', '---']}\n"


def test_stop_sequences_go_up_in_chat_as_they_are(hall, work):
    work.make(STOPS, schema=None).chat()
    assert hall.flight.body["stop"] == ["END", "---"]
    work.answer(chat_answer("Hello."))


def test_a_call_through_responses_is_translated_to_where_stop_sequences_have_a_place(hall, work):
    answered = work.make(STOPS, schema=None).respond()
    assert b"/v1/chat/completions" in hall.flight.request.line
    assert hall.flight.body["stop"] == ["END", "---"]
    work.answer(chat_answer("Hello."))

    assert json.loads(answered.body)["output"][0]["content"][0]["text"] == "Hello."


def test_where_there_is_no_such_place_it_is_refused(hall, work):
    answered = work.make(STOPS, schema=None, speaks=[Endpoint.RESPONSES]).respond()
    assert (answered.status, answered.error["code"]) == (400, "endpoint_not_supported")
    assert "stop sequences" in answered.error["message"]
    assert hall.upstream.flights == []


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/moderations"])
def test_a_workload_at_another_endpoint_is_told_to_be_one_and_where_it_is_called(hall, work, path):
    work.make()
    answered = hall.ask(path, {"model": "triage", "input": "x"})

    assert (answered.status, answered.error["code"], answered.error["param"]) == (
        400,
        "endpoint_not_supported",
        "model",
    )
    assert "`triage` is a workload: it is called at /v1/responses, /v1/chat/completions" in answered.error["message"]


def test_who_may_not_use_a_workload_does_not_learn_of_it_at_another_endpoint_either(hall, work):
    work.make()
    hall.ring.grant = Grant(Caller("key_1"), models=("small",))
    answered = hall.ask("/v1/embeddings", {"model": "triage", "input": "x"})

    assert (answered.status, answered.error["code"]) == (404, "model_not_found")
