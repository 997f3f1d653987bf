"""How a stream that broke is ended honestly, in the words of the dialect that the caller reads.

Both forms carry an `error` object: it is what makes the official SDKs raise instead of going on as if all had come.
The flat fields beside it are those of `ResponseErrorEvent` in the SDK's types.
"""

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.sse import encode_event

_encode = msgspec.json.Encoder().encode


NUMBER_BEHIND_ALL = 2**31 - 1
"""A sequence number behind all others, for a stream whose own numbers are not known."""

_MESSAGES_TYPES = {
    "upstream_rate_limited": "rate_limit_error",
    "rate_limit_exceeded": "rate_limit_error",
    "upstream_quota_exhausted": "rate_limit_error",
    "upstream_overloaded": "overloaded_error",
    "server_overloaded": "overloaded_error",
    "upstream_timeout": "timeout_error",
    "upstream_rejected": "invalid_request_error",
    "context_length_exceeded": "invalid_request_error",
    "content_refused": "invalid_request_error",
    "output_invalid": "api_error",
    "output_blocked": "api_error",
    "action_denied": "permission_error",
    "action_held": "permission_error",
}
"""Of codes of ours and of OpenAI's: the type of error that Anthropic's API has for it ("Errors", 2026-11)."""


def messages_error_type(code: str) -> str:
    """The type of an error in Anthropic's words, by a code of ours or of an upstream's."""
    return code if code.endswith("_error") else _MESSAGES_TYPES.get(code, "api_error")


def messages_error(code: str, message: str) -> bytes:
    """The event that ends a stream of Messages with an error."""
    error = {"type": messages_error_type(code), "message": message}
    return encode_event("error", _encode({"type": "error", "error": error}))


_GOOGLE = {
    "RESOURCE_EXHAUSTED": (429, ("rate_limit", "upstream_rate_limited", "upstream_quota", "insufficient_quota")),
    "UNAVAILABLE": (503, ("server_overloaded", "overloaded", "upstream_overloaded", "gateway_stopping")),
    "DEADLINE_EXCEEDED": (504, ("timeout", "upstream_timeout")),
    "INVALID_ARGUMENT": (400, ("invalid_", "upstream_rejected", "context_length", "content_refused")),
}
"""By google.rpc.Code: its status, and how the codes of ours and of other APIs begin that mean the same."""


def google_error(code: str, message: str) -> bytes:
    """The event that ends a stream of Google's with an error."""
    fitting = ((name, status) for name, (status, begins) in _GOOGLE.items() if code.startswith(begins))
    name, status = next(fitting, ("INTERNAL", 500))
    return encode_event(None, _encode({"error": {"code": status, "message": message, "status": name}}))


def error_ending(endpoint: Endpoint, code: str, message: str, number: int = NUMBER_BEHIND_ALL) -> bytes:
    """The event that ends a broken stream; for Chat, no `[DONE]` follows it, since it is not done.

    Arguments:
        number: the event's sequence number, which only Responses has.
    """
    if endpoint is Endpoint.MESSAGES:
        return messages_error(code, message)
    if endpoint is Endpoint.GENERATE_CONTENT:
        return google_error(code, message)
    error = {"message": message, "type": "upstream_error", "param": None, "code": code}
    if endpoint is Endpoint.RESPONSES:
        flat = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": number}
        return encode_event("error", _encode({**flat, "error": error}))
    return encode_event(None, _encode({"error": error}))
