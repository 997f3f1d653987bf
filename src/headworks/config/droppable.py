"""Which fields of requests may be left out for a provider that has nothing for them, where configuration lists them.

The names are those of the dialects' requests, with dots for what stands inside a field. What changes what is asked, who
is asked, or how safe that is, is never left out: such a call is refused.

Sources: the request types of the official SDKs, `openai` 3.54, `anthropic` and `google-genai` (2026-11).
"""

from collections.abc import Iterator, Mapping, Sequence

from headworks.calls import Endpoint
from headworks.config.walk import suggestion

_OPENAI = (
    *("metadata", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_options", "prompt_cache_options.mode"),
    *("prompt_cache_options.ttl", "prompt_cache_retention", "safety_identifier", "service_tier", "store"),
    *("stream_options.include_obfuscation", "temperature", "top_logprobs", "top_p", "user"),
)

DROPPABLE: Mapping[Endpoint, frozenset[str]] = {
    Endpoint.RESPONSES: frozenset(
        {
            *_OPENAI,
            *("include", "reasoning", "reasoning.context", "reasoning.effort", "reasoning.generate_summary"),
            *("reasoning.mode", "reasoning.summary", "text.verbosity", "truncation"),
        }
    ),
    Endpoint.CHAT: frozenset(
        {
            *_OPENAI,
            *("frequency_penalty", "logit_bias", "logprobs", "prediction", "presence_penalty", "reasoning_effort"),
            *("seed", "stop", "verbosity"),
        }
    ),
    Endpoint.COMPLETIONS: frozenset(
        {
            *("frequency_penalty", "logit_bias", "logprobs", "presence_penalty", "seed", "stop", "temperature"),
            *("top_p", "user"),
        }
    ),
    Endpoint.MESSAGES: frozenset(
        {
            *("cache_control", "diagnostics", "metadata", "metadata.user_id", "output_config.effort", "service_tier"),
            *("speed", "stop_sequences", "temperature", "thinking", "thinking.budget_tokens", "thinking.display"),
            *("tool_choice.disable_parallel_tool_use", "top_k", "top_p"),
        }
    ),
    Endpoint.GENERATE_CONTENT: frozenset(
        {
            *("labels", "serviceTier"),
            *(
                f"generationConfig.{name}"
                for name in (
                    *("audioTimestamp", "enableEnhancedCivicAnswers", "frequencyPenalty", "logprobs"),
                    *("mediaResolution", "presencePenalty", "responseLogprobs", "seed", "stopSequences"),
                    *("temperature", "thinkingConfig", "thinkingConfig.includeThoughts"),
                    *("thinkingConfig.thinkingBudget", "thinkingConfig.thinkingLevel", "topK", "topP"),
                )
            ),
        }
    ),
}
"""By dialect: what may be listed as droppable."""

NAMES: frozenset[str] = frozenset[str]().union(*DROPPABLE.values())

_ASKED = "it is what is asked"
_WHO = "it says who is asked"
_FORM = "it says what kind of answer is wanted"
_TOOLS = "it says what the model may do"
_SAFE = "it is there for safety, or says where data may go"
_SPENT = "it bounds what is spent"
_ONE = "it says how, and how often, a call is answered"

KEPT: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *(
                "cachedContent",
                "contents",
                "echo",
                "suffix",
                "context_management",
                "conversation",
                "image",
                "input",
                "instructions",
            ),
            *("messages", "previous_response_id", "prompt", "system", "systemInstruction"),
        ),
        _ASKED,
    ),
    **dict.fromkeys(("generationConfig.modelSelectionConfig", "generationConfig.routingConfig", "model"), _WHO),
    **dict.fromkeys(
        (
            *("audio", "generationConfig", "generationConfig.imageConfig", "generationConfig.responseJsonSchema"),
            *("generationConfig.responseMimeType", "generationConfig.responseModalities"),
            *("generationConfig.responseFormat", "generationConfig.responseSchema", "generationConfig.speechConfig"),
            *("generationConfig.translationConfig", "modalities", "output_config"),
            *("output_config.format", "response_format", "text", "text.format"),
        ),
        _FORM,
    ),
    **dict.fromkeys(
        (
            *("container", "function_call", "functions", "max_tool_calls", "mcp_servers", "tool_choice"),
            *("toolConfig", "tools", "web_search_options"),
        ),
        _TOOLS,
    ),
    **dict.fromkeys(
        (
            *("access_programs", "inference_geo", "modelArmorConfig", "moderation", "safetySettings"),
            *("user_profile_id", "workspace_id"),
        ),
        _SAFE,
    ),
    **dict.fromkeys(
        ("generationConfig.maxOutputTokens", "max_completion_tokens", "max_output_tokens", "max_tokens"), _SPENT
    ),
    **dict.fromkeys(
        (
            "background",
            "background_options",
            "generationConfig.candidateCount",
            "n",
            "best_of",
            "stream",
            "stream_options",
        ),
        _ONE,
    ),
}
"""What never may, and why."""

STOPS = frozenset({"stop", "stop_sequences", "generationConfig.stopSequences"})
"""What is never left out either where a contract sets it."""


def droppable_faults(names: Sequence[str], *, fixes_stop: bool = False) -> Iterator[tuple[int, str]]:
    """What is wrong with a list of droppable fields: which of them, and why.

    Arguments:
        fixes_stop: the contract itself sets stop sequences.
    """
    for index, name in enumerate(names):
        if name in KEPT:
            yield index, f"`{name}` is never left out: {KEPT[name]}"
        elif name in STOPS and fixes_stop:
            yield index, f"`{name}` is not left out where `output.stop` sets it"
        elif name not in NAMES:
            yield index, f"`{name[:64]}` is no field of a request that can be left out{suggestion(name, NAMES)}"
