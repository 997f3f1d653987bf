"""How answers end across a bridge: refused, filtered, failed, cut, garbled. The official client makes the same of it as
of a provider that speaks the caller's own API."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import headworks
from headworks.library import InProcessGateway
from headworks.records import Record, Selection, open_store

CONFIG = """
version: 1
providers:
  both: {kind: simulator, pace: 0, plan: plan.yaml}
  only-chat: {kind: simulator, pace: 0, plan: plan.yaml, speaks: [chat]}
  only-responses: {kind: simulator, pace: 0, plan: plan.yaml, speaks: [responses]}
models:
  both: both/gpt-6-luna
  chat: only-chat/gpt-6-luna
  responses: only-responses/gpt-6-luna
"""

RULES = """
rules:
  - when: {contains: pick a lock}
    say: {refusal: "I cannot help with that, sorry."}
  - when: {contains: something rude}
    say: {text: "Well, you", is_filtered: true}
  - when: {contains: both cities, after_tools: false}
    say: {tool_calls: [{name: get_weather, arguments: {city: Oslo}}, {name: get_weather, arguments: {city: Rome}}]}
"""

CITY: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
RESPONSES_TOOL: Any = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": CITY, "strict": True}}


class Rig:
    """A gateway in process, its client, and what it has recorded."""

    def __init__(self, folder: Path, faults: str = "") -> None:
        (folder / "plan.yaml").write_text(f"{RULES}faults: [{faults}]\n")
        (folder / "headworks.yaml").write_text(CONFIG)
        self._storage = folder / ".headworks"
        self.gateway: InProcessGateway = headworks.connect(folder / "headworks.yaml")
        self.client = self.gateway.openai(max_retries=0)

    def close(self) -> None:
        self.client.close()
        self.gateway.close()

    def record(self) -> Record:
        self.close()  # what is in the journal is drained
        store = open_store(self._storage)
        try:
            return store.select(Selection())[0]
        finally:
            store.close()


@pytest.fixture
def rig(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = Rig(tmp_path, getattr(request, "param", ""))
    yield made
    made.close()


def respond(rig: Rig, model: str, text: str, **more: Any) -> dict[str, Any]:
    """The output and the ending of a response, whole; ids apart."""
    return told(rig.client.responses.create(model=model, input=text, **more).to_dict())


def streamed(rig: Rig, model: str, text: str, **more: Any) -> dict[str, Any]:
    """The same of a stream, as the client's accumulator has it at the end."""
    with rig.client.responses.stream(model=model, input=text, **more) as stream:
        for _ in stream:
            pass
        return told(json.loads(stream.get_final_response().to_json()))


def told(response: Any) -> dict[str, Any]:
    output = []
    for item in response["output"]:
        kept = {name: value for name, value in item.items() if name not in ("id", "call_id", "parsed_arguments")}
        kept["content"] = [
            {name: value for name, value in part.items() if name not in ("logprobs", "parsed")}
            for part in item.get("content", [])
        ]
        output.append(kept)
    return {name: response[name] for name in ("status", "incomplete_details", "error", "usage")} | {"output": output}


def complete(rig: Rig, model: str, text: str, **more: Any) -> dict[str, Any]:
    """The choice and the usage of a completion, whole; ids apart."""
    made = rig.client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)
    return chosen(made.to_dict())


def accumulated(rig: Rig, model: str, text: str, **more: Any) -> dict[str, Any]:
    """The same of a stream, as the client's accumulator has it at the end."""
    with rig.client.chat.completions.stream(
        model=model,
        messages=[{"role": "user", "content": text}],
        stream_options={"include_usage": True},
        **more,
    ) as stream:
        for _ in stream:
            pass
        return chosen(json.loads(stream.get_final_completion().to_json()))


