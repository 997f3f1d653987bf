"""How long a prompt of 2 KB takes (H4), in the processor's time, warm.

What is asked for is measured by command. In every run the same figures have twenty times as much room, which no slow
machine needs, and a search that has got an order slower does not have.
"""

import random
import statistics
import time

import pytest
from corpus import BETWEEN, CHECKED

from headworks.screening.privacy import Finder
from headworks.screening.privacy.engines import re2

_BYTES = 2048
_VALUES = 6
_TEXT = (
    "the order was shipped on time and our customer would like to know what comes next please answer in a friendly tone"
)
_ROOM = 20.0

BARS_MS = {"re2": (1.0, 0.02), "python": (2.0, 0.4)}
"""By engine: the 99th percentile of prompts with six values, and the median of prompts without any. For Python's engine
nobody has asked for the second: it is what is met."""


def prose(chance: random.Random, size: int) -> str:
    words = _TEXT.split()
    text = " ".join(chance.choice(words) for _ in range(size // 3))
    return text[:size]


def prompt(chance: random.Random) -> str:
    pieces = []
    for _ in range(_VALUES):
        made = CHECKED[chance.choice(sorted(CHECKED))](chance)
        value = made[0] if isinstance(made, tuple) else made
        pieces.append(f"{prose(chance, 290)} {chance.choice(BETWEEN).format(value)}")
    return " ".join(pieces)[:_BYTES]


def best_ms(finder: Finder, texts: list[str]) -> list[float]:
    """What each takes, the best of four: engines build their tables as they meet new text."""
    best = [float("inf")] * len(texts)
    for _ in range(4):
        for index, text in enumerate(texts):
            begun_ns = time.process_time_ns()
            finder.find(text)
            best[index] = min(best[index], (time.process_time_ns() - begun_ns) / 1e6)
    return best


@pytest.mark.parametrize("engine", ["re2", "python"])
@pytest.mark.parametrize(
    ("count", "room"), [(60, _ROOM), pytest.param(1_000, 1.0, marks=pytest.mark.long)], ids=["short", "as asked for"]
)
def test_a_prompt_of_two_kilobytes_is_searched_in_the_time_that_it_has(engine, count, room):
    if engine == "re2" and re2 is None:
        pytest.skip("the extra `privacy` is not installed")
    finder, chance = Finder(prefers_re2=engine == "re2"), random.Random(4)
    filled = best_ms(finder, [prompt(chance) for _ in range(count)])
    clean = best_ms(finder, [prose(chance, _BYTES) for _ in range(count)])
    most_ms, usual_ms = BARS_MS[engine]

    p99, p50 = statistics.quantiles(filled, n=100)[98], statistics.median(clean)
    print(f"{engine}: with values p99 {p99:.3f} ms, without p50 {p50:.4f} ms")

    assert all(finder.find(prompt(chance)) for _ in range(5)), "there is something to be found"
    assert p99 < most_ms * room
    assert p50 < usual_ms * room
