"""The contents of AWS's Converse API (Amazon Bedrock), as requests write them.

A block, a source and a choice are unions there: structs of which one field is set. Source of the shapes: the service
model of the SDK, `botocore/data/bedrock-runtime`, 1.44.
"""

from typing import Literal

import msgspec

from headworks.dialects.canonical import ABSENT


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    pass


class CachePoint(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The end of a prompt prefix that is to be cached; without a `ttl` for five minutes."""

    type: Literal["default"]
    ttl: Literal["5m", "1h"] | None = None


class Bytes(_Wire, frozen=True):
    """In base 64."""

    bytes: str | None = None


class Image(_Wire, frozen=True):
    format: Literal["png", "jpeg", "gif", "webp"]
    source: Bytes


DocumentFormat = Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"]


class Document(_Wire, frozen=True):
    name: str
    source: Bytes
    format: DocumentFormat | None = None


class Audio(_Wire, frozen=True):
    format: str
    source: Bytes


class ToolUse(_Wire, frozen=True):
    """`input` is a JSON object, as the model wrote it."""

    tool_use_id: str
    name: str
    input: msgspec.Raw


class ResultBlock(_Wire, frozen=True):
    text: str | None = None
    json: msgspec.Raw = ABSENT
    image: Image | None = None
    document: Document | None = None


class ToolResult(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    tool_use_id: str
    content: tuple[ResultBlock, ...]
    status: Literal["success", "error"] | None = None


class ReasoningText(_Wire, frozen=True):
    text: str
    signature: str | None = None


class ReasoningContent(_Wire, frozen=True):
    """`redacted_content` is in base 64."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class Block(_Wire, frozen=True):
    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    audio: Audio | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolResult | None = None
    reasoning_content: ReasoningContent | None = None
    cache_point: CachePoint | None = None


class Turn(_Wire, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: tuple[Block, ...]


class InferenceConfig(_Wire, frozen=True):
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()


class InputSchema(_Wire, frozen=True):
    json: msgspec.Raw


class ToolSpec(_Wire, frozen=True):
    name: str
    input_schema: InputSchema
    description: str | None = None
    strict: bool | None = None


class ToolEntry(_Wire, frozen=True):
    tool_spec: ToolSpec | None = None
    cache_point: CachePoint | None = None


class Nothing(_Wire, frozen=True):
    """A choice that needs no more said."""


class NamedTool(_Wire, frozen=True):
    name: str


class ToolChoice(_Wire, frozen=True):
    auto: Nothing | None = None
    any: Nothing | None = None
    tool: NamedTool | None = None


class ToolConfig(_Wire, frozen=True):
    tools: tuple[ToolEntry, ...]
    tool_choice: ToolChoice | None = None


class JsonSchema(_Wire, frozen=True):
    """`schema` is JSON in a text."""

    schema: str
    name: str | None = None
    description: str | None = None


class FormatStructure(_Wire, frozen=True):
    json_schema: JsonSchema


class OutputFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["json_schema"]
    structure: FormatStructure


class OutputConfig(_Wire, frozen=True):
    text_format: OutputFormat | None = None
    effort: str | None = None


class ServiceTier(msgspec.Struct, frozen=True):
    type: str


class Converse(_Wire, frozen=True):
    """The body of a request. Which model is asked, and whether it streams, stands in the path."""

    messages: tuple[Turn, ...] = ()
    system: tuple[Block, ...] = ()
    inference_config: InferenceConfig | None = None
    tool_config: ToolConfig | None = None
    output_config: OutputConfig | None = None
    service_tier: ServiceTier | None = None
    additional_model_request_fields: dict[str, msgspec.Raw] = {}
