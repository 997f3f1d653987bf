"""From a model that goes to one that stays: which may take its place, and which of them does. Pure.

The reference is the incumbent itself, as it answered while it did. A successor passes when it is shown to be worse by
less than the margin; the cheapest that passes is taken. The error of the choice is divided among the successors that
are tried: with three of them, each may err once in sixty.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from headworks.evals.comparing import RELEASE_ALPHA
from headworks.evals.gate import Word

Why = Literal["asked for", "recommended", "rung"]
"""Why a model is tried. *Recommended*: by the provider of the one that goes; *rung*: of the workload's ladder."""


class Successor(msgspec.Struct, frozen=True):
    """A model that may take the place of one that goes. `name` is what headworks.lock would say, `target` is
    `provider/model`."""

    name: str
    target: str
    why: Why


class Finding(msgspec.Struct, frozen=True):
    """What became of one successor. `cost_pico_usd` is of a call on average; None where no price is known."""

    successor: Successor
    word: Word
    cost_pico_usd: int | None


def successors(incumbent: str, offered: Iterable[Successor]) -> tuple[Successor, ...]:
    """Those that are to be tried: each model once, under the first name that it is offered by, without the one that
    goes.

    Arguments:
        incumbent: its target.
    """
    found: dict[str, Successor] = {}
    for one in offered:
        if one.target != incumbent:
            found.setdefault(one.target, one)
    return tuple(found.values())


def part_of_alpha(tried: int) -> float:
    """What the comparison with one of so many successors may err: the union bound (Bonferroni)."""
    return RELEASE_ALPHA / max(1, tried)


def choose(findings: Sequence[Finding]) -> Successor | None:
    """The cheapest successor that is shown to be no worse; of several without a price, or at one price, the first."""
    passed = [one for one in findings if one.word == "not worse"]
    return min(passed, key=_price).successor if passed else None


def worst_word(findings: Sequence[Finding]) -> Word:
    """What is said where none is chosen: too thin as long as more cases might still show one to be good enough."""
    words = [one.word for one in findings]
    if "not worse" in words:
        return "not worse"
    return "too thin" if "too thin" in words else "worse"


def _price(one: Finding) -> tuple[bool, int]:
    return (one.cost_pico_usd is None, one.cost_pico_usd or 0)
