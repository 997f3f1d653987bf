"""Calls of a workload that take several turns: repairs, further targets, what each has used, and versions."""

import json

import pytest

from headworks.access import Grant
from headworks.calls import Caller, Endpoint, FailureKind
from headworks.compiled import Published, stable_share
from headworks.errors import ConfigError
from headworks.prompts import Publication, parse
from played_work import (
    DONE,
    PROMPT,
    RULES,
    TOOLS,
    call_item,
    chat_answer,
    message_item,
    response_object,
    stream,
    team,
)

ERROR = {"error": {"message": "No.", "type": "server_error", "code": "server_error", "param": None}}


def published(*versions, active=None):
    """A registry with these versions; each says its number."""
    all_ = []
    for version in versions:
        text = PROMPT.replace("1.2.0", version).replace("Sort tickets.", f"Sort tickets, says {version}.")
        prompt = parse(text, name="triage", file="prompt.md")
        all_.append(Publication("triage", version, prompt.hash, text, 1.0))
    return Published(all_, next((one for one in all_ if one.version == active), None))


def without_usage(answer):
    return {name: value for name, value in answer.items() if name != "usage"}


def test_a_valid_responses_answer_passes_byte_for_byte(hall, work):
    answered = work.make().respond()
    body = json.dumps(
        response_object(message_item('{"team": "red"}')) | {"of_tomorrow": [1.0, None]}, indent=3
    ).encode()
    work.answer(body)

    assert answered.body == body
    assert answered.headers["x-headworks-verdict"] == "valid"


def test_a_repair_in_responses_has_the_answer_and_the_message(hall, work):
    answered = work.make().respond(input="more")
    work.answer(response_object(message_item('{"team": "green"}')))
    assert [item["role"] for item in hall.flight.body["input"]] == ["developer", "user", "user", "assistant", "user"]
    assert hall.flight.body["input"][3]["content"] == '{"team": "green"}'
    assert "/team" in hall.flight.body["input"][4]["content"]
    work.answer(response_object(message_item('{"team": "red"}')))

    assert (answered.status, answered.headers["x-headworks-verdict"]) == (200, "repaired")


def test_usage_is_summed_over_all_turns_and_targets(hall, work):
    work.make("fallback: [large]\nvalidation: {repairs: 1, otherwise: fallback}\n").chat()
    work.answer(chat_answer("no", usage=(10, 1)))
    work.answer(chat_answer("no", usage=(20, 2)))
    assert hall.flight.body["model"] == "large"
    assert len(hall.flight.body["messages"]) == 2  # another model starts afresh
    work.answer(chat_answer("no", usage=(40, 4)))
    work.answer(chat_answer('{"team": "red"}', usage=(80, 8)))

    settled = hall.settled
    assert (settled.input_tokens, settled.output_tokens, settled.usage_source) == (150, 15, "provider")
    assert (settled.wasted_tokens, settled.repairs, settled.attempts) == (7, 2, 4)
    assert settled.verdict == "repaired"


@pytest.mark.parametrize("ending", ["unreachable", "cancelled", "stopped", "refused"])
def test_usage_of_turns_before_is_not_lost_when_a_later_one_fails(hall, work, ending):
    answered = work.make("validation: {repairs: 3}\n").chat()
    work.answer(chat_answer("no", usage=(10, 1)))
    work.answer(chat_answer("no", usage=(20, 2)))
    match ending:
        case "unreachable":
            work.fail(FailureKind.UNREACHABLE)
        case "cancelled":
            answered.running.cancel()
        case "stopped":
            answered.running.stop()
        case "refused":
            work.answer(ERROR, 400)

    settled = hall.settled
    assert (settled.input_tokens, settled.output_tokens, settled.wasted_tokens) == (30, 3, 3)


def test_an_answer_without_usage_is_counted_with_what_was_asked(hall, work):
    work.make().chat()
    work.answer(without_usage(chat_answer("not what was asked for")))
    work.answer(without_usage(team("red")))

    settled = hall.settled
    assert settled.usage_source == "estimated"
    assert settled.output_tokens > settled.wasted_tokens > 0
    assert settled.input_tokens > settled.output_tokens


