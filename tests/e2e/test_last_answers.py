"""The official clients of a gateway whose provider says nothing: heartbeats, invisible fallbacks, last answers."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from e2e_processes import Gateway
from google import genai
from google.genai import types

CONFIG = """
version: 1
server: {{heartbeat_s: 0.05}}
defaults: {{retries: 0}}
providers:
  silent:
    kind: openai-compatible
    base_url: "http://127.0.0.1:{port}/v1"
    speaks: [chat, responses]
    timeouts: {{first_byte_s: 0.4}}
  sim: {{kind: simulator, pace: 0}}
models:
  smart: {{provider: silent, model: m, fallback: [sim/gpt-6-luna]}}
  alone: {{provider: silent, model: a, answer: "We will answer tomorrow."}}
  mute: {{provider: silent, model: b}}
  dumb: {{provider: silent, model: c}}
"""
PROMPT = """---
version: 1.0.0
variables: {ticket: string}
---
{% user %}
{{ ticket | fence }}
{% input %}
"""
CODE = """
def answer(asked, context):
    return f"{context['variables']['ticket']}, {asked}: later ({context['reason']})"
"""
SUM = """
def answer(asked, context):
    numbers = asked.split("+")
    return str(sum(map(int, numbers))) if all(number.strip().isdigit() for number in numbers) else None
"""
SAID = "Lost order, Where?: later (upstream_timeout)"
ASKED: Any = [{"role": "user", "content": "Where?"}]
VARIABLES = {"prompt": {"variables": {"ticket": "Lost order"}}}
WHY = {"headworks.degraded": "upstream_timeout"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("last")
    workload = folder / "workloads" / "tickets"
    workload.mkdir(parents=True)
    contract = "owner: o\ndescription: d\nladder: [dumb]\nfallback: [deterministic]\n"
    contract += "validation: {rules_timeout_s: 20}\n"
    for name, text in (("workload.yaml", contract), ("prompt.md", PROMPT), ("fallback.py", CODE)):
        (workload / name).write_text(text)
    decided = folder / "workloads" / "sums"
    decided.mkdir()
    contract = "owner: o\ndescription: d\nladder: [sim/gpt-6-luna]\nfirst: deterministic\n"
    contract += "validation: {rules_timeout_s: 20}\n"
    for name, text in (("workload.yaml", contract), ("first.py", SUM)):
        (decided / name).write_text(text)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:  # takes connections, and says nothing
        running = Gateway(folder, CONFIG.format(port=listening.getsockname()[1]))
        yield running
        assert running.process.stop() == 0, running.process.said


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.process.address, api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture
def gemini(gateway: Gateway) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=gateway.process.address)
    with genai.Client(api_key=gateway.key, http_options=options) as made:
        yield made


def test_clients_see_a_fallback_behind_an_early_head_as_one_stream(
    client: openai.OpenAI, claude: anthropic.Anthropic, gemini: genai.Client
) -> None:
    with client.responses.stream(model="smart", input="x") as events:
        assert events.get_final_response().output_text
    chunks = list(client.chat.completions.create(model="smart", messages=ASKED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    with claude.messages.stream(model="smart", messages=ASKED, max_tokens=100) as stream:
        assert stream.get_final_text()
    said = [part.text for part in gemini.models.generate_content_stream(model="smart", contents="x")]
    assert "".join(text or "" for text in said)


def test_clients_raise_what_comes_as_an_event_when_nobody_is_left(
    client: openai.OpenAI, claude: anthropic.Anthropic, gemini: genai.Client
) -> None:
    with pytest.raises(openai.APIError, match="upstream"):
        list(client.chat.completions.create(model="mute", messages=ASKED, stream=True))
    with pytest.raises(openai.APIError, match="upstream"):
        list(client.responses.create(model="mute", input="x", stream=True))
    with pytest.raises(anthropic.APIError, match="upstream"):
        list(claude.messages.create(model="mute", messages=ASKED, max_tokens=100, stream=True))
    with pytest.raises(genai.errors.APIError, match="upstream"):
        list(gemini.models.generate_content_stream(model="mute", contents="x"))


def test_a_models_own_text_is_an_answer_to_every_client(
    client: openai.OpenAI, claude: anthropic.Anthropic, gemini: genai.Client
) -> None:
    text = "We will answer tomorrow."
    response = client.responses.create(model="alone", input="x")
    assert (response.output_text, response.metadata, response.model) == (text, WHY, "headworks/deterministic")
    completion = client.chat.completions.create(model="alone", messages=ASKED)
    assert completion.choices[0].message.content == text
    assert completion.to_dict()["metadata"] == WHY
    chunks = list(client.chat.completions.create(model="alone", messages=ASKED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    message = claude.messages.create(model="alone", messages=ASKED, max_tokens=100)
    assert message.content[0].type == "text"
    assert message.content[0].text == text
    assert message.to_dict()["metadata"] == WHY
    answer = gemini.models.generate_content(model="alone", contents="x")
    assert (answer.text, answer.model_version) == (text, "headworks/deterministic")


def test_a_workloads_function_answers_every_client(
    gateway: Gateway, client: openai.OpenAI, claude: anthropic.Anthropic, gemini: genai.Client
) -> None:
    response = client.responses.create(model="tickets", input="Where?", extra_body=VARIABLES)
    assert (response.output_text, response.metadata) == (SAID, WHY)
    raw = claude.messages.with_raw_response.create(
        model="tickets", messages=ASKED, max_tokens=100, extra_body=VARIABLES
    )
    assert raw.headers["x-headworks-degraded"] == "upstream_timeout"
    message = raw.parse()
    assert message.content[0].type == "text"
    assert message.content[0].text == SAID
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert (record.workload, record.endpoint, record.finish_reason) == ("tickets", "messages", "degraded")
    with claude.messages.stream(model="tickets", messages=ASKED, max_tokens=100, extra_body=VARIABLES) as stream:
        assert stream.get_final_text() == SAID
    options = types.HttpOptions(extra_body=VARIABLES)
    config = types.GenerateContentConfig(http_options=options)
    assert gemini.models.generate_content(model="tickets", contents="Where?", config=config).text == SAID
    parts = gemini.models.generate_content_stream(model="tickets", contents="Where?", config=config)
    assert "".join(part.text or "" for part in parts) == SAID


def test_code_answers_every_client_before_a_model_is_asked(
    gateway: Gateway, client: openai.OpenAI, claude: anthropic.Anthropic, gemini: genai.Client
) -> None:
    raw = client.responses.with_raw_response.create(model="sums", input="2 + 40")
    assert (raw.headers["x-headworks-decided-by"], raw.headers["x-headworks-cost-usd"]) == ("code", "0.000000000000")
    assert raw.parse().output_text == "42"
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert (record.provider, record.served_model, record.cost_pico) == ("", "headworks/deterministic", 0)
    asked: Any = [{"role": "user", "content": "2+40"}]
    chunks = list(client.chat.completions.create(model="sums", messages=asked, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "42"
    with claude.messages.stream(model="sums", messages=asked, max_tokens=100) as stream:
        assert stream.get_final_text() == "42"
    assert gemini.models.generate_content(model="sums", contents="2+40").text == "42"

    left = client.responses.with_raw_response.create(model="sums", input="two and forty")
    assert "x-headworks-decided-by" not in left.headers
    assert left.parse().model.startswith("gpt-6-luna")
