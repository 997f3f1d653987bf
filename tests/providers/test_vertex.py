"""Vertex AI: asked as Google's own client asks it."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from google import genai
from google.auth.credentials import Credentials
from google.genai import types

from headworks.calls import Endpoint, FailureKind
from headworks.config import parse
from headworks.providers import ProviderSettings, VertexProvider

BASE = "/v1/projects/p-1/locations/europe-west4"


def provider(**settings: Any) -> VertexProvider:
    return VertexProvider(ProviderSettings("google", **{"api_key": "ya29.token", "base_path": BASE, **settings}))


def path(model: str, *, is_streamed: bool = False) -> str:
    return provider().call_path(Endpoint.GENERATE_CONTENT, model, is_streamed=is_streamed)


class _Token(Credentials):
    """Credentials that have a token already."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = "ya29.token"

    def refresh(self, request: Any) -> None:
        """It needs none."""


@pytest.mark.parametrize("is_streamed", [False, True])
def test_it_is_asked_as_googles_own_client_asks(is_streamed: bool) -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json={"candidates": []}, headers={"content-type": "application/json"})

    options = types.HttpOptions(api_version="v1", httpx_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
    client = genai.Client(
        vertexai=True, project="p-1", location="europe-west4", credentials=_Token(), http_options=options
    )
    if is_streamed:
        list(client.models.generate_content_stream(model="gemini-3.5-flash", contents="x"))
    else:
        client.models.generate_content(model="gemini-3.5-flash", contents="x")

    sent = provider().json_request(path("gemini-3.5-flash", is_streamed=is_streamed), b"{}", b"")
    assert sent.line.decode() == f"POST {asked[0].url.raw_path.decode()} HTTP/1.1\r\n"
    assert f"authorization: {asked[0].headers['authorization']}\r\n".encode() in sent.headers
    assert b"x-goog-api-key" not in sent.headers
    assert asked[0].url.host == "europe-west4-aiplatform.googleapis.com"


@pytest.mark.parametrize("model", ["a/../b", "a?b", "a:countTokens", "endpoints/1/../../x", "publishers/x/models/y"])
def test_a_models_name_leads_to_no_other_path(model: str) -> None:
    found = path(model)
    assert found.count("/") == (2 if model.startswith("endpoints/") else 4)
    assert (found.count(":"), found.count("?"), ".." in found.split("/")) == (1, 0, False)


def test_a_tuned_model_is_an_endpoint_of_the_project() -> None:
    assert path("endpoints/1234") == "/endpoints/1234:generateContent"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
    ],
)
def test_where_it_is_follows_from_project_and_location(location: str, host: str) -> None:
    text = f"version: 1\nproviders:\n  g: {{kind: vertex, project: p-1, location: {location}}}\n"
    configured = parse(text, file="headworks.yaml", base=Path()).config.providers["g"]
    assert configured.base_url == f"https://{host}/v1/projects/p-1/locations/{location}"
    assert (configured.api_key, configured.speaks) == (
        "gcp-token:cloud-platform",
        ("generate_content", "embed_content", "cached_contents"),
    )


def test_its_refusals_are_those_of_ai_studio() -> None:
    body = b'{"error": {"code": 429, "message": "No.", "status": "RESOURCE_EXHAUSTED"}}'
    assert provider().classify(429, {}, body).kind is FailureKind.RATE_LIMITED
    body = b'{"error": {"code": 401, "message": "No.", "status": "UNAUTHENTICATED"}}'
    assert provider().classify(401, {}, body).kind is FailureKind.UNAUTHORIZED
