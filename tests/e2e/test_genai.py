"""Google's own client over each kind of upstream: a gateway, and a simulator behind it that speaks as the provider
does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e_processes import Gateway, Process
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

CONFIG = """
version: 1
providers:
  google: {{kind: gemini, base_url: "{simulator}/v1beta", api_key: env:ANY_KEY}}
  claude: {{kind: anthropic, base_url: "{simulator}/v1", api_key: env:ANY_KEY}}
  gpt: {{kind: openai-compatible, base_url: "{simulator}/v1", api_key: env:ANY_KEY, speaks: [responses]}}
  cellar: {{kind: openai-compatible, base_url: "{simulator}/v1", api_key: env:ANY_KEY, speaks: [chat]}}
models:
  gemini: google/gemini-3.5-flash
  claude: claude/claude-sonnet-5
  gpt: gpt/gpt-6.1-sol
  cellar: cellar/gpt-6-luna
"""
MODELS = ["gemini", "claude", "gpt", "cellar"]
ASKED = "The weather in Oslo?"
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Looks.",
            parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        )
    ]
)


class Person(BaseModel):
    """What structured output is asked for."""

    name: str
    age: int


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, simulator: Process) -> Iterator[Gateway]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANY_KEY", "any-key")
        running = Gateway(tmp_path_factory.mktemp("genai"), CONFIG.format(simulator=simulator.address))
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.fixture
def client(gateway: Gateway) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=gateway.process.address)
    with genai.Client(api_key=gateway.key, http_options=options) as client:
        yield client


def ask(client: genai.Client, model: str, contents: Any = ASKED, **config: Any) -> types.GenerateContentResponse:
    return client.models.generate_content(model=model, contents=contents, config=config or None)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_given_and_recorded(gateway: Gateway, client: genai.Client, model: str) -> None:
    answer = ask(client, model, system_instruction="Be kind.", max_output_tokens=900)
    assert answer.sdk_http_response is not None
    record = gateway.record((answer.sdk_http_response.headers or {})["x-headworks-call-id"])
    usage = answer.usage_metadata
    assert usage is not None
    candidates = answer.candidates or []

    assert answer.text
    assert candidates[0].finish_reason is types.FinishReason.STOP
    assert (record.endpoint, record.requested_model, record.outcome) == ("generate_content", model, "answered")
    assert (record.finish_reason, record.usage_source) == ("STOP", "provider")
    assert record.input_tokens == usage.prompt_token_count
    assert record.output_tokens == (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) > 0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("config", [{}, {"tools": [TOOL]}], ids=["text", "tools"])
def test_the_pieces_of_a_stream_are_the_whole_answer(client: genai.Client, model: str, config: Any) -> None:
    chunks = list(client.models.generate_content_stream(model=model, contents=ASKED, config=config))
    whole = ask(client, model, **config)
    parts = [part for chunk in chunks for one in chunk.candidates or () for part in one.content.parts or ()]

    assert "".join(part.text or "" for part in parts if not part.thought) == (whole.text or "")
    called = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
    assert called == [(call.name, call.args) for call in whole.function_calls or []]
    assert bool(called) is ("tools" in config)
    assert chunks[-1].usage_metadata is not None
    assert whole.usage_metadata is not None
    assert chunks[-1].usage_metadata.total_token_count == whole.usage_metadata.total_token_count


@pytest.mark.parametrize("model", MODELS)
def test_functions_go_round(client: genai.Client, model: str) -> None:
    thinking: Any = {} if model == "cellar" else {"thinking_config": {"include_thoughts": True}}
    first = ask(client, model, tools=[TOOL], **thinking)
    called = (first.function_calls or [])[0]
    result = types.Part(
        function_response=types.FunctionResponse(id=called.id, name=called.name, response={"output": "snow, again"})
    )
    turns = [
        types.Content(role="user", parts=[types.Part(text=ASKED)]),
        (first.candidates or [])[0].content,
        types.Content(role="user", parts=[result]),
    ]
    assert "snow, again" in (ask(client, model, turns, tools=[TOOL], **thinking).text or "")


@pytest.mark.parametrize("model", MODELS)
def test_structured_output_is_parsed(client: genai.Client, model: str) -> None:
    answer = ask(
        client,
        model,
        "Make up a person.",
        response_mime_type="application/json",
        response_json_schema=Person.model_json_schema(),
    )
    assert Person.model_validate_json(answer.text or "")


@pytest.mark.parametrize("model", MODELS)
def test_images_go_up(client: genai.Client, model: str) -> None:
    pixel = types.Part.from_bytes(data=b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", mime_type="image/gif")
    assert ask(client, model, ["See this:", pixel]).text


def test_errors_are_googles(client: genai.Client, gateway: Gateway) -> None:
    with pytest.raises(errors.ClientError) as unknown:
        ask(client, "no-such-model")
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as refused:
        ask(client, "gpt", top_k=5)
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert "generationConfig.topK" in str(refused.value)
    assert ask(client, "gemini", top_k=5).text
    stranger = genai.Client(api_key="hw-wrong", http_options=types.HttpOptions(base_url=gateway.process.address))
    with pytest.raises(errors.ClientError) as wrong:
        ask(stranger, "gemini")
    assert (wrong.value.code, wrong.value.status) == (401, "UNAUTHENTICATED")


# -- caches ------------------------------------------------------------------------------------------------------------

POOLED = """
version: 1
providers:
  google:
    kind: gemini
    base_url: "{simulator}/v1beta"
    pools: {{one: {{api_key: env:ONE_KEY}}, two: {{api_key: env:TWO_KEY}}}}
