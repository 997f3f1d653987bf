"""AWS's Converse as the simulator speaks it, read by AWS's own SDK."""

import datetime as dt
import io
import json
from collections.abc import Callable
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import boto3
import botocore.config
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EventStreamError

from headworks.calls import Endpoint
from headworks.exchange import Request
from headworks.simulator.plan import (
    BadKey,
    ErrorFault,
    Failing,
    Limits,
    Malformed,
    Model,
    ModelRetired,
    Outage,
    PromptCache,
    QuotaExhausted,
    RateLimited,
    Rule,
    Say,
)

MODEL = "eu.anthropic.claude-sonnet-5-v1:0"
ASKED: Any = [{"role": "user", "content": [{"text": "The weather in Oslo?"}]}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}]}
FORCED: Any = TOOLS | {"toolChoice": {"tool": {"name": "get_weather"}}}
THINKING: Any = {"thinking": {"type": "adaptive"}}


class Raw(io.BytesIO):
    """What a connection of the SDK's is to it."""

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.getvalue()


@pytest.fixture(scope="module")
def sessions() -> dict[bool, boto3.Session]:
    """By whether it signs: sessions keep what they have read of the service, which takes half a second."""
    region = "eu-west-1"
    return {
        True: boto3.Session("AKIDEXAMPLE", "secret", "token", region_name=region),
        False: boto3.Session(region_name=region),
    }


@pytest.fixture
def client_of(desk_with: Callable[..., Any], sessions: dict[bool, boto3.Session]) -> Callable[..., Any]:
    def make(*, signs: bool = True, **plan: Any) -> Any:
        desk = desk_with(**plan)

        def serve(request: Any, **_: Any) -> AWSResponse:
            path = urlsplit(request.url).path
            headers = {
                name.lower().encode(): value if isinstance(value, bytes) else value.encode()
                for name, value in request.headers.items()
            }
            script = desk.simulator.answer(Request(request.method, path, "", headers, request.body))
            told = {name.decode(): value.decode() for name, value in script.headers.items()}
            return AWSResponse(request.url, script.status, told, Raw(b"".join(beat.data for beat in script.beats)))

        config = botocore.config.Config(retries={"max_attempts": 0})
        client = sessions[signs].client("bedrock-runtime", config=config)
        client.meta.events.register("before-send.bedrock-runtime.*", serve)
        client.desk = desk
        return client

    return make


@pytest.fixture(autouse=True)
def _clock(request: pytest.FixtureRequest) -> Any:
    """The simulator's clock stands still; the SDK signs by it."""
    at = dt.datetime.fromtimestamp(1_795_000_000, dt.UTC).replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=at):
        yield


@pytest.fixture
def client(client_of: Callable[..., Any]) -> Any:
    return client_of()


def ask(client: Any, **fields: Any) -> Any:
    return client.converse(**{"modelId": MODEL, "messages": ASKED} | fields)


def accumulated(client: Any, **fields: Any) -> Any:
    """A stream, put together as its parts say: content, why it ended, usage."""
    blocks: dict[int, Any] = {}
    found: dict[str, Any] = {}
    for one in client.converse_stream(**{"modelId": MODEL, "messages": ASKED} | fields)["stream"]:
        ((kind, event),) = one.items()
        index = event.get("contentBlockIndex", 0)
        if kind == "contentBlockStart":
            blocks[index] = {"toolUse": {**event["start"]["toolUse"], "input": ""}}
        elif kind == "contentBlockDelta":
            delta = event["delta"]
            if "toolUse" in delta:
                blocks[index]["toolUse"]["input"] += delta["toolUse"]["input"]
            elif "text" in delta:
                blocks.setdefault(index, {"text": ""})["text"] += delta["text"]
            else:
                thought = blocks.setdefault(
                    index, {"reasoningContent": {"reasoningText": {"text": "", "signature": ""}}}
                )
                for name, value in delta["reasoningContent"].items():
                    thought["reasoningContent"]["reasoningText"][name] += value
        elif kind in ("messageStop", "metadata"):
            found |= event
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return [blocks[index] for index in sorted(blocks)], found["stopReason"], found["usage"]


def said(answer: Any) -> Any:
    return answer["output"]["message"]["content"], answer["stopReason"], answer["usage"]


