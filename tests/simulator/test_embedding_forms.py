"""Embeddings as Google's and AWS's APIs have them, read by their own SDKs."""

import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.config
import httpx2
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from google import genai
from google.auth.credentials import Credentials
from google.genai import errors, types

from headworks.exchange import Request
from headworks.simulator.embeddings import vector
from headworks.simulator.plan import Limits, Model

PROJECT = "/v1/projects/p/locations/eu/publishers/google/models"
SMALL: Any = {"models": {"embed": Model(kind="embedding", context_tokens=8, dimensions=256)}}


class _Token(Credentials):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = "ya29.token"

    def refresh(self, request: Any) -> None:
        """It needs none."""


class _Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.getvalue()


@pytest.fixture
def vertex_of(desk_with: Callable[..., Any]) -> Callable[..., genai.Client]:
    def make(**plan: Any) -> genai.Client:
        desk = desk_with(**plan)

        def serve(request: httpx2.Request) -> httpx2.Response:
            headers = {name.lower(): value for name, value in request.headers.raw}
            script = desk.simulator.answer(Request(request.method, request.url.path, "", headers, request.read()))
            return httpx2.Response(
                script.status,
                headers=list(script.headers.items()),
                content=b"".join(beat.data for beat in script.beats),
            )

        options = types.HttpOptions(api_version="v1", httpx_client=httpx2.Client(transport=httpx2.MockTransport(serve)))
        return genai.Client(vertexai=True, project="p", location="eu", credentials=_Token(), http_options=options)

    return make


@pytest.fixture
def aws_of(desk_with: Callable[..., Any]) -> Callable[..., Any]:
    def make(**plan: Any) -> Any:
        desk = desk_with(**plan)

        def serve(request: Any, **_: Any) -> AWSResponse:
            headers = {
                name.lower().encode(): value if isinstance(value, bytes) else value.encode()
                for name, value in request.headers.items()
            }
            headers[b"authorization"] = b"Bearer any"
            script = desk.simulator.answer(Request("POST", urlsplit(request.url).path, "", headers, request.body))
            told = {name.decode(): value.decode() for name, value in script.headers.items()}
            return AWSResponse(request.url, script.status, told, _Raw(b"".join(beat.data for beat in script.beats)))

        session = boto3.Session("AKIDEXAMPLE", "secret", region_name="eu-west-1")
        config = botocore.config.Config(retries={"max_attempts": 0})
        client = session.client("bedrock-runtime", config=config)
        client.meta.events.register("before-send.bedrock-runtime.*", serve)
        return client

    return make


def invoke(client: Any, model: str, **body: Any) -> tuple[Any, Any]:
    answer = client.invoke_model(modelId=model, body=json.dumps(body))
    return json.loads(answer["body"].read()), answer["ResponseMetadata"]["HTTPHeaders"]


@pytest.mark.parametrize("model", ["gemini-embedding-001", "text-embedding-005", "text-embedding-3-small"])
@pytest.mark.parametrize("texts", [["Oslo"], ["Oslo", "Bergen", "a"]])
def test_vertex_ai_embeds_for_googles_client(
    vertex_of: Callable[..., genai.Client], model: str, texts: list[str]
) -> None:
    found = vertex_of().models.embed_content(
        model=model, contents=texts, config=types.EmbedContentConfig(output_dimensionality=64)
    )
    assert found.embeddings is not None
    # A list is one vector for each text; OpenAI's names mean no other model than the plan's.
    assert [one.values for one in found.embeddings] == [vector(text, 1536, 64) for text in texts]


def test_vertex_ai_cuts_what_is_too_long_unless_it_is_told_not_to(vertex_of: Callable[..., genai.Client]) -> None:
    client = vertex_of(**SMALL)
    long = "one two three four five six seven eight nine ten"
    for model in ("gemini-embedding-001", "text-embedding-005"):
        assert client.models.embed_content(model=model, contents=[long]).embeddings
        with pytest.raises(errors.ClientError) as refused:
            client.models.embed_content(
                model=model, contents=[long], config=types.EmbedContentConfig(auto_truncate=False)
            )
        assert "exceeds the maximum number of tokens" in str(refused.value)