def test_a_bridged_call_is_repaired_in_the_callers_dialect(hall, work):
    work.make(speaks=[Endpoint.CHAT])
    answered = work.respond()
    assert hall.flight.request.line == b"POST /v1/chat/completions HTTP/1.1\r\n"
    assert hall.flight.body["response_format"]["json_schema"]["strict"] is True
    work.answer(team("green"))
    assert [message["role"] for message in hall.flight.body["messages"]][-2:] == ["assistant", "user"]
    work.answer(team("blue"))

    assert json.loads(answered.body)["output"][0]["content"][0]["text"] == '{"team": "blue"}'
    assert hall.settled.verdict == "repaired"


@pytest.mark.parametrize("status", [500, 502, 503, 429, 401])
def test_the_next_model_answers_when_the_first_is_in_trouble(hall, work, status):
    answered = work.make("fallback: [large]\n").chat()
    work.answer(ERROR, status)
    work.answer(team("red"))

    assert (answered.status, hall.settled.attempts) == (200, 2)
    assert hall.settled.opened.model == "large"  # who answered, as prices and stored responses go by it
    assert answered.headers["x-headworks-fallback"].startswith("upstream_")


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"choices": []}', b"[" * 5000])
def test_the_next_model_answers_when_the_first_says_nonsense(hall, work, body):
    answered = work.make("fallback: [large]\n").chat()
    work.answer(body)
    work.answer(team("red"))

    assert answered.headers["x-headworks-fallback"] == "upstream_invalid"


def test_the_last_failure_is_told_when_no_target_answers(hall, work):
    answered = work.make("fallback: [large]\n").chat()
    work.fail(FailureKind.TIMEOUT)
    work.answer(ERROR, 503)

    assert (answered.status, answered.error["code"]) == (503, "upstream_overloaded")
    assert (hall.settled.outcome, hall.settled.attempts) == ("failed", 2)


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_the_deterministic_answer_leaves_nothing_of_the_answers_before_it(hall, work, dialect):
    work.make("fallback: [deterministic]\nvalidation: {repairs: 0, otherwise: fallback}\n", fallback={"team": "blue"})
    answered = work.chat(metadata={"k": "v"}) if dialect == "chat" else work.respond(metadata={"k": "v"})
    bad = team("green") if dialect == "chat" else response_object(message_item('{"team": "green"}'))
    work.answer(bad)

    assert answered.headers["x-headworks-degraded"] == "output_invalid"
    assert b"headworks/deterministic" in answered.body
    if dialect == "responses":
        body = json.loads(answered.body)
        assert body["output"][0]["content"][0]["text"] == '{"team":"blue"}'
        assert body["metadata"] == {"k": "v", "headworks.degraded": "output_invalid"}
    settled = hall.settled
    assert (settled.outcome, settled.finish_reason, settled.response_id) == ("answered", "degraded", "")
    assert (settled.served_model, settled.verdict, settled.error_code) == ("headworks/deterministic", "", "")
    assert (settled.output_tokens, settled.wasted_tokens) == (5, 5)


def test_a_deterministic_answer_that_breaks_the_schema_is_refused_when_it_is_loaded(work):
    with pytest.raises(ConfigError, match=r"fallback\.json") as refused:
        work.make("fallback: [deterministic]\n", fallback={"team": "nobody"})
    assert "/team" in str(refused.value)


def test_a_rule_that_asks_for_repair_in_vain_is_marked_where_the_contract_says_so(hall, work):
    answered = work.make("validation: {repairs: 1, otherwise: mark}\n", rules=RULES).chat("repair")
    work.answer(team("red"))
    work.answer(team("red"))

    assert (answered.status, answered.headers["x-headworks-verdict"]) == (200, "marked")
    assert (hall.settled.verdict, hall.settled.repairs) == ("marked", 1)


