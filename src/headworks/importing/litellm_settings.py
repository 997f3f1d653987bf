"""LiteLLM's `router_settings`, `litellm_settings` and `general_settings`: what they become.

Source: LiteLLM's documentation, "All settings" of the proxy, and its pages on fallbacks and time limits, 2026-11.
"""

import math
import re
from collections.abc import Iterator, Sequence

import msgspec

from headworks.config.sections.base import MOST_TIER
from headworks.importing.deployments import Deployment
from headworks.importing.draft import Composed, Group, is_public_name
from headworks.importing.keys import Keys, variable_of
from headworks.importing.ledger import Fate, Ledger, leaves
from headworks.importing.litellm_entry import DROPPED
from headworks.importing.litellm_tables import GENERAL, LITELLM, ROUTER, TOP
from headworks.importing.source import Place, Source, Value
from headworks.importing.texts import MOST_S, seconds, whole
from headworks.importing.writing import Sections

_MOST_RETRIES = 10
_DEADLINE_S = 600.0
_BUFFERED = 268_435_456
_DAYS = {"s": 1 / 86_400, "m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0, "mo": 30.0}
_SHUFFLE = "simple-shuffle"
_NO_NAMES = "callers name provider/NAME here, and this is said of names: list them under `models`, with `droppable`"
_BALANCED = frozenset(
    {_SHUFFLE, "least-busy", "usage-based-routing", "usage-based-routing-v2", "latency-based-routing"}
)
_REFUSALS = (
    "what a provider refuses for its content is tried elsewhere only where a workload's contract says "
    "`refusals: fallback` (docs/how-to/workloads.md)"
)
_NO_SHARE = "{order}: it gets calls only while what has a share cannot be asked"
_SECTIONS = ("router_settings", "litellm_settings", "general_settings")


class Chain(msgspec.Struct, frozen=True):
    """A fallback of the source that we could take: from a group's name, or from all (`*`), to a name.

    `is_for_length`: it is meant for input that is too long, and for nothing else.
    """

    start: str
    end: str
    place: Place
    is_for_length: bool = False


class Settings:
    """Reads the three sections, and says of every setting what becomes of it.

    Arguments:
        is_trial: nothing is there but a simulator.
    """

    def __init__(
        self, source: Source, ledger: Ledger, keys: Keys, sections: Sections, *, is_trial: bool = False
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._keys = keys
        self._sections = sections
        self._is_trial = is_trial
        self._alias_of: dict[str, str] = {}

    def aliases(self, groups: list[Group]) -> None:
        """Add the public names of `model_group_alias`."""
        by_name = {group.name: group for group in groups}
        for section in ("router_settings", "litellm_settings"):
            place: Place = (section, "model_group_alias")
            for name, given in ((self._source.at(place) or Value(0)).fields or {}).items():
                meant = given.get("model") if given.fields is not None else given
                group = by_name.get((meant.text if meant else None) or "")
                if group is None or name in by_name or "*" in name or not is_public_name(name):
                    self._ledger.missing((*place, name), "this alias leads to no model that was taken over")
                    continue
                same = [msgspec.structs.replace(one, named=(*place, name), settled=()) for one in group.deployments[:1]]
                others = [msgspec.structs.replace(one, settled=()) for one in group.deployments[1:]]
                groups.append(Group(name, [*same, *others], droppable=group.droppable))
                self._alias_of[name] = group.name

    def droppable(self, groups: Sequence[Group]) -> None:
        """Let every name leave out what `drop_params` does; called before `aliases`, which take it over."""
        place: Place = ("litellm_settings", "drop_params")
        value = self._source.at(place)
        if value is None or value.truth is not True:
            return
        wild = {group.name.partition("/")[0] for group in groups if group.name.endswith("/*")}
        named = [group for group in groups if group.name.partition("/")[0] not in wild]
        for group in named:
            if not _is_embedding(group):  # of its requests nothing is ever left out
                group.droppable |= DROPPED
        if not named:
            self._ledger.missing(place, _NO_NAMES)
        else:
            more = "; what callers name as provider/NAME has no such list" if wild else ""
            text = "models.NAME.droppable, of each name; what changes what is asked is still refused"
            self._ledger.mapped(place, f"{text} (docs/how-to/routing.md){more}")

    def shares(self, groups: Sequence[Group]) -> None:
        """What LiteLLM makes of weights and orders that only some deployments have, or none; before `aliases`.

        Where no weight is said, its usual strategy shares load by `rpm`, or else by `tpm`. What has no order is asked
        after all that has one. What has weight 0 gets a call only where there is nothing else of its order.
        """
        strategy = self._source.at(("router_settings", "routing_strategy"))
        is_shuffled = strategy is None or strategy.text in (None, _SHUFFLE)
        for group in groups:
            said = [{place[-1] for place, _ in one.settled} for one in group.deployments]
            group.deployments = _ordered(group.deployments, ["order" in one for one in said])
            if is_shuffled and not any("weight" in one for one in said):
                group.deployments = _by_limits(group.deployments)
            group.deployments = _shareless(group.deployments)

    def fallbacks(self, groups: Sequence[Group]) -> list[Chain]:
        """Put fallbacks into the groups; returns those that were taken, to be told of when models are composed."""
        chains = self._chains(groups)
        usual = [chain for chain in chains if not chain.is_for_length]
        self._usual_chains(groups, usual)
        for chain in chains:  # last, as they are meant for one failure alone
            for group in groups if chain.is_for_length else ():
                if chain.start in ("*", group.name, self._alias_of.get(group.name)):
                    group.fallback.append(chain.end)
        return chains

    def _chains(self, groups: Sequence[Group]) -> list[Chain]:
        """All fallbacks that can be taken."""
        chains: list[Chain] = []
        for section in ("router_settings", "litellm_settings"):
            for start, place, value in self._named_chains((section, "fallbacks")):
                chains += self._chain(groups, start, place, value)
            for start, place, value in self._named_chains((section, "context_window_fallbacks")):
                found = self._chain(groups, start, place, value)
                chains += [msgspec.structs.replace(one, is_for_length=True) for one in found]
            default: Place = (section, "default_fallbacks")
            if (ends := self._source.at(default)) is not None:
                chains += self._chain(groups, "*", default, ends)
        return chains

    def _usual_chains(self, groups: Sequence[Group], chains: Sequence[Chain]) -> None:
        """A model's own fallbacks, else its namesake's, else the default ones."""
        own: dict[str, list[str]] = {}
        for chain in chains:
            own.setdefault(chain.start, []).append(chain.end)
        default = own.pop("*", [])
        for group in groups:
            namesake = own.get(self._alias_of.get(group.name, ""))
            group.fallback += own.get(group.name) or namesake or ([] if _is_embedding(group) else default)

    def settle_fallbacks(self, chains: Sequence[Chain], composed: Composed) -> None:
        """Say of each fallback where it went."""
        for chain in chains:
            if chain.start in composed.plain:
                text = f"`{chain.start}` is what a wildcard reaches, and has no entry in `models`: give it another name"
                self._ledger.missing(chain.place, text)
            else:
                self._ledger.mapped(chain.place, _chained(chain))

    def read(self) -> None:
        """Say of all that is left what becomes of it."""
        self._timeouts()
        self._retries()
        self._valkey()
        self._access()
        self._records()
        self._bodies()
        for section, table in zip(_SECTIONS, (ROUTER, LITELLM, GENERAL), strict=True):
            self._by_table(section, table)
        for name, (fate, text) in TOP.items():
            for place, _ in leaves(self._source.root.get(name) or Value(0), (name,)):
                if self._ledger.is_free(place) and self._source.at(place) is not None:
                    self._note(place, fate, text)

    def _named_chains(self, place: Place) -> Iterator[tuple[str, Place, Value]]:
        value = self._source.at(place)
        listed = () if value is None else value.items if value.items is not None else (value,)
        for index, one in enumerate(listed or ()):
            base = (*place, index) if value is not None and value.items is not None else place
            for name, ends in (one.fields or {}).items():
                yield name, (*base, name), ends

    def _chain(self, groups: Sequence[Group], start: str, place: Place, value: Value) -> list[Chain]:
        names = {group.name for group in groups}
        wild = {group.name.partition("/")[0] for group in groups if group.name.endswith("/*")}
        if start != "*" and start not in names:
            self._ledger.missing(place, "this chain begins at no model that was taken over")
            return []
        chains: list[Chain] = []
        listed = value.items if value.items is not None else (value,)
        for index, one in enumerate(listed):
            at = (*place, index) if value.items is not None else place
            end = one.text or ""
            if end == start:
                self._ledger.needless(at, "a model is no fallback of itself")
            elif (end in names and not end.endswith("/*")) or (end.partition("/")[0] in wild and end.partition("/")[2]):
                chains.append(Chain(start, end, at))
            elif one.fields is not None:
                self._ledger.missing(at, "a fallback names a model and changes nothing else of the call")
            elif one.text is not None:
                self._ledger.missing(at, "leads to no model that was taken over: add the model, and then the fallback")
        return chains

    def _timeouts(self) -> None:
        """`timeout` of the router is that of one attempt, as `request_timeout` is where the router has none."""
        for place in (("router_settings", "timeout"), ("litellm_settings", "request_timeout")):
            value = self._source.at(place)
            limit = seconds(value)
            if value is None or limit is None:
                continue
            if self._sections.get("defaults.timeouts", "total_s") is not None:
                self._ledger.needless(place, "`router_settings.timeout` comes before it")
                continue
            for field in ("total_s", "first_byte_s"):
                self._sections.set("defaults.timeouts", field, limit, value.line)
            more = ""
            if limit > _DEADLINE_S:
                self._sections.set("defaults", "deadline_s", limit, value.line)
                more = ", and defaults.deadline_s"
            self._ledger.mapped(place, f"defaults.timeouts.total_s and first_byte_s{more}")
        place = ("router_settings", "stream_timeout")
        value = self._source.at(place)
        limit = seconds(value)
        if value is not None and limit is not None:
            self._sections.set("defaults.timeouts", "between_bytes_s", limit, value.line)
            self._ledger.mapped(place, "defaults.timeouts.between_bytes_s")
        for late in (("router_settings", "timeout"), ("litellm_settings", "request_timeout"), place):
            if self._source.at(late) is not None and self._ledger.is_free(late):
                self._ledger.missing(late, f"expected seconds above 0 and up to {MOST_S:.0f}: `defaults.timeouts`")

    def _retries(self) -> None:
        for place in (("router_settings", "num_retries"), ("litellm_settings", "num_retries")):
            value = self._source.at(place)
            number = whole(value, 0, 1000)
            if value is None:
                continue
            if number is None:
                self._ledger.missing(place, "expected a whole number from 0 on: `defaults.retries`")
            elif self._sections.get("defaults", "retries") is not None:
                self._ledger.needless(place, "`router_settings.num_retries` comes before it")
            else:
                self._sections.set("defaults", "retries", min(number, _MOST_RETRIES), value.line)
                most = f", {_MOST_RETRIES} at most" if number > _MOST_RETRIES else ""
                self._ledger.mapped(place, f"defaults.retries{most}")

    def _valkey(self) -> None:
        """Redis of the router counts use across instances; here the same server keeps the books of limits."""
        section = self._source.root.get("router_settings") or Value(0)
        url, host = section.get("redis_url"), section.get("redis_host")
        given = url if url is not None and url.text else host if host is not None and host.text else None
        if given is None:
            return
        if given is url:
            reference, told = self._keys.reference(url, "REDIS_URL", "the Valkey or Redis server that keeps limits")
        else:
            reference = self._keys.variable("VALKEY_URL", "redis://[:PASSWORD@]HOST:PORT, the server that keeps limits")
            told = f"{reference}, one URL of host, port and password: redis://:PASSWORD@HOST:PORT"
        if reference is None:
            return
        if self._is_trial:
            told += "; a trial on one machine does without"
        else:
            self._sections.set("quotas", "valkey", reference, given.line)
        for name in ("redis_url", "redis_host", "redis_port", "redis_password", "redis_username", "redis_ssl"):
            if section.get(name) is not None:
                self._ledger.mapped(("router_settings", name), f"quotas.valkey: {told}")

    def _access(self) -> None:
        value = self._source.at(("general_settings", "master_key"))
        if value is not None and value.text:
            self._sections.set("access", "mode", "keys", value.line)
            text = "access.mode: keys; there is no master key: `headworks keys create NAME` makes keys on this machine"
            self._ledger.mapped(("general_settings", "master_key"), text)

    def _records(self) -> None:
        value = self._source.at(("general_settings", "store_prompts_in_spend_logs"))
        if value is not None and value.truth is not None:
            place: Place = ("general_settings", "store_prompts_in_spend_logs")
            if value.truth:
                self._sections.set("records", "bodies", value=True, line=value.line)
            self._ledger.mapped(place, f"records.bodies: {'true' if value.truth else 'false, as it is by default'}")
        place = ("general_settings", "maximum_spend_logs_retention_period")
        value = self._source.at(place)
        found = re.fullmatch(r"(\d{1,6})(mo|[smhdw])", value.text or "") if value is not None else None
        if value is not None and found:
            days = max(1, min(36_500, round(int(found[1]) * _DAYS[found[2]])))
            self._sections.set("records", "days", days, value.line)
            self._ledger.mapped(place, f"records.days: {days}")
        elif value is not None:
            self._ledger.missing(place, "expected a time such as 30d: `records.days`")

    def _bodies(self) -> None:
        place: Place = ("general_settings", "max_request_size_mb")
        value = self._source.at(place)
        number = None if value is None else value.number
        if value is None or number is None or not 0.001 <= number <= 2047:
            return
        size = int(number * 1024 * 1024)
        self._sections.set("server", "body_bytes", size, value.line)
        if size > _BUFFERED:
            self._sections.set("server", "buffered_bytes", size * 4, value.line)
        self._ledger.mapped(place, "server.body_bytes")

    def _by_table(self, section: str, table: dict[str, tuple[Fate, str]]) -> None:
        """What is needless or missing by its name, or by its name and value."""
        for name, value in ((self._source.root.get(section) or Value(0)).fields or {}).items():
            place: Place = (section, name)
            if not self._ledger.is_free(place):
                continue
            special = self._special(name, value)
            if special is not None:
                self._note(place, *special)
            elif name in table or name in LITELLM:
                self._note(place, *(table.get(name) or LITELLM[name]))
            elif name in ROUTER and section == "litellm_settings":  # most may stand in either
                self._note(place, *ROUTER[name])

    def _special(self, name: str, value: Value) -> tuple[Fate, str] | None:
        if name == "content_policy_fallbacks":
            return ("missing", _REFUSALS) if not value.is_leaf else ("needless", "there are none")
        if name in ("fallbacks", "default_fallbacks", "context_window_fallbacks") and value.is_leaf:
            return "needless", "there are none"
        if name == "routing_strategy":
            return _strategy(value.text)
        if name == "cache":
            return (
                LITELLM["cache_params"]
                if value.truth is not False
                else ("needless", "answers are not given again unless a contract says so")
            )
        if name in ("callbacks", "success_callback") and value.texts() and set(value.texts()) <= {"prometheus"}:
            return "needless", "/metrics is Prometheus text (docs/how-to/deployment.md#metrics)"
        if name == "disable_cooldowns":
            if value.truth is False:
                return "needless", "circuit breakers are always there"
            return "missing", "circuit breakers are always there: a target that fails again and again rests for seconds"
        if name == "disable_spend_logs":
            if value.truth is False:
                return "needless", "calls are always recorded"
            return "missing", "calls are always recorded: `records.days` says for how long"
        if value.truth is False and variable_of(value.text or "") is None and name in {**ROUTER, **LITELLM, **GENERAL}:
            return "needless", "it is off, and there is nothing here that would have to be"
        return None

    def _note(self, place: Place, fate: Fate, text: str) -> None:
        if fate == "missing":
            self._ledger.missing(place, text)
        else:
            self._ledger.needless(place, text)


def _is_embedding(group: Group) -> bool:
    return any("embed" in one.model for one in group.deployments)


def _ordered(deployments: list[Deployment], are_ordered: list[bool]) -> list[Deployment]:
    last = max((one.account.tier for one, told in zip(deployments, are_ordered, strict=True) if told), default=None)
    if last is None:
        return deployments
    return [
        one
        if told
        else msgspec.structs.replace(one, account=msgspec.structs.replace(one.account, tier=min(last + 1, MOST_TIER)))
        for one, told in zip(deployments, are_ordered, strict=True)
    ]


def _shareless(deployments: list[Deployment]) -> list[Deployment]:
    """Those without a share of the load in a tier of their own, between those of their order and the next."""
    shared = {one.account.tier for one in deployments if one.account.weight}
    steps = [(one.account.tier, not one.account.weight and one.account.tier in shared) for one in deployments]
    ranks = {step: min(rank, MOST_TIER) for rank, step in enumerate(sorted(set(steps)))}
    return [
        msgspec.structs.replace(
            one,
            account=msgspec.structs.replace(one.account, tier=ranks[step], weight=one.account.weight or 1),
            settled=tuple(
                (place, _NO_SHARE if step[1] and place[-1] == "weight" else text) for place, text in one.settled
            ),
        )
        for one, step in zip(deployments, steps, strict=True)
    ]


def _by_limits(deployments: list[Deployment]) -> list[Deployment]:
    """The deployments with shares by what may be asked of each, where that is known of all."""
    for field, told in (("requests", "{limits}.requests_per_minute"), ("tokens", "{limits}.tokens_per_minute")):
        limits: list[int] = [limit for one in deployments if (limit := getattr(one.asked, field)) is not None]
        if len(limits) == len(deployments) and len(set(limits)) > 1:
            common = math.gcd(*limits)
            return [
                msgspec.structs.replace(
                    one,
                    account=msgspec.structs.replace(one.account, weight=limit // common),
                    settled=tuple(
                        (place, f"{text}, and its share of the load" if text == told else text)
                        for place, text in one.settled
                    ),
                )
                for one, limit in zip(deployments, limits, strict=True)
            ]
    return deployments


def _strategy(name: str | None) -> tuple[Fate, str]:
    """What to say of a routing strategy."""
    if name in _BALANCED:
        return "needless", "load goes where weight, pending attempts, time taken and room under limits send it"
    if name == "cost-based-routing":
        return "missing", "load does not go by price: give dearer targets a higher `tier` (docs/how-to/routing.md)"
    return "missing", "there is no such strategy: targets have weights and tiers, models have fallbacks"


def _chained(chain: Chain) -> str:
    """What to say of a fallback that was taken."""
    if chain.start == "*":
        return "`fallback` of every model without its own, embeddings left out"
    more = "; input that is too long goes on to a larger window, other failures too" if chain.is_for_length else ""
    return f"models.{chain.start}.fallback: {chain.end}{more}"
