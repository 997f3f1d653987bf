"""Which upstreams other gateways name, and what each is here: a kind, an address, the usual variable of its key.

Sources: the providers' API references on their OpenAI-compatible endpoints, and the three gateways' own lists
(LiteLLM's provider pages, Portkey's `globals.ts`, TensorZero's configuration reference), 2026-11.
"""

from typing import Literal

import msgspec

from headworks.config.quirks import QUIRKS
from headworks.config.rules import is_safe_origin
from headworks.config.sections.kinds import OPENAI_BASE_URL

Kind = Literal["openai", "openai-compatible", "anthropic", "gemini", "azure", "vertex", "bedrock"]

CLOUD_KINDS: tuple[Kind, ...] = ("azure", "vertex", "bedrock")
"""Those whose providers are found by more than an address: see `clouds`."""


class Upstream(msgspec.Struct, frozen=True):
    """What a provider of theirs is here.

    Attributes:
        kind: ours.
        base_url: where it is; empty where `kind` knows it, or only the file does.
        variable: the environment variable that usually holds its key; empty where it needs none.
        suffix: what stands at the end of our base URL and not of theirs.
        quirks: which server it is, where one is known that wants to be asked in its own way, and has another name.
    """

    kind: Kind
    base_url: str = ""
    variable: str = ""
    suffix: str = ""
    quirks: str = ""


UPSTREAMS: dict[str, Upstream] = {
    "openai": Upstream("openai", variable="OPENAI_API_KEY"),
    "anthropic": Upstream("anthropic", variable="ANTHROPIC_API_KEY", suffix="/v1"),
    "gemini": Upstream("gemini", variable="GEMINI_API_KEY", suffix="/v1beta"),
    "groq": Upstream("openai-compatible", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": Upstream("openai-compatible", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": Upstream("openai-compatible", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "xai": Upstream("openai-compatible", "https://api.x.ai/v1", "XAI_API_KEY"),
    "together": Upstream("openai-compatible", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "fireworks": Upstream("openai-compatible", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "openrouter": Upstream("openai-compatible", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": Upstream("openai-compatible", "https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
    "cerebras": Upstream("openai-compatible", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepinfra": Upstream("openai-compatible", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "sambanova": Upstream("openai-compatible", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "moonshot": Upstream("openai-compatible", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "hyperbolic": Upstream("openai-compatible", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    "nvidia": Upstream("openai-compatible", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "ollama": Upstream("openai-compatible", "http://127.0.0.1:11434/v1", suffix="/v1"),
    "vllm": Upstream("openai-compatible"),
    "lm-studio": Upstream("openai-compatible"),
    "llamafile": Upstream("openai-compatible", quirks="llama-cpp"),
    "llama-cpp": Upstream("openai-compatible", "http://127.0.0.1:8080/v1"),
    "sglang": Upstream("openai-compatible"),
    "xinference": Upstream("openai-compatible"),
    "litellm": Upstream("openai-compatible", variable="LITELLM_PROXY_API_KEY"),
    "compatible": Upstream("openai-compatible"),
    "azure": Upstream("azure", variable="AZURE_API_KEY"),
    "vertex": Upstream("vertex"),
    "bedrock": Upstream("bedrock"),
}
"""By the name that the provider gets here."""

_SAME: dict[str, str] = {
    "google": "gemini",
    "google-ai-studio-gemini": "gemini",
    "mistral-ai": "mistral",
    "x-ai": "xai",
    "together-ai": "together",
    "fireworks-ai": "fireworks",
    "perplexity-ai": "perplexity",
    "nvidia-nim": "nvidia",
    "ollama-chat": "ollama",
    "hosted-vllm": "vllm",
    "litellm-proxy": "litellm",
    "azure-openai": "azure",
    "azure-text": "azure",
    "vertex-ai": "vertex",
    "vertex-ai-beta": "vertex",
    "gcp-vertex-gemini": "vertex",
    "bedrock-converse": "bedrock",
    "aws-bedrock": "bedrock",
    "openai-like": "compatible",
    "custom-openai": "compatible",
}
"""Other names for the same, `_` written as `-`."""

_COMPATIBLE = (
    "if the server speaks OpenAI's API, too, write it as `kind: openai-compatible` with its base_url; "
    "else keep the old gateway before it and name that as `openai-compatible`"
)
_ABSENT: dict[str, str] = {
    "azure": "models of Azure AI Foundry are no deployments of Azure OpenAI: where one is served by its "
    "OpenAI-compatible endpoint (https://RESOURCE.services.ai.azure.com/openai/v1), write `kind: openai-compatible`",
    "sagemaker": "SageMaker is no kind of provider here: keep the old gateway before it and name that as "
    "`openai-compatible`",
    "completions": "the old completions API is not served: name a model that answers chats, and call it so",
    "vertex": "of Vertex AI, Gemini models are reached, by `kind: vertex`: take others from their maker "
    "(`kind: anthropic`), or keep the old gateway before it",
}
_ABSENT_BY: dict[str, str] = {
    "azure-ai": "azure", "sagemaker": "sagemaker", "sagemaker-chat": "sagemaker", "aws-sagemaker": "sagemaker",
    "gcp-vertex-anthropic": "vertex", "text-completion-openai": "completions",
}  # fmt: skip


def upstream_named(theirs: str) -> tuple[str, Upstream] | None:
    """Our name for a provider of theirs, and what it is; None where there is nothing for it here."""
    name = _folded(theirs)
    name = _SAME.get(name, name)
    return (name, UPSTREAMS[name]) if name in UPSTREAMS else None


def what_instead(theirs: str) -> str:
    """What to do about a provider of theirs that is no kind here."""
    name = _folded(theirs)
    if name in _ABSENT_BY:
        return _ABSENT[_ABSENT_BY[name]]
    return f"there is no kind of provider for it: {_COMPATIBLE}"


def address(upstream: Upstream, given: str) -> tuple[Kind, str | None]:
    """The kind and the base URL of an upstream whose file gives an address; None where the kind knows it."""
    url = given.rstrip("/")
    for endpoint in ("/chat/completions", "/messages", "/embeddings"):
        url = url.removesuffix(endpoint)
    if upstream.suffix and url and not url.endswith(upstream.suffix):
        url += upstream.suffix
    if upstream.kind == "openai" and url and url not in (OPENAI_BASE_URL, "https://api.openai.com"):
        return "openai-compatible", url
    if upstream.kind == "openai":
        return "openai", None
    return upstream.kind, url or upstream.base_url or None


def quirks_of(name: str, upstream: Upstream, kind: Kind) -> tuple[tuple[str, str], ...]:
    """The field that says which server it is, where that is known: an address of one's own does not change it."""
    known = upstream.quirks or name
    return (("quirks", known),) if kind == "openai-compatible" and known in QUIRKS else ()


def needs_insecure(base_url: str | None) -> bool:
    """Whether a key would travel to this address in clear text."""
    return base_url is not None and not is_safe_origin(base_url)


def _folded(theirs: str) -> str:
    return theirs.lower().replace("_", "-")
