"""Which target a public model name means. Everything is worked out when configuration is loaded."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Generic, TypeVar

import msgspec

from headworks.calls import Endpoint
from headworks.errors import Refusal

Station = TypeVar("Station")

_PASSABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
"""What a model name of a caller's may be made of when it is passed on unlisted: it stands in headers and labels."""


class Target(msgspec.Struct, Generic[Station], frozen=True):
    """One model at one provider. `station` is whatever the gateway needs to reach it; `speaks` what it serves;
    `headers` a header block that names the target in answers; `is_listed` whether configuration names it."""

    provider: str
    model: str
    station: Station
    speaks: frozenset[Endpoint]
    headers: bytes
    is_listed: bool = True


class Reach(msgspec.Struct, Generic[Station], frozen=True):
    """A provider as the table sees it. `models` is None when any model name is passed on."""

    provider: str
    station: Station
    speaks: frozenset[Endpoint]
    models: tuple[str, ...] | None = None


class RouteTable(Generic[Station]):
    """Public names, in this order: those of `models:` in configuration; `provider/model`; the bare name of an
    upstream model where exactly one provider lists it; any bare name where exactly one provider takes any.

    Arguments:
        reaches: the providers.
        names: public name, provider, upstream model.

    Attributes:
        named: the targets of the names that are known.
        names: these names.
    """

    def __init__(self, reaches: Sequence[Reach[Station]], names: Iterable[tuple[str, str, str]]) -> None:
        self._reaches = {reach.provider: reach for reach in reaches}
        self._named: dict[str, Target[Station]] = {}
        bare: dict[str, list[Reach[Station]]] = {}
        for reach in reaches:
            for model in reach.models or ():
                self._named[f"{reach.provider}/{model}"] = _target(reach, model)
                bare.setdefault(model, []).append(reach)
        for model, owners in bare.items():
            if len(owners) == 1:
                self._named[model] = _target(owners[0], model)
        for name, provider, model in names:
            self._named[name] = _target(self._reaches[provider], model)
        open_ended = [reach for reach in reaches if reach.models is None]
        self._catch_all = open_ended[0] if len(open_ended) == 1 else None
        self.named: Mapping[str, Target[Station]] = self._named
        self.names = tuple(sorted(self._named))

    def resolve(self, name: str, allowed: Iterable[str] | None = None) -> Target[Station]:
        """The target that `name` means.

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
            return _target(reach, model, is_listed=False)
        if self._catch_all is not None and not (slash and reach is not None):
            return _target(self._catch_all, name, is_listed=False)
        raise self.unknown(name, self.names if allowed is None else allowed)

    def station_of(self, provider: str) -> Target[Station] | None:
        """A provider itself, for what lies there and belongs to no model; None if it is configured no more."""
        reach = self._reaches.get(provider)
        return None if reach is None else _target(reach, "")

    def unknown(self, name: str, known: Iterable[str]) -> Refusal:
        """The refusal of a model name; also used for names that a key may not see."""
        names = tuple(known)
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
    lines = f"x-headworks-provider: {reach.provider}\r\n"
    if model:
        lines += f"x-headworks-model: {model}\r\n"
    return Target(reach.provider, model, reach.station, reach.speaks, lines.encode("ascii"), is_listed)
