"""A configuration in the making: public names and the deployments behind them, as all three gateways have them.

Theirs balance one name over any deployments. Ours balance over the pools of one provider, and go on with `fallback`
where that fails. So deployments of one name that differ in nothing but key and project become pools; where they differ
in more (address, model), the first is the model and the others are its first fallbacks.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from headworks.config.sections.models import PUBLIC_MODEL_NAME
from headworks.importing.ledger import Ledger
from headworks.importing.source import Place, Source
from headworks.importing.upstreams import Kind

ANY = "*"
"""In place of a model's name: whatever the caller names."""


class Connection(msgspec.Struct, frozen=True):
    """What makes one provider of ours; `name` is the one it should have. Times are in seconds. `own` are fields that
    only its kind has."""

    name: str
    kind: Kind
    base_url: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    total_s: float | None = None
    between_bytes_s: float | None = None
    speaks: tuple[str, ...] = ()
    own: tuple[tuple[str, str], ...] = ()


class Account(msgspec.Struct, frozen=True, order=True):
    """What makes one pool of a provider."""

    api_key: str = ""
    organization: str = ""
    project: str = ""
    weight: int = 1
    tier: int = 0


class Asked(msgspec.Struct, frozen=True):
    """How much may be asked for, by the minute."""

    requests: int | None = None
    tokens: int | None = None


class Deployment(msgspec.Struct, frozen=True):
    """One upstream model behind a public name.

    Attributes:
        place: where it stands in the source; `named` is the place of the setting that binds it to its public name.
        settled: further settings of it, with what to say of each; `{at}`, `{provider}`, `{limits}` and `{price}` stand
            for places in our file.
    """

    connection: Connection
    account: Account
    model: str
    place: Place
    named: Place
    asked: Asked = Asked()
    prices: dict[str, str] = {}
    settled: tuple[tuple[Place, str], ...] = ()


class Group(msgspec.Struct):
    """A public name, its deployments in the order in which they are asked, and names to go on with."""

    name: str
    deployments: list[Deployment]
    fallback: list[str] = msgspec.field(default_factory=list)


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


class ModelDraft(msgspec.Struct, frozen=True):
    """A public name of our file."""

    name: str
    provider: str
    model: str
    fallback: tuple[str, ...]
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
        self._chains: dict[str, list[str]] = {}

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
        clusters: dict[tuple[Connection, str], list[Deployment]] = {}
        for one in sorted(group.deployments, key=lambda one: one.account.tier):
            clusters.setdefault((one.connection, one.model), []).append(one)
        tiers = [{one.account.tier for one in cluster} for cluster in clusters.values()]
        in_order = all(max(left) < min(right) for left, right in pairwise(tiers))
        chain: list[str] = []
        for index, cluster in enumerate(clusters.values()):
            provider = self._provider(group, cluster, is_own=index == 0)
            chain.append(f"{provider.name}/{cluster[0].model}")
            for one in cluster:
                self._settle(group, one, provider, index, in_order=in_order)
        self._chains[group.name] = chain

    def _provider(self, group: Group, cluster: list[Deployment], *, is_own: bool) -> ProviderDraft:
        accounts = _levelled([one.account for one in cluster])
        key = (cluster[0].connection, accounts)
        made = self._providers.get(key)
        if _is_wild(group) and is_own and made is not None and made.name != group.name.partition("/")[0]:
            made = None  # this name is what callers begin with, so it has a provider of its own
        if made is None:
            wished = group.name.partition("/")[0] if _is_wild(group) and is_own else cluster[0].connection.name
            pools = [Pool(f"key-{number}", account) for number, account in enumerate(accounts, start=1)]
            made = ProviderDraft(
                self._free(wished, is_wild=_is_wild(group) and is_own), cluster[0].connection, pools, [], []
            )
            self._providers[key] = made
            self._made.providers.append(made)
        for one in cluster:
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

    def _settle(self, group: Group, one: Deployment, provider: ProviderDraft, index: int, *, in_order: bool) -> None:
        pool = _pool_of(provider, one)
        at = provider.at(pool)
        target = f"{provider.name}/{one.model}"
        limits = f"{at}.limits" if one.model == ANY else f"{at}.model_limits.{one.model}"
        price = f"prices.models.{target}"
        for place, text in one.settled:
            told = text.replace("{at}", at).replace("{provider}", f"providers.{provider.name}")
            if self._ledger.is_free(place):  # what several deployments share is told of once
                told = told.replace("{limits}", limits).replace("{price}", price)
                self._ledger.mapped(place, told)
        if not self._ledger.is_free(one.named):
            return
        if not _is_wild(group) and group.name.partition("/")[0] in self._owned:
            self._under_wildcard(group, one, target)
        elif index and not in_order:
            self._ledger.missing(
                one.named,
                f"one name is not balanced over different upstreams here: {target} is asked when the first of "
                f"`{group.name}` fails; to spread load, put a load balancer before the servers",
            )
        elif index:
            self._ledger.mapped(one.named, f"models.{group.name}.fallback: {target}")
        elif _is_wild(group):
            self._ledger.mapped(one.named, f"providers.{provider.name}: callers name any model as {provider.name}/NAME")
        else:
            self._ledger.mapped(one.named, f"models.{group.name}: {target}")

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
        first, *others = self._chains[group.name]
        fallback = tuple(dict.fromkeys([*others, *(name for name in group.fallback if name != group.name)]))
        if group.name.partition("/")[0] in self._owned:
            self._made.plain.add(group.name)
            return
        provider, _, model = first.partition("/")
        line = self._source.line(group.deployments[0].place)
        self._made.models.append(ModelDraft(group.name, provider, model, fallback, line))


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

    def who(account: Account) -> tuple[str, str, str]:
        return account.api_key, account.organization, account.project

    return next(pool for pool in provider.pools if who(pool.account) == who(one.account))


def _levelled(accounts: list[Account]) -> tuple[Account, ...]:
    """Each account once, in a fixed order; one alone has neither weight nor tier."""
    once: dict[tuple[str, str, str], Account] = {}
    for account in accounts:
        once.setdefault((account.api_key, account.organization, account.project), account)
    if len(once) == 1:
        return (msgspec.structs.replace(accounts[0], weight=1, tier=0),)
    return tuple(once.values())


def _most(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)
