"""The answer means about what is expected: the cosine of their embeddings. The model is asked by who passes it in."""

import math
from collections.abc import Awaitable, Callable, Sequence

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import NOT_SAID, Answer, Score, ScoringFailed, alternatives, as_text

Embed = Callable[[str, Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
"""Asks a model for the vectors of texts: any OpenAI-compatible embeddings endpoint will do, or one in this process."""


class Embedding:
    """Acceptable from a cosine of `at_least` on; of a list of expected texts, the nearest counts.

    A number to look at, not a verdict to rely on: a sentence and its negation are near. It only warns unless
    `may_gate`.

    Arguments:
        embed: asks the model.
        model: its name, as it is asked for; of a local one, what its vectors depend on.
    """

    name = "embedding"

    def __init__(self, embed: Embed, model: str, *, at_least: float = 0.8, may_gate: bool = False) -> None:
        self.identity = {"scorer": "embedding", "model": model, "at_least": at_least}
        self.may_gate = may_gate
        self._embed = embed
        self._model = model
        self._at_least = at_least

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is.

        Raises:
            ScoringFailed: the model gave no vectors that can be compared.
        """
        if not case.has_expected:
            return NOT_SAID
        wanted = [as_text(one) for one in alternatives(case.expected_value())]
        if not answer.text.strip():
            return Score(0.0, is_acceptable=False, reason="is empty")
        vectors = await self._embed(self._model, [answer.text, *wanted])
        if len(vectors) != len(wanted) + 1:
            raise ScoringFailed(f"the embeddings model gave {len(vectors)} vectors for {len(wanted) + 1} texts")
        nearest = max(cosine(vectors[0], vector) for vector in vectors[1:])
        value = min(1.0, max(0.0, nearest))
        is_acceptable = value >= self._at_least
        reason = "" if is_acceptable else f"a similarity of {value:.2f}, below {self._at_least:.2f}"
        return Score(value, is_acceptable, reason)

    async def close(self) -> None:
        """Nothing to let go of."""


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of the angle between two vectors.

    Raises:
        ScoringFailed: they have different lengths, no length, or hold what is no number.
    """
    if len(one) != len(other) or not one:
        raise ScoringFailed("the embeddings model gave vectors of different lengths")
    product = math.fsum(left * right for left, right in zip(one, other, strict=True))
    length = math.hypot(*one) * math.hypot(*other)
    if not math.isfinite(product) or not math.isfinite(length) or length == 0:
        raise ScoringFailed("the embeddings model gave a vector without a direction")
    return product / length
