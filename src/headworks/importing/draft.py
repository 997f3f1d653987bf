"""A configuration in the making: public names, and the providers and targets that the deployments behind them become.

Deployments of one name that differ in nothing but key, project or a server's address become pools of one provider;
others become targets of the name, with their weights and tiers. Where the source has steps, of which the next is for a
failure of the one before, the later ones are fallbacks.
"""

import re
from collections.abc import Sequence

import msgspec

from headworks.config.sections.models import PUBLIC_MODEL_NAME
from headworks.importing.deployments import ANY, Account, Asked, Connection, Deployment
from headworks.importing.ledger import Ledger
from headworks.importing.source import Source
from headworks.importing.spreading import Cluster, accounts_of, clusters_of, whole_weights

_NO_ENTRY = "callers name provider/NAME, and this is said of a name under `models`: give it one, with `droppable`"


class Group(msgspec.Struct):
    """A public name, its deployments in the order in which they are asked, and names to go on with.

    Attributes:
        goes_on: a higher tier is for what failed at a lower one, not merely for when that cannot be asked.
        droppable: fields of requests that may be left out.
    """

    name: str
    deployments: list[Deployment]
    fallback: list[str] = msgspec.field(default_factory=list)
    goes_on: bool = False
    droppable: set[str] = msgspec.field(default_factory=set)


class Pool(msgspec.Struct):
    """An account of a provider, with what may be asked of each model by it."""

    name: str
    account: Account
    limits: dict[str, Asked] = msgspec.field(default_factory=dict)


class ProviderDraft(msgspec.Struct):
    """A provider of our file. `models` is None where any name is passed on."""

    name: str
    connection: Connection
    pools: list[Pool]
    models: list[str] | None
    lines: list[int]

    def at(self, pool: Pool) -> str:
        """Where in our file a pool's own fields are."""
        return f"providers.{self.name}" + (f".pools.{pool.name}" if len(self.pools) > 1 else "")


class TargetDraft(msgspec.Struct, frozen=True):
    """One of the targets of a public name: `provider/model`, its share, and its tier."""

    target: str
    weight: int = 1
    tier: int = 0


class ModelDraft(msgspec.Struct, frozen=True):
    """A public name of our file, with at least one target."""

    name: str
    targets: tuple[TargetDraft, ...]
    fallback: tuple[str, ...]
    droppable: tuple[str, ...]
    line: int


class Composed(msgspec.Struct):
    """Providers, public names and prices of our file; `plain` are names that need no entry, and so have no fallback."""

    providers: list[ProviderDraft] = msgspec.field(default_factory=list)
    models: list[ModelDraft] = msgspec.field(default_factory=list)
    prices: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    plain: set[str] = msgspec.field(default_factory=set)


