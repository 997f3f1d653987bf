"""Exact counts of tokens with the model's own tokenizer, without a network.

The vocabularies are inside `toktok-rs`, which the extra `tokens` installs. Nothing of it is loaded before the first
count: o200k_base then takes about 0.2 s and 70 MB in a process, cl100k_base 0.08 s and 45 MB. Where it is not
installed, or a model's provider publishes no tokenizer, the rule of characters stands in (`tokens`), and says so.
"""

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal, Protocol, cast

from headworks.catalogue.tokens import count_tokens

Certainty = Literal["exact", "presumed", "estimated"]
"""*exact*: the encoding that the provider names for this model. *presumed*: by the encoding
of the models before it, because the provider names none, or by a rule that it documents and nobody has confirmed.
*estimated*: by a rule of ours, to within about a fifth."""

_PACKAGE = "toktok"

_ENCODINGS: tuple[tuple[str, str], ...] = (
    ("gpt-oss", "o200k_harmony"),
    ("gpt-5", "o200k_base"),
    ("gpt-4.5", "o200k_base"),
    ("gpt-4.1", "o200k_base"),
    ("gpt-4o", "o200k_base"),
    ("chatgpt-4o", "o200k_base"),
    ("ft:gpt-4.1", "o200k_base"),
    ("ft:gpt-4o", "o200k_base"),
    ("o1", "o200k_base"),
    ("o3", "o200k_base"),
    ("o4-mini", "o200k_base"),
    ("gpt-4", "cl100k_base"),
    ("gpt-3.5", "cl100k_base"),
    ("gpt-35", "cl100k_base"),
    ("ft:gpt-4", "cl100k_base"),
    ("ft:gpt-3.5", "cl100k_base"),
    ("text-embedding-3", "cl100k_base"),
    ("text-embedding-ada-002", "cl100k_base"),
    ("davinci-002", "cl100k_base"),
    ("babbage-002", "cl100k_base"),
)
"""By the beginning of a model's name; the first that fits (tiktoken 0.14.0, `tiktoken/model.py`)."""

_PRESUMED = (("gpt-", "o200k_base"), ("ft:gpt-", "o200k_base"))
"""OpenAI's newer models, whose encoding tiktoken 0.14.0 does not name."""


class Tokenizer(Protocol):
    """Counts the tokens of texts.

    Attributes:
        name: of the encoding, "estimate" for the rule of characters.
        certainty: how right the counts are for the model that it was asked for.
    """

    @property
    def name(self) -> str: ...

    @property
    def certainty(self) -> Certainty: ...

    def count(self, text: str) -> int:
        """Tokens of one text; words of the encoding's own (`<|endoftext|>`) count as text."""
        ...

    def count_all(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together, each by itself."""
        ...


class RuleOfCharacters:
    """The estimate for models without a public tokenizer, and where none is installed."""

    __slots__ = ()

    name = "estimate"
    certainty: Certainty = "estimated"

    def count(self, text: str) -> int:
        """About how many tokens the text is."""
        return count_tokens(text)

    def count_all(self, texts: Sequence[str]) -> int:
        """The same of several."""
        return sum(map(count_tokens, texts))


class Encoding:
    """An encoding of OpenAI's. The vocabulary is loaded with the first count."""

    __slots__ = ("certainty", "name")

    def __init__(self, name: str, certainty: Certainty) -> None:
        self.name = name
        self.certainty: Certainty = certainty

    def count(self, text: str) -> int:
        """Tokens of the text. A half of a surrogate pair counts as U+FFFD, which is what goes over the wire."""
        return self.count_all([text])

    def count_all(self, texts: Sequence[str]) -> int:
        """The same of several, in one go."""
        batch_count = _batch_count()
        try:
            return sum(batch_count(texts, self.name, 1))
        except UnicodeEncodeError:
            return sum(
                batch_count(
                    [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts], self.name, 1
                )
            )


RULE = RuleOfCharacters()


@cache
def has_tokenizers() -> bool:
    """Whether the extra `tokens` is installed; loads nothing."""
    return importlib.util.find_spec(_PACKAGE) is not None


@cache
def tokenizer_for(model: str) -> Tokenizer:
    """What counts for a model, by its provider's name for it: `gpt-4o-mini`, `claude-...`. Loads nothing.

    A name that begins with its provider (`openai/gpt-4o`) is read behind the last slash.
    """
    name = model.rpartition("/")[2].lower()
    if has_tokenizers():
        for prefix, encoding in _ENCODINGS:
            if name.startswith(prefix):
                return Encoding(encoding, "exact")
        for prefix, encoding in _PRESUMED:
            if name.startswith(prefix):
                return Encoding(encoding, "presumed")
    return RULE


def load_tokenizer(model: str) -> None:
    """Load what counts for a model, so that the first count does not wait for it; of a model without a public
    tokenizer there is nothing to load."""
    tokenizer = tokenizer_for(model)
    if isinstance(tokenizer, Encoding):
        tokenizer.count("")
        _loaded.add(tokenizer.name)


def loaded_tokenizer_for(model: str) -> Tokenizer:
    """The same as `tokenizer_for` where `load_tokenizer` has loaded it, else the rule of characters: for whoever must
    not be held up, since loading keeps a whole process from everything else."""
    tokenizer = tokenizer_for(model)
    return tokenizer if tokenizer.name in _loaded else RULE


_loaded: set[str] = set()


@cache
def _batch_count() -> Callable[[Sequence[str], str, int], list[int]]:
    import toktok  # loads 8 MB of code, which a process that counts nothing does not need

    return cast("Callable[[Sequence[str], str, int], list[int]]", toktok.batch_count)
