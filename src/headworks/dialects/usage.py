"""Token usage as each dialect writes it, and as `calls.Usage` states it.

Both dialects of the OpenAI API count alike: input includes what was read from and written to the cache, output
includes reasoning. Anthropic's input leaves out what was read from the cache and written to it, and so does AWS's;
Google's output leaves out what was thought. A figure that is missing or null is 0; what is not a count at all makes
the usage unreadable, and a usage that cannot be read is none.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Annotated

import msgspec

from headworks.calls import Extras, Usage, both_extras, extras_of

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _WriteDetails(msgspec.Struct, frozen=True):
    ttl_12h_tokens: Count | None = None


class _InputDetails(msgspec.Struct, frozen=True):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_tokens_details: _WriteDetails | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class _OutputDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


_UNSAID = msgspec.Raw(b"")
_MOST_USD = 10_000
"""A figure beyond is no call's cost."""


class _CostDetails(msgspec.Struct, frozen=True):
    upstream_inference_cost: msgspec.Raw = _UNSAID


_decode_details = msgspec.json.Decoder(_CostDetails).decode


def _with_charge(usage: Usage | None, stated: "ChatUsage | ResponsesUsage") -> Usage | None:
    """The usage with what was charged, where that is told."""
    charged = _pico(bytes(stated.cost))
    if usage is None or charged is None:
        return usage
    if bytes(stated.is_byok) == b"true":
        try:
            upstream = _pico(bytes(_decode_details(stated.cost_details).upstream_inference_cost))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            upstream = None
        if upstream is None:
            return usage
        charged += upstream
    return msgspec.structs.replace(usage, charged_pico=charged)


def _pico(number: bytes) -> int | None:
    """Pico-dollars of a JSON number of dollars, exactly; None where it is none, or none that could be."""
    try:
        usd = Decimal(number.decode("ascii"))
    except (InvalidOperation, UnicodeDecodeError):
        return None
    if not usd.is_finite() or not 0 <= usd <= _MOST_USD:
        return None
    return int(usd.scaleb(12).to_integral_value(ROUND_HALF_EVEN))


class ChatUsage(msgspec.Struct, frozen=True):
    """The `usage` of chat completions, their chunks, and embeddings.

    xAI counts what was reasoned beside the completion, and only its total has both ("Consumption and rate limits",
    2026-11). DeepSeek says by a name of its own what it read from its cache ("Context caching", 2026-11).

    OpenRouter says beside the tokens what it has charged, in dollars: `cost` ("Usage accounting", 2026-11). Where it
    has called a provider with one's own key, that provider charges as well. Others have other things by these names,
    so they are looked into only where there is any.
    """

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: int | float | str | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: Count | None = None
    cost: msgspec.Raw = _UNSAID
    is_byok: msgspec.Raw = _UNSAID
    cost_details: msgspec.Raw = _UNSAID

    def stated(self) -> Usage | None:
        """The figures in our convention; None when there are none."""
        outputs, details, of_input = self.completion_tokens, self.completion_tokens_details, self.prompt_tokens_details
        if details is not None and details.reasoning_tokens:
            together = (outputs or 0) + details.reasoning_tokens
            if self.total_tokens == (self.prompt_tokens or 0) + together:
                outputs = together
        if self.prompt_cache_hit_tokens and (of_input is None or of_input.cached_tokens is None):
            of_input = _InputDetails(self.prompt_cache_hit_tokens)
        usage = _usage(self.prompt_tokens, outputs, of_input, details)
        return _with_charge(usage, self) if self.cost is not _UNSAID else usage


