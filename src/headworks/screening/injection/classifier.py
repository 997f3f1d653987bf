"""A small classifier of our own over a static embedding: how much a text is like known attacks.

Its weights were trained by `tools/injection/train.py`, which also measures it; the figures are in
docs/explanation/security-results.md. It knows attacks by their manner, and is no gate: who knows it gets past it.
"""

import base64
import functools
import importlib
from importlib.resources import files
from typing import Any

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.screening.injection.embedding import Embed, load_embedder, windows

_FILE = "classifier.json"


class _Weights(msgspec.Struct):
    """The data file: two layers, little-endian 32-bit floats in base 64, and where they come from."""

    embedding: str
    threshold: float
    shapes: tuple[tuple[int, ...], ...]
    weights: tuple[str, ...]
    trained_on: tuple[str, ...]


class Classifier:
    """The classifier, loaded. Holds no state of a call."""

    def __init__(self, embed: Embed, weights: _Weights) -> None:
        numpy = importlib.import_module("numpy")
        self._embed = embed
        self._maximum = numpy.maximum
        self._layers: list[Any] = [
            numpy.frombuffer(base64.b64decode(text), dtype="<f4").reshape(shape)
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


@functools.cache
def load_classifier(file: str = "workload.yaml") -> Classifier:
    """The one classifier of the process.

    Arguments:
        file: the contract that asks for it, for errors.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        embed = load_embedder()
    except (ImportError, FileNotFoundError):
        message = "screening.injection.classifier needs wordllama: `pip install 'headworks[detect]'`, or say `off`"
        raise ConfigError(Problem(file, 0, 0, message)) from None
    data = files("headworks.screening.injection").joinpath("data", _FILE).read_bytes()
    return Classifier(embed, msgspec.json.decode(data, type=_Weights))
