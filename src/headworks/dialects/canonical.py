"""The one canonical form of a call: the Responses item, typed.

Every dialect decodes into these values and encodes from them, so that a further dialect needs a codec for itself and
none for each other. The item, part and tool structs are written exactly as the Responses API writes them. What only one
dialect knows is carried beside them as it came (`Extra`, `OtherItem`, `OtherTool`), for the encoder of another one to
refuse by its name.

Source of the shapes: the types of the official SDK, `openai/types/responses` and `openai/types/chat`, 3.54.
"""

from typing import Literal

import msgspec

from headworks.calls import Endpoint, Usage

ABSENT = msgspec.Raw()
"""What a field of undecoded JSON holds when it is not there."""

_NULL = msgspec.Raw(b"null")


def is_given(raw: msgspec.Raw) -> bool:
    """Whether a field of undecoded JSON is there and is not null."""
    return len(memoryview(raw)) > 0 and raw != _NULL


Role = Literal["user", "assistant", "system", "developer"]
Status = Literal["in_progress", "completed", "incomplete"]


class CacheBreakpoint(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The end of a prompt prefix that is worth caching."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class _Part(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"):
    """A part of the content of a message or of a tool's output."""


class InputText(_Part, frozen=True, tag="input_text"):
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputImage(_Part, frozen=True, tag="input_image"):
    """`image_url` may be a data URL."""

    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputFile(_Part, frozen=True, tag="input_file"):
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: Literal["auto", "low", "high"] | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class Audio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sound, in base 64."""

    data: str
    format: Literal["wav", "mp3"]


class InputAudio(_Part, frozen=True, tag="input_audio"):
    input_audio: Audio
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class UrlCitation(msgspec.Struct, frozen=True, tag_field="type", tag="url_citation"):
    """Where a passage of the answer comes from; indices count characters of the text."""

    url: str
    title: str
    start_index: int
    end_index: int


class TopLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None


class Logprob(msgspec.Struct, frozen=True):
    """How likely a token was, and which others were."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top_logprobs: tuple[TopLogprob, ...] = ()


class OutputText(_Part, frozen=True, tag="output_text"):
    """`annotations` are carried as they came in a request, where a model does not read them."""

    text: str
    annotations: msgspec.Raw = ABSENT
    logprobs: msgspec.Raw = ABSENT


class RefusalText(_Part, frozen=True, tag="refusal"):
    refusal: str


Part = InputText | InputImage | InputFile | InputAudio | OutputText | RefusalText
OutputPart = InputText | InputImage | InputFile