def test_older_models_take_so_many_texts_at_once(desk_with: Callable[..., Any]) -> None:
    desk = desk_with()
    body: Any = {"instances": [{"content": "a"}] * 251}
    assert desk.json("POST", f"{PROJECT}/text-embedding-005:predict", body, status=400)["error"]
    body = {"requests": [{"content": {"parts": [{"text": "a"}]}}] * 101}
    assert desk.json("POST", f"{PROJECT}/gemini-embedding-001:batchEmbedContents", body, status=400)["error"]


def test_ai_studio_has_none_of_vertex_ais_ways(desk_with: Callable[..., Any]) -> None:
    desk = desk_with()
    for action in ("predict", "embedContent"):
        assert desk.ask("POST", f"/v1beta/models/gemini-embedding-001:{action}", {}).status == 404
    body = {"requests": [{"content": {"parts": [{"text": "a"}]}, "model": "models/gemini-embedding-001"}]}
    found = desk.json("POST", "/v1beta/models/gemini-embedding-001:batchEmbedContents", body)
    assert found["embeddings"][0]["values"] == vector("a", 1536, 1536)


@pytest.mark.parametrize("size", [256, 1024])
def test_titan_embeds_one_text(aws_of: Callable[..., Any], size: int) -> None:
    told, headers = invoke(aws_of(), "amazon.titan-embed-text-v2:0", inputText="Oslo", dimensions=size)
    assert told["embedding"] == vector("Oslo", 1536, size)
    assert told["embeddingsByType"]["float"] == told["embedding"]
    assert headers["x-amzn-bedrock-input-token-count"] == str(told["inputTextTokenCount"])


def test_the_first_titan_has_one_length(aws_of: Callable[..., Any]) -> None:
    told, _ = invoke(aws_of(), "amazon.titan-embed-text-v1", inputText="Oslo")
    assert set(told) == {"embedding", "inputTextTokenCount"}
    with pytest.raises(ClientError):
        invoke(aws_of(), "amazon.titan-embed-text-v1", inputText="Oslo", dimensions=256)


def test_cohere_embeds_texts_and_says_its_tokens_in_the_head(aws_of: Callable[..., Any]) -> None:
    asked: Any = {"texts": ["Oslo", "Bergen"], "input_type": "search_document"}
    told, headers = invoke(aws_of(), "eu.cohere.embed-v4:0", **asked, output_dimension=256, embedding_types=["float"])
    assert told["embeddings"]["float"] == [vector(text, 1536, 256) for text in asked["texts"]]
    assert int(headers["x-amzn-bedrock-input-token-count"]) > 1
    older, _ = invoke(aws_of(), "cohere.embed-english-v3", **asked)
    assert len(older["embeddings"]) == 2


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("amazon.titan-embed-text-v2:0", {"inputText": "x", "dimensions": 300}),
        ("amazon.titan-embed-text-v2:0", {"inputText": ""}),
        ("amazon.titan-embed-text-v2:0", {"texts": ["x"]}),
        ("cohere.embed-v4:0", {"texts": ["x"]}),
        ("cohere.embed-v4:0", {"texts": ["x"] * 97, "input_type": "search_query"}),
        ("cohere.embed-v4:0", {"texts": ["x"], "input_type": "search_query", "output_dimension": 5}),
        ("cohere.embed-english-v3", {"texts": ["x"], "input_type": "search_query", "output_dimension": 256}),
    ],
)
def test_what_a_maker_does_not_take_is_refused(aws_of: Callable[..., Any], model: str, body: Any) -> None:
    with pytest.raises(ClientError) as refused:
        invoke(aws_of(), model, **body)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_what_is_too_long_is_refused(aws_of: Callable[..., Any]) -> None:
    with pytest.raises(ClientError) as refused:
        invoke(
            aws_of(**SMALL), "amazon.titan-embed-text-v2:0", inputText="one two three four five six seven eight nine"
        )
    assert "Too many input tokens" in str(refused.value)


def test_limits_hold_for_vectors(aws_of: Callable[..., Any]) -> None:
    client = aws_of(models={"embed": Model(kind="embedding", limits=Limits(rpm=1))})
    invoke(client, "amazon.titan-embed-text-v2:0", inputText="x")
    with pytest.raises(ClientError) as refused:
        invoke(client, "amazon.titan-embed-text-v2:0", inputText="x")
    assert refused.value.response["Error"]["Code"] == "ThrottlingException"


def test_a_model_that_answers_does_not_embed(aws_of: Callable[..., Any]) -> None:
    with pytest.raises(ClientError):
        invoke(aws_of(), "anthropic.claude-sonnet-5-v1:0", inputText="x")
