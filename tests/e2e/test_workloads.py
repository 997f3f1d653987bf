"""The support desk of `examples/`, running, asked by the official clients: whatever comes through is fit to act on.

The simulator has each tier wrong on a share of the golden cases (`simulator.yaml`): some answers break a rule.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal

import agents
import openai
import pydantic
import pytest
from e2e_desk import DESK, STATIC, Fit, asked, cases, copy_desk, prompt_of
from e2e_processes import Gateway

import headworks


class Ticket(pydantic.BaseModel):
    """As `ticket-triage/schema.json`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    category: Literal["billing", "access", "bug", "how_to", "cancellation", "other"]
    urgency: int
    team: Literal["finance", "support", "engineering", "success"]
    order: str | None
    summary: str


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = copy_desk(tmp_path_factory.mktemp("desk"))
    running = Gateway(folder, (folder / "headworks.yaml").read_text())
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as made:
        yield made


Ask = Callable[[openai.OpenAI, str, dict[str, Any]], str]


def by_responses(client: openai.OpenAI, name: str, case: dict[str, Any]) -> str:
    return client.responses.create(prompt=prompt_of(name, case)).output_text  # type: ignore[arg-type]


def by_chat(client: openai.OpenAI, name: str, case: dict[str, Any]) -> str:
    return client.chat.completions.create(**asked(name, case)).choices[0].message.content or ""


def by_responses_stream(client: openai.OpenAI, name: str, case: dict[str, Any]) -> str:
    text, ends = "", []
    with client.responses.create(prompt=prompt_of(name, case), stream=True) as stream:  # type: ignore[arg-type]
        for event in stream:
            text += event.delta if event.type == "response.output_text.delta" else ""
            ends.append(event.type)
    assert ends[-1] == "response.completed"
    return text


def by_chat_stream(client: openai.OpenAI, name: str, case: dict[str, Any]) -> str:
    text, reasons = "", []
    with client.chat.completions.create(**asked(name, case), stream=True) as stream:
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            reasons.append(chunk.choices[0].finish_reason)
    assert reasons[-1] == "stop"
    return text


WAYS = [by_responses, by_chat, by_responses_stream, by_chat_stream]


def outcomes(ask: Ask, client: openai.OpenAI, name: str) -> Counter[str]:
    """What became of each golden case; every answer that came through is checked."""
    fit, found = Fit(name), Counter[str]()
    for case in cases(name):
        try:
            text = ask(client, name, case)
        except openai.APIError as error:
            found[str(error.code)] += 1
        else:
            output = fit.check(text, case["variables"])
            right = output == case["expected"]
            found["right" if right else "static" if output == STATIC else "wrong"] += 1
    return found


@pytest.mark.parametrize("ask", WAYS)
def test_every_ticket_is_answered_and_every_answer_is_fit(client: openai.OpenAI, ask: Ask) -> None:
    """Four of fifty are wrong at the first model: `team` breaks a rule. It is told, or the next model is asked."""
    found = outcomes(ask, client, "ticket-triage")

    assert found.total() == 50
    assert found["right"] >= 46
    if ask in (by_responses, by_chat):
        assert found["right"] + found["static"] + found["wrong"] == 50, found
    else:  # what has gone out cannot be mended
        assert set(found) <= {"right", "wrong", "static", "output_blocked"}, found


@pytest.mark.parametrize("ask", WAYS)
def test_every_invoice_is_answered_or_blocked_and_every_answer_is_fit(client: openai.OpenAI, ask: Ask) -> None:
    """Twenty of a hundred are wrong: their total is. A rule forbids to book that, and the contract says to fail."""
    found = outcomes(ask, client, "invoice-extraction")

    assert found == {"right": 80, "output_blocked": 20}


def test_the_asynchronous_client_asks_many_at_once(gateway: Gateway) -> None:
    name, fit = "ticket-triage", Fit("ticket-triage")

    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
            answers = await asyncio.gather(
                *(client.responses.create(prompt=prompt_of(name, case)) for case in cases(name))  # type: ignore[arg-type]
            )
        return [answer.output_text for answer in answers]

    for text, case in zip(asyncio.run(run()), cases(name), strict=True):
        fit.check(text, case["variables"])


