"""The blocks of Anthropic's Messages API, as requests write them.

Source of the shapes: the types of the official SDK, `anthropic/types/*_param.py`, 2.14.
"""

from typing import Literal

import msgspec

from headworks.dialects.canonical import ABSENT
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"):
    pass


class CacheControl(_Wire, frozen=True, tag="ephemeral"):
    """The end of a prompt prefix that is to be cached; without a `ttl` for five minutes."""

    ttl: Literal["5m", "1h"] | None = None


class TextBlock(_Wire, frozen=True, tag="text"):
    """`citations` are those of an earlier answer; no model reads them."""

    text: str
    cache_control: CacheControl | None = None
    citations: msgspec.Raw = ABSENT


class Base64Source(_Wire, frozen=True, tag="base64"):
    media_type: str
    data: str


class UrlSource(_Wire, frozen=True, tag="url"):
    url: str


class FileSource(_Wire, frozen=True, tag="file"):
    file_id: str


class TextSource(_Wire, frozen=True, tag="text"):
    media_type: str
    data: str


class ImageBlock(_Wire, frozen=True, tag="image"):
    source: Base64Source | UrlSource | FileSource
    cache_control: CacheControl | None = None
    transformations: msgspec.Raw = ABSENT


class DocumentBlock(_Wire, frozen=True, tag="document"):
    source: Base64Source | UrlSource | FileSource | TextSource
    cache_control: CacheControl | None = None
    title: str | None = None
    context: str | None = None
    citations: msgspec.Raw = ABSENT


class ToolUseBlock(_Wire, frozen=True, tag="tool_use"):
    """`input` is a JSON object, as the model wrote it."""

    id: str
    name: str
    input: msgspec.Raw
    cache_control: CacheControl | None = None
    caller: msgspec.Raw = ABSENT
    toolset_name: str | None = None


ResultBlock = TextBlock | ImageBlock | DocumentBlock


class ToolResultBlock(_Wire, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: str | tuple[ResultBlock, ...] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None
    toolset_name: str | None = None


Block = TextBlock | ImageBlock | DocumentBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock


class MessageParam(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system"]
    content: str | tuple[Block, ...]


class ToolParam(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A tool of the caller's. The type `custom` is what it is without one."""

    name: str
    input_schema: msgspec.Raw
    description: str | None = None
    strict: bool | None = None
    type: Literal["custom"] | None = None
    cache_control: CacheControl | None = None
    allowed_callers: msgspec.Raw = ABSENT
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: msgspec.Raw = ABSENT


class ToolChoice(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`name` with the type `tool` only."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_schema"):
    schema: msgspec.Raw


class OutputConfig(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class MetadataParam(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    user_id: str | None = None
