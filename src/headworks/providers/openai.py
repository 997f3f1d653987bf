"""OpenAI and every server that speaks its API.

Sources: OpenAI API reference, "Authentication" and "Debugging requests" (2026-10); error codes guide (2026-10):
401 authentication, 403 region or permission, 404 not found, 429 rate limit or quota, 500 server error, 503 overload.
"""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from headworks._version import __version__
from headworks.calls import Endpoint, Failure, FailureKind
from headworks.exchange import UpstreamRequest, request_line
from headworks.providers.base import CALL_PATHS, ProviderSettings, as_told, header_block
from headworks.providers.refusals import is_oversized, refined


class _Error(msgspec.Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None
    message: object = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error | None = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode

_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class OpenAIProvider:
    """Requests to an OpenAI-compatible API. Headers that are the same for every call are rendered once."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self.limit_name = settings.limit_name
        self.structured_output = settings.structured_output
        self.caches_by_key = settings.caches_by_key
        self.says_cost = settings.says_cost
        self._base_path = settings.base_path
        self.fixed_headers = header_block(
            settings.name,
            ("user-agent", f"headworks/{__version__}"),
            ("accept-encoding", "identity"),
            ("authorization", f"Bearer {settings.api_key}" if settings.api_key else ""),
            ("openai-organization", settings.organization),
            ("openai-project", settings.project),
            *settings.headers,
        )
        self._json_headers = self.fixed_headers + b"content-type: application/json\r\n"
        self._json_lines: dict[str, bytes] = {}

    def call_path(self, spoken: Endpoint, model: str, *, is_streamed: bool) -> str:  # noqa: ARG002 - in the body
        found = CALL_PATHS.get(spoken)
        return self.session_path(model) if found is None else found

    def session_path(self, model: str) -> str:
        """Where a session of the Realtime API is opened with a model."""
        return f"/realtime?model={quote(model, safe='')}"

    def request(self, method: str, path: str, body: bytes, content_type: bytes, forwarded: bytes) -> UpstreamRequest:
        headers = self.fixed_headers + forwarded
        if content_type:
            headers += b"content-type: %b\r\n" % content_type
        return UpstreamRequest(request_line(method, self._base_path + path), headers, body)

    def json_request(self, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        line = self._json_lines.get(path)
        if line is None:
            # The paths are those of our own table of routes, so they are few.
            line = self._json_lines[path] = request_line("POST", self._base_path + path)
        headers = self._json_headers
        return UpstreamRequest(line, headers + forwarded if forwarded else headers, body)

    def classify(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Failure:
        if status < 400:
            return Failure(FailureKind.INVALID, f"{self.name} answered with a redirect, which is not followed", status)
        detail = f"{self.name} answered {status}"
        match status:
            case 401 | 403:
                kind = refined(FailureKind.UNAUTHORIZED, status, body)
            case 402:  # no credit: DeepSeek and OpenRouter
                kind = FailureKind.QUOTA
            case 429:
                kind = _of_limits(body)
            case 503 | 529:
                kind = FailureKind.OVERLOADED
            case 408 | 504:
                kind = FailureKind.TIMEOUT
            case _:
                kind = FailureKind.ERROR if status >= 500 else refined(FailureKind.REJECTED, status, body)
        return as_told(Failure(kind, detail, status), headers)


def _of_limits(body: bytes) -> FailureKind:
    """What a 429 is for: no credit, a request that is larger than a whole limit, or a limit that is reached."""
    try:
        error = _decode_error(body).error
    except (msgspec.DecodeError, RecursionError):
        error = None
    if error is None:
        return FailureKind.RATE_LIMITED
    if error.code in _QUOTA_CODES or error.type in _QUOTA_CODES:
        return FailureKind.QUOTA
    is_too_much = isinstance(error.message, str) and is_oversized(error.message)
    return FailureKind.OVERSIZED if is_too_much else FailureKind.RATE_LIMITED
