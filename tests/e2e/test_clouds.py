"""Upstreams that serve another maker's API: Azure OpenAI by both of its surfaces, Vertex AI, and servers with quirks.
Official clients call one gateway, with a simulator behind it that speaks as each of them does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import anthropic
import openai
import pytest
from e2e_processes import Gateway, Process
from google import genai
from google.genai import types

CONFIG = """
version: 1
secrets: {{azure: {{tenant: t-1, client: c-1, client_secret: "env:ANY_KEY", authority: "{authority}"}}}}
providers:
  blue: {{kind: azure, base_url: "{simulator}", api_key: env:ANY_KEY}}
  old-blue: {{kind: azure, base_url: "{simulator}", api_version: "2024-10-21", api_key: env:ANY_KEY}}
  token: {{kind: azure, base_url: "{simulator}", api_key: "azure-token:cognitiveservices.azure.com"}}
  vertex: {{kind: vertex, base_url: "{simulator}/v1/projects/p/locations/global", api_key: env:ANY_TOKEN}}
  studio: {{kind: gemini, base_url: "{simulator}/v1beta", api_key: env:ANY_KEY}}
  aws: {{kind: bedrock, region: eu-west-1, base_url: "{simulator}", api_key: env:ANY_KEY}}
  signed:
    kind: bedrock
    region: eu-west-1
    base_url: "{simulator}"
    access_key_id: env:ANY_KEY
    secret_access_key: env:ANY_KEY
    guardrail: abc123:1
  paris: {{kind: openai-compatible, quirks: mistral, base_url: "{simulator}/v1", api_key: env:ANY_KEY}}