models:
  gemini: google/gemini-3.5-flash
"""


@pytest.fixture
def pooled(make_gateway: Callable[..., Gateway], simulator: Process, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.setenv("ONE_KEY", "one-key")
    monkeypatch.setenv("TWO_KEY", "two-key")
    return make_gateway(POOLED.format(simulator=simulator.address))


def client_of(gateway: Gateway, key: str, version: str) -> genai.Client:
    options = types.HttpOptions(base_url=gateway.process.address, api_version=version)
    return genai.Client(api_key=key, http_options=options)


def test_a_cache_is_made_and_used_by_its_maker_and_by_nobody_else(pooled: Gateway) -> None:
    ours, theirs = client_of(pooled, pooled.key, "v1"), client_of(pooled, pooled.new_key("other"), "v1beta")
    made = ours.caches.create(model="gemini", config={"contents": ["word " * 2000], "ttl": "300s"})
    assert made.name is not None
    assert made.usage_metadata is not None
    size = made.usage_metadata.total_token_count

    for _ in range(4):  # of the two pools only one has it
        answer = ours.models.generate_content(model="gemini", contents="x", config={"cached_content": made.name})
        assert answer.usage_metadata is not None
        assert answer.usage_metadata.cached_content_token_count == size
    pieces = list(
        ours.models.generate_content_stream(model="gemini", contents="x", config={"cached_content": made.name})
    )
    assert pieces[-1].usage_metadata is not None
    assert pieces[-1].usage_metadata.cached_content_token_count == size

    for call in (
        lambda: theirs.caches.get(name=made.name or ""),
        lambda: theirs.caches.update(name=made.name or "", config=types.UpdateCachedContentConfig(ttl="1s")),
        lambda: theirs.caches.delete(name=made.name or ""),
        lambda: theirs.models.generate_content(model="gemini", contents="x", config={"cached_content": made.name}),
    ):
        with pytest.raises(errors.ClientError) as caught:
            call()
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    assert list(theirs.caches.list()) == []

    kept = ours.caches.update(name=made.name, config=types.UpdateCachedContentConfig(ttl="7200s"))
    assert kept.expire_time is not None
    assert made.expire_time is not None
    assert kept.expire_time > made.expire_time
    assert [one.name for one in ours.caches.list()] == [made.name]
    ours.caches.delete(name=made.name)
    assert list(ours.caches.list()) == []
    for _ in range(3):  # a name that is wrong says nothing against our key
        with pytest.raises(errors.ClientError) as caught:
            ours.models.generate_content(model="gemini", contents="x", config={"cached_content": "cachedContents/no"})
        assert caught.value.code == 403
    assert ours.models.generate_content(model="gemini", contents="x").text
