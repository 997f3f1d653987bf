import pytest

from headworks.catalogue import PriceBook, Terms, shipped

NOON_US = 1_795_608_000_000_000
"""2026-11-25 12:00 UTC."""


@pytest.fixture(scope="session")
def book():
    """The shipped list prices, for OpenAI, Anthropic, DeepSeek and Groq."""
    names = ("openai", "anthropic", "deepseek", "groq")
    return PriceBook(shipped(), {name: Terms(catalogue=name) for name in names})
