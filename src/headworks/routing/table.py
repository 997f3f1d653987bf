"""Which target a public model name means. Everything is worked out when configuration is loaded."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import force_setattr

from headworks.calls import Endpoint
from headworks.errors import Refusal

Station = TypeVar("Station")

_REMEMBERED = 1024
"""Unlisted models whose targets are kept; names come from callers, so there must be a bound."""

_PASSABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
"""What a model name of a caller's may be made of when it is passed on unlisted: it stands in headers and labels."""


class Target(msgspec.Struct, Generic[Station], frozen=True):
    """One model at one provider, through one pool. `provider` is the provider's name, with the pool's behind a colon
    where there are several; `station` whatever the gateway needs to reach it; `speaks` what it serves; `headers` a
    header block that names the target in answers; `is_listed` whether configuration names it.

    `pools` is everything that serves the same name, this one included: the same model in all pools of a provider with
    several, or all targets of a name that stands for several. `weight` and `tier` are for choosing among them.
    `is_mixed` says that not all of them serve the same. `fallback` is what to go on with when this name fails, by
    public name or `provider/model`. `droppable` names fields of requests that may be left out for whoever has nothing
    for them.
    """

    provider: str
    model: str
    station: Station
    speaks: frozenset[Endpoint]
    headers: bytes
    is_listed: bool = True
    pools: tuple["Target[Station]", ...] = ()
    fallback: tuple[str, ...] = ()
    weight: float = 1.0
    tier: int = 0
    is_mixed: bool = False
    droppable: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Provider, with the pool, and model: there is one health of each."""
        return (self.provider, self.model)


class Reach(msgspec.Struct, Generic[Station], frozen=True):
    """A provider as the table sees it.

    Attributes:
        provider: its name.
        stations: for each pool its name ("" for the only one), and what makes its station for a model. Called once a
            model that is listed, and for others when they are asked for.
        speaks: what it serves.
        models: None when any model name is passed on.
        lots: weight and tier of each pool; of one that is left out, 1 and 0.
    """

    provider: str
    stations: tuple[tuple[str, Callable[[str], Station]], ...]
    speaks: frozenset[Endpoint]
    models: tuple[str, ...] | None = None
    lots: Mapping[str, tuple[int, int]] = MappingProxyType({})


class Member(msgspec.Struct, frozen=True):
    """One of several targets that a public name stands for. `weight` is its share against the others', all its pools
    together; those of a higher `tier` are used only while none of a lower one can."""

    provider: str
    model: str
    weight: int = 1
    tier: int = 0


class RouteTable(Generic[Station]):
    """Public names, in this order: those of `models:` in configuration; `provider/model`; the bare name of an
    upstream model where exactly one provider lists it; any bare name where exactly one provider takes any.

    Arguments:
        reaches: the providers.
        names: public name, provider, upstream model, and names of fallbacks.
        groups: by public name, what it stands for where that is more than one target; it is among `names`, too.
        droppable: by public name, fields of requests that may be left out.

    Attributes:
        named: the targets of the names that are known.
        names: these names.

    State: the targets of unlisted names that were asked for of late, since a target's station may keep what it learns.
    """

    def __init__(
        self,
        reaches: Sequence[Reach[Station]],
        names: Iterable[tuple[str, str, str, tuple[str, ...]]],
        groups: Mapping[str, Sequence[Member]] = MappingProxyType({}),
        droppable: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self._reaches = {reach.provider: reach for reach in reaches}
        self._made: OrderedDict[tuple[str, str], Target[Station]] = OrderedDict()
        self._named: dict[str, Target[Station]] = {}
        bare: dict[str, list[Target[Station]]] = {}
        made: dict[tuple[str, str], Target[Station]] = {}
        for reach in reaches:
            for model in reach.models or ():
                target = self._named[f"{reach.provider}/{model}"] = made[reach.provider, model] = _target(reach, model)
                bare.setdefault(model, []).append(target)
        for model, owners in bare.items():
            if len(owners) == 1:
                self._named[model] = owners[0]

        def known(provider: str, model: str) -> Target[Station]:
            if (provider, model) not in made:
                made[provider, model] = _target(self._reaches[provider], model)
            return made[provider, model]

        for name, provider, model, fallback in names:
            if name in groups:
                members = [known(one.provider, one.model) for one in groups[name]]
                self._named[name] = _group(members, groups[name], fallback, droppable.get(name, ()))
            elif fallback or name in droppable:
                target, fields = known(provider, model), droppable.get(name, ())
                self._named[name] = _together(
                    [
                        msgspec.structs.replace(one, fallback=fallback, droppable=fields)
                        for one in target.pools or (target,)
                    ]
                )
            else:
                self._named[name] = known(provider, model)
        open_ended = [reach for reach in reaches if reach.models is None]
        self._catch_all = open_ended[0] if len(open_ended) == 1 else None
        self.named: Mapping[str, Target[Station]] = self._named
        self.names = tuple(sorted(self._named))

    def resolve(self, name: str, allowed: Iterable[str] | None = None) -> Target[Station]:
        """The target that `name` means; of a provider with several pools, that of the first.

        Raises:
            Refusal: 404 `model_not_found`, with the nearest of the names that the caller may know.
        """
        target = self._named.get(name)
        if target is not None:
            return target
        provider, slash, model = name.partition("/")
        reach = self._reaches.get(provider)
        if _PASSABLE.fullmatch(name) is None:
            raise self.unknown(name, self.names if allowed is None else allowed)
        if slash and model and reach is not None and reach.models is None:
            return self._unlisted(reach, model)
        if self._catch_all is not None and not (slash and reach is not None):
            return self._unlisted(self._catch_all, name)
        raise self.unknown(name, self.names if allowed is None else allowed)

    def station_of(self, provider: str) -> Target[Station] | None:
        """A provider itself, for what lies there and belongs to no model; None if it is configured no more.

        Arguments:
            provider: as `Target.provider` has it, with the pool.
        """
        name, _, pool = provider.partition(":")
        reach = self._reaches.get(name)
        if reach is None:
            return None
        target = _target(reach, "")
        return next(
            (one for one in target.pools or (target,) if one.provider == provider), target if not pool else None
        )

    def in_pool(self, target: Target[Station], provider: str) -> Target[Station]:
        """The same model through the pool that `provider` names, where there is that one."""
        return next((one for one in target.pools if one.provider == provider), target)

    def targets(self) -> Iterator[Target[Station]]:
        """Every target in every pool, once each: those that configuration names, then unlisted ones of late."""
        seen = set[int]()
        for known in (*self._named.values(), *self._made.values()):
            for target in known.pools or (known,):
                if id(target.station) not in seen:
                    seen.add(id(target.station))
                    yield target

    def _unlisted(self, reach: Reach[Station], model: str) -> Target[Station]:
        key = (reach.provider, model)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = _target(reach, model, is_listed=False)
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        return made

    def unknown(self, name: str, known: Iterable[str]) -> Refusal:
        """The refusal of a model name; also used for names that a key may not see."""
        names = tuple(known)
        from difflib import get_close_matches  # only who names a model that is not there loads it

        near = get_close_matches(name[:200], names, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else ""
        shown = name if len(name) <= 100 and name.isprintable() else "that name"
        return Refusal(
            404,
            "model_not_found",
            f"The model `{shown}` does not exist or you do not have access to it.{hint} "
            "GET /v1/models lists what this key may use.",
            param="model",
        )


def _target(reach: Reach[Station], model: str, *, is_listed: bool = True) -> Target[Station]:
    targets = []
    for pool, make in reach.stations:
        provider = f"{reach.provider}:{pool}" if pool else reach.provider
        lines = f"x-headworks-provider: {provider}\r\n"
        if model:
            lines += f"x-headworks-model: {model}\r\n"
        weight, tier = reach.lots.get(pool, (1, 0))
        target = Target(provider, model, make(model), reach.speaks, lines.encode("ascii"), is_listed)
        targets.append(msgspec.structs.replace(target, weight=float(weight), tier=tier))
    return _together(targets)


def _group(
    targets: Sequence[Target[Station]],
    members: Sequence[Member],
    fallback: tuple[str, ...],
    droppable: tuple[str, ...],
) -> Target[Station]:
    """What a public name stands for. Tiers go by the members first, and then by the pools of each."""
    tiers = 1 + max(pool.tier for target in targets for pool in target.pools or (target,))
    is_mixed = len({target.speaks for target in targets}) > 1
    return _together(
        [
            msgspec.structs.replace(
                pool,
                fallback=fallback,
                droppable=droppable,
                weight=member.weight * pool.weight / sum(one.weight for one in target.pools or (target,)),
                tier=member.tier * tiers + pool.tier,
                is_mixed=is_mixed,
            )
            for target, member in zip(targets, members, strict=True)
            for pool in target.pools or (target,)
        ]
    )


def _together(targets: Sequence[Target[Station]]) -> Target[Station]:
    """The first of these, each of which knows all."""
    pools = tuple(targets) if len(targets) > 1 else ()
    for target in targets:
        force_setattr(target, "pools", pools)  # they know one another, so none can be made after the others
    return targets[0]