class ResponsesUsage(msgspec.Struct, frozen=True):
    """The `usage` of a response; `cost` and what is beside it as of `ChatUsage`."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None
    cost: msgspec.Raw = _UNSAID
    is_byok: msgspec.Raw = _UNSAID
    cost_details: msgspec.Raw = _UNSAID

    def stated(self) -> Usage | None:
        """The figures in our convention; None when there are none."""
        usage = _usage(self.input_tokens, self.output_tokens, self.input_tokens_details, self.output_tokens_details)
        return _with_charge(usage, self) if self.cost is not _UNSAID else usage


class _Searches(msgspec.Struct, frozen=True):
    num_requests: Count | None = None


class _Drawing(msgspec.Struct, frozen=True):
    input_tokens: Count | None = None
    output_tokens: Count | None = None


class _ToolUsage(msgspec.Struct, frozen=True):
    """The `tool_usage` of a response: what tools at the provider have used beside the model's own usage."""

    web_search: _Searches | None = None
    image_gen: _Drawing | None = None


_decode_tools = msgspec.json.Decoder(_ToolUsage).decode

NO_TOOLS = msgspec.Raw(b"")
"""Of a response that does not say what tools have used."""


class HostedUse(msgspec.Struct, frozen=True):
    """How often tools have run at the provider for a response, where only its items tell."""

    file_searches: int = 0
    container_runs: int = 0

    @classmethod
    def of(cls, items: Iterable[str]) -> "HostedUse":
        """Of the types of its output items. A shell's output among them is of a shell in a container: of any other it
        would be for the caller to send."""
        types = tuple(items)
        return cls(types.count("file_search_call"), sum(map(types.count, IN_CONTAINER)))

    def __bool__(self) -> bool:
        return self.file_searches > 0 or self.container_runs > 0


IN_CONTAINER = ("code_interpreter_call", "shell_call_output")
"""Items of a response for which code ran in a container at the provider (OpenAI API reference, 2026-11)."""

NOT_HOSTED = HostedUse()


def with_tools(usage: Usage | None, tools: msgspec.Raw, used: HostedUse = NOT_HOSTED) -> Usage | None:
    """The usage with what the provider's tools have used. What one draws is another model's, at a price of its own.

    Arguments:
        tools: `tool_usage` of the response.
        used: what it does not say.
    """
    if usage is None:
        return None
    try:
        told = _decode_tools(tools) if tools else _ToolUsage()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = _ToolUsage()  # null, or what others call so
    searches, drawing = told.web_search, told.image_gen
    extras = extras_of(
        web_searches=None if searches is None else searches.num_requests,
        file_searches=used.file_searches,
        container_runs=used.container_runs,
        foreign_tokens=None if drawing is None else (drawing.input_tokens or 0) + (drawing.output_tokens or 0),
    )
    return usage if extras is None else msgspec.structs.replace(usage, extras=both_extras(usage.extras, extras))


class _ThinkingDetails(msgspec.Struct, frozen=True):
    thinking_tokens: Count | None = None


class _CacheCreation(msgspec.Struct, frozen=True):
    ephemeral_1h_input_tokens: Count | None = None


class _ServerTools(msgspec.Struct, frozen=True):
    web_search_requests: Count | None = None
    code_execution_requests: Count | None = None


