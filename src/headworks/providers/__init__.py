"""Providers: how each kind of upstream wants to be asked, and what its refusals mean. Pure: no I/O.

One file a provider, plus its entry in `REGISTRY`. May import `exchange`, `calls`, `errors`.
"""

from headworks.providers.base import Provider, ProviderSettings
from headworks.providers.openai import OpenAIProvider

REGISTRY: dict[str, type[OpenAIProvider]] = {
    "openai": OpenAIProvider,
    "openai-compatible": OpenAIProvider,
    "simulator": OpenAIProvider,
}
"""The provider of each `kind` in configuration. The simulator speaks the OpenAI API as it is."""

__all__ = ["REGISTRY", "Provider", "ProviderSettings"]
