"""How Google is asked, and what its refusals mean."""

import json
from typing import Any

import pytest

from headworks.calls import Endpoint, FailureKind
from headworks.providers import REGISTRY, ProviderSettings
from headworks.providers.gemini import GeminiProvider


def provider(**settings: object) -> GeminiProvider:
    return GeminiProvider(ProviderSettings("google", **{"api_key": "AIza", "base_path": "", **settings}))  # type: ignore[arg-type]


def path(model: str, *, is_streamed: bool = False) -> str:
    return provider().call_path(Endpoint.GENERATE_CONTENT, model, is_streamed=is_streamed)


def body(status: str, *details: Any) -> bytes:
    return json.dumps({"error": {"code": 400, "message": "No.", "status": status, "details": details}}).encode()


def test_the_model_and_the_manner_are_in_the_path() -> None:
    assert path("gemini-3.5-flash") == "/models/gemini-3.5-flash:generateContent"
    assert path("models/gemini-3.5-flash", is_streamed=True) == (
        "/models/gemini-3.5-flash:streamGenerateContent?alt=sse"
    )
    assert path("tunedModels/mine") == "/tunedModels/mine:generateContent"


@pytest.mark.parametrize("model", ["a/../b", "a?b", "a:countTokens", "a#b", "models/../x"])
def test_a_models_name_leads_to_no_other_path(model: str) -> None:
    found = path(model)
    assert found.count("/") == 2
    assert found.count(":") == 1
    assert "?" not in found
    assert "#" not in found


def test_a_request_has_the_key_in_its_header_and_not_in_its_path() -> None:
    sent = provider().json_request(path("gemini-3.5-flash"), b"{}", b"a: b\r\n")

    assert sent.line == b"POST /v1beta/models/gemini-3.5-flash:generateContent HTTP/1.1\r\n"
    lines = sent.headers.split(b"\r\n")
    assert b"x-goog-api-key: AIza" in lines
    assert b"content-type: application/json" in lines
    assert b"a: b" in lines
    assert b"authorization" not in sent.headers
    assert REGISTRY["gemini"] is GeminiProvider
    assert provider(base_path="/v1").request("GET", "/models", b"", b"", b"").line == b"GET /v1/models HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, body("INVALID_ARGUMENT"), FailureKind.REJECTED),
        (400, body("INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}), FailureKind.UNAUTHORIZED),
        (400, body("FAILED_PRECONDITION"), FailureKind.UNAUTHORIZED),
        (403, body("PERMISSION_DENIED"), FailureKind.UNAUTHORIZED),
        (404, body("NOT_FOUND"), FailureKind.REJECTED),
        (429, body("RESOURCE_EXHAUSTED"), FailureKind.RATE_LIMITED),
        (429, body("RESOURCE_EXHAUSTED", {"violations": [{"quotaId": "RequestsPerDay-Free"}]}), FailureKind.QUOTA),
        (500, body("INTERNAL"), FailureKind.ERROR),
        (503, body("UNAVAILABLE"), FailureKind.OVERLOADED),
        (504, body("DEADLINE_EXCEEDED"), FailureKind.TIMEOUT),
        (503, b'{"error": {"status": "UNAVAILABLE", "details": [5]}}', FailureKind.OVERLOADED),
        (429, b"<html>", FailureKind.RATE_LIMITED),
        (418, b"[]", FailureKind.REJECTED),
        (599, b"", FailureKind.ERROR),
        (302, b"", FailureKind.INVALID),
    ],
)
def test_what_it_refuses_is_classified(status: int, answer: bytes, kind: FailureKind) -> None:
    failure = provider().classify(status, {}, answer)
    assert (failure.kind, failure.status) == (kind, status)


@pytest.mark.parametrize(("delay", "seconds"), [("34.5s", 34.5), ("0s", 0.0), ("soon", None), ("-1s", None)])
def test_how_long_to_wait_is_read_from_the_body(delay: str, seconds: float | None) -> None:
    answer = body("RESOURCE_EXHAUSTED", {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    assert provider().classify(429, {}, answer).retry_after_s == seconds


def test_a_cache_that_is_not_there_says_nothing_against_our_key() -> None:
    message = "CachedContent not found (or permission denied)"
    said = json.dumps({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}).encode()
    assert provider().classify(403, {}, said).kind is FailureKind.REJECTED