class _Item(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"):
    """An item of a call's input or output."""


class Message(_Item, frozen=True, tag="message"):
    role: Role
    content: str | tuple[Part, ...]
    id: str | None = None
    status: Status | None = None
    phase: str | None = None


class FunctionCall(_Item, frozen=True, tag="function_call"):
    """A model asks for a function to be called; `arguments` is JSON text, as the model wrote it."""

    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: Status | None = None
    namespace: str | None = None
    caller: msgspec.Raw = ABSENT
    is_async: bool | None = msgspec.field(default=None, name="async")


class FunctionCallOutput(_Item, frozen=True, tag="function_call_output"):
    call_id: str
    output: str | tuple[OutputPart, ...]
    id: str | None = None
    status: Status | None = None
    name: str | None = None
    namespace: str | None = None
    caller: msgspec.Raw = ABSENT


class CustomCall(_Item, frozen=True, tag="custom_tool_call"):
    """A model asks for a tool whose input is free text."""

    call_id: str
    name: str
    input: str
    id: str | None = None
    status: Status | None = None
    namespace: str | None = None
    caller: msgspec.Raw = ABSENT
    is_async: bool | None = msgspec.field(default=None, name="async")


class CustomCallOutput(_Item, frozen=True, tag="custom_tool_call_output"):
    call_id: str
    output: str | tuple[OutputPart, ...]
    id: str | None = None
    caller: msgspec.Raw = ABSENT


class SummaryText(msgspec.Struct, frozen=True, tag_field="type", tag="summary_text"):
    text: str


class ReasoningText(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning_text"):
    text: str


class Reasoning(_Item, frozen=True, tag="reasoning"):
    """What a model thought: readable in `summary` or `content`, or sealed by its provider in `encrypted_content`."""

    id: str | None = None
    summary: tuple[SummaryText, ...] = ()
    content: tuple[ReasoningText, ...] | None = None
    encrypted_content: str | None = None
    status: Status | None = None


class OtherItem(msgspec.Struct, frozen=True):
    """An item that only the Responses API has, as it came."""

    type: str
    raw: msgspec.Raw


Item = Message | FunctionCall | FunctionCallOutput | CustomCall | CustomCallOutput | Reasoning | OtherItem


class FunctionTool(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type", tag="function"
):
    """A function that the caller offers. `strict` None leaves it to the upstream's dialect."""

    name: str
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None
    description: str | None = None
    allowed_callers: msgspec.Raw = ABSENT
    is_async: bool | None = msgspec.field(default=None, name="async")
    defer_loading: bool | None = None
    output_schema: msgspec.Raw = ABSENT


class GrammarFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="grammar"):
    definition: str
    syntax: Literal["lark", "regex"]


class FreeFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """Any text."""


class CustomTool(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type", tag="custom"
):
    """A tool of the caller's whose input is free text, or text by a grammar."""

    name: str
    description: str | None = None
    format: GrammarFormat | FreeFormat | None = None
    allowed_callers: msgspec.Raw = ABSENT
    is_async: bool | None = msgspec.field(default=None, name="async")
    defer_loading: bool | None = None


class OtherTool(msgspec.Struct, frozen=True):
    """A tool that a provider runs itself (web search, …), as it came."""

    type: str
    raw: msgspec.Raw


Tool = FunctionTool | CustomTool | OtherTool


class ToolName(msgspec.Struct, frozen=True):
    """One tool, by its kind and name."""

    type: Literal["function", "custom"]
    name: str


class AllowedTools(msgspec.Struct, frozen=True):
    """Only these of the tools may be called."""

    mode: Literal["auto", "required"]
    tools: tuple[ToolName, ...]


class OtherChoice(msgspec.Struct, frozen=True):
    """A choice of a tool that a provider runs itself, as it came."""

    raw: msgspec.Raw


ToolChoice = Literal["none", "auto", "required"] | ToolName | AllowedTools | OtherChoice


class PlainFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """Text of any form."""


class JsonObjectFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_object"):
    """Some JSON object (the older JSON mode)."""


class JsonSchemaFormat(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type", tag="json_schema"
):
    """JSON by a schema."""

    name: str
    schema: msgspec.Raw
    description: str | None = None
    strict: bool | None = None


TextFormat = PlainFormat | JsonObjectFormat | JsonSchemaFormat


class Extra(msgspec.Struct, frozen=True):
    """A top-level field that only one dialect has (or that we do not know), as it came in it."""

    name: str
    dialect: Endpoint
    value: msgspec.Raw


class ToolHints(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What Anthropic's callers say of how a tool is handled: `caches` marks the end of a prefix that is kept for so
    long, `streams_eagerly` has the input of its calls come before it is whole. No answer is another for them."""

    caches: Literal["5m", "1h"] | None = None
    streams_eagerly: bool | None = None


class ModelRequest(msgspec.Struct, frozen=True):
    """What is asked of a model. None means that the caller leaves it to the upstream.

    `shows_reasoning` asks for a summary of the reasoning, `seals_reasoning` for the reasoning in a form in which the
    next turn can hand it back. `caches_all` asks for the whole of it to be cached for so long, which most upstreams do
    unasked; `tool_hints`, by the tools' names, say the like of them. `has_hourly_marks` says that what is to be cached
    for `12h` is so because OpenAI's API has nothing nearer to the hour that is meant. `dialect` is the caller's: what
    is refused is named in its words. `stands_for` is the model that is meant where `model` is a name that somebody
    chose for it.
    """

    model: str
    input: tuple[Item, ...]
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    text_format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    wants_logprobs: bool = False
    top_logprobs: int | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, msgspec.Raw] | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    is_streamed: bool = False
    extras: tuple[Extra, ...] = ()
    shows_reasoning: bool = False
    seals_reasoning: bool = False
    caches_all: Literal["5m", "1h"] | None = None
    tool_hints: dict[str, ToolHints] = {}
    has_hourly_marks: bool = False
    dialect: Endpoint = Endpoint.RESPONSES
    stands_for: str = ""

    @property
    def known_model(self) -> str:
        """The name that says what the model can do."""
        return self.stands_for or self.model


class AnswerText(msgspec.Struct, frozen=True):
    """Text of an answer, with what belongs to it."""

    text: str
    citations: tuple[UrlCitation, ...] = ()
    logprobs: tuple[Logprob, ...] = ()


class AnswerRefusal(msgspec.Struct, frozen=True):
    """The model declines, in its own words."""

    refusal: str


class AnswerMessage(msgspec.Struct, frozen=True):
    parts: tuple[AnswerText | AnswerRefusal, ...]


class AnswerReasoning(msgspec.Struct, frozen=True):
    """What the model thought: as far as the upstream lets it be read in `text`; `encrypted_content` (of the item
    `id`, where the upstream names it) is what it wants back with the next turn."""

    text: str
    encrypted_content: str | None = None
    id: str | None = None


class AnswerCall(msgspec.Struct, frozen=True):
    """A tool call; `text` is a function's arguments or a custom tool's input."""

    kind: Literal["function", "custom"]
    call_id: str
    name: str
    text: str


AnswerItem = AnswerMessage | AnswerReasoning | AnswerCall

EndReason = Literal["", "max_output_tokens", "content_filter"]
"""Why an answer is not complete; empty when it is."""


class ModelAnswer(msgspec.Struct, frozen=True):
    """What a model answered: complete when `end_reason` is empty, else cut for that reason. `created` is Unix time
    in seconds; `is_stored`, whether the provider keeps it under its id."""

    id: str
    model: str
    created: int
    output: tuple[AnswerItem, ...]
    end_reason: EndReason = ""
    usage: Usage | None = None
    service_tier: str | None = None
    is_stored: bool = False


class UpstreamError(msgspec.Struct, frozen=True):
    """What the upstream says went wrong in an answer that began well. `message` is for the caller only: it may
    quote the prompt."""

    code: str
    message: str
    param: str | None = None
    usage: Usage | None = None
    id: str = ""
    model: str = ""


def with_hours(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The items, whose marks of `12h` mean an hour, with marks that Anthropic's models take for one."""
    return tuple(_with_hours(item) for item in items)


_ITEM_PARTS = {Message: "content", FunctionCallOutput: "output", CustomCallOutput: "output"}


def _with_hours(item: Item) -> Item:
    name = _ITEM_PARTS.get(type(item))
    parts = () if name is None else getattr(item, name)
    if name is None or isinstance(parts, str):
        return item
    hour = CacheBreakpoint("explicit", "30m")
    return msgspec.structs.replace(
        item,
        **{
            name: tuple(
                part
                if (mark := getattr(part, "prompt_cache_breakpoint", None)) is None or mark.ttl != "12h"
                else msgspec.structs.replace(part, prompt_cache_breakpoint=hour)
                for part in parts
            )
        },
    )
