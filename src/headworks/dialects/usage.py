"""Token usage as each dialect writes it, and as `calls.Usage` states it.

Both dialects of the OpenAI API count alike: input includes what was read from and written to the cache, output
includes reasoning. Anthropic's input leaves out what was read from the cache and written to it, and so does AWS's;
Google's output leaves out what was thought. A figure that is missing or null is 0; what is not a count at all makes
the usage unreadable, and a usage that cannot be read is none.
"""

import math
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Annotated

import msgspec

from headworks.calls import Usage, UsageDetails

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Written(msgspec.Struct, frozen=True):
    ttl_12h_tokens: Count | None = None


class _InputDetails(msgspec.Struct, frozen=True):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_tokens_details: _Written | None = None
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


class MediaUsage(msgspec.Struct, frozen=True):
    """The `usage` of an image, which says what of its tokens were pictures, and of a transcription, which is told in
    tokens or in seconds (types of the official SDK, `images_response.py` and `audio/transcription.py`, 3.54)."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None
    input_token_details: _InputDetails | None = None
    seconds: float | None = None

    def stated(self) -> Usage | None:
        """The figures in our convention, a second begun for a whole one; None when there are none."""
        if self.seconds is not None:
            seconds = math.ceil(self.seconds) if 0 <= self.seconds < _MOST_S else 0
            return Usage(source="provider", details=UsageDetails(audio_s=seconds))
        of_input = self.input_tokens_details or self.input_token_details
        return _usage(self.input_tokens, self.output_tokens, of_input, self.output_tokens_details)


_MOST_S = 10**6
"""Seconds of sound; a file of more is none that anybody has sent."""


class _ThinkingDetails(msgspec.Struct, frozen=True):
    thinking_tokens: Count | None = None


class _CacheCreation(msgspec.Struct, frozen=True):
    ephemeral_1h_input_tokens: Count | None = None


class _ServerTools(msgspec.Struct, frozen=True):
    web_search_requests: Count | None = None


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
            details=self._details(written),
        )

    def _details(self, written: int) -> UsageDetails | None:
        long = 0 if self.cache_creation is None else self.cache_creation.ephemeral_1h_input_tokens or 0
        searches = 0 if self.server_tool_use is None else self.server_tool_use.web_search_requests or 0
        if not long and not searches:
            return None
        return UsageDetails(long_cache_write_tokens=min(long, written), web_searches=searches)


_decode_messages_usage = msgspec.json.Decoder(MessagesUsage).decode


def read_messages_usage(raw: msgspec.Raw) -> MessagesUsage | None:
    """The usage of a message or an event; None when it is null or cannot be read."""
    try:
        return _decode_messages_usage(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _Modality(msgspec.Struct, frozen=True, rename="camel"):
    modality: str = ""
    token_count: Count = 0


_Modalities = tuple[_Modality, ...]


def _of_kind(counts: _Modalities | None, kind: str) -> int:
    return sum(one.token_count for one in counts or () if one.modality == kind)


class GeminiUsage(msgspec.Struct, frozen=True, rename="camel"):
    """The `usageMetadata` of Google's API. What is read from the cache is part of the prompt; what was thought is not
    part of the candidates, and what tools were given is not part of the prompt."""

    prompt_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    prompt_tokens_details: _Modalities | None = None
    cache_tokens_details: _Modalities | None = None
    candidates_tokens_details: _Modalities | None = None

    def stated(self) -> Usage | None:
        """The figures in our convention; None when there are none."""
        if self.prompt_token_count is None and self.candidates_token_count is None:
            return None
        thoughts = self.thoughts_token_count or 0
        return Usage(
            (self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0),
            self.cached_content_token_count or 0,
            0,
            (self.candidates_token_count or 0) + thoughts,
            thoughts,
            "provider",
            details=self._details(),
        )

    def _details(self) -> UsageDetails | None:
        """What was no text; what Google counts of a document is text and images already."""
        read, cached, written = self.prompt_tokens_details, self.cache_tokens_details, self.candidates_tokens_details
        found = UsageDetails(
            audio_input_tokens=_of_kind(read, "AUDIO"),
            cached_audio_tokens=_of_kind(cached, "AUDIO"),
            audio_output_tokens=_of_kind(written, "AUDIO"),
            image_input_tokens=_of_kind(read, "IMAGE"),
            cached_image_tokens=_of_kind(cached, "IMAGE"),
            image_output_tokens=_of_kind(written, "IMAGE"),
            video_input_tokens=_of_kind(read, "VIDEO"),
            video_output_tokens=_of_kind(written, "VIDEO"),
        )
        return None if found == _NO_DETAILS else found


_NO_DETAILS = UsageDetails()


_decode_gemini_usage = msgspec.json.Decoder(GeminiUsage).decode


def read_gemini_usage(raw: msgspec.Raw) -> Usage | None:
    """The usage of an answer of Google's; None when it is null or cannot be read."""
    try:
        return _decode_gemini_usage(raw).stated()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


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

    def stated(self) -> Usage | None:
        """The figures in our convention; None when there are none."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        inputs, outputs = self.input_tokens or 0, self.output_tokens or 0
        cached, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        is_within = self.total_tokens == inputs + outputs and cached + written <= inputs
        return Usage(inputs if is_within else inputs + cached + written, cached, written, outputs, 0, "provider")


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
    details = usage.details
    if details is not None:
        read |= _given(audio_tokens=details.audio_input_tokens, image_tokens=details.image_input_tokens)
        written |= _given(audio_tokens=details.audio_output_tokens)
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
    details = usage.details
    if details is not None:
        long = details.long_cache_write_tokens
        if long:
            split = {"ttl_30m_tokens": max(0, usage.cache_write_tokens - long), "ttl_12h_tokens": long}
            read["cache_write_tokens_details"] = split
        read |= _given(audio_tokens=details.audio_input_tokens, image_tokens=details.image_input_tokens)
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
    long = 0 if usage.details is None else usage.details.long_cache_write_tokens
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
    cached = written = reasoning = 0
    is_special = False
    if input_details is not None:
        cached, written = input_details.cached_tokens or 0, input_details.cache_write_tokens or 0
        if input_details.audio_tokens or input_details.image_tokens or input_details.cache_write_tokens_details:
            is_special = True
    if output_details is not None:
        reasoning = output_details.reasoning_tokens or 0
        if output_details.audio_tokens or output_details.image_tokens:
            is_special = True
    if is_special:
        details = _details(input_details or _NO_INPUT, output_details or _NO_OUTPUT)
        return Usage(inputs or 0, cached, written, outputs or 0, reasoning, "provider", -1, details)
    return Usage(inputs or 0, cached, written, outputs or 0, reasoning, "provider")


def _details(of_input: _InputDetails, of_output: _OutputDetails) -> UsageDetails | None:
    """How much was no text. Of what came from the cache no kind is told: it is taken for text, which costs no less."""
    written = of_input.cache_write_tokens_details
    found = UsageDetails(
        long_cache_write_tokens=0 if written is None else written.ttl_12h_tokens or 0,
        audio_input_tokens=of_input.audio_tokens or 0,
        audio_output_tokens=of_output.audio_tokens or 0,
        image_input_tokens=of_input.image_tokens or 0,
        image_output_tokens=of_output.image_tokens or 0,
    )
    return None if found == _NO_DETAILS else found
