"""Texts as vectors, by the static embedding of `wordllama` (the extra `detect`): its weights lie in the package.

Its tokenizer does, too, but it looks for it elsewhere and would fetch it: it is shown where it lies, and may not fetch.
"""

import importlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

_SIZE = 500
_STEP = 350
_MOST_WINDOWS = 128
"""Characters of a window, how far it moves, and how many a text has at most, which bounds the time that it takes: an
attack in a long text stands out in one of them, but not behind the 45,000 characters that they cover."""

Embed = Callable[[Sequence[str]], Any]
"""One row of 256 numbers a text, of length 1 (numpy)."""


def windows(text: str) -> Iterator[str]:
    """A text in pieces that overlap."""
    for at in range(0, max(1, len(text) - (_SIZE - _STEP)), _STEP)[:_MOST_WINDOWS]:
        yield text[at : at + _SIZE] or " "


def load_embedder() -> Embed:
    """What embeds texts.

    Raises:
        ImportError: the extra is not installed.
        FileNotFoundError: another version of the package, without weights in it.
    """
    wordllama = _imported()
    package = Path(wordllama.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "tokenizers"
        place.mkdir()
        for file in (package / "tokenizers").glob("*.json"):
            shutil.copy(file, place)
        model = wordllama.WordLlama.load(cache_dir=Path(folder), disable_download=True)
    return lambda texts: model.embed(list(texts), norm=True)


def _imported() -> Any:
    """The package, without what it does to the logging of the whole process when it is imported."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        return importlib.import_module("wordllama")
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
