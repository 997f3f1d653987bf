"""The simulator's own tokenizer: about four bytes a token, on word boundaries, the same on every machine.

It is no provider's tokenizer: counts are plausible, not exact. What matters here is that equal prefixes give
equal tokens, so that the arithmetic of the prompt cache is real.
"""

import re

_PIECE = re.compile(
    r" ?[A-Za-z]{1,8}| ?[0-9]{1,3}| ?[^\x00-\x7f]{1,2}| ?[!-/:-@\[-`{-~]{1,3}|\s{1,8}|.",
    re.DOTALL,
)

BYTES_PER_TOKEN = 4
"""The rule of thumb for what is not text: opaque items, audio, files."""

IMAGE_TOKENS = 85
"""An image counts as one at low detail (OpenAI's vision guide: 85 tokens)."""


def split(text: str) -> list[str]:
    """The tokens of a text, as the pieces that give the text again when joined."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many tokens `split` gives."""
    return len(_PIECE.findall(text))


def first(text: str, limit: int) -> str:
    """The text of the first `limit` tokens."""
    return "".join(split(text)[:limit])
