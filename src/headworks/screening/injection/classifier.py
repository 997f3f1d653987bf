"""A small classifier of our own over a static embedding: how much a text is like known attacks.

Its weights were trained by `tools/injection/train.py`, which also measures it; the figures are in
docs/explanation/security-results.md. It knows attacks by their manner, and is no gate: who knows it gets past it.
"""

import base64
import functools
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any

import msgspec

Embed = Callable[[Sequence[str]], Any]
"""Gives vectors of texts, as rows (numpy). The weights belong to those of `embedding`."""

_SIZE = 500
_STEP = 350
_MOST_WINDOWS = 128
"""Characters of a window, how far it moves, and how many a text has at most, which bounds the time that it takes: an
attack in a long text stands out in one of them, but not behind the 45,000 characters that they cover."""


class _Weights(msgspec.Struct):
    """The data file: two layers, little-endian 32-bit floats in base 64."""

    threshold: float
    shapes: tuple[tuple[int, ...], ...]
    weights: tuple[str, ...]


class Classifier:
    """The classifier, loaded. Holds no state of a call.

    Arguments:
        embed: gives the vectors.
    """

    def __init__(self, embed: Embed) -> None:
        import numpy as np  # comes with the embedding; nobody else needs it

        weights = _weights()
        self._embed = embed
        self._maximum = np.maximum
        self._layers: list[Any] = [
            np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(shape)
            for text, shape in zip(weights.weights, weights.shapes, strict=True)
        ]
        self._threshold = weights.threshold

    def score(self, text: str) -> float:
        """How much the likeliest window of a text is like an attack, less the threshold: one is above 0."""
        first, first_bias, second, second_bias = self._layers
        hidden = self._maximum(self._embed(list(windows(text))) @ first + first_bias, 0)
        return float((hidden @ second + second_bias).max()) - self._threshold

    def finds(self, text: str) -> bool:
        """Whether a text is taken for an attack."""
        return bool(text) and not text.isspace() and self.score(text) > 0


def windows(text: str) -> Iterator[str]:
    """A text in pieces that overlap."""
    for at in range(0, max(1, len(text) - (_SIZE - _STEP)), _STEP)[:_MOST_WINDOWS]:
        yield text[at : at + _SIZE] or " "


@functools.cache
def _weights() -> _Weights:
    data = files("headworks.screening.injection").joinpath("data", "classifier.json").read_bytes()
    return msgspec.json.decode(data, type=_Weights)