def test_an_answer_that_breaks_the_schema_is_not_passed_on_though_the_contract_marks(hall, work):
    answered = work.make("validation: {repairs: 0, otherwise: mark}\n").chat()
    work.answer(team("green"))

    assert (answered.status, answered.error["code"]) == (502, "output_invalid")


def test_a_blocked_answer_may_be_asked_for_elsewhere(hall, work):
    work.make("fallback: [large]\nvalidation: {otherwise: fallback}\n", rules=RULES).chat("block")
    work.answer(team("blue"))
    assert hall.flight.body["model"] == "large"
    work.answer(team("red"))

    assert hall.settled.verdict == "valid"


def test_a_call_that_is_denied_is_not_asked_for_elsewhere(hall, work):
    contract = "fallback: [large]\nactions: {pay: {policy: deny}}\nvalidation: {otherwise: fallback}\n"
    answered = work.make(contract, schema=None, tools=TOOLS).respond()
    work.answer(response_object(call_item("pay", "{}")))

    assert (answered.status, len(hall.upstream.flights)) == (403, 1)
    assert hall.settled.verdict == "blocked"
    assert hall.settled.wasted_tokens == 5


def test_bad_arguments_of_a_tool_are_mended(hall, work):
    work.make(schema=None, tools=TOOLS).respond()
    work.answer(response_object(call_item("look", '{"id": "one"}')))
    assert "/id" in hall.flight.body["input"][-1]["content"]
    work.answer(response_object(call_item("look", '{"id": 1}')))

    assert hall.settled.verdict == "repaired"


def test_what_is_not_judged_passes_though_it_is_of_a_kind_that_is_not_known_here(hall, work):
    answered = work.make(schema=None).respond()
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    work.answer(response_object(search, message_item("Found.")))

    assert json.loads(answered.body)["output"][0] == search
    assert "x-headworks-verdict" not in answered.headers


@pytest.mark.parametrize("body", [{"status": "failed", "error": {"code": "server_error", "message": "No."}}])
def test_a_failed_response_goes_on_elsewhere_though_nothing_is_judged(hall, work, body):
    work.make("fallback: [large]\n", schema=None).respond()
    work.answer(response_object() | body)

    assert hall.flight.body["model"] == "large"
    work.answer(response_object(message_item("Yes.")))


# -- what is asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "used"), [("1", "1.2.0"), ("1.0.0", "1.0.0"), ("1.1", "1.1.3"), ("2.0.0", "2.0.0"), (None, "1.2.0")]
)
def test_a_version_may_be_any_that_was_published(hall, work, asked, used):
    work.make(published=published("1.0.0", "1.1.2", "1.1.3", "1.2.0", "2.0.0", active="1.2.0"))
    work.chat(prompt={"version": asked, "variables": {"ticket": "x"}})

    assert f"says {used}." in hall.flight.body["messages"][0]["content"]
    work.answer(team("red"))
    assert hall.settled.prompt_version == used


@pytest.mark.parametrize("version", ["3", "1.1.9", "1.", "", "01", "1.2.0.0", "latest"])
def test_a_version_that_was_not_published_is_refused(hall, work, version):
    work.make(published=published("1.0.0", "1.1.2", "1.2.0", active="1.2.0"))
    answered = work.chat(prompt={"version": version, "variables": {"ticket": "x"}})

    assert (answered.status, answered.error["code"]) == (404, "prompt_version_not_found")
    assert answered.error["param"] == "prompt.version"


@pytest.mark.parametrize(
    ("prompt", "status", "code"),
    [
        ({"version": "1"}, 404, "prompt_version_not_found"),
        ({"variables": {"ticket": "x"}}, 400, "unknown_prompt_variable"),
        ({"id": "triage", "variables": {}}, 0, ""),
    ],
)
def test_a_workload_without_a_prompt_says_so_and_drops_nothing_silently(hall, work, prompt, status, code):
    work.make(prompt=None)
    answered = work.chat(prompt=prompt)

    assert answered.status == status
    if status:
        assert answered.error["code"] == code
    else:
        work.answer(team("red"))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_the_prompt_of_something_else_is_not_dropped_silently(hall, work, path):
    work.make()
    body = {"model": "triage", "input": "x", "messages": [], "prompt": {"id": "pmpt_1", "variables": {"ticket": "x"}}}
    answered = hall.ask(path, body)

    assert (answered.status, answered.error["code"]) == (400, "parameter_fixed")
    assert answered.error["param"] == "prompt.id"
    assert not hall.upstream.flights


