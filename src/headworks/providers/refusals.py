"""What exactly a provider has against a request that it refuses: most ways of being wrong stay wrong elsewhere, but a
larger window may hold what is too long here, and what one provider's policy forbids another's may allow.

Sources: OpenAI API, error codes (2026-10): `context_length_exceeded`, `content_policy_violation`; Azure OpenAI,
content filtering (2026-10): `content_filter`, and `DeploymentNotFound`; Anthropic API, errors (2026-10): "prompt is
too long: N tokens > M maximum", 413 `request_too_large`; Gemini API, troubleshooting (2026-10): "The input token
count (N) exceeds the maximum number of tokens allowed (M)"; vLLM's and llama.cpp's servers: "maximum context length",
`exceed_context_size_error`; Amazon Bedrock, what its models say by Converse (2026-10): "Input is too long for requested
model", "input length and `max_tokens` exceed context limit", "Number of input tokens exceeds maximum length".
"""

import re

import msgspec

from headworks.calls import FailureKind

_STATUSES = frozenset({400, 403, 404, 410, 413, 422})

_FORBIDDEN, _NOT_FOUND, _WAS_HERE = 403, 404, 410

_TOO_LONG_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})
_CONTENT_CODES = frozenset(
    {"content_filter", "contentFilter", "content_policy_violation", "image_content_policy_violation"}
)

_TOO_LONG = re.compile(
    r"maximum context length|prompt is too long"
    r"|exceeds? the (?:model'?s )?(?:available )?context (?:window|size|length)"
    r"|input token count .{0,40}exceeds the maximum|input is too long for (?:the )?requested model"
    r"|exceed context limit|number of input tokens exceeds",
    re.IGNORECASE,
)
_OVERSIZED = re.compile(
    r"request too large for .{0,300}?\bon (?:input |output )?tokens per \w+", re.IGNORECASE | re.DOTALL
)
"""OpenAI's words of a request that is larger than a whole limit, with 429; Groq's, with 413."""

_GONE_CODES = frozenset({"model_not_found", "model_not_available", "deprecated_model", "DeploymentNotFound"})
_GONE = re.compile(
    r"^model: |^models/\S+ is not found|\bmodel\b.{0,200}(?:does not exist|not found|deprecated)", re.IGNORECASE
)
_FLAGGED = re.compile(r"\bflagged\b|\bmoderation\b", re.IGNORECASE)
"""OpenRouter answers flagged input with 403 ("Error Handling", 2026-10); no provider says that of a key."""

_LOOK_AT = 2_000
"""Characters of a message that are searched; the words stand at its beginning."""


class _Error(msgspec.Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None
    message: str | None = None


class _Body(msgspec.Struct, frozen=True):
    error: _Error | str | None = None
    message: str | None = None


_decode = msgspec.json.Decoder(_Body).decode


def is_oversized(message: str) -> bool:
    """Whether a provider says that a request is larger than a whole rate limit."""
    return _OVERSIZED.match(message[:_LOOK_AT]) is not None


def refined(kind: FailureKind, status: int, body: bytes) -> FailureKind:
    """The kind of a refusal by what the provider says of it: too long, against its policy, of a model that it has not;
    else as it was."""
    is_forbidden = kind is FailureKind.UNAUTHORIZED and status == _FORBIDDEN
    if status not in _STATUSES or not (kind is FailureKind.REJECTED or is_forbidden):
        return kind
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return kind
    error = found.error if isinstance(found.error, _Error) else _Error(message=found.error or found.message)
    names, message = {error.code, error.type}, (error.message or "")[:_LOOK_AT]
    if names & _CONTENT_CODES or (is_forbidden and _FLAGGED.search(message)):
        return FailureKind.REFUSED
    if is_forbidden:
        return kind
    if status in (_NOT_FOUND, _WAS_HERE):
        return FailureKind.GONE if names & _GONE_CODES or _GONE.search(message) else kind
    if is_oversized(message):
        return FailureKind.OVERSIZED
    if names & _TOO_LONG_CODES or _TOO_LONG.search(message):
        return FailureKind.TOO_LONG
    return kind
