"""Anthropic's API.

Sources: Anthropic API reference, "API overview" (headers), "Errors", "Rate limits" (2026-11): 400
invalid_request_error, 401 authentication_error, 402 billing_error, 403 permission_error, 404 not_found_error, 413
request_too_large, 429 rate_limit_error, 500 api_error, 504 timeout_error, 529 overloaded_error.
"""

from collections.abc import Mapping

import msgspec

from headworks._version import __version__
from headworks.calls import Endpoint, Failure, FailureKind
from headworks.exchange import UpstreamRequest, request_line
from headworks.providers.base import CALL_PATHS, ProviderSettings, as_told, header_block
from headworks.providers.refusals import refined

API_VERSION = "2023-06-01"
"""The version of the API that our codecs are written for; a caller of Messages may ask for another."""

_VERSION = b"anthropic-version:"


class _Error(msgspec.Struct, frozen=True):
    type: str | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error | None = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode

_KINDS = {
    "invalid_request_error": FailureKind.REJECTED,
    "authentication_error": FailureKind.UNAUTHORIZED,
    "permission_error": FailureKind.UNAUTHORIZED,
    "billing_error": FailureKind.QUOTA,
    "not_found_error": FailureKind.REJECTED,
    "request_too_large": FailureKind.REJECTED,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "timeout_error": FailureKind.TIMEOUT,
    "overloaded_error": FailureKind.OVERLOADED,
    "api_error": FailureKind.ERROR,
}
_STATUS_KINDS = {
    401: FailureKind.UNAUTHORIZED,
    402: FailureKind.QUOTA,
    403: FailureKind.UNAUTHORIZED,
    408: FailureKind.TIMEOUT,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.OVERLOADED,
    504: FailureKind.TIMEOUT,
    529: FailureKind.OVERLOADED,
}


class AnthropicProvider:
    """Requests to Anthropic's API. Headers that are the same for every call are rendered once.

    The base URL may be given as Anthropic's own SDK takes it, without the `/v1`.
    """

    limit_name = "max_tokens"
    caches_by_key = False
    says_cost = False

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self.structured_output = settings.structured_output
        self._base_path = settings.base_path or "/v1"
        self.fixed_headers = header_block(
            settings.name,
            ("user-agent", f"headworks/{__version__}"),
            ("accept-encoding", "identity"),
            ("x-api-key", settings.api_key),
            *settings.headers,
        )
        self._version = b"%b %b\r\n" % (_VERSION, API_VERSION.encode())
        self._json_headers = self.fixed_headers + b"content-type: application/json\r\n"
        self._json_lines: dict[str, bytes] = {}

    def call_path(self, spoken: Endpoint, model: str, *, is_streamed: bool) -> str:  # noqa: ARG002 - in the body
        return CALL_PATHS[spoken]

    def request(self, method: str, path: str, body: bytes, content_type: bytes, forwarded: bytes) -> UpstreamRequest:
        headers = self.fixed_headers + self._with_version(forwarded)
        if content_type:
            headers += b"content-type: %b\r\n" % content_type
        return UpstreamRequest(request_line(method, self._base_path + path), headers, body)

    def json_request(self, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        line = self._json_lines.get(path)
        if line is None:
            # The paths are those of our own table of routes, so they are few.
            line = self._json_lines[path] = request_line("POST", self._base_path + path)
        return UpstreamRequest(line, self._json_headers + self._with_version(forwarded), body)

    def classify(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Failure:
        if status < 400:
            return Failure(FailureKind.INVALID, f"{self.name} answered with a redirect, which is not followed", status)
        kind = _KINDS.get(_type_of(body)) or _STATUS_KINDS.get(status)
        if kind is None:
            kind = FailureKind.ERROR if status >= 500 else FailureKind.REJECTED
        failure = Failure(refined(kind, status, body), f"{self.name} answered {status}", status)
        return as_told(failure, headers)

    def _with_version(self, forwarded: bytes) -> bytes:
        return forwarded if _VERSION in forwarded else self._version + forwarded


def _type_of(body: bytes) -> str:
    try:
        error = _decode_error(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return (error.type if error is not None else None) or ""
