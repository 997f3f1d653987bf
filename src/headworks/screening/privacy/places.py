"""Which strings of a body are text, which are structure, and which cannot be read.

Everything is text unless it is known to be otherwise, so a field that the API gets tomorrow is screened. Structure is
let through only if it also looks like it: an e-mail address under `id` is an e-mail address.
"""

import re

STRUCTURE = frozenset(
    {
        # of items, messages and parts
        "type", "role", "id", "object", "status", "name", "call_id", "tool_call_id", "item_id", "phase", "index",
        "detail", "channel", "recipient", "namespace", "tool_use_id", "stop_reason", "finish_reason", "cache_control",
        # of requests
        "model", "previous_response_id", "conversation", "response_id", "prompt_id", "service_tier", "truncation",
        "effort", "summary", "verbosity", "modalities", "include", "encoding_format", "reasoning_effort", "format",
        "syntax", "language", "voice", "quality", "size", "background", "prompt_cache_retention", "version", "mode",
        # of files and tools
        "file_id", "file_ids", "container", "container_id", "vector_store_ids", "server_label", "connector_id",
        "allowed_tools", "require_approval", "ranker", "media_type", "mime_type", "strict", "tool_choice",
        # of schemas
        "$ref", "$id", "$schema", "$defs", "pattern", "required", "contentEncoding",
        "additionalProperties",
        # numbers that are no data
        "seed", "created", "created_at", "expires_at", "completed_at",
    }
)  # fmt: skip
"""Names under which strings are structure (OpenAI, Anthropic and Gemini API references, 2026-11). What a schema lists
is none: a tool may be offered the accounts of whoever asks."""

OPAQUE = frozenset({"encrypted_content", "signature", "thought_signature", "thoughtSignature", "data", "b64_json",
                    "file_data", "image_url", "url", "fileData", "input_audio", "audio", "result"})  # fmt: skip
"""Names under which there may be bytes in base 64: kept as they are, and counted."""

DATA = frozenset({"arguments", "metadata", "input_schema_example", "output", "tool_input"})
"""Names below which nothing is structure: whatever stands there is the application's own."""

PLAIN = frozenset({"content", "text", "arguments", "input", "output", "instructions", "description", "prompt"})
"""Names that say nothing of their value, so that they are not read before it."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9_$#./:|+-]{0,128}", re.ASCII)
_DATA_HEAD = re.compile(
    r"data:(?!.*\d{6})(?:[a-z]+/[a-z0-9][a-z0-9.+-]{0,99})?"
    r'(?:;(?:charset|rate|channels|codecs?)=[a-z0-9_.-]+|;codecs="[a-z0-9_., -]+")*;base64',
    re.ASCII | re.IGNORECASE,
)
"""What stands before the bytes of a data URL (RFC 2397): a media type (RFC 6838 §4.2) and parameters of text and sound,
without as many digits as could be somebody's number. Whoever translates a body writes there what a caller says."""
_LETTER = re.compile(r"[A-Za-z]")
_BASE_64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_LEAST_OPAQUE = 256
"""A shorter one could be somebody's key. A data URL says what it is."""


def is_structure(name: str, text: str) -> bool:
    """Whether a string under this name is structure: it looks like an identifier and has a letter."""
    return (
        name in STRUCTURE and _IDENTIFIER.fullmatch(text) is not None and (not text or _LETTER.search(text) is not None)
    )


def is_opaque(name: str, text: str) -> bool:
    """Whether a string under this name is bytes in base 64: an image, a sound, a file, or what a provider sealed."""
    if name not in OPAQUE or not text.isascii():
        return False
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if _DATA_HEAD.fullmatch(head) is None:
            return False
    elif len(text) < _LEAST_OPAQUE:
        return False
    return not text.encode().translate(None, _BASE_64)
