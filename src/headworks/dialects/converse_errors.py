"""Errors of Amazon Bedrock in the words that the other APIs have for them, wherever they come: in an answer's place, or
at the end of a stream.

Source: the service model of the SDK, `botocore/data/bedrock-runtime`, 1.44, and "Troubleshooting Amazon Bedrock API
Error Codes" (2026-11).
"""

import re

CODES = {
    "accessdenied": "permission_error",
    "conflict": "invalid_request_error",
    "internalserver": "server_error",
    "modelerror": "server_error",
    "modelnotready": "server_overloaded",
    "modelstreamerror": "server_error",
    "modeltimeout": "timeout_error",
    "resourcenotfound": "not_found_error",
    "servicequotaexceeded": "insufficient_quota",
    "serviceunavailable": "server_overloaded",
    "throttling": "rate_limit_exceeded",
    "validation": "invalid_request_error",
}
"""By the name of an exception, in lower case and without that word."""

_TOO_LONG = re.compile(
    r"input is too long|prompt is too long|exceed context limit|number of input tokens exceeds|context length",
    re.IGNORECASE,
)


def code_of(exception: str, message: str) -> str:
    """What the other APIs call an exception of Bedrock's; a new one is a failure of the server's."""
    name = exception.lower().removesuffix("exception")
    if name == "validation" and _TOO_LONG.search(message[:2000]):
        return "context_length_exceeded"
    return CODES.get(name, "server_error")