DEEP = "[" * 60 + "]" * 60


@pytest.mark.parametrize("value", ['"\\ud800"', "[" * 600 + "]" * 600, "1e999", "9" * 5000, f'{{"a": {DEEP}}}'])
def test_a_value_of_an_odd_kind_is_refused_by_name(hall, work, value):
    work.make()
    body = '{"model": "triage", "messages": [], "prompt": {"variables": {"ticket": ' + value + "}}}"
    answered = hall.ask("/v1/chat/completions", body.encode())

    assert answered.status == 400
    assert answered.error["code"] in ("invalid_prompt_variable", "invalid_json", "invalid_type")


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"background": True}, "background"), ({"previous_response_id": "resp_1"}, "previous_response_id")],
)
def test_what_would_pass_by_the_judgement_is_refused(hall, work, fields, param):
    answered = work.make().respond(**fields)

    assert (answered.status, answered.error["param"]) == (400, param)
    assert not hall.upstream.flights


@pytest.mark.parametrize("is_streamed", [True, False])
def test_one_answer_is_asked_for_and_judged(hall, work, is_streamed):
    work.make()
    refused = work.chat(n=2, stream=is_streamed)
    work.chat(n=1, stream=is_streamed).running.cancel()

    assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "parameter_fixed", "n")


def test_a_caller_goes_on_only_from_responses_of_its_own(hall, work):
    work.make("caller_may_set: [previous_response_id]\n")
    hall.own("resp_1", key_id="key_2")
    hall.own("resp_2")
    refused = work.respond(previous_response_id="resp_1", input="x")
    assert not hall.upstream.flights
    assert (refused.status, refused.error["code"]) == (404, "previous_response_not_found")

    own = work.respond(previous_response_id="resp_2", input="x")
    hall.turn()
    assert hall.flight.body["previous_response_id"] == "resp_2"
    own.running.cancel()


def test_a_workload_whose_provider_keeps_the_conversation_is_gone_on_with(hall, work):
    work.make("state: provider\n")
    hall.own("resp_2")
    work.respond(previous_response_id="resp_2", input="x")
    hall.turn()

    assert hall.flight.body["previous_response_id"] == "resp_2"
    work.answer(response_object(message_item('{"team": "red"}')))


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_a_prompts_id_beside_a_model_is_refused_and_without_one_it_is_the_workload(hall, work, dialect):
    work.make()
    path, content = {"chat": ("chat/completions", {"messages": []}), "responses": ("responses", {})}[dialect]
    prompt = {"id": "triage", "version": "1.2.0", "variables": {"ticket": "x"}}
    refused = hall.ask(f"/v1/{path}", {"model": "nano", "prompt": prompt} | content)
    assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "parameter_fixed", "model")
    assert not hall.upstream.flights

    answered = hall.ask(f"/v1/{path}", {"prompt": prompt} | content)
    assert hall.flight.body["model"] == "small"
    answered.running.cancel()


@pytest.mark.parametrize("fields", [{"model": "triage"}, {}, {"model": "nano"}])
def test_a_key_that_may_not_use_a_workload_learns_nothing_of_it(hall, work, fields):
    work.make()
    hall.ring.grant = Grant(Caller("key_1", "ann", "search"), models=("nano",))
    body = {"input": "x", "prompt": {"id": "triage", "variables": {"ticket": "x"}}} | fields
    answered = hall.ask("/v1/responses", body)

    if fields.get("model") == "nano":  # some prompt of the provider's, for all that this key can know
        assert "workload" not in answered.body.decode()
        answered.running.cancel()
    else:
        code = "model_not_found" if fields else "prompt_not_found"
        assert (answered.status, answered.error["code"]) == (404, code)
        assert "workload" not in answered.error["message"] or not fields
        assert not hall.upstream.flights


