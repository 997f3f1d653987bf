"""The targets of a Portkey config: strategies stand within strategies; here they are one list with tiers and shares.

Source: the configuration schema of Portkey's open gateway and its documentation of load balancing, 2026-11.
"""

from collections.abc import Iterator, Sequence

import msgspec

from headworks.importing.ledger import Ledger
from headworks.importing.source import Place, Value

Fields = dict[str, tuple[Value, Place]]

_MODES = frozenset({"single", "fallback", "loadbalance"})
_MOST_WEIGHT = 1e9
_INHERITED = frozenset({"provider", "virtual_key", "api_key", "custom_host", "request_timeout", "override_params"})


class Target(msgspec.Struct, frozen=True):
    """A target without targets below it: its fields with places, those of what is around it included.

    `is_balanced`: it has a share of a load, its `weight`, against others of its tier.
    """

    place: Place
    fields: Fields
    tier: int
    weight: float = 1.0
    is_balanced: bool = False


class Targets:
    """Flattens one config. Mutable: the tier that was given out last.

    Arguments:
        ledger: is told of strategies and of weights that have no target of their own.
        name: the public name that the config becomes.
        own: further fields that a target has of what is around it.
    """

    def __init__(self, ledger: Ledger, name: str, own: frozenset[str]) -> None:
        self._ledger = ledger
        self._name = name
        self._inherited = _INHERITED | own
        self._tier = -1

    def flattened(self, root: Value) -> Iterator[Target]:
        """The targets in the order in which they are asked, each with what it inherits."""
        return self._below(root, (), {}, None)

    def _below(self, value: Value, place: Place, around: Fields, weight: float | None) -> Iterator[Target]:
        """Those of one level. `weight` is its share of what balances around it; None where nothing does."""
        own = {name: (one, (*place, name)) for name, one in (value.fields or {}).items()}
        fields = {**{name: one for name, one in around.items() if name in self._inherited}, **own}
        targets = (value.get("targets") or Value(0)).items
        if not targets:
            self._tier += 1
            yield Target(place, fields, self._tier, 1.0 if weight is None else weight, is_balanced=weight is not None)
            return
        mode = self._mode(value, place)
        shares = self._shares(targets, place, weight, is_balanced=mode == "loadbalance")
        start = last = self._tier
        for index, (one, share) in enumerate(zip(targets, shares, strict=True)):
            at = (*place, "targets", index)
            if mode == "single" and index:
                self._ledger.needless(at, "the strategy `single` asks the first target only")
            elif share == 0:
                self._ledger.needless(at, "has no share of the load, and so is never asked")
            else:
                if mode == "loadbalance":
                    self._tier = start
                yield from self._below(one, at, fields, share)
                last = max(last, self._tier)
        self._tier = last  # what comes after all of this comes after the longest of its chains

    def _mode(self, value: Value, place: Place) -> str | None:
        mode = (value.get("strategy") or Value(0)).get("mode")
        if mode is None:
            return None
        if mode.text in _MODES:
            is_balanced = mode.text == "loadbalance"
            told = "pools of one provider, else `targets`" if is_balanced else "the order of `fallback`"
            self._ledger.mapped((*place, "strategy", "mode"), f"{told}: see the targets")
        else:
            text = "calls are not routed by conditions: give targets public names of their own, and let callers choose"
            self._ledger.missing((*place, "strategy"), text)
        return mode.text

    def _shares(
        self, targets: Sequence[Value], place: Place, weight: float | None, *, is_balanced: bool
    ) -> list[float | None]:
        """The share of each of a level's targets; 0 for one that is never asked."""
        given = [one.get("weight") for one in targets]
        numbers = [1.0 if one is None or one.number is None else one.number for one in given]
        numbers = [number if 0 <= number <= _MOST_WEIGHT else 1.0 for number in numbers]
        if not any(numbers):
            numbers = [1.0 for _ in numbers]
        for index, (one, number) in enumerate(zip(targets, numbers, strict=True)):
            at = (*place, "targets", index, "weight")
            if given[index] is None or (is_balanced and not number):
                continue
            if is_balanced and (one.get("targets") or Value(0)).items:
                self._ledger.mapped(at, f"models.{self._name}.targets.weight, or that of pools")
        if not is_balanced:
            return [weight for _ in numbers]
        return [number if weight is None else weight * number / sum(numbers) for number in numbers]