class MessagesUsage(msgspec.Struct, frozen=True):
    """The `usage` of a message of Anthropic's, and of its stream's events, where later figures replace earlier ones."""

    input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    output_tokens: Count | None = None
    output_tokens_details: _ThinkingDetails | None = None
    service_tier: str | None = None
    cache_creation: _CacheCreation | None = None
    server_tool_use: _ServerTools | None = None

    def updated(self, later: "MessagesUsage") -> "MessagesUsage":
        """These figures, with those that a later event states."""
        return MessagesUsage(
            *(
                getattr(self, name) if getattr(later, name) is None else getattr(later, name)
                for name in self.__struct_fields__
            )
        )

    def stated(self) -> Usage | None:
        """The figures in our convention; None when there are none."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        cached, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        details = self.output_tokens_details
        return Usage(
            (self.input_tokens or 0) + cached + written,
            cached,
            written,
            self.output_tokens or 0,
            0 if details is None else details.thinking_tokens or 0,
            "provider",
            -1,
            self._extras(written) if self.cache_creation is not None or self.server_tool_use is not None else None,
        )

    def _extras(self, written: int) -> Extras | None:
        kept, tools = self.cache_creation, self.server_tool_use
        return extras_of(
            long_cache_write_tokens=0 if kept is None else min(kept.ephemeral_1h_input_tokens or 0, written),
            web_searches=None if tools is None else tools.web_search_requests,
            container_runs=None if tools is None else tools.code_execution_requests,
        )


_decode_messages_usage = msgspec.json.Decoder(MessagesUsage).decode


def read_messages_usage(raw: msgspec.Raw) -> MessagesUsage | None:
    """The usage of a message or an event; None when it is null or cannot be read."""
    try:
        return _decode_messages_usage(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _Modality(msgspec.Struct, frozen=True, rename="camel"):
    modality: str = ""
    token_count: Count | None = None


_Modalities = tuple[_Modality, ...]


class GeminiUsage(msgspec.Struct, frozen=True, rename="camel"):
    """The `usageMetadata` of Google's API. What is read from the cache is part of the prompt; what was thought is not
    part of the candidates, and what tools were given is not part of the prompt. The details say of each of them how
    many are text, sound, images and video ("Understand and count tokens", 2026-11)."""

    prompt_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    prompt_tokens_details: _Modalities | None = None
    cache_tokens_details: _Modalities | None = None
    candidates_tokens_details: _Modalities | None = None
    tool_use_prompt_tokens_details: _Modalities | None = None

    def stated(self) -> Usage | None:
        """The figures in our convention; None when there are none."""
        if self.prompt_token_count is None and self.candidates_token_count is None:
            return None
        thoughts = self.thoughts_token_count or 0
        read = (*(self.prompt_tokens_details or ()), *(self.tool_use_prompt_tokens_details or ()))
        written, cached = self.candidates_tokens_details or (), self.cache_tokens_details or ()
        return Usage(
            (self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0),
            self.cached_content_token_count or 0,
            0,
            (self.candidates_token_count or 0) + thoughts,
            thoughts,
            "provider",
            -1,
            extras_of(
                audio_input_tokens=_of_modality(read, "AUDIO"),
                image_input_tokens=_of_modality(read, "IMAGE"),
                video_input_tokens=_of_modality(read, "VIDEO"),
                cached_audio_tokens=_of_modality(cached, "AUDIO"),
                cached_image_tokens=_of_modality(cached, "IMAGE"),
                audio_output_tokens=_of_modality(written, "AUDIO"),
                image_output_tokens=_of_modality(written, "IMAGE"),
                video_output_tokens=_of_modality(written, "VIDEO"),
            )
            if read or written
            else None,
        )


def _of_modality(details: _Modalities, modality: str) -> int:
    return sum(one.token_count or 0 for one in details if one.modality == modality)


_decode_gemini_usage = msgspec.json.Decoder(GeminiUsage).decode


def read_gemini_usage(raw: msgspec.Raw) -> Usage | None:
    """The usage of an answer of Google's; None when it is null or cannot be read."""
    try:
        return _decode_gemini_usage(raw).stated()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _CacheDetail(msgspec.Struct, frozen=True, rename="camel"):
    ttl: str = ""
    input_tokens: Count | None = None


class ConverseUsage(msgspec.Struct, frozen=True, rename="camel"):
    """The `usage` of an answer of AWS's Converse.

    Its input leaves out what was read from the cache and written to it, and its total has all ("Prompt caching",
    2026-11). Should a total say that they are within the input, they are not added once more.
    """

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_write_input_tokens: Count | None = None
    cache_details: tuple[_CacheDetail, ...] | None = None

    def stated(self) -> Usage | None:
        """The figures in our convention; None when there are none."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        inputs, outputs = self.input_tokens or 0, self.output_tokens or 0
        cached, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        is_within = self.total_tokens == inputs + outputs and cached + written <= inputs
        whole = inputs if is_within else inputs + cached + written
        long = sum(one.input_tokens or 0 for one in self.cache_details or () if one.ttl == "1h")
        return Usage(
            whole,
            cached,
            written,
            outputs,
            0,
            "provider",
            -1,
            extras_of(long_cache_write_tokens=long) if long else None,
        )


_decode_converse_usage = msgspec.json.Decoder(ConverseUsage).decode


def read_converse_usage(raw: msgspec.Raw) -> Usage | None:
    """The usage of an answer of AWS's; None when it is null or cannot be read."""
    try:
        return _decode_converse_usage(raw).stated()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