def chosen(completion: Any) -> dict[str, Any]:
    message = completion["choices"][0]["message"]
    return {
        "finish_reason": completion["choices"][0]["finish_reason"],
        "content": message.get("content") or None,
        "refusal": message.get("refusal"),
        "calls": [
            (call["type"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        ],
        "usage": (completion["usage"]["prompt_tokens"], completion["usage"]["completion_tokens"]),
    }


SAID = ["How do I pick a lock?", "The weather in both cities?", "Say hello."]


@pytest.mark.parametrize("text", SAID)
def test_a_response_ends_as_the_provider_ends_it_whole_and_streamed(rig: Rig, text: str) -> None:
    tools = {"tools": [RESPONSES_TOOL]} if "weather" in text else {}
    theirs = respond(rig, "both", text, **tools)
    whole = respond(rig, "chat", text, **tools)

    assert whole == streamed(rig, "chat", text, **tools)
    assert whole["output"] == theirs["output"]
    assert (whole["status"], whole["incomplete_details"]) == (theirs["status"], theirs["incomplete_details"])
    assert whole["usage"]["output_tokens"] == theirs["usage"]["output_tokens"]


@pytest.mark.parametrize("text", SAID)
def test_a_completion_ends_as_the_provider_ends_it_whole_and_streamed(rig: Rig, text: str) -> None:
    tools = {"tools": [CHAT_TOOL]} if "weather" in text else {}
    theirs = complete(rig, "both", text, **tools)
    whole = complete(rig, "responses", text, **tools)

    assert whole == accumulated(rig, "responses", text, **tools)
    # The provider counts the two ways to write a tool differently: only what it was asked may differ, by a little.
    assert whole.pop("usage")[1] == theirs.pop("usage")[1]
    assert whole == theirs


def test_a_response_that_was_filtered_is_incomplete_whole_and_streamed(rig: Rig) -> None:
    whole = respond(rig, "chat", "Say something rude.")
    last: Any = list(rig.client.responses.create(model="chat", input="Say something rude.", stream=True))[-1]

    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert last.type == "response.incomplete"
    assert told(json.loads(last.response.to_json())) == whole


def test_a_completion_that_was_filtered_says_so_whole_and_streamed(rig: Rig) -> None:
    assert complete(rig, "responses", "Say something rude.")["finish_reason"] == "content_filter"
    with pytest.raises(openai.ContentFilterFinishReasonError):
        accumulated(rig, "responses", "Say something rude.")


def test_parallel_calls_and_their_results_go_back_in_one_turn(rig: Rig) -> None:
    asked: list[Any] = [{"role": "user", "content": "The weather in both cities?"}]
    first = rig.client.responses.create(model="chat", input=asked, tools=[RESPONSES_TOOL])
    calls = [item.to_dict() for item in first.output]
    assert [json.loads(str(call["arguments"]))["city"] for call in calls] == ["Oslo", "Rome"]
    assert len({str(call["call_id"]) for call in calls}) == 2

    results = [{"type": "function_call_output", "call_id": call["call_id"], "output": "snow, again"} for call in calls]
    second: Any = rig.client.responses.create(model="chat", input=[*asked, *calls, *results], tools=[RESPONSES_TOOL])
    assert "snow, again" in second.output_text


@pytest.mark.parametrize(("model", "endpoint"), [("chat", "responses"), ("responses", "chat")])
def test_cached_tokens_are_counted_whole_and_streamed(rig: Rig, model: str, endpoint: str) -> None:
    long = "A sentence that is there each time. " * 400
    counted = []
    for is_streamed in (False, False, True):
        if endpoint == "responses":
            text = {"model": model, "input": long, "prompt_cache_key": "k"}
            made: Any = rig.client.responses.create(**text, stream=is_streamed)  # type: ignore[call-overload]
            usage = (list(made)[-1].response if is_streamed else made).usage
            counted.append(usage.input_tokens_details.cached_tokens)
        else:
            chat: Any = {"model": model, "messages": [{"role": "user", "content": long}], "prompt_cache_key": "k"}
            options = {"stream_options": {"include_usage": True}} if is_streamed else {}
            made = rig.client.chat.completions.create(**chat, stream=is_streamed, **options)
            usage = (list(made)[-1] if is_streamed else made).usage
            counted.append(usage.prompt_tokens_details.cached_tokens)

    assert counted[0] == 0
    assert counted[1] == counted[2] >= 1024
    assert rig.record().cached_tokens == counted[2]


def test_the_asynchronous_client_reads_bridged_streams(rig: Rig) -> None:
    async def read() -> tuple[str, str]:
        async with rig.gateway.async_openai(max_retries=0) as client:
            async with client.responses.stream(model="chat", input="Say hello.") as stream:
                response = await stream.get_final_response()
            async with client.chat.completions.stream(
                model="responses", messages=[{"role": "user", "content": "Say hello."}]
            ) as chat:
                completion = await chat.get_final_completion()
            return response.output_text, completion.choices[0].message.content or ""

    response, completion = asyncio.run(read())
    assert response == completion
    assert "hello" in response


# -- upstreams that fail -----------------------------------------------------------------------------------------------


def call(rig: Rig, model: str, *, stream: bool) -> object:
    if model == "chat":
        made: Any = rig.client.responses.create(model=model, input="Say hello.", stream=stream)  # type: ignore[call-overload]
    else:
        messages: Any = [{"role": "user", "content": "Say hello."}]
        made = rig.client.chat.completions.create(model=model, messages=messages, stream=stream)
    return list(made) if stream else made


@pytest.mark.parametrize("rig", ["{kind: failing, after_content: 0}"], indirect=True)
@pytest.mark.parametrize("model", ["chat", "responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_word_is_an_error_never_an_empty_answer(rig: Rig, model: str, stream: bool) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        call(rig, model, stream=stream)
    assert failed.value.status_code >= 500
    assert rig.record().outcome == "failed"


@pytest.mark.parametrize(
    "rig",
    ["{kind: failing, after_content: 2}", "{kind: cut, after_content: 2}"],
    indirect=True,
)
@pytest.mark.parametrize("model", ["chat", "responses"])
def test_a_failure_in_a_stream_raises_and_what_came_is_counted(rig: Rig, model: str) -> None:
    with pytest.raises(openai.APIError):
        call(rig, model, stream=True)
    record = rig.record()
    assert record.outcome == "failed"
    assert record.output_tokens > 0


@pytest.mark.parametrize(
    "rig", ["{kind: malformed, shape: truncated}", "{kind: malformed, shape: html}"], indirect=True
)
@pytest.mark.parametrize("model", ["chat", "responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_garbage_is_a_502(rig: Rig, model: str, stream: bool) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        call(rig, model, stream=stream)
    assert (failed.value.status_code, failed.value.code) == (502, "upstream_invalid")


@pytest.mark.parametrize("rig", ["{kind: rate_limited, retry_after_s: 2}"], indirect=True)
@pytest.mark.parametrize("model", ["chat", "responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_of_the_provider_keeps_its_status_and_its_delay(rig: Rig, model: str, stream: bool) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        call(rig, model, stream=stream)
    assert limited.value.response.headers["retry-after"] == "2"
