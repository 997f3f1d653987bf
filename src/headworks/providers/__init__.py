"""Providers: how each kind of upstream wants to be asked, and what its refusals mean. Pure: no I/O.

One file a provider, plus its entry in `REGISTRY`. May import `exchange`, `calls`, `errors`.
"""

from collections.abc import Callable

from headworks.providers.anthropic import AnthropicProvider
from headworks.providers.base import Provider, ProviderSettings
from headworks.providers.gemini import GeminiProvider
from headworks.providers.openai import OpenAIProvider

REGISTRY: dict[str, Callable[[ProviderSettings], Provider]] = {
    "anthropic": AnthropicProvider,
    "gemini": GeminiProvider,
    "openai": OpenAIProvider,
    "openai-compatible": OpenAIProvider,
    "simulator": OpenAIProvider,
}
"""The provider of each `kind` in configuration. The simulator takes OpenAI's way to send a key for everything."""

__all__ = ["REGISTRY", "AnthropicProvider", "GeminiProvider", "OpenAIProvider", "Provider", "ProviderSettings"]