def without_ids(answer: Any) -> Any:
    content, stop, usage = answer
    for block in content:
        block.get("toolUse", {}).pop("toolUseId", None)
    return content, stop, usage


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"system": [{"text": "Be kind."}], "serviceTier": {"type": "flex"}},
        {"toolConfig": FORCED},
        {"additionalModelRequestFields": THINKING, "outputConfig": {"effort": "low"}},
        {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}},
        {"outputConfig": {"textFormat": {"type": "json_schema",
                                         "structure": {"jsonSchema": {"schema": json.dumps(SCHEMA)}}}}},
        {"inferenceConfig": {"maxTokens": 3}},
    ],
)  # fmt: skip
def test_the_accumulated_stream_is_the_whole_answer(client: Any, fields: dict[str, Any]) -> None:
    assert without_ids(accumulated(client, **fields)) == without_ids(said(ask(client, **fields)))


def test_a_key_may_be_sent_instead_of_signing(client_of: Callable[..., Any]) -> None:
    with mock.patch.dict("os.environ", {"AWS_BEARER_TOKEN_BEDROCK": "bedrock-key"}):
        assert ask(client_of(signs=False, api_keys=("bedrock-key",)))["stopReason"] == "end_turn"
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            ask(client_of(signs=False, api_keys=("another",)))


def test_who_signs_is_known_by_the_public_part_of_the_key(client_of: Callable[..., Any]) -> None:
    assert ask(client_of(api_keys=("AKIDEXAMPLE",)))["stopReason"] == "end_turn"
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        ask(client_of(api_keys=("AKIDOTHER",)))


@pytest.mark.parametrize(("off_s", "words"), [(400, "expired"), (-400, "not yet current")])
def test_a_clock_that_is_off_is_refused(client: Any, off_s: int, words: str) -> None:
    client.desk.clock.move(off_s)
    with pytest.raises(ClientError, match=f"InvalidSignatureException.*{words}"):
        ask(client)


def test_tools_are_called_and_their_results_read(client: Any) -> None:
    first = ask(client, toolConfig=FORCED)
    (block,) = first["output"]["message"]["content"]
    result = {"toolUseId": block["toolUse"]["toolUseId"], "content": [{"text": "snow, again"}]}
    turns = [*ASKED, first["output"]["message"], {"role": "user", "content": [{"toolResult": result}]}]
    second = ask(client, messages=turns, toolConfig=TOOLS)
    assert "snow, again" in second["output"]["message"]["content"][0]["text"]
    with pytest.raises(ClientError, match="toolConfig field must be defined"):
        ask(client, messages=turns)


def test_a_thought_goes_back_with_its_signature_and_not_with_another(client: Any) -> None:
    first = ask(client, additionalModelRequestFields=THINKING)["output"]["message"]
    assert "reasoningContent" in first["content"][0]
    assert ask(client, messages=[*ASKED, first, *ASKED])["stopReason"] == "end_turn"
    first["content"][0]["reasoningContent"]["reasoningText"]["signature"] = "x"
    with pytest.raises(ClientError, match="signature"):
        ask(client, messages=[*ASKED, first, *ASKED])


