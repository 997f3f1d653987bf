"""The error objects of the APIs: written in the words of the one that the caller reads.

OpenAI      {"error": {"message", "type", "param", "code"}}
Anthropic   {"type": "error", "error": {"type", "message"}}
Google      {"error": {"code", "message", "status", "details"}}
AWS         {"message"}, and what kind of error it is in a header
"""

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.endings import messages_error_type
from headworks.errors import Refusal


class _Error(msgspec.Struct, frozen=True):
    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    status: str | int | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


class _BareError(msgspec.Struct, frozen=True):
    message: str = ""
    capital: str = msgspec.field(default="", name="Message")


_decode = msgspec.json.Decoder(_ErrorBody).decode
_decode_bare = msgspec.json.Decoder(_BareError).decode
_encode = msgspec.json.Encoder().encode

GOOGLE_CODES = {
    "INVALID_ARGUMENT": "invalid_request_error",
    "OUT_OF_RANGE": "invalid_request_error",
    "FAILED_PRECONDITION": "permission_error",
    "UNAUTHENTICATED": "authentication_error",
    "PERMISSION_DENIED": "permission_error",
    "NOT_FOUND": "not_found_error",
    "RESOURCE_EXHAUSTED": "rate_limit_exceeded",
    "UNAVAILABLE": "server_overloaded",
    "DEADLINE_EXCEEDED": "timeout_error",
    "CANCELLED": "server_error",
    "ABORTED": "server_error",
    "INTERNAL": "server_error",
    "UNKNOWN": "server_error",
}
"""By the status of Google's errors (google.rpc.Code): the word that the other APIs have for it."""

_GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""By status: the google.rpc.Code of Google's errors."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By status: the type of error that Anthropic's API has for it ("Errors", 2026-11)."""


_BARE_CODES = {404: "model_not_found", 429: "rate_limit_exceeded"}


def refusal_body(refusal: Refusal, endpoint: str) -> bytes:
    """A refusal of ours as the caller of `endpoint` reads it; also where only the path is known that was called."""
    if endpoint.startswith((Endpoint.GENERATE_CONTENT.value, Endpoint.CACHED_CONTENTS.value)):
        return _google_error(refusal.status, refusal.message)
    if not endpoint.startswith(Endpoint.MESSAGES.value):
        return refusal.body()
    kind = messages_error_type(refusal.code)
    return _messages_error(refusal.status, refusal.message, None if kind == "api_error" else kind)


def translated_error(body: bytes, called: Endpoint, status: int) -> bytes:
    """The error object in an upstream's answer as the caller of `called` reads it; as it came where it is none."""
    try:
        error = _decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body
    return _translated(error, called, status)


def translated_bare_error(body: bytes, called: Endpoint, status: int) -> bytes:
    """The same of AWS's, where nothing but the message stands in the body."""
    try:
        found = _decode_bare(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body
    message = found.message or found.capital
    if not message:
        return body
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return _translated(_Error(message, kind, code=_BARE_CODES.get(status)), called, status)


def _translated(error: _Error, called: Endpoint, status: int) -> bytes:
    if called is Endpoint.GENERATE_CONTENT:
        return _google_error(status, error.message)
    if called is Endpoint.MESSAGES:
        return _messages_error(status, error.message, None)
    code = error.type if error.code is None else error.code
    if isinstance(error.status, str) and error.status in GOOGLE_CODES:
        code = GOOGLE_CODES[error.status]
        error = msgspec.structs.replace(error, type="invalid_request_error" if status < 500 else "server_error")
    return _encode({"error": {"message": error.message, "type": error.type, "param": error.param, "code": code}})


def _messages_error(status: int, message: str, kind: str | None) -> bytes:
    if kind is None:
        kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return _encode({"type": "error", "error": {"type": kind, "message": message}})


def _google_error(status: int, message: str) -> bytes:
    name = _GOOGLE_STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return _encode({"error": {"code": status, "message": message, "status": name}})