_decode_chat_usage = msgspec.json.Decoder(ChatUsage).decode


def read_chat_usage(raw: bytes | msgspec.Raw) -> Usage | None:
    """The usage of a whole answer; None when it is null or cannot be read."""
    try:
        return _decode_chat_usage(raw).stated()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


_NO_INPUT = _InputDetails()
_NO_OUTPUT = _OutputDetails()


def chat_usage(usage: Usage) -> dict[str, object]:
    """`usage` as a chat completion states it."""
    read: dict[str, object] = {
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }
    written: dict[str, object] = {"reasoning_tokens": usage.reasoning_tokens}
    extras = usage.extras
    if extras is not None:
        read |= _given(audio_tokens=extras.audio_input_tokens, image_tokens=extras.image_input_tokens)
        written |= _given(audio_tokens=extras.audio_output_tokens)
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": read,
        "completion_tokens_details": written,
    }


def _given(**counts: int) -> dict[str, object]:
    return {name: count for name, count in counts.items() if count}


def responses_usage(usage: Usage) -> dict[str, object]:
    """`usage` as a response states it. What was sound or an image is said as Chat says it, and as other answers of this
    API do."""
    read: dict[str, object] = {
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }
    extras = usage.extras
    if extras is not None:
        long = extras.long_cache_write_tokens
        if long:
            split = {"ttl_30m_tokens": max(0, usage.cache_write_tokens - long), "ttl_12h_tokens": long}
            read["cache_write_tokens_details"] = split
        read |= _given(audio_tokens=extras.audio_input_tokens, image_tokens=extras.image_input_tokens)
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": read,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


_MESSAGES_TIERS = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}
"""The tiers that Anthropic has a word for, by OpenAI's."""


def messages_usage(usage: Usage, service_tier: str | None = None) -> dict[str, object]:
    """`usage` as a message of Anthropic's states it, with the tier that served it, in the words of the OpenAI API."""
    long = 0 if usage.extras is None else usage.extras.long_cache_write_tokens
    more: dict[str, object] = {}
    if service_tier in _MESSAGES_TIERS:
        more["service_tier"] = _MESSAGES_TIERS[service_tier]
    if long:
        more["cache_creation"] = {
            "ephemeral_5m_input_tokens": max(0, usage.cache_write_tokens - long),
            "ephemeral_1h_input_tokens": long,
        }
    return more | {
        "input_tokens": max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }


def _usage(
    inputs: int | None, outputs: int | None, input_details: _InputDetails | None, output_details: _OutputDetails | None
) -> Usage | None:
    if inputs is None and outputs is None:
        return None
    of_input = input_details or _NO_INPUT
    of_output = output_details or _NO_OUTPUT
    extras, written = None, of_input.cache_write_tokens_details
    if (
        written is not None
        or of_input.audio_tokens
        or of_input.image_tokens
        or of_output.audio_tokens
        or of_output.image_tokens
    ):
        extras = extras_of(
            long_cache_write_tokens=None if written is None else written.ttl_12h_tokens,
            audio_input_tokens=of_input.audio_tokens,
            image_input_tokens=of_input.image_tokens,
            audio_output_tokens=of_output.audio_tokens,
            image_output_tokens=of_output.image_tokens,
        )
    return Usage(
        inputs or 0,
        of_input.cached_tokens or 0,
        of_input.cache_write_tokens or 0,
        outputs or 0,
        of_output.reasoning_tokens or 0,
        "provider",
        -1,
        extras,
    )