def test_the_record_says_what_was_asked_and_how_it_was_judged(gateway: Gateway, client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(prompt=prompt_of("ticket-triage", cases("ticket-triage")[0]))  # type: ignore[arg-type]
    record = gateway.record(raw.headers["x-headworks-call-id"])

    assert raw.headers["x-headworks-workload"] == record.workload == "ticket-triage"
    assert raw.headers["x-headworks-prompt-version"] == record.prompt_version == "1.0.0"
    assert raw.headers["x-headworks-verdict"] == record.verdict
    assert record.verdict in ("valid", "repaired")
    assert (len(record.prompt_hash), len(record.schema_hash)) == (64, 64)


def test_an_answer_is_parsed_into_the_callers_own_class(client: openai.OpenAI) -> None:
    case = cases("ticket-triage")[0]
    ticket = Ticket.model_validate_json(by_responses(client, "ticket-triage", case))

    assert ticket.model_dump() == case["expected"]


def test_parse_with_another_form_than_the_contracts_is_refused_with_what_to_do(client: openai.OpenAI) -> None:
    """The SDK sends a schema of its own making, which says the same in other words."""
    with pytest.raises(openai.BadRequestError, match="caller_may_set") as refused:
        client.responses.parse(
            prompt=prompt_of("ticket-triage", cases("ticket-triage")[0]),  # type: ignore[arg-type]
            text_format=Ticket,
        )
    assert (refused.value.code, refused.value.param) == ("parameter_fixed", "text.format")


@pytest.fixture(scope="module")
def open_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[headworks.InProcessGateway]:
    """In this process; the contract lets callers set `text`."""
    folder = copy_desk(tmp_path_factory.mktemp("open-desk"))
    contract = folder / "workloads/ticket-triage/workload.yaml"
    contract.write_text(contract.read_text() + "caller_may_set: [text]\n")
    with headworks.connect(folder) as running:
        yield running


def test_parse_works_in_process_where_the_contract_lets_callers_say_the_form(
    open_desk: headworks.InProcessGateway,
) -> None:
    fit = Fit("ticket-triage")
    with open_desk.openai(max_retries=0) as client:
        for case in cases("ticket-triage")[:10]:
            parsed = client.responses.parse(prompt=prompt_of("ticket-triage", case), text_format=Ticket)
            assert isinstance(parsed.output_parsed, Ticket)
            fit.check(parsed.output_text, case["variables"])


@pytest.mark.parametrize("ask", WAYS)
def test_the_same_in_process(open_desk: headworks.InProcessGateway, ask: Ask) -> None:
    with open_desk.openai(max_retries=0) as client:
        found = outcomes(ask, client, "invoice-extraction")

    assert found == {"right": 80, "output_blocked": 20}


def test_the_asynchronous_client_in_process(open_desk: headworks.InProcessGateway) -> None:
    async def run() -> list[str]:
        async with open_desk.async_openai(max_retries=0) as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(**asked("ticket-triage", case)) for case in cases("ticket-triage"))
            )
        return [answer.choices[0].message.content for answer in answers]

    fit = Fit("ticket-triage")
    for text, case in zip(asyncio.run(run()), cases("ticket-triage"), strict=True):
        fit.check(text, case["variables"])


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ({"id": "ticket-triage", "version": "9", "variables": {}}, "prompt_version_not_found"),
        ({"id": "ticket-triage", "variables": {}}, "missing_prompt_variable"),
        (
            {"id": "ticket-triage", "variables": {"product": "Desk", "ticket": "Hello", "plan": "gold"}},
            "invalid_prompt_variable",
        ),
        ({"id": "no-such-job", "variables": {}}, "prompt_not_found"),
    ],
)
def test_bad_calls_are_the_sdks_own_errors(client: openai.OpenAI, prompt: dict[str, Any], code: str) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.responses.create(prompt=prompt)  # type: ignore[call-overload]
    assert (refused.value.code, refused.value.status_code) == (code, 404 if "not_found" in code else 400)


def agents_tools(asked: list[str]) -> list[agents.Tool]:
    """The contract's tools, as the SDK has them."""

    async def call(_: Any, arguments: str) -> str:
        asked.append(json.loads(arguments)["order"])
        return json.dumps({"state": "delivered", "total": 19.9})

    return [
        agents.FunctionTool(
            name=tool["name"],
            description=tool["description"],
            params_json_schema=tool["parameters"],
            on_invoke_tool=call,
            strict_json_schema=tool["strict"],
        )
        for tool in json.loads((DESK / "workloads/assistant/tools.json").read_text())
    ]


@pytest.mark.parametrize("dialect", ["responses", "chat"])
def test_an_agent_looks_an_order_up_and_answers(gateway: Gateway, dialect: str) -> None:
    agents.set_tracing_disabled(disabled=True)
    looked_up: list[str] = []

    async def run() -> agents.RunResult:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
            model = (
                agents.OpenAIResponsesModel(model="assistant", openai_client=client)
                if dialect == "responses"
                else agents.OpenAIChatCompletionsModel(model="assistant", openai_client=client)
            )
            agent = agents.Agent(name="Desk", model=model, tools=agents_tools(looked_up))
            return await agents.Runner.run(agent, "Where is my order SD-104233?")

    result = asyncio.run(run())
    assert looked_up == ["SD-104233"]
    assert result.final_output


