"""Azure OpenAI: asked as OpenAI's own client for it asks, and its refusals understood."""

import asyncio
import json
from urllib.parse import parse_qsl, urlsplit

import httpx2
import openai
import pytest

from headworks.calls import Endpoint, FailureKind
from headworks.errors import Refusal
from headworks.exchange import UpstreamRequest
from headworks.providers import AzureProvider, ProviderSettings

VERSION = "2024-10-21"
TOKEN = "eyJhbGciOi.eyJhdWQi.c2ln"


def provider(base_path: str = "", **settings: str) -> AzureProvider:
    return AzureProvider(ProviderSettings("blue", base_path, **{"api_key": "0123abcd", **settings}))


def lines(sent: UpstreamRequest) -> dict[str, str]:
    pairs = (line.split(": ", 1) for line in sent.headers.decode().splitlines())
    return {name.lower(): value for name, value in pairs}


class Heard:
    """What the official client sends, and the answer that it gets."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.client = httpx2.Client(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(200, json={"object": "list", "data": [], "id": "x", "choices": [], "output": []})

    @property
    def target(self) -> str:
        return self.requests[-1].url.raw_path.decode()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.mark.parametrize("deployment", ["gpt-realtime-2", "my deployment", "a&b=c"])
def test_a_session_of_a_dated_version_is_opened_where_the_official_client_opens_it(deployment: str) -> None:
    client = openai.AsyncAzureOpenAI(
        azure_endpoint="https://blue.openai.azure.com", api_key="0123abcd", api_version="2025-04-01-preview"
    )
    theirs, headers = asyncio.run(client._configure_realtime(deployment, {}))

    blue = provider(api_version="2025-04-01-preview")
    path = blue.call_path(Endpoint.REALTIME, deployment, is_streamed=True)
    sent = blue.request("GET", path, b"", b"", b"")
    method, target, _ = sent.line.decode().split(" ")
    ours = urlsplit(target)
    assert (method, ours.path) == ("GET", theirs.path)
    assert dict(parse_qsl(ours.query)) == dict(theirs.params)
    assert lines(sent)["api-key"] == headers["api-key"]


def test_a_session_of_the_newer_surface_names_its_model() -> None:
    blue = provider()
    sent = blue.request("GET", blue.call_path(Endpoint.REALTIME, "a/b", is_streamed=True), b"", b"", b"")
    assert sent.line == b"GET /openai/v1/realtime?model=a%2Fb HTTP/1.1\r\n"


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings", "/responses", "/completions"])
@pytest.mark.parametrize("deployment", ["gpt-6-luna", "my deployment", "a.b_c"])
def test_a_dated_version_is_asked_as_the_official_client_asks(heard: Heard, path: str, deployment: str) -> None:
    client = openai.AzureOpenAI(
        azure_endpoint="https://blue.openai.azure.com",
        api_key="0123abcd",
        api_version=VERSION,
        http_client=heard.client,
    )
    client.post(path, body={"model": deployment}, cast_to=object)
    theirs = heard.requests[-1]

    sent = provider(api_version=VERSION).json_request(path, json.dumps({"model": deployment}).encode(), b"")

    assert sent.line.decode() == f"POST {heard.target} HTTP/1.1\r\n"
    assert lines(sent)["api-key"] == theirs.headers["api-key"] == "0123abcd"
    assert "authorization" not in lines(sent)


def test_a_token_goes_where_the_official_client_has_it(heard: Heard) -> None:
    client = openai.AzureOpenAI(
        azure_endpoint="https://blue.openai.azure.com",
        azure_ad_token=TOKEN,
        api_version=VERSION,
        http_client=heard.client,
    )
    client.models.list()
    sent = provider(api_key=TOKEN, api_version=VERSION).request("GET", "/models", b"", b"", b"")

    assert sent.line.decode() == f"GET {heard.target} HTTP/1.1\r\n"
    assert lines(sent)["authorization"] == heard.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"
    assert "api-key" not in lines(sent)


@pytest.mark.parametrize("base_path", ["", "/openai", "/openai/v1"])
def test_without_a_version_the_paths_are_openais(heard: Heard, base_path: str) -> None:
    base_url = "https://blue.openai.azure.com/openai/v1/"
    openai.OpenAI(base_url=base_url, api_key="x", http_client=heard.client).responses.create(model="luna", input="x")
    sent = provider(base_path).json_request("/responses", b'{"model":"luna"}', b"a: b\r\n")

    assert sent.line.decode() == f"POST {heard.target} HTTP/1.1\r\n"
    assert (lines(sent)["api-key"], lines(sent)["a"]) == ("0123abcd", "b")


def test_a_proxy_may_stand_before_it() -> None:
    sent = provider("/gate/openai", api_version="preview").json_request("/responses", b"{}", b"")
    assert sent.line == b"POST /gate/openai/v1/responses?api-version=preview HTTP/1.1\r\n"


def test_the_version_goes_behind_what_a_path_asks_for() -> None:
    sent = provider(api_version=VERSION).request("GET", "/responses/r?stream=true", b"", b"", b"")
    assert sent.line == b"GET /openai/responses/r?stream=true&api-version=2024-10-21 HTTP/1.1\r\n"


@pytest.mark.parametrize("model", ["../x", "a/b", "a?b", "a#b", "a\\r\\nx: y"])
def test_the_name_of_a_deployment_leads_to_no_other_path(model: str) -> None:
    body = json.dumps({"model": model.replace("\\r\\n", "\r\n")}).encode()
    line = provider(api_version=VERSION).json_request("/chat/completions", body, b"").line.decode()
    assert line.startswith("POST /openai/deployments/")
    assert (line.count("/"), line.count("?"), line.count("\r\n")) == (6, 1, 1)


@pytest.mark.parametrize("body", [b'{"model": ".."}', b'{"model": "."}', b'{"model": ""}', b"{}", b"[]", b"\xff"])
def test_what_can_be_no_deployments_name_is_not_asked_for(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        provider(api_version=VERSION).json_request("/chat/completions", body, b"")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_a_form_needs_the_newer_surface() -> None:
    with pytest.raises(Refusal) as caught:
        provider(api_version=VERSION).request("POST", "/audio/transcriptions", b"", b"multipart/form-data", b"")
    assert (caught.value.status, caught.value.code) == (400, "endpoint_not_supported")
    sent = provider().request("POST", "/audio/transcriptions", b"", b"multipart/form-data", b"")
    assert sent.line == b"POST /openai/v1/audio/transcriptions HTTP/1.1\r\n"


def test_a_translated_call_goes_where_its_dialect_does() -> None:
    path = provider(api_version=VERSION).call_path(Endpoint.CHAT, "luna", is_streamed=True)
    assert path == "/chat/completions"


def error(code: str | None, message: str = "No.", **more: object) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, **more}}).encode()


FILTERED = error(
    "content_filter",
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    param="prompt",
    status=400,
    innererror={
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
    },
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, FILTERED, FailureKind.REFUSED),
        (400, error("contentFilter"), FailureKind.REFUSED),
        (400, error("context_length_exceeded"), FailureKind.TOO_LONG),
        (400, error("BadRequest"), FailureKind.REJECTED),
        (401, error("401", "Access denied due to invalid subscription key."), FailureKind.UNAUTHORIZED),
        (401, error("PermissionDenied"), FailureKind.UNAUTHORIZED),
        (404, error("DeploymentNotFound"), FailureKind.GONE),
        (404, error("404", "Resource not found"), FailureKind.REJECTED),
        (408, error("Timeout"), FailureKind.TIMEOUT),
        (429, error("RateLimitReached"), FailureKind.RATE_LIMITED),
        (429, error("insufficient_quota"), FailureKind.QUOTA),
        (500, error("InternalServerError"), FailureKind.ERROR),
        (503, error(None), FailureKind.OVERLOADED),
        (403, b"<html>", FailureKind.UNAUTHORIZED),
    ],
)
def test_what_it_refuses_is_classified(status: int, body: bytes, kind: FailureKind) -> None:
    failure = provider().classify(status, {}, body)
    assert (failure.kind, failure.status) == (kind, status)
