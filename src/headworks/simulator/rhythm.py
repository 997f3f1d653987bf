"""When the tokens of an answer come: log-normal, drawn per request from the seed, scaled by the pace."""

import math
import random
from collections.abc import Iterator

from headworks.simulator.plan import Latency, LogNormal

_JITTER_SIGMA = 0.2
"""How unevenly the tokens of one answer come, around the pace that was drawn for it."""


class Rhythm:
    """The timing of one answer: `first_token_s`, then `delays()`, one per token, the same at every walk."""

    __slots__ = ("_seed", "_token_s", "first_token_s")

    def __init__(self, first_token_s: float, token_s: float, seed: bytes) -> None:
        self.first_token_s = first_token_s
        self._token_s = token_s
        self._seed = seed

    def delays(self) -> Iterator[float]:
        """Seconds before each token after the first, without end."""
        if not self._token_s:
            while True:
                yield 0.0
        chance = random.Random(self._seed)  # noqa: S311
        while True:
            yield self._token_s * math.exp(_JITTER_SIGMA * chance.gauss(0.0, 1.0))

    def total_s(self, tokens: int) -> float:
        """How long an answer of so many tokens takes, from the request to its last token."""
        if not self._token_s:
            return self.first_token_s
        return self.first_token_s + sum(delay for delay, _ in zip(self.delays(), range(tokens), strict=False))


AT_ONCE = Rhythm(0.0, 0.0, b"")
"""The rhythm at pace 0."""


def drawn(latency: Latency, pace: float, seed: bytes) -> Rhythm:
    """The rhythm of one answer; `seed` is the digest of what it answers."""
    if not pace:
        return AT_ONCE
    chance = random.Random(seed)  # noqa: S311
    return Rhythm(
        _draw(latency.first_token, chance) * pace,
        _draw(latency.token, chance) * pace,
        seed + b"tokens",
    )


def _draw(duration: LogNormal, chance: random.Random) -> float:
    return duration.median_ms / 1000.0 * math.exp(duration.sigma * chance.gauss(0.0, 1.0))
