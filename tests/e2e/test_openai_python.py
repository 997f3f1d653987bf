"""The official Python SDK, unchanged, against a running gateway."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pydantic
import pytest
from e2e_processes import Gateway, Process

IN_PROCESS = """
version: 1
providers:
  sim: {kind: simulator, pace: 0}
models:
  nano: sim/gpt-6-luna
  embedding: sim/text-embedding-3-small
"""


def over_a_socket(address: str) -> str:
    return f"""
version: 1
providers:
  sim:
    kind: openai-compatible
    base_url: {address}/v1
    api_key: file:provider-key
    speaks: [responses, chat, embeddings, moderations, images, audio]
    models: [gpt-6-luna, gpt-6.1-sol, text-embedding-3-small, omni-moderation-latest, gpt-image-1, gpt-4o-mini-tts]
models:
  nano: sim/gpt-6-luna
  embedding: sim/text-embedding-3-small
"""


@pytest.fixture(scope="module", params=["in process", "over a socket"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, simulator: Process
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "provider-key").write_text("sk-provider")
    (folder / "provider-key").chmod(0o600)
    running = Gateway(folder, IN_PROCESS if request.param == "in process" else over_a_socket(simulator.address))
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as made:
        yield made


def test_a_response_comes_whole(client: openai.OpenAI) -> None:
    response = client.responses.create(model="nano", input="Say hello.")
    assert response.status == "completed"
    assert "hello" in response.output_text
    assert response.usage is not None
    assert response.usage.output_tokens > 0


def test_a_response_streams_through_the_sdks_accumulator(client: openai.OpenAI) -> None:
    with client.responses.stream(model="nano", input="Say hello.") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "hello" in final.output_text


def test_a_chat_completion_comes_whole(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="nano", messages=[{"role": "user", "content": "Say hello."}])
    assert "hello" in (completion.choices[0].message.content or "")
    assert completion.usage is not None


def test_a_chat_stream_has_usage_only_when_asked_for(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "Say hello."}]
    plain = list(client.chat.completions.create(model="nano", messages=messages, stream=True))  # type: ignore[arg-type]
    asked = list(
        client.chat.completions.create(
            model="nano",
            messages=messages,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert all(chunk.usage is None and chunk.choices for chunk in plain)
    assert asked[-1].usage is not None
    assert asked[-1].choices == []


def test_structured_output_is_parsed_by_the_sdks_helpers(client: openai.OpenAI) -> None:
    class Verdict(pydantic.BaseModel):
        label: str
        score: float

    response = client.responses.parse(model="nano", input="Judge this.", text_format=Verdict)
    completion = client.chat.completions.parse(
        model="nano", messages=[{"role": "user", "content": "Judge this."}], response_format=Verdict
    )
    assert isinstance(response.output_parsed, Verdict)
    assert isinstance(completion.choices[0].message.parsed, Verdict)


def test_tools_are_called(client: openai.OpenAI) -> None:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": parameters}}
    completion = client.chat.completions.create(
        model="nano",
        messages=[{"role": "user", "content": "What is the weather in Oslo?"}],
        tools=[tool],  # type: ignore[list-item]
        tool_choice="required",
    )
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert json.loads(calls[0].function.arguments)["city"]  # type: ignore[union-attr]


def test_a_stored_response_can_be_had_again_and_deleted(client: openai.OpenAI) -> None:
    made = client.responses.create(model="nano", input="Keep this.")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    assert len(client.responses.input_items.list(made.id).data) == 1
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_background_response_can_be_cancelled(client: openai.OpenAI) -> None:
    made = client.responses.create(model="nano", input="Take your time.", background=True)
    assert made.status in ("queued", "in_progress", "completed")
    assert client.responses.cancel(made.id).status in ("cancelled", "completed")


def test_another_keys_response_is_not_found(gateway: Gateway, client: openai.OpenAI) -> None:
    made = client.responses.create(model="nano", input="Mine.")
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.new_key("other"), max_retries=0) as other:
        time_limit = time.monotonic() + 5
        while True:  # a new key is known within a second
            try:
                with pytest.raises(openai.NotFoundError):
                    other.responses.retrieve(made.id)
                break
            except openai.AuthenticationError:
                assert time.monotonic() < time_limit
        with pytest.raises(openai.NotFoundError, match="Previous response"):
            other.responses.create(model="nano", input="Yours?", previous_response_id=made.id)


def test_the_other_endpoints_pass_through(client: openai.OpenAI) -> None:
    assert len(client.embeddings.create(model="embedding", input="x").data[0].embedding) > 100
    assert client.moderations.create(input="hello").results[0].flagged is False
    image = client.images.generate(model="sim/gpt-image-1", prompt="a dot").data
    assert image is not None
    assert image[0].b64_json
    assert client.audio.speech.create(model="sim/gpt-4o-mini-tts", voice="alloy", input="hello").read()


def test_models_are_listed(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "nano" in names
    assert client.models.retrieve("nano").id == "nano"
    for name in names:
        assert client.models.retrieve(name).id == name


def test_every_answer_names_its_call(client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model="nano", input="Say hello.")
    assert raw.headers["x-headworks-call-id"].startswith("call_")
    assert raw.headers["x-request-id"]
    assert float(raw.headers["x-headworks-upstream-ms"]) >= 0
    with pytest.raises(openai.NotFoundError) as refused:
        client.responses.create(model="nowhere/at-all" * 20, input="x")
    assert refused.value.response.headers["x-headworks-call-id"].startswith("call_")


def test_the_async_client_runs_many_calls_at_once(gateway: Gateway) -> None:
    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
            answers = await asyncio.gather(
                *(client.responses.create(model="nano", input=f"call {index}") for index in range(40))
            )
        return [answer.output_text for answer in answers]

    texts = asyncio.run(run())
    assert all(f"call {index}" in text for index, text in enumerate(texts))


def test_a_wrong_key_is_an_authentication_error(gateway: Gateway) -> None:
    with (
        openai.OpenAI(base_url=gateway.base_url, api_key="hw-nonsense", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        client.responses.create(model="nano", input="x")
    assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"model": "nano", "messages": [}', 400, "invalid_json"),
        (b'{"model": 5, "messages": []}', 400, "invalid_type"),
        (b'{"messages": []}', 400, "missing_required_parameter"),
        (b'{"model": "nano"}', 400, "missing_required_parameter"),
        (b"[]", 400, "invalid_type"),
    ],
)
def test_bad_bodies_are_refused_with_a_code(gateway: Gateway, body: bytes, status: int, code: str) -> None:
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    answer = httpx2.post(f"{gateway.base_url}/chat/completions", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


def test_every_call_is_recorded_once_with_its_tokens(gateway: Gateway, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="nano", messages=[{"role": "user", "content": "Count me."}], user="somebody"
    )
    completion = raw.parse()
    assert completion.usage is not None
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert record.outcome == "answered"
    assert record.status == 200
    assert record.requested_model == "nano"
    assert record.model == "gpt-6-luna"
    assert record.provider == "sim"
    assert record.user == "somebody"
    assert record.usage_source == "provider"
    assert record.input_tokens == completion.usage.prompt_tokens
    assert record.output_tokens == completion.usage.completion_tokens
    assert record.finish_reason == "stop"


def test_nothing_of_a_prompt_or_a_key_reaches_the_log(gateway: Gateway, client: openai.OpenAI, tmp_path: Path) -> None:
    client.responses.create(model="nano", input="a very secret sentence")
    said = "".join(gateway.process.said)
    assert "secret sentence" not in said
    assert gateway.key not in said
    assert "sk-provider" not in said
