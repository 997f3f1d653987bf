"""The contents of Google's Gemini API, as requests write them.

Source of the shapes: the types of the official SDK, `google/genai/types.py`, 3.6, as `models.py` sends them to the
Gemini Developer API.
"""

from typing import Literal

import msgspec

from headworks.dialects.canonical import ABSENT


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    pass


class Blob(_Wire, frozen=True):
    """Bytes in base 64."""

    mime_type: str
    data: str
    display_name: str | None = None


class FileData(_Wire, frozen=True):
    file_uri: str
    mime_type: str | None = None
    display_name: str | None = None


class FunctionCallPart(_Wire, frozen=True):
    """`args` is a JSON object, as the model wrote it."""

    name: str
    args: msgspec.Raw = ABSENT
    id: str | None = None


class ResultPart(_Wire, frozen=True):
    """What a function returned that is no JSON."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponsePart(_Wire, frozen=True):
    """What a function returned; `response` is a JSON object."""

    name: str
    response: msgspec.Raw = ABSENT
    id: str | None = None
    parts: tuple[ResultPart, ...] = ()


MediaLevel = Literal[
    "MEDIA_RESOLUTION_UNSPECIFIED",
    "MEDIA_RESOLUTION_LOW",
    "MEDIA_RESOLUTION_MEDIUM",
    "MEDIA_RESOLUTION_HIGH",
    "MEDIA_RESOLUTION_ULTRA_HIGH",
]


class MediaResolution(_Wire, frozen=True):
    level: MediaLevel


class Part(_Wire, frozen=True):
    """One of `text`, `inline_data`, `file_data`, `function_call` and `function_response`, and what belongs to it."""

    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCallPart | None = None
    function_response: FunctionResponsePart | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    media_resolution: MediaResolution | None = None


class Content(_Wire, frozen=True):
    """One turn. The system's instruction has no role."""

    parts: tuple[Part, ...] = ()
    role: str | None = None


class FunctionDeclaration(_Wire, frozen=True):
    """A function that may be called. `parameters` is a schema in Google's own words, `parameters_json_schema` one in
    those of JSON Schema."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    parameters_json_schema: msgspec.Raw = ABSENT


class ToolParam(_Wire, frozen=True):
    function_declarations: tuple[FunctionDeclaration, ...] = ()


class CallingConfig(_Wire, frozen=True):
    """`ANY` has the model call; `VALIDATED` leaves it the choice, and holds calls to the schemas as `ANY` does."""

    mode: Literal["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"] | None = None
    allowed_function_names: tuple[str, ...] = ()


class ToolConfig(_Wire, frozen=True):
    function_calling_config: CallingConfig | None = None


ThinkingLevel = Literal["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"]


class ThinkingConfig(_Wire, frozen=True):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: ThinkingLevel | None = None


class GenerationConfig(_Wire, frozen=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | float | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    response_logprobs: bool | None = None
    logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_schema: msgspec.Raw = ABSENT
    response_json_schema: msgspec.Raw = ABSENT
    thinking_config: ThinkingConfig | None = None
    media_resolution: msgspec.Raw = ABSENT
    audio_timestamp: msgspec.Raw = ABSENT
    enable_enhanced_civic_answers: msgspec.Raw = ABSENT


class GenerateContent(_Wire, frozen=True):
    """The body of a request. Which model is asked, and whether it streams, stands in the path."""

    contents: tuple[Content, ...]
    system_instruction: Content | None = None
    tools: tuple[ToolParam, ...] = ()
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    service_tier: str | None = None
    safety_settings: msgspec.Raw = ABSENT
    labels: msgspec.Raw = ABSENT
