"""Google's Gemini API, as AI Studio serves it (the Gemini Developer API).

Sources: Gemini API reference, "API errors" and "Generating content" (2026-11); google/rpc/code.proto and
google/rpc/error_details.proto: 400 INVALID_ARGUMENT (a wrong key, too) and FAILED_PRECONDITION, 403 PERMISSION_DENIED,
404 NOT_FOUND, 429 RESOURCE_EXHAUSTED, 500 INTERNAL, 503 UNAVAILABLE, 504 DEADLINE_EXCEEDED.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from headworks._version import __version__
from headworks.calls import Endpoint, Failure, FailureKind
from headworks.exchange import UpstreamRequest, request_line
from headworks.providers.base import ProviderSettings, as_told, header_block
from headworks.providers.refusals import refined


class _Violation(msgspec.Struct, frozen=True, rename="camel"):
    quota_id: str | None = None


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    retry_delay: str | None = None
    reason: str | None = None
    violations: tuple[_Violation, ...] = ()


class _Error(msgspec.Struct, frozen=True):
    status: str | None = None
    details: tuple[_Detail, ...] = ()


class _Status(msgspec.Struct, frozen=True):
    status: str | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error | None = None


class _BareErrorBody(msgspec.Struct, frozen=True):
    error: _Status | None = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode
_decode_bare_error = msgspec.json.Decoder(_BareErrorBody).decode

_KINDS = {
    "INVALID_ARGUMENT": FailureKind.REJECTED,
    "OUT_OF_RANGE": FailureKind.REJECTED,
    "FAILED_PRECONDITION": FailureKind.UNAUTHORIZED,  # a place or a plan from which the API is not served
    "UNAUTHENTICATED": FailureKind.UNAUTHORIZED,
    "PERMISSION_DENIED": FailureKind.UNAUTHORIZED,
    "NOT_FOUND": FailureKind.REJECTED,
    "RESOURCE_EXHAUSTED": FailureKind.RATE_LIMITED,
    "UNAVAILABLE": FailureKind.OVERLOADED,
    "DEADLINE_EXCEEDED": FailureKind.TIMEOUT,
    "INTERNAL": FailureKind.ERROR,
    "UNKNOWN": FailureKind.ERROR,
}
_STATUS_KINDS = {
    401: FailureKind.UNAUTHORIZED,
    403: FailureKind.UNAUTHORIZED,
    408: FailureKind.TIMEOUT,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.OVERLOADED,
    504: FailureKind.TIMEOUT,
}
_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"})
_DELAY = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?s")
_NO_CACHE = b"CachedContent not found"
"""In the message of a call that names a cache which is not there: "(or permission denied)", and so is its status."""

_COLLECTIONS = ("models/", "tunedModels/")


class GeminiProvider:
    """Requests to the Gemini API. Headers that are the same for every call are rendered once.

    The base URL may be given as Google's own SDK takes it, without the version.
    """

    limit_name = "max_tokens"
    caches_by_key = False
    says_cost = False

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self.structured_output = settings.structured_output
        self._base_path = settings.base_path or "/v1beta"
        self.fixed_headers = header_block(
            settings.name,
            ("user-agent", f"headworks/{__version__}"),
            ("accept-encoding", "identity"),
            ("x-goog-api-key", settings.api_key),
            *settings.headers,
        )
        self._json_headers = self.fixed_headers + b"content-type: application/json\r\n"

    def call_path(self, spoken: Endpoint, model: str, *, is_streamed: bool) -> str:
        """The path has the model in it, as one name: what a caller calls a model leads to no other path."""
        collection = next((one for one in _COLLECTIONS if model.startswith(one)), "")
        name = f"{collection or _COLLECTIONS[0]}{quote(model.removeprefix(collection), safe='')}"
        if spoken is Endpoint.EMBED_CONTENT:
            return f"/{name}:batchEmbedContents"
        return f"/{name}:streamGenerateContent?alt=sse" if is_streamed else f"/{name}:generateContent"

    def request(self, method: str, path: str, body: bytes, content_type: bytes, forwarded: bytes) -> UpstreamRequest:
        headers = self.fixed_headers + forwarded
        if content_type:
            headers += b"content-type: %b\r\n" % content_type
        return UpstreamRequest(request_line(method, self._base_path + path), headers, body)

    def json_request(self, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        # Models' names are in the paths, and callers may name models: no line is kept.
        return UpstreamRequest(request_line("POST", self._base_path + path), self._json_headers + forwarded, body)

    def classify(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Failure:
        if status < 400:
            return Failure(FailureKind.INVALID, f"{self.name} answered with a redirect, which is not followed", status)
        error = _error_in(body)
        kind = _KINDS.get(error.status or "") or _STATUS_KINDS.get(status)
        if kind is None:
            kind = FailureKind.ERROR if status >= 500 else FailureKind.REJECTED
        if status == 403 and _NO_CACHE in body:
            kind = FailureKind.REJECTED  # it is the caller's name for a cache that is wrong, not our key
        if any(detail.reason in _KEY_REASONS for detail in error.details):
            kind = FailureKind.UNAUTHORIZED
        if kind is FailureKind.RATE_LIMITED and _is_of_the_day(error):
            kind = FailureKind.QUOTA
        kind = refined(kind, status, body)
        failure = Failure(kind, f"{self.name} answered {status}", status, _retry_after_s(error))
        return as_told(failure, headers)


def _error_in(body: bytes) -> _Error:
    try:
        return _decode_error(body).error or _Error()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:  # details may be anything
        bare = _decode_bare_error(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Error()
    return _Error() if bare is None else _Error(bare.status)


def _is_of_the_day(error: _Error) -> bool:
    """Whether what is used up comes back only with the next day."""
    return any("PerDay" in (one.quota_id or "") for detail in error.details for one in detail.violations)


def _retry_after_s(error: _Error) -> float | None:
    """The delay of a `RetryInfo`: a duration as JSON has it, such as "34.5s"."""
    delays = [one.retry_delay for one in error.details if one.retry_delay is not None]
    if not delays or _DELAY.fullmatch(delays[0]) is None:
        return None
    return float(delays[0].removesuffix("s"))