def test_a_marked_prefix_is_written_and_then_read(client_of: Callable[..., Any]) -> None:
    models = {"claude-sonnet-5": Model(cache=PromptCache(minimum_tokens=8, step_tokens=1))}
    client = client_of(models=models)
    system = [{"text": "Rules and rules. " * 20}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    first, second = (ask(client, system=system)["usage"] for _ in range(2))
    assert first["cacheWriteInputTokens"] > 0
    assert first["cacheDetails"] == [{"ttl": "1h", "inputTokens": first["cacheWriteInputTokens"]}]
    assert second["cacheReadInputTokens"] == first["cacheWriteInputTokens"]
    for usage in (first, second):
        parts = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
        assert usage["totalTokens"] == sum(usage[name] for name in parts)


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"modelId": "anthropic.claude-none-v1:0"}, "ValidationException", "model identifier is invalid"),
        ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "ValidationException", "is blank"),
        ({"messages": [{"role": "assistant", "content": [{"text": "x"}]}]}, "ValidationException", "start with a user"),
        ({"messages": []}, "ValidationException", "at least one message"),
        ({"inferenceConfig": {"maxTokens": 10**7}}, "ValidationException", "maxTokens"),
        ({"toolConfig": TOOLS | {"toolChoice": {"tool": {"name": "other"}}}}, "ValidationException", "not among"),
        (
            {"messages": [*ASKED, {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": []}}]}]},
            "ValidationException",
            "exceeds the number of toolUse",
        ),
        (
            {"messages": [*ASKED, {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "f",
                                                                                 "input": {}}}]}]},
            "ValidationException",
            "Expected toolResult",
        ),
        (
            {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
             "inferenceConfig": {"maxTokens": 1500}},
            "ValidationException",
            "max_tokens",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(client: Any, fields: dict[str, Any], name: str, words: str) -> None:
    with pytest.raises(ClientError, match=f"{name}.*{words}") as caught:
        ask(client, **fields)
    assert caught.value.response["ResponseMetadata"]["RequestId"].startswith("req_")


def test_a_prompt_that_is_too_long_is_refused(client_of: Callable[..., Any]) -> None:
    client = client_of(models={"claude-sonnet-5": Model(context_tokens=4)})
    with pytest.raises(ClientError, match="Input is too long"):
        ask(client)


def test_limits_hold(client_of: Callable[..., Any]) -> None:
    client = client_of(models={"claude-sonnet-5": Model(limits=Limits(rpm=1))})
    ask(client)
    with pytest.raises(ClientError, match="ThrottlingException"):
        ask(client)


@pytest.mark.parametrize(
    ("fault", "status", "name"),
    [
        (Outage(), 503, "ServiceUnavailableException"),
        (RateLimited(), 429, "ThrottlingException"),
        (QuotaExhausted(), 429, "ThrottlingException"),
        (ModelRetired(), 404, "ResourceNotFoundException"),
        (BadKey(), 403, "UnrecognizedClientException"),
        (ErrorFault(status=500, message="m"), 500, "InternalServerException"),
        (ErrorFault(status=424, message="m"), 424, "ModelErrorException"),
        (ErrorFault(status=429, message="m", code="ModelNotReadyException"), 429, "ModelNotReadyException"),
        (Failing(), 500, "InternalServerException"),
    ],
)
def test_planned_faults_come_in_the_words_of_the_api(
    client_of: Callable[..., Any], fault: Any, status: int, name: str
) -> None:
    with pytest.raises(ClientError, match=name) as caught:
        ask(client_of(faults=(fault,)))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("code", "name"),
    [("server_error", "modelStreamErrorException"), ("rate_limit_exceeded", "throttlingException")],
)
def test_a_stream_that_fails_ends_with_an_exception(client_of: Callable[..., Any], code: Any, name: str) -> None:
    with pytest.raises(EventStreamError, match=name):
        accumulated(client_of(faults=(Failing(after_content=2, code=code),)))


def test_a_torn_event_is_found_by_its_checksum(client_of: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match=r"Checksum|checksum|length"):
        accumulated(client_of(faults=(Malformed(),)))


def test_faults_and_rules_know_a_model_by_either_name(client_of: Callable[..., Any]) -> None:
    client = client_of(
        faults=(Outage(model="claude-sonnet-5", count=1),),
        rules=(Rule(say=Say(text="Filtered.", is_filtered=True)),),
    )
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        ask(client)
    assert ask(client)["stopReason"] == "guardrail_intervened"
    assert ask(client, modelId="claude-sonnet-5")["stopReason"] == "guardrail_intervened"


def test_a_refusal_is_content_that_was_filtered(client_of: Callable[..., Any]) -> None:
    answer = ask(client_of(rules=(Rule(say=Say(refusal="No.")),)))
    assert (answer["stopReason"], answer["output"]["message"]["content"]) == ("content_filtered", [{"text": "No."}])


def test_other_paths_are_none_of_its(desk_with: Callable[..., Any]) -> None:
    desk = desk_with()
    assert desk.ask("GET", "/model/m/converse").status == 404
    assert desk.ask("POST", "/model/m/count-tokens", {}).status == 404
    assert desk.ask("POST", "/model/claude-sonnet-5/converse", b"no json").status == 400
    assert Endpoint.CONVERSE.value == "converse"
