"""How Anthropic is asked, and what its refusals mean."""

import json

import pytest

from headworks.calls import FailureKind
from headworks.providers import REGISTRY, ProviderSettings
from headworks.providers.anthropic import API_VERSION, AnthropicProvider


def provider(**settings: object) -> AnthropicProvider:
    return AnthropicProvider(ProviderSettings("claude", **{"api_key": "sk-ant", **settings}))  # type: ignore[arg-type]


def test_a_request_has_the_key_and_the_version_of_the_api() -> None:
    sent = provider().json_request("/messages", b"{}", b"")

    assert sent.line == b"POST /v1/messages HTTP/1.1\r\n"
    lines = sent.headers.split(b"\r\n")
    assert b"x-api-key: sk-ant" in lines
    assert f"anthropic-version: {API_VERSION}".encode() in lines
    assert b"content-type: application/json" in lines
    assert b"authorization" not in sent.headers


def test_a_version_of_the_callers_replaces_ours_and_betas_go_along() -> None:
    forwarded = b"anthropic-version: 2030-01-01\r\nanthropic-beta: x\r\n"
    for sent in (
        provider().json_request("/messages", b"{}", forwarded),
        provider().request("POST", "/messages", b"{}", b"application/json", forwarded),
    ):
        assert sent.headers.count(b"anthropic-version") == 1
        assert b"2030-01-01" in sent.headers
        assert b"anthropic-beta: x" in sent.headers


@pytest.mark.parametrize(
    ("path", "line"), [("", b"/v1/messages"), ("/v1", b"/v1/messages"), ("/a/v1", b"/a/v1/messages")]
)
def test_a_base_url_may_leave_the_version_out_as_in_anthropics_sdk(path: str, line: bytes) -> None:
    assert provider(base_path=path).json_request("/messages", b"", b"").line == b"POST %b HTTP/1.1\r\n" % line


def test_a_key_with_a_line_break_is_no_header() -> None:
    with pytest.raises(ValueError, match="line break"):
        provider(api_key="sk\r\nx: y")
    assert REGISTRY["anthropic"] is AnthropicProvider


@pytest.mark.parametrize(
    ("status", "kind", "failure"),
    [
        (400, "invalid_request_error", FailureKind.REJECTED),
        (401, "authentication_error", FailureKind.UNAUTHORIZED),
        (402, "billing_error", FailureKind.QUOTA),
        (403, "permission_error", FailureKind.UNAUTHORIZED),
        (404, "not_found_error", FailureKind.REJECTED),
        (413, "request_too_large", FailureKind.TOO_LONG),
        (429, "rate_limit_error", FailureKind.RATE_LIMITED),
        (500, "api_error", FailureKind.ERROR),
        (504, "timeout_error", FailureKind.TIMEOUT),
        (529, "overloaded_error", FailureKind.OVERLOADED),
        (503, "", FailureKind.OVERLOADED),
        (529, "", FailureKind.OVERLOADED),
        (502, "", FailureKind.ERROR),
        (418, "brand_new_error", FailureKind.REJECTED),
        (302, "", FailureKind.INVALID),
    ],
)
def test_what_an_error_means(status: int, kind: str, failure: FailureKind) -> None:
    body = (
        json.dumps({"type": "error", "error": {"type": kind, "message": "the words of a prompt"}}) if kind else "<html>"
    )
    found = provider().classify(status, {}, body.encode())

    assert (found.kind, found.status) == (failure, status)
    assert "prompt" not in found.detail
