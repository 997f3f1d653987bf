"""Servers that speak OpenAI's API, each in its own way: the differences as data. One more server is one more entry.

Sources (all 2026-11): the servers' own pages on their compatibility with OpenAI's API: vLLM "OpenAI-Compatible
Server", Ollama "OpenAI compatibility", llama.cpp `tools/server/README.md`, LM Studio "OpenAI Compatibility", Groq
"OpenAI Compatibility", Mistral, DeepSeek, xAI, Together and Fireworks "Chat completions", OpenRouter "Parameters",
LiteLLM "Proxy". Mistral answers 422 `extra_forbidden` to a field that it does not know; Groq 400 to those below; the
servers of one's own machine pass over such fields and say nothing, so that here they are refused.
"""

from typing import Literal

import msgspec

QuirksName = Literal[
    "vllm",
    "ollama",
    "llama-cpp",
    "lm-studio",
    "groq",
    "mistral",
    "deepseek",
    "xai",
    "together",
    "fireworks",
    "openrouter",
    "litellm",
]
Structured = Literal["json_schema", "grammar", "tool", "json_object"]
LimitName = Literal["max_tokens", "max_completion_tokens"]


class Quirks(msgspec.Struct, frozen=True):
    """How one server differs. What is the same for all is not here, because it is read wherever it stands:
    `reasoning` and `reasoning_content`, usage in a chunk with choices or without, comments in a stream, an error in
    a body of 200 or in a stream, an output count that leaves reasoning out (xAI).

    Attributes:
        base_url: where it is, unless configuration says so; "" where only that knows.
        limit_name: what its Chat API calls the bound on output tokens.
        structured_output: how it is asked for an answer that satisfies a JSON Schema.
        renamed: fields of Chat that it has under another name.
        refused: fields of Chat that it has nothing for: a call is refused that asks for something by one.
        unsent: fields of Chat that it does not know, and does unasked what they ask for.
        says_cost: its usage says what it has charged, in dollars, and that is what a call costs.
    """

    base_url: str = ""
    limit_name: LimitName = "max_tokens"
    structured_output: Structured = "json_schema"
    renamed: tuple[tuple[str, str], ...] = ()
    refused: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    says_cost: bool = False


_SHORT_LIMIT = (("max_completion_tokens", "max_tokens"),)

QUIRKS: dict[str, Quirks] = {
    "vllm": Quirks("http://127.0.0.1:8000/v1"),
    "ollama": Quirks("http://127.0.0.1:11434/v1", renamed=_SHORT_LIMIT, refused=("n", "logit_bias")),
    "llama-cpp": Quirks("http://127.0.0.1:8080/v1", structured_output="grammar", renamed=_SHORT_LIMIT),
    "lm-studio": Quirks("http://127.0.0.1:1234/v1", renamed=_SHORT_LIMIT, refused=("n", "logprobs", "top_logprobs")),
    "groq": Quirks(
        "https://api.groq.com/openai/v1",
        limit_name="max_completion_tokens",
        refused=("n", "logprobs", "top_logprobs", "logit_bias"),
    ),
    "mistral": Quirks(
        "https://api.mistral.ai/v1",
        renamed=(*_SHORT_LIMIT, ("seed", "random_seed")),
        refused=("logit_bias", "logprobs", "top_logprobs", "store", "service_tier"),
        unsent=("stream_options",),
    ),
    "deepseek": Quirks(
        "https://api.deepseek.com/v1",
        structured_output="json_object",
        renamed=_SHORT_LIMIT,
        refused=("n", "logit_bias", "seed"),
    ),
    "xai": Quirks("https://api.x.ai/v1", limit_name="max_completion_tokens", refused=("logit_bias",)),
    "together": Quirks("https://api.together.xyz/v1", structured_output="grammar", renamed=_SHORT_LIMIT),
    "fireworks": Quirks("https://api.fireworks.ai/inference/v1", structured_output="grammar", renamed=_SHORT_LIMIT),
    "openrouter": Quirks("https://openrouter.ai/api/v1", says_cost=True),
    "litellm": Quirks(),
}
"""By the name that configuration gives as `quirks`."""

PLAIN = Quirks()
"""Of a server that is not named."""
