"""What the layers say: signals, and the one verdict that they come to."""

from collections.abc import Iterable
from typing import Literal

import msgspec

LayerName = Literal[
    "size", "characters", "patterns", "classifier", "check", "canary", "images", "links", "tools", "taint"
]
Source = Literal["user", "tool", "variable", "output"]
"""Where a text comes from: who calls, a tool's result, a value of the prompt's, or the model."""

InjectionVerdict = Literal["allow", "flag", "sanitise", "hold", "block"]

_WEIGHT: dict[InjectionVerdict, int] = {"allow": 0, "flag": 1, "sanitise": 2, "hold": 3, "block": 4}


class Signal(msgspec.Struct, frozen=True):
    """What one layer found in one text. It says what, how often and where, never which words.

    Attributes:
        names: the kinds of what was found.
        count: how often.
    """

    layer: LayerName
    verdict: InjectionVerdict
    source: Source
    names: tuple[str, ...]
    count: int = 1


def heaviest(signals: Iterable[Signal]) -> InjectionVerdict:
    """The verdict that goes before the others; *allow* where nothing was found."""
    return max((signal.verdict for signal in signals), key=_WEIGHT.__getitem__, default="allow")


def summed_up(signals: Iterable[Signal]) -> str:
    """All of them in one line for the record: `flag (patterns 2, characters 1)`; empty where nothing was found."""
    found = list(signals)
    if not found:
        return ""
    counts: dict[str, int] = {}
    for signal in found:
        counts[signal.layer] = counts.get(signal.layer, 0) + signal.count
    return f"{heaviest(found)} ({', '.join(f'{layer} {count}' for layer, count in counts.items())})"
