"""Anthropic's Messages as the simulator speaks them, read by Anthropic's own client."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest

from headworks.calls import Endpoint
from headworks.exchange import Request
from headworks.simulator.plan import ErrorFault, Failing, Limits, Model, Outage, PromptCache, RateLimited, Rule, Say

TOOL: Any = {
    "name": "get_weather",
    "description": "Looks.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASKED: Any = [{"role": "user", "content": "The weather in Oslo?"}]


@pytest.fixture
def client_of(desk_with: Callable[..., Any]) -> Callable[..., anthropic.Anthropic]:
    def make(**plan: Any) -> anthropic.Anthropic:
        desk = desk_with(**plan)

        def serve(request: httpx2.Request) -> httpx2.Response:
            headers = {name.lower().encode(): value.encode() for name, value in request.headers.items()}
            script = desk.simulator.answer(Request(request.method, request.url.path, "", headers, request.read()))
            told = [(name.decode(), value.decode()) for name, value in script.headers.items()]
            return httpx2.Response(script.status, headers=told, content=b"".join(beat.data for beat in script.beats))

        return anthropic.Anthropic(
            api_key="sk-ant-test",
            base_url="http://simulator.invalid",
            max_retries=0,
            http_client=httpx2.Client(transport=httpx2.MockTransport(serve)),
            _strict_response_validation=True,
        )

    return make


@pytest.fixture
def client(client_of: Callable[..., anthropic.Anthropic]) -> anthropic.Anthropic:
    return client_of()


def ask(client: anthropic.Anthropic, **fields: Any) -> anthropic.types.Message:
    asked = {"model": "claude-sonnet-5", "max_tokens": 1000, "messages": ASKED} | fields
    return client.messages.create(**asked)


def accumulated(client: anthropic.Anthropic, **fields: Any) -> anthropic.types.Message:
    asked = {"model": "claude-sonnet-5", "max_tokens": 1000, "messages": ASKED} | fields
    with client.messages.stream(**asked) as stream:
        return stream.get_final_message()


def said(message: anthropic.types.Message) -> Any:
    plain = message.to_dict()
    for block in plain["content"]:  # type: ignore[attr-defined]
        block.pop("id", None)
        block.pop("parsed_output", None)
    return plain["content"], plain["stop_reason"], plain["usage"]["output_tokens"]  # type: ignore[index]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"system": "Be kind.", "metadata": {"user_id": "u"}},
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"output_config": {"format": {"type": "json_schema", "schema": TOOL["input_schema"]}}},
        {"max_tokens": 3},
    ],
)
def test_the_accumulated_stream_is_the_whole_message(client: anthropic.Anthropic, fields: dict[str, Any]) -> None:
    assert said(accumulated(client, **fields)) == said(ask(client, **fields))


def test_tools_are_called_and_their_results_read(client: anthropic.Anthropic) -> None:
    first = ask(client, tools=[TOOL], tool_choice={"type": "tool", "name": "get_weather"})
    (call,) = first.content
    assert (call.type, first.stop_reason) == ("tool_use", "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "snow, again"}
    turns = [*ASKED, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = ask(client, messages=turns, tools=[TOOL])
    assert "snow, again" in second.content[0].text


def test_a_thought_goes_back_with_its_signature_and_not_with_another(client: anthropic.Anthropic) -> None:
    thinking = {"type": "adaptive"}
    first = ask(client, thinking=thinking)
    assert first.content[0].type == "thinking"
    assert first.usage.output_tokens_details is not None
    assert first.usage.output_tokens_details.thinking_tokens > 0
    turns = [*ASKED, {"role": "assistant", "content": first.content}, *ASKED]
    assert ask(client, messages=turns, thinking=thinking).content

    torn = [{**first.content[0].to_dict(), "signature": "x"}]
    with pytest.raises(anthropic.BadRequestError, match="signature"):
        ask(client, messages=[*ASKED, {"role": "assistant", "content": torn}, *ASKED], thinking=thinking)


def test_a_marked_prefix_is_written_and_then_read(client_of: Callable[..., anthropic.Anthropic]) -> None:
    cache = PromptCache(minimum_tokens=100, step_tokens=1)
    client = client_of(models={"claude-sonnet-5": Model(cache=cache)})
    rules = [{"type": "text", "text": "Be kind. " * 100, "cache_control": {"type": "ephemeral"}}]
    first, second = (ask(client, system=rules).usage for _ in range(2))

    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 100
    assert first.input_tokens == second.input_tokens < 30
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_5m_input_tokens == first.cache_creation_input_tokens
    unmarked = ask(client, system="Be kind. " * 100).usage
    assert (unmarked.cache_creation_input_tokens, unmarked.cache_read_input_tokens) == (0, 0)


def test_tokens_are_counted(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model="claude-sonnet-5", messages=ASKED).input_tokens
    assert counted == ask(client).usage.input_tokens > 3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "non-empty"),
        ({"extra_body": {"seed": 5}}, "seed: Extra inputs"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "greater than"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "not found"),
        ({"tool_choice": {"type": "any"}}, "providing tools"),
        (
            {
                "messages": [
                    *ASKED,
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                    *ASKED,
                ]
            },
            "tool_result",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
            "unexpected",
        ),
    ],
)
def test_what_the_api_would_refuse_is_refused(client: anthropic.Anthropic, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match=words) as refused:
        ask(client, **fields)
    assert refused.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index,call-overload]
    assert refused.value.request_id is not None
    assert refused.value.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (Outage(), 529, "overloaded_error"),
        (RateLimited(), 429, "rate_limit_error"),
        (ErrorFault(status=500), 500, "api_error"),
        (Failing(), 500, "api_error"),
    ],
)
def test_faults_are_told_in_the_words_of_this_api(
    client_of: Callable[..., anthropic.Anthropic], fault: Any, status: int, kind: str
) -> None:
    with pytest.raises(anthropic.APIStatusError) as failed:
        ask(client_of(faults=(fault,)))
    assert failed.value.status_code == status
    assert failed.value.body["error"]["type"] == kind  # type: ignore[index,call-overload]


def test_a_stream_fails_in_the_middle(client_of: Callable[..., anthropic.Anthropic]) -> None:
    client = client_of(faults=(Failing(after_content=2, endpoint=Endpoint.MESSAGES),))
    with pytest.raises(anthropic.APIStatusError, match="api_error"):
        accumulated(client)


def test_a_refusal_has_its_reason_and_a_limit_its_headers(client_of: Callable[..., anthropic.Anthropic]) -> None:
    model = Model(limits=Limits(rpm=10, tpm=100_000))
    client = client_of(models={"claude-sonnet-5": model}, rules=(Rule(say=Say(refusal="I would rather not.")),))
    raw = client.messages.with_raw_response.create(model="claude-sonnet-5", max_tokens=10, messages=ASKED)
    message = raw.parse()

    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.explanation == "I would rather not."
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert not [name for name in raw.headers if name.startswith("x-ratelimit")]


def test_a_key_may_come_either_way_and_must_come(desk_with: Callable[..., Any]) -> None:
    desk = desk_with()
    body = {"model": "claude-sonnet-5", "max_tokens": 10, "messages": ASKED}
    assert desk.ask("POST", "/v1/messages", body).status == 200
    keyed = {"x_api_key": "sk", "anthropic_version": "2023-06-01", "authorization": ""}
    assert desk.ask("POST", "/v1/messages", body, **keyed).status == 200
    assert desk.ask("POST", "/v1/messages", body, x_api_key="sk", authorization="").status == 400
    refused = desk.json("POST", "/v1/messages", body, status=401, authorization="")
    assert refused["error"]["type"] == "authentication_error"
    assert json.dumps(refused).startswith('{"type": "error"')
