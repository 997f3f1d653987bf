"""How one name's load is spread: shares in whole numbers, servers of one's own together, and what is asked first."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from headworks.config.sections.base import MOST_TIER
from headworks.importing.deployments import ANY, Account, Connection, Deployment
from headworks.importing.texts import host_name
from headworks.importing.upstreams import UPSTREAMS, needs_insecure

_MOST_WEIGHT = 1000
_KNOWN = frozenset(one.base_url for one in UPSTREAMS.values() if one.base_url.startswith("https://"))
"""Addresses of companies: two of these are never servers of one owner."""


class Cluster(msgspec.Struct, frozen=True):
    """Deployments that become one provider of ours, and so one target; its pools are their accounts.

    Attributes:
        tier: counted from 0 without gaps: those of a higher one are asked only while none of a lower one can be.
    """

    deployments: tuple[Deployment, ...]
    tier: int

    @property
    def weight(self) -> float:
        """The share of all its pools together."""
        return sum(one.account.weight for one in self.deployments)


def clusters_of(deployments: Sequence[Deployment], *, goes_on: bool) -> list[Cluster]:
    """The deployments of one name by what becomes a provider of ours, in the order in which they are asked.

    Those that differ in nothing but their account are together, with tiers among their pools. Beside others, they are
    divided by tier, for then these have to stand between them.

    Arguments:
        goes_on: a tier is a step of a chain: what is in order already is not divided.
    """
    ordered = sorted(_together(_whole_shares(deployments)), key=lambda one: one.account.tier)
    by_upstream: dict[tuple[Connection, str], list[Deployment]] = {}
    for one in ordered:
        by_upstream.setdefault((one.connection, one.model), []).append(one)
    whole = list(by_upstream.values())
    tiers = [[one.account.tier for one in cluster] for cluster in whole]
    if len(whole) == 1 or whole[0][0].model == ANY:
        return [Cluster(tuple(cluster), number) for number, cluster in enumerate(whole)]
    if goes_on and all(max(left) < min(right) for left, right in pairwise(tiers)):
        return [Cluster(tuple(cluster), number) for number, cluster in enumerate(whole)]
    ranks = {tier: min(rank, MOST_TIER) for rank, tier in enumerate(sorted({one for line in tiers for one in line}))}
    divided: dict[tuple[Connection, str, int], list[Deployment]] = {}
    for one in ordered:
        account = msgspec.structs.replace(one.account, tier=0)
        rank = ranks[one.account.tier]
        divided.setdefault((one.connection, one.model, rank), []).append(msgspec.structs.replace(one, account=account))
    return [Cluster(tuple(cluster), rank) for (_, _, rank), cluster in divided.items()]


def whole_weights(shares: Sequence[float]) -> list[int]:
    """Shares as weights of our file, from 1 to 1000: as they are where they can be, else in proportion."""
    if len(set(shares)) <= 1:
        return [1 for _ in shares]
    if all(share == int(share) and 1 <= share <= _MOST_WEIGHT for share in shares):
        return [int(share) for share in shares]
    factor = 100.0 if min(shares) * 100 >= 1 and max(shares) * 100 <= _MOST_WEIGHT else _MOST_WEIGHT / max(shares)
    return [max(1, round(share * factor)) for share in shares]


def _whole_shares(deployments: Sequence[Deployment]) -> list[Deployment]:
    weights = whole_weights([one.account.weight for one in deployments])
    return [
        msgspec.structs.replace(one, account=msgspec.structs.replace(one.account, weight=weight))
        for one, weight in zip(deployments, weights, strict=True)
    ]


def _together(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Servers of one's own that serve the same in the same way as one upstream, whose pools have the addresses."""
    alike: dict[object, list[Deployment]] = {}
    for one in deployments:
        alike.setdefault(_server_of(one), []).append(one)
    first = {kind: found[0].connection for kind, found in alike.items()}
    several = {kind for kind, found in alike.items() if len({one.connection.base_url for one in found}) > 1}
    return [
        one
        if kind is None or kind not in several
        else msgspec.structs.replace(
            one,
            connection=msgspec.structs.replace(first[kind], base_url=None),
            account=msgspec.structs.replace(one.account, base_url=one.connection.base_url or ""),
        )
        for one in deployments
        for kind in (_server_of(one),)
    ]


def _server_of(one: Deployment) -> object:
    """What servers have in common that may be pools of one provider; None for what is no server of one's own."""
    connection = one.connection
    url = connection.base_url
    if connection.kind != "openai-compatible" or url is None or url in _KNOWN:
        return None
    name = "" if connection.name == host_name(url) else connection.name
    alike = msgspec.structs.replace(connection, name=name, base_url=None)
    return (alike, one.model, tuple(sorted(one.prices.items())), needs_insecure(url))


def accounts_of(deployments: Sequence[Deployment]) -> tuple[Account, ...]:
    """Each account once, in a fixed order; one alone has neither weight nor tier.

    What is listed twice has both shares, and the lower tier.
    """
    once: dict[tuple[str, ...], Account] = {}
    for account in (one.account for one in deployments):
        who = account.who
        had = once.get(who)
        if had is None:
            once[who] = account
        elif had.tier == account.tier:
            once[who] = msgspec.structs.replace(had, weight=had.weight + account.weight)
    found = list(once.values())
    if len(found) == 1:
        return (msgspec.structs.replace(found[0], weight=1, tier=0),)
    weights = whole_weights([account.weight for account in found])
    return tuple(
        msgspec.structs.replace(account, weight=weight) for account, weight in zip(found, weights, strict=True)
    )