REFUND: list[Any] = [
    {"role": "user", "content": "Please refund my order SD-104233, it came late."},
    {"type": "function_call", "call_id": "c1", "name": "look_up_order", "arguments": '{"order": "SD-104233"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "{}"},
]


def decided(gateway: Gateway, *words: str) -> list[dict[str, Any]]:
    """What `headworks approvals` says, as JSON."""
    command = [sys.executable, "-m", "headworks", "approvals", *words, "--json"]
    done = subprocess.run(command, cwd=gateway.folder, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_refund_is_a_pending_response_until_a_person_approves_it(gateway: Gateway, client: openai.OpenAI) -> None:
    pending = client.responses.create(model="assistant", input=REFUND)
    assert (pending.status, pending.output) == ("queued", [])
    assert client.responses.retrieve(pending.id).status == "queued"

    (waiting,) = [one for one in decided(gateway, "list") if pending.metadata["headworks.approvals"] == one["id"]]  # type: ignore[index]
    assert (waiting["tool"], waiting["arguments"]["order"]) == ("refund_order", "SD-104233")
    decided(gateway, "approve", waiting["id"], "--by", "ann", "--reason", "late indeed")

    answer = client.responses.retrieve(pending.id)
    assert answer.status == "completed"
    assert answer.output[-1].type == "function_call"
    assert json.loads(answer.output[-1].arguments) == waiting["arguments"]
    (shown,) = decided(gateway, "show", waiting["id"])
    assert [step["what"] for step in shown["steps"]] == ["held", "approved", "consumed"]
    assert gateway.record(waiting["call_id"]).verdict == "held"


def test_a_refund_that_is_denied_over_the_api_is_a_failed_response(gateway: Gateway, client: openai.OpenAI) -> None:
    pending = client.responses.create(model="assistant", input=REFUND)
    path = f"/approvals/{pending.metadata['headworks.approvals']}"  # type: ignore[index]
    body = {"decision": "deny", "reason": "paid back already"}
    with pytest.raises(openai.PermissionDeniedError):
        client.post(path, cast_to=object, body=body)
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.new_key("boss", endpoints=("approvals",))) as boss:
        assert boss.post(path, cast_to=dict[str, Any], body=body)["state"] == "denied"

    failed = client.responses.retrieve(pending.id)
    assert (failed.status, failed.output) == ("failed", [])
    assert failed.error is not None
    assert (str(failed.error.code), "paid back already" in failed.error.message) == ("action_denied", True)


def test_a_streamed_refund_stops_where_it_has_to_wait(gateway: Gateway, client: openai.OpenAI) -> None:
    said: list[str] = []

    def ask() -> None:
        said.extend(event.type for event in client.responses.create(model="assistant", input=REFUND, stream=True))

    with pytest.raises(openai.APIError, match="refund_order") as refused:
        ask()

    assert refused.value.code == "action_held"
    assert "response.completed" not in said
    (place,) = [word for word in str(refused.value).split() if word.startswith("/v1/responses/")]
    approval = next(word for word in str(refused.value).replace("(", " ").split() if word.startswith("appr_"))
    decided(gateway, "approve", approval.strip(",)"))
    assert client.responses.retrieve(place.rpartition("/")[2]).status == "completed"


def test_a_refund_in_chat_is_an_error_until_it_is_approved(gateway: Gateway, client: openai.OpenAI) -> None:
    messages: list[Any] = [
        {"role": "user", "content": "Please refund my order SD-104233, it came late."},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "look_up_order", "arguments": '{"order": "SD-104233"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "{}"},
    ]
    with pytest.raises(openai.PermissionDeniedError, match="refund_order") as refused:
        client.chat.completions.create(model="assistant", messages=messages)
    assert refused.value.code == "action_held"
    (place,) = [word for word in str(refused.value).split() if word.startswith("/v1/chat/completions/")]
    held = place.rpartition("/")[2]
    with pytest.raises(openai.PermissionDeniedError, match="waits for approval"):
        client.chat.completions.retrieve(held)

    approval = next(word for word in str(refused.value).replace("(", " ").split() if word.startswith("appr_"))
    decided(gateway, "approve", approval.strip(",)"))
    calls = client.chat.completions.retrieve(held).choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.name for call in calls if call.type == "function"] == ["refund_order"]