# -- a canary -----------------------------------------------------------------------------------------------------


def canaried(work, share, key="user"):
    contract = f"canary: {{version: 2.0.0, share: {share}, key: {key}}}\n"
    return work.make(contract, published=published("1.2.0", "2.0.0", active="1.2.0"))


def version_of(hall, work, **fields):
    answered = work.chat(**fields)
    version = hall.flight.body["messages"][0]["content"].split()[-1]
    answered.running.cancel()
    hall.turn()
    return version.rstrip(".")


def test_a_user_stays_with_one_version_and_users_are_shared_out(hall, work):
    canaried(work, 0.3)
    users = [f"user-{number}" for number in range(60)]
    first = [version_of(hall, work, user=user) for user in users]
    again = [version_of(hall, work, user=user) for user in users]

    assert first == again
    assert {"1.2.0", "2.0.0"} == set(first)
    assert 8 <= first.count("2.0.0") <= 30


def test_a_key_stays_with_one_version_whatever_its_users(hall, work):
    canaried(work, 0.5, "key")

    assert len({version_of(hall, work, user=f"user-{number}") for number in range(20)}) == 1


@pytest.mark.parametrize(("share", "version"), [(0, "1.2.0"), (1, "2.0.0")])
def test_a_canary_takes_no_call_or_all(hall, work, share, version):
    canaried(work, share, "call")

    assert {version_of(hall, work) for _ in range(5)} == {version}


def test_who_names_a_version_is_not_in_the_trial(hall, work):
    canaried(work, 1)

    assert version_of(hall, work, prompt={"version": "1", "variables": {"ticket": "x"}}) == "1.2.0"


def test_shares_are_even():
    found = [stable_share(f"user-{number}") for number in range(2000)]

    assert all(0 <= share < 1 for share in found)
    assert 0.45 < sum(found) / len(found) < 0.55


def test_the_record_says_what_became_of_each_attempt(hall, work):
    contract = "fallback: [large]\nvalidation: {otherwise: fallback, repairs: 1}\n"
    work.make(contract, rules=RULES).chat("repair")
    work.answer(team("green"))
    work.answer(team("red"))
    work.answer(team("blue"))

    first, second, third = hall.settled.course.split("; ")
    assert first.startswith("stub/small: invalid (/team: must be one of")
    assert "green" not in first
    assert second == "stub/small: blocked (rule judged: red is closed)"
    assert third == "stub/large: valid"


def test_an_attempt_that_gave_nothing_to_judge_has_its_cause(hall, work):
    work.make("fallback: [large]\n").chat()
    work.fail(FailureKind.BROKEN)
    work.answer(team("red"))

    assert hall.settled.course == "stub/small: upstream_broken; stub/large: valid"


@pytest.mark.parametrize(("text", "course"), [("red", "stub/small"), ("green", "stub/small: invalid (/team: ")])
def test_so_it_does_of_a_stream(hall, work, text, course):
    work.make()
    stream(hall, work, '{"team": ', f'"{text}"}}')
    hall.flight.sink.on_body(DONE)
    work.settle()

    assert hall.settled.course.startswith(course)


def test_a_repair_does_not_go_up_under_the_callers_idempotency_key(hall, work):
    """The provider would take it for the same request again, and find another body."""
    work.make("validation: {repairs: 1}\n")
    body = {"model": "triage", "messages": [], "prompt": {"variables": {"ticket": "x"}}}
    hall.ask("/v1/chat/completions", body, idempotency_key="once")
    assert b"idempotency-key: once\r\n" in hall.flight.request.headers
    work.answer(team("green"))
    assert len(hall.upstream.flights) == 2
    assert b"idempotency-key" not in hall.flight.request.headers
    work.answer(team("red"))

    assert hall.settled.outcome == "answered"
