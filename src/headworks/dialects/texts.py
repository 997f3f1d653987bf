"""The human text of a request, for counting tokens where the provider stated none."""

import msgspec

_WITH_TEXT = ("instructions", "system", "input", "messages", "prompt", "tools", "text", "response_format", "contents")
"""Top-level fields of requests that a model reads."""

_STRUCTURE = frozenset(
    {"type", "role", "id", "call_id", "tool_call_id", "item_id", "detail", "status", "file_id", "file_data"}
    | {"image_url", "url", "data", "format", "encrypted_content", "strict", "signature", "tool_use_id", "media_type"}
)
"""Keys whose values the model does not read as text: words of the protocol, references, encoded media."""


def input_text(fields: dict[str, msgspec.Raw]) -> str:
    """Every string that the model reads, joined by line ends; fields that cannot be decoded count as they stand."""
    pieces: list[str] = []
    for name in _WITH_TEXT:
        raw = fields.get(name)
        if raw is not None:
            try:
                _gather(msgspec.json.decode(raw), pieces)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pieces.append(bytes(raw).decode("utf-8", "replace"))
    return "\n".join(pieces)


def _gather(value: object, pieces: list[str]) -> None:
    if isinstance(value, str):
        pieces.append(value)
    elif isinstance(value, list):
        for item in value:
            _gather(item, pieces)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _STRUCTURE:
                _gather(item, pieces)