"""
TOKEN = "eyJhbGciOi.eyJhdWQi.c2ln"
AZURE = ["blue/gpt-6-luna", "old-blue/gpt-6-luna", "token/gpt-6-luna"]
ASKED: Any = [{"role": "user", "content": "The weather in Oslo?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Authority(BaseHTTPRequestHandler):
    """Makes out tokens, as Entra ID does."""

    asked: ClassVar[list[dict[str, list[str]]]] = []

    def do_POST(self) -> None:
        assert self.path == "/t-1/oauth2/v2.0/token"
        self.asked.append(parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()))
        body = json.dumps({"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is there
        """Say nothing."""


@pytest.fixture(scope="module")
def authority() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Authority) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, simulator: Process, authority: str) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("clouds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANY_KEY", "any-key")
        patch.setenv("ANY_TOKEN", TOKEN)
        gateway = Gateway(folder, CONFIG.format(simulator=simulator.address, authority=authority))
    yield gateway
    assert gateway.process.stop() == 0, gateway.process.said


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", AZURE)
def test_azure_answers_and_its_request_id_is_recorded(gateway: Gateway, client: openai.OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASKED, max_completion_tokens=900)
    answer = raw.parse()
    record = gateway.record(raw.headers["x-headworks-call-id"])

    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert (record.outcome, record.output_tokens) == ("answered", answer.usage.completion_tokens)
    assert record.upstream_request_id.startswith("req_")
    assert raw.headers["x-request-id"] == record.upstream_request_id


@pytest.mark.parametrize("model", AZURE)
def test_the_annotations_of_azures_filter_break_no_stream(client: openai.OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=ASKED, stream_options={"include_usage": True}) as stream:
        streamed = stream.get_final_completion()
    whole = client.chat.completions.create(model=model, messages=ASKED)

    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert streamed.usage is not None
    assert (whole.model_extra or {})["prompt_filter_results"]


@pytest.mark.parametrize("model", AZURE)
def test_azure_answers_responses_messages_and_embeddings(gateway: Gateway, client: openai.OpenAI, model: str) -> None:
    assert client.responses.create(model=model, input="Hello").output_text
    with anthropic.Anthropic(base_url=gateway.process.address, api_key=gateway.key) as claude:
        said = claude.messages.create(model=model, max_tokens=900, messages=ASKED).content[0]
    assert said.type == "text"
    vectors = client.embeddings.create(model=f"{model.partition('/')[0]}/text-embedding-3-small", input="x")
    assert vectors.data


def test_a_stored_response_is_found_again_by_the_older_surface(client: openai.OpenAI) -> None:
    made = client.responses.create(model="old-blue/gpt-6-luna", input="Hello", store=True)
    assert client.responses.retrieve(made.id).output_text == made.output_text
    client.responses.delete(made.id)


def test_the_token_is_made_out_for_the_audience_before_any_call(gateway: Gateway) -> None:
    scopes = {one["scope"][0] for one in Authority.asked}
    assert scopes == {"https://cognitiveservices.azure.com/.default"}
    assert gateway.process.process.poll() is None


def test_an_unknown_deployment_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="old-blue/nobody", messages=ASKED)


def test_vertex_answers_chat_with_tools_and_in_streams(gateway: Gateway, client: openai.OpenAI) -> None:
    model = "vertex/gemini-3.5-flash"
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASKED, tools=[TOOL])
    calls = raw.parse().choices[0].message.tool_calls
    assert calls
    assert calls[0].type == "function"
    assert json.loads(calls[0].function.arguments)["city"]
    assert gateway.record(raw.headers["x-headworks-call-id"]).provider == "vertex"
    with client.chat.completions.stream(model=model, messages=ASKED) as stream:
        assert stream.get_final_completion().choices[0].message.content


def test_googles_own_client_reaches_vertex_through_the_gateway(gateway: Gateway) -> None:
    options = types.HttpOptions(base_url=gateway.process.address)
    with genai.Client(api_key=gateway.key, http_options=options) as google:
        assert google.models.generate_content(model="vertex/gemini-3.5-flash", contents="Hello").text
        chunks = google.models.generate_content_stream(model="vertex/gemini-3.5-flash", contents="Hello")
        assert "".join(chunk.text or "" for chunk in chunks)


def test_a_server_with_quirks_gets_what_it_reads(client: openai.OpenAI, simulator: Process) -> None:
    answer = client.chat.completions.create(
        model="paris/gpt-6-luna", messages=ASKED, max_completion_tokens=900, store=False
    )
    assert answer.choices[0].message.content
    with client.chat.completions.stream(
        model="paris/gpt-6-luna", messages=ASKED, max_completion_tokens=900, stream_options={"include_usage": True}
    ) as stream:
        assert stream.get_final_completion().choices[0].message.content
    with pytest.raises(openai.BadRequestError, match="`logit_bias` is not supported by paris"):
        client.chat.completions.create(model="paris/gpt-6-luna", messages=ASKED, logit_bias={"5": 1})


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("studio/gemini-embedding-001", 103),
        ("vertex/gemini-embedding-001", 1),
        ("vertex/gemini-embedding-001", 103),
        ("vertex/text-embedding-005", 3),
        ("aws/amazon.titan-embed-text-v2:0", 12),
        ("signed/amazon.titan-embed-text-v2:0", 2),
        ("aws/eu.cohere.embed-v4:0", 98),
        ("blue/text-embedding-3-small", 3),
    ],
)
def test_openais_client_has_embeddings_of_every_makers_models(
    gateway: Gateway, client: openai.OpenAI, model: str, count: int, encoding: Any
) -> None:
    texts = [f"The weather in place {number}" for number in range(count)]
    raw = client.embeddings.with_raw_response.create(model=model, input=texts, dimensions=256, encoding_format=encoding)
    found = raw.parse()
    one = client.embeddings.create(model=model, input=texts[-1], dimensions=256)

    assert [len(each.embedding) for each in found.data] == ([256] if encoding == "float" else [1368]) * count
    if encoding == "float":
        assert found.data[-1].embedding == pytest.approx(one.data[0].embedding, abs=1e-6)
    assert found.usage.prompt_tokens >= one.usage.prompt_tokens > 0
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert (record.outcome, record.input_tokens) == ("answered", found.usage.prompt_tokens)
    assert record.usage_source == "provider"
    if "titan" in model:
        assert record.cost_pico == 20_000 * record.input_tokens


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"dimensions": 256}, "dimensions"),
        ({"extra_body": {"brand_new": 1}}, "brand_new"),
        ({"input": [1, 2]}, "input"),
    ],
)
def test_what_a_model_that_embeds_cannot_be_asked_is_refused(client: openai.OpenAI, fields: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(**{"model": "aws/amazon.titan-embed-text-v1", "input": "x"} | fields)
    assert str(refused.value.param).startswith(param)


def test_an_error_of_a_part_is_the_calls_in_openais_words(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Too many input tokens"):
        client.embeddings.create(model="aws/amazon.titan-embed-text-v2:0", input=["x", "one two " * 9000])


def test_googles_client_keeps_caches_at_vertex_ai(gateway: Gateway) -> None:
    options = types.HttpOptions(base_url=gateway.process.address)
    with genai.Client(api_key=gateway.key, http_options=options) as client:
        model = "vertex/gemini-3.5-flash"
        book = client.caches.create(model=model, config={"contents": ["A long book. " * 1000], "ttl": "600s"})
        assert book.name is not None
        assert book.name.startswith("cachedContents/")
        assert book.model == "models/gemini-3.5-flash"
        assert book.usage_metadata is not None
        answer = client.models.generate_content(
            model=model, contents="Who wrote it?", config={"cached_content": book.name}
        )
        assert answer.usage_metadata is not None
        assert answer.usage_metadata.cached_content_token_count == book.usage_metadata.total_token_count
        kept = client.caches.update(name=book.name, config=types.UpdateCachedContentConfig(ttl="3600s"))
        assert kept.name == book.name
        assert [one.name for one in client.caches.list()] == [book.name]
        client.caches.delete(name=book.name)
        assert list(client.caches.list()) == []
