"""Providers: how each kind of upstream wants to be asked, and what its refusals mean. Pure: no I/O.

One file a provider, plus its entry in `REGISTRY`. May import `exchange`, `sigv4`, `calls`, `errors`.
"""

from collections.abc import Callable

from headworks.providers.anthropic import AnthropicProvider
from headworks.providers.azure import AzureProvider
from headworks.providers.base import Provider, ProviderSettings
from headworks.providers.gemini import GeminiProvider
from headworks.providers.openai import OpenAIProvider
from headworks.providers.quirky import QuirkyProvider
from headworks.providers.vertex import VertexProvider


def _compatible(settings: ProviderSettings) -> Provider:
    """A server without quirks costs a call nothing."""
    is_quirky = settings.renamed or settings.refused or settings.unsent
    return QuirkyProvider(settings) if is_quirky else OpenAIProvider(settings)


def _bedrock(settings: ProviderSettings) -> Provider:
    """What signs is loaded by who has Bedrock alone."""
    from headworks.providers.bedrock import BedrockProvider

    return BedrockProvider(settings)


REGISTRY: dict[str, Callable[[ProviderSettings], Provider]] = {
    "anthropic": AnthropicProvider,
    "azure": AzureProvider,
    "bedrock": _bedrock,
    "gemini": GeminiProvider,
    "openai": OpenAIProvider,
    "openai-compatible": _compatible,
    "simulator": OpenAIProvider,
    "vertex": VertexProvider,
}
"""The provider of each `kind` in configuration. The simulator takes OpenAI's way to send a key for everything."""

__all__ = [
    "REGISTRY",
    "AnthropicProvider",
    "AzureProvider",
    "GeminiProvider",
    "OpenAIProvider",
    "Provider",
    "ProviderSettings",
    "QuirkyProvider",
    "VertexProvider",
]