class Composer:
    """Makes groups into providers and models. The mutable state is what has been composed so far."""

    def __init__(self, groups: Sequence[Group], ledger: Ledger, source: Source) -> None:
        self._groups = groups
        self._ledger = ledger
        self._source = source
        self._made = Composed()
        self._providers: dict[tuple[Connection, tuple[Account, ...]], ProviderDraft] = {}
        self._owned = {group.name.partition("/")[0] for group in groups if _is_wild(group)}
        self._avoided = {group.name.partition("/")[0] for group in groups if "/" in group.name} - self._owned
        self._targets: dict[str, list[TargetDraft]] = {}
        self._steps: dict[str, list[str]] = {}

    def compose(self) -> Composed:
        """Everything composed; what became of each deployment's settings is in the ledger."""
        for group in sorted(self._groups, key=lambda one: not _is_wild(one)):  # they need the names that they ask for
            self._group(group)
        for group in self._groups:
            self._model(group)
        order = {group.name: index for index, group in enumerate(self._groups)}
        self._made.models.sort(key=lambda model: order.get(model.name, 0))
        return self._made

    def _group(self, group: Group) -> None:
        clusters = clusters_of(group.deployments, goes_on=group.goes_on)
        providers = [self._provider(group, one, is_own=index == 0) for index, one in enumerate(clusters)]
        tiers = [one.tier for one in clusters]
        later = tiers[tiers.count(0) :]
        is_chain = group.goes_on and len(set(later)) == len(later)
        targets: dict[str, TargetDraft] = {}  # what is there in a lower tier needs no higher one
        weights = whole_weights([one.weight for one in clusters])
        for cluster, provider, weight in zip(clusters, providers, weights, strict=True):
            name = f"{provider.name}/{cluster.deployments[0].model}"
            targets.setdefault(name, TargetDraft(name, weight, cluster.tier))
        first = [one for one in targets.values() if not is_chain or one.tier == 0]
        if len({one.weight for one in first}) == 1 or len({one.tier for one in first}) == len(first):
            first = [msgspec.structs.replace(one, weight=1) for one in first]
        self._targets[group.name] = first
        self._steps[group.name] = [name for name, one in targets.items() if is_chain and one.tier]
        for index, (cluster, provider) in enumerate(zip(clusters, providers, strict=True)):
            for one in cluster.deployments:
                self._settle(group, one, provider, index)

    def _provider(self, group: Group, cluster: Cluster, *, is_own: bool) -> ProviderDraft:
        deployments = cluster.deployments
        accounts = accounts_of(deployments)
        key = (deployments[0].connection, accounts)
        made = self._providers.get(key)
        if _is_wild(group) and is_own and made is not None and made.name != group.name.partition("/")[0]:
            made = None  # this name is what callers begin with, so it has a provider of its own
        if made is None:
            wished = group.name.partition("/")[0] if _is_wild(group) and is_own else deployments[0].connection.name
            pools = [Pool(f"key-{number}", account) for number, account in enumerate(accounts, start=1)]
            made = ProviderDraft(
                self._free(wished, is_wild=_is_wild(group) and is_own), deployments[0].connection, pools, [], []
            )
            self._providers[key] = made
            self._made.providers.append(made)
        for one in deployments:
            made.lines.append(self._source.line(one.place))
            self._admit(made, one)
            if one.prices:
                self._made.prices.setdefault(f"{made.name}/{one.model}", one.prices)
        return made

    def _admit(self, provider: ProviderDraft, one: Deployment) -> None:
        """Let a provider serve the deployment's model, within what may be asked of it."""
        if one.model == ANY:
            provider.models = None
        elif provider.models is not None and one.model not in provider.models:
            provider.models.append(one.model)
        pool = _pool_of(provider, one)
        if one.asked != Asked():
            so_far = pool.limits.get(one.model, Asked())
            pool.limits[one.model] = Asked(
                _most(so_far.requests, one.asked.requests), _most(so_far.tokens, one.asked.tokens)
            )

    def _settle(self, group: Group, one: Deployment, provider: ProviderDraft, index: int) -> None:
        pool = _pool_of(provider, one)
        at = provider.at(pool)
        target = f"{provider.name}/{one.model}"
        limits = f"{at}.limits" if one.model == ANY else f"{at}.model_limits.{one.model}"
        price = f"prices.models.{target}"
        by_name = not _is_wild(group) and group.name.partition("/")[0] not in self._owned
        for place, text in one.settled:
            if "{droppable}" in text and not by_name:
                if self._ledger.is_free(place):
                    self._ledger.missing(place, _NO_ENTRY)
                continue
            told = text.replace("{provider}.base_url", f"{at}.base_url") if pool.account.base_url else text
            told = told.replace("{at}", at).replace("{provider}", f"providers.{provider.name}")
            told = told.replace("{droppable}", f"models.{group.name}.droppable")
            told = told.replace("{share}", self._share(group, provider, at, "weight"))
            told = told.replace("{order}", self._share(group, provider, at, "tier"))
            if self._ledger.is_free(place):  # what several deployments share is told of once
                told = told.replace("{limits}", limits).replace("{price}", price)
                self._ledger.mapped(place, told)
        if not self._ledger.is_free(one.named):
            return
        if not _is_wild(group) and group.name.partition("/")[0] in self._owned:
            self._under_wildcard(group, one, target)
        elif index and _is_wild(group):
            text = f"callers name {provider.name}/NAME for these, and load is not spread over different upstreams so: "
            self._ledger.missing(one.named, f"{text}write the models' names, with `targets`, under `models`")
        elif target in self._steps[group.name]:
            self._ledger.mapped(one.named, f"models.{group.name}.fallback: {target}")
        elif len(self._targets[group.name]) > 1:
            self._ledger.mapped(one.named, f"models.{group.name}.targets: {target}")
        elif _is_wild(group):
            self._ledger.mapped(one.named, f"providers.{provider.name}: callers name any model as {provider.name}/NAME")
        else:
            self._ledger.mapped(one.named, f"models.{group.name}: {target}")

    def _share(self, group: Group, provider: ProviderDraft, at: str, field: str) -> str:
        """Where a deployment's weight or tier is said."""
        places = [f"models.{group.name}.targets"] if len(self._targets[group.name]) > 1 else []
        if len(provider.pools) > 1:
            places.append(f"{at}.{field}")
        elif field == "weight" or not self._steps[group.name]:
            places = [f"{places[0]}.{field}"] if places else ["one target has all the load"]
        else:
            places.append(f"the order of models.{group.name}.fallback")
        return ", ".join(places)

    def _under_wildcard(self, group: Group, one: Deployment, target: str) -> None:
        """A name such as `openai/gpt` beside `openai/*`, which reaches it already."""
        if target == group.name:
            self._ledger.mapped(one.named, f"{target} is reached as it is")
        else:
            self._ledger.missing(
                one.named, f"`{group.name}` is what a wildcard reaches already: call {target}, or give it another name"
            )

    def _free(self, wished: str, *, is_wild: bool) -> str:
        base = slug(wished)
        taken = {provider.name for provider in self._made.providers}
        if is_wild and base not in taken:
            return base
        if base in self._avoided:
            base = f"{base}-api"
        number, name = 1, base
        while name in taken | self._avoided | self._owned:
            number += 1
            name = f"{base}-{number}"
        return name

    def _model(self, group: Group) -> None:
        """The public name, unless `provider/model` reaches the same already."""
        if _is_wild(group):
            return
        targets = tuple(self._targets[group.name])
        own = {group.name, *(one.target for one in targets)}
        fallback = tuple(dict.fromkeys(one for one in (*self._steps[group.name], *group.fallback) if one not in own))
        if group.name.partition("/")[0] in self._owned:
            self._made.plain.add(group.name)
            return
        line = self._source.line(group.deployments[0].place)
        self._made.models.append(ModelDraft(group.name, targets, fallback, tuple(sorted(group.droppable)), line))


def slug(text: str) -> str:
    """A name as providers and workloads have them: lower case letters, digits and `-`."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    name = name if name[:1].isalpha() else f"x-{name}".strip("-")
    return name[:56].rstrip("-")


def is_public_name(text: str) -> bool:
    """Whether our file can have a public model name like this."""
    return re.fullmatch(PUBLIC_MODEL_NAME, text) is not None


def _is_wild(group: Group) -> bool:
    return group.name.endswith("/*")


def _pool_of(provider: ProviderDraft, one: Deployment) -> Pool:
    """The pool of a deployment's account; weights have been levelled since."""
    return next(pool for pool in provider.pools if pool.account.who == one.account.who)


def _most(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)
