"""At which provider, and through which of its pools, a new object is made. Pure.

What is used together must lie together. So all that a team makes goes to one pool, whatever its load, unless the
caller says otherwise: spread over pools, two files of one team could not stand in one call.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import log

from headworks.calls import Caller, Endpoint
from headworks.errors import Refusal
from headworks.routing import Target
from headworks.stations import Station, pool_not_configured

PROVIDER = b"x-headworks-provider"
"""In which header a caller says where: a provider's name, or a pool's behind a colon."""


def place(
    providers: Mapping[str, Target[Station]], endpoint: Endpoint, wanted: bytes | None, home: str, caller: Caller
) -> Target[Station]:
    """Where a new object is made.

    Arguments:
        providers: by name, in the order of configuration.
        wanted: what the caller says.
        home: where what it refers to lies; "" where it refers to nothing.

    Raises:
        Refusal: 400, nothing that is configured can do it, or not there.
    """
    able = {name: target for name, target in providers.items() if endpoint in target.speaks}
    if wanted is not None:
        name, _, pool = wanted.decode("latin-1").strip().partition(":")
        target = able.get(name)
        chosen = None if target is None else find_pool(target, f"{name}:{pool}" if pool else name)
        if target is None or (pool and chosen is None):
            raise Refusal(
                400,
                "provider_not_found",
                f"The header x-headworks-provider names nothing that serves {endpoint.value}; "
                f"what does: {', '.join(_names(able.values())) or 'nothing here'}.",
            )
        if home and chosen is not None and chosen.provider != home:
            raise Refusal(
                400,
                "objects_in_different_pools",
                f"What this refers to lies at `{home}`; the header x-headworks-provider names another place.",
            )
        if not home:
            return chosen if chosen is not None else _for_caller(target, caller)
    if home:
        target = able.get(home.partition(":")[0])
        found = None if target is None else find_pool(target, home)
        if found is None:
            raise pool_not_configured(home)
        return found
    if not able:
        raise Refusal(
            400,
            "endpoint_not_supported",
            f"No provider here serves {endpoint.value}; its operator can add it to a provider's `speaks`.",
        )
    return _for_caller(next(iter(able.values())), caller)


def place_of_model(
    target: Target[Station], endpoint: Endpoint, wanted: bytes | None, caller: Caller
) -> Target[Station]:
    """Where an object is made that is of one model.

    Arguments:
        target: the model's, with all that serves its name.
        wanted: what the caller says.

    Raises:
        Refusal: 400, it is not to be had there.
    """
    able = tuple(one for one in target.pools or (target,) if endpoint in one.speaks)
    if wanted is None:
        return _of(able, caller)
    name = wanted.decode("latin-1").strip()
    there = tuple(one for one in able if name in (one.provider, one.provider.partition(":")[0]))
    if not there:
        raise Refusal(
            400,
            "provider_not_found",
            f"The header x-headworks-provider names nothing that serves {endpoint.value} for this model; "
            f"what does: {', '.join(one.provider for one in able)}.",
        )
    return _of(there, caller)


def find_pool(target: Target[Station], provider: str) -> Target[Station] | None:
    """The pool of this name. What was made before a provider had pools lies in the first of them, whose key it was."""
    for one in target.pools or (target,):
        if one.provider == provider:
            return one
    is_without_pool = ":" not in provider and target.provider.partition(":")[0] == provider
    return (target.pools or (target,))[0] if is_without_pool else None


def _for_caller(target: Target[Station], caller: Caller) -> Target[Station]:
    """Of the pools of the lowest tier, the one that is this team's, or this key's, by weighted rendezvous hashing."""
    return _of(target.pools or (target,), caller)


def _of(pools: Sequence[Target[Station]], caller: Caller) -> Target[Station]:
    tier = min(pool.tier for pool in pools)
    whose = f"team {caller.team}" if caller.team else f"key {caller.key_id}"
    return max(
        (pool for pool in pools if pool.tier == tier),
        key=lambda pool: _score(whose, pool.provider, pool.weight),
    )


def _score(whose: str, provider: str, weight: float) -> float:
    digest = blake2b(f"{provider}\0{whose}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -weight / log((int.from_bytes(digest, "big") + 1) / (2**64 + 1))


def _names(targets: Iterable[Target[Station]]) -> list[str]:
    return [pool.provider for target in targets for pool in target.pools or (target,)]
