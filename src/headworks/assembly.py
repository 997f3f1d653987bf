"""Putting the parts together: the only place where a configuration chooses them.

Whatever of a configuration can fail has been done when there are `settings`. From them an `Assembly` is built, into the
`hull` of its process: that cannot fail for reasons of configuration.
"""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from headworks.access import Door
from headworks.attempts import Policy
from headworks.catalogue import PriceArchive, load_tokenizer
from headworks.config import DETERMINISTIC, Workload, target_of_rung
from headworks.config.budgets import team_budgets
from headworks.errors import ConfigError
from headworks.exchange import Upstream
from headworks.gateway import Gateway
from headworks.gateway_parts import ANSWER_BYTES, Parts, RealtimeBounds
from headworks.hull import Hull
from headworks.inner_calls import InnerCalls
from headworks.keying import KeyedUpstream
from headworks.planning import Planner
from headworks.probing import ProbePlan, Prober
from headworks.provider_plans import PoolPlan, ProviderPlan, key_blocks, provider_plan
from headworks.routing import Headroom, Reach, RouteTable
from headworks.secrets import Kept, KnownKeys
from headworks.settings import Settings
from headworks.settlement import Settlement
from headworks.stations import Station
from headworks.streaming import StreamRelay
from headworks.telemetry import RUN_FOLDER, Standing, report
from headworks.trace_keeping import trace_keeper
from headworks.transport import Origin, UpstreamPool
from headworks.wheel import Timer

if TYPE_CHECKING:
    from headworks.body_sealing import BodySealer
    from headworks.cached_calls import CachedWorkload
    from headworks.compiled import CompiledWorkload
    from headworks.config.contract import Cache
    from headworks.hooking import Hooks
    from headworks.response_cache import MemoryStore, ResponseCache, Store
    from headworks.workload_call import WorkloadCalls

_KEY_REFRESH_S = 0.4
"""How often a worker looks for changed keys; with the wheel's tick, a revocation holds within half a second."""

_SLOW_SHARE = 0.5
"""Of the time that an answer's head may take: an answer that takes longer counts as a failure of its target's."""


class Assembly:
    """A gateway with the upstreams that are its own; lives from one configuration to the next."""

    def __init__(self, settings: Settings, hull: Hull) -> None:
        self.settings = settings
        self._hull = hull
        self._upstreams: list[Upstream] = []
        self._keyed: dict[str, KeyedUpstream] = {}
        self._probes: dict[str, ProbePlan] = {}
        self._response_caches: list[ResponseCache] = []
        self._in_memory: list[MemoryStore] = []
        self._forgot_s = 0.0
        self._ring = hull.ring(settings)
        self._refresh_timer = Timer(self._refresh)
        if settings.values is not None:
            settings.values.run_on(hull.loop)
        # What calls were charged by is found again, whatever is installed later.
        PriceArchive(settings.project.storage).keep(settings.book)
        _keep_templates(settings)
        hull.limiter.reconfigure(settings.project.config.access.teams)
        hull.wallet.reconfigure(team_budgets(settings.project.config))
        pools = {pool.settings.name: _identity(plan, pool) for plan in settings.providers for pool in plan.pools}
        hull.health.begin(pools, time.perf_counter())
        reaches = [self._reach(plan) for plan in settings.providers]
        config = settings.project.config
        table = self._table = RouteTable(
            reaches,
            settings.names,
            settings.groups,
            {name: model.droppable for name, model in config.models.items() if model.droppable},
        )
        self._prober = Prober(
            self._probes,
            table.targets,
            settings.project.storage / RUN_FOLDER,
            hull.wheel,
            time.perf_counter,
            report,
        )
        self._works = {
            workload.name: _with_targets(settings, workload, work, table) for workload, work in settings.workloads
        }
        self._hooks = self._make_hooks()
        self.gateway = Gateway(
            Parts(
                ring=self._ring,
                door=_door(settings),
                table=table,
                journal=hull.journal,
                metrics=hull.metrics,
                find_owner=hull.find_owner,
                render_metrics=hull.render_metrics,
                is_ready=hull.is_ready,
                loop=hull.loop,
                admissions=hull.admissions,
                load=hull.load,
                shelf=hull.shelf(),
                providers=tuple(plan.name for plan in settings.providers),
                price_of=settings.book.for_target,
                sightings=hull.sightings,
                make_works=self._make_works if self._works else None,
                keeps_bodies=config.records.bodies,
                seal_bodies=_body_sealer(settings),
                retries=config.defaults.retries,
                deadline_s=config.defaults.deadline_s,
                heartbeat_s=config.server.heartbeat_s,
                screening=settings.screening,
                hooks=self._hooks,
                answers={name: model.answer for name, model in config.models.items() if model.answer is not None},
                models_created=int(settings.project.file.stat().st_mtime),
                keep_traces=trace_keeper(settings.project),
                realtime=RealtimeBounds(**msgspec.structs.asdict(config.realtime)),
            )
        )
        hull.wheel.arm(self._refresh_timer, _KEY_REFRESH_S)

    def standing(self, now_s: float, *, is_ready: bool) -> Standing:
        """How this worker stands, by the monotonic time given."""
        sheds_from = self._hull.load.sheds_from
        notes = self._prober.notes
        standing = self._hull.surveyor.standing(
            self._table, now_s, is_ready=is_ready, sheds_from=sheds_from, probe_notes=notes
        )
        # Where nothing is in memory that can be forgotten, whatever may be wished is fulfilled.
        return msgspec.structs.replace(standing, forgot_s=self._forgot_s if self._remembers else time.time())

    @property
    def keys_refused(self) -> int:
        """Of how many pools the newest key is refused, so that an older one is used."""
        return sum(keyed.is_fallen_back for keyed in self._keyed.values())

    def rekey(self, kept: Kept) -> None:
        """Make new calls with the provider keys that are known now; those under way keep theirs. Calls whose key is
        expired are refused.

        Raises:
            ConfigError: a key is none that can be sent; all stay as they were.
        """
        project = self.settings.project
        keys = KnownKeys(project, os.environ, kept, asks=False)
        names = {name.partition(":")[0] for name in self._keyed}
        plans = [provider_plan(project, name, keys) for name in names]
        expired = keys.expired()
        fresh = {pool.settings.name: key_blocks(plan, pool, expired) for plan in plans for pool in plan.pools}
        changed = {name for name, keyed in self._keyed.items() if keyed.take(fresh[name])}
        for target in self._table.targets():
            if target.provider in changed:
                target.station.health.key_changed()

    async def retire(self) -> None:
        """Let the calls under way finish, then close the connections that were this configuration's."""
        self._refresh_timer.disarm()
        self._prober.close()
        await self.gateway.drain()
        if self._hooks is not None:
            await self._hooks.close()
        if self.settings.values is not None:
            await self.settings.values.close()
        for upstream in self._upstreams:
            await upstream.close()
        for cache in self._response_caches:
            await cache.close()
        for work in self._works.values():
            if work.rules is not None:
                await work.rules.close()
            if work.answerer is not None:
                await work.answerer.close()
            if work.first is not None:
                await work.first.close()

    def _make_works(
        self, settlement: Settlement, planner: Planner, streams: StreamRelay, policy: Policy
    ) -> "WorkloadCalls":
        from headworks.workload_call import WorkloadCalls  # only who has workloads loads them

        works = self._works.values()
        vault = held = None
        if any(work.contract.retention.content != "off" for work in works):
            from headworks.records.content import ContentVault  # cryptography and zstd: only who keeps content

            vault = ContentVault(self.settings.secret)
        if any(work.policy.has_holds for work in works):
            from headworks.holding import HeldAnswers
            from headworks.records.content import ContentVault
            from headworks.screening import APPROVALS_FILE

            held = HeldAnswers(self.settings.project.storage / APPROVALS_FILE, ContentVault(self.settings.secret))
        return WorkloadCalls(
            self._works,
            settlement,
            planner,
            streams,
            vault=vault,
            held=held,
            loop=self._hull.loop,
            secret=self.settings.secret,
            answer_bytes=ANSWER_BYTES,
            policy=policy,
            admissions=self._hull.admissions,
            caches=self._cache_settings(),
            count=self._hull.metrics.count_cached,
            values=self.settings.values,
            inner=InnerCalls(lambda: self.gateway),
        )

    def _make_hooks(self) -> "Hooks | None":
        if not self.settings.hooks:
            return None
        from headworks.hooking import Hooks  # only who has hooks loads them

        return Hooks(self.settings.hooks, self._hull.loop, self._hull.journal.append)

    def _cache_settings(self) -> "dict[str, CachedWorkload]":
        """The response caches of the workloads whose contracts have one."""
        if all(work.contract.cache is None for work in self._works.values()):
            return {}
        from headworks.cached_calls import CachedWorkload, settings_hash
        from headworks.compiled import read_file
        from headworks.records.content import ContentVault
        from headworks.response_cache import ResponseCache

        vault, found = ContentVault(self.settings.secret), {}
        for workload, _ in self.settings.workloads:
            work = self._works[workload.name]
            if work.contract.cache is None:
                continue
            cache = ResponseCache(work.name, self._answer_store(work.contract.cache), vault, time.time, report)
            self._response_caches.append(cache)
            rules = b"" if workload.files.rules is None else read_file(workload.files.rules)
            semantic = None
            if work.contract.cache.semantic is not None:
                from headworks.semantic_caches import semantic_of  # the model: only who has such a cache loads it

                semantic = semantic_of(work, cache, self.settings.secret)
            found[work.name] = CachedWorkload(cache, settings_hash(work, rules), semantic)
        return found

    def _answer_store(self, cache: "Cache") -> "Store":
        from headworks.response_cache import CACHE_FILE, MemoryStore, SqliteStore

        match cache.store:
            case "memory":
                store = MemoryStore(cache.most_bytes, time.monotonic)
                self._in_memory.append(store)
                return store
            case "sqlite":
                return SqliteStore(self.settings.project.storage / CACHE_FILE, cache.most_bytes)
            case "valkey":
                from headworks.answers_in_valkey import answers_in_valkey

                return answers_in_valkey(self.settings.valkey, self._hull.loop)

    def _reach(self, plan: ProviderPlan) -> Reach[Station]:
        upstreams: dict[str, Upstream] = {}
        for pool in plan.pools:
            if pool.base_url not in upstreams:
                name = pool.settings.name if pool.base_url != plan.base_url else plan.name
                upstreams[pool.base_url] = self._upstream(plan, name, pool.base_url)
        self._upstreams += upstreams.values()
        stations = tuple((pool.name, self._maker(plan, pool, upstreams[pool.base_url])) for pool in plan.pools)
        lots = {pool.name: (pool.weight, pool.tier) for pool in plan.pools}
        return Reach(plan.name, stations, plan.speaks, plan.models, lots)

    def _maker(self, plan: ProviderPlan, pool: PoolPlan, upstream: Upstream) -> Callable[[str], Station]:
        """What makes the station of a model in a pool."""
        provider = plan.make(pool.settings)
        upstream_of: type[KeyedUpstream] | None = KeyedUpstream if pool.is_keyed else None
        if plan.kind == "bedrock":
            from headworks.signed_keys import upstream_for  # only who has Bedrock loads it

            upstream_of = upstream_for(provider) or upstream_of
        if upstream_of is not None and plan.kind != "simulator":
            name, blocks = pool.settings.name, key_blocks(plan, pool)
            upstream = upstream_of(name, upstream, provider, blocks, say=report, refused=self._hull.ask_for_keys)
            self._keyed[name] = upstream
        if plan.probe is not None:
            request = provider.request("GET", plan.probe.path, b"", b"", b"")
            probe = ProbePlan(provider, upstream, request, plan.probe.every_s, plan.probe.timeout_s)
            self._probes[pool.settings.name] = probe
        limits = plan.timeouts.within(self.settings.project.config.defaults.deadline_s)
        config = self.settings.project.config
        share = 1.0 / (config.quotas.machines * max(1, config.server.workers))
        book, slow_s = self.settings.book, plan.timeouts.first_byte_s * _SLOW_SHARE
        deployments = config.providers[plan.name].deployments

        def make(model: str) -> Station:
            price = book.for_target(plan.name, model)
            health = self._hull.health.of(pool.settings.name, model, slow_s)
            if not model:  # the provider itself, for what belongs to no model
                return Station(provider, upstream, limits, price, health)
            quotas = self._hull.limiter.target_set(f"{pool.settings.name}/{model}", pool.limits.of(model))
            if quotas is not None and quotas.counts_tokens:
                load_tokenizer(
                    deployments.get(model, model)
                )  # now: later it would hold up every call of this worker for 0.3 s
            headroom = None if quotas is None else Headroom(quotas.meters, share)
            return Station(provider, upstream, limits, price, health, quotas, headroom, deployments.get(model, ""))

        return make

    def _upstream(self, plan: ProviderPlan, name: str, base_url: str) -> Upstream:
        if plan.kind == "simulator":
            from headworks.simulator import Plan, SimulatedUpstream, Simulator

            assert isinstance(plan.simulator_plan, Plan)
            return SimulatedUpstream(Simulator(plan.simulator_plan, now=time.time))
        return UpstreamPool(
            name,
            Origin.from_url(base_url, proxy=plan.proxy, ca_file=plan.ca_file),
            limits=plan.limits,
            connect_s=plan.timeouts.connect_s,
            wheel=self._hull.wheel,
            loop=self._hull.loop,
        )

    @property
    def _remembers(self) -> bool:
        """Whether answers are in memory, or values behind tokens."""
        return bool(self._in_memory) or self.settings.values is not None

    def _forget(self) -> None:
        """Forget what is in memory of what callers have written, where somebody has asked for it."""
        from headworks.response_cache import asked_to_forget_s

        asked_s = asked_to_forget_s(self.settings.project.storage / RUN_FOLDER)
        if asked_s > self._forgot_s:
            for store in self._in_memory:
                store.clear()
            if self.settings.values is not None:
                self.settings.values.drop_books()
            self._forgot_s = asked_s

    def _refresh(self) -> None:
        try:
            if self._remembers:
                self._forget()
            self._ring.refresh()
        finally:
            self._hull.wheel.arm(self._refresh_timer, _KEY_REFRESH_S)


def _identity(plan: ProviderPlan, pool: PoolPlan) -> object:
    """All that what is learnt of a pool's targets depends on, to be compared: with another key or address, they are
    others."""
    return plan.kind, pool.settings, pool.spares, pool.base_url, plan.timeouts, plan.proxy, plan.ca_file


def _keep_templates(settings: Settings) -> None:
    """Keep the templates that lie in folders, so that a call can be put together again when they are others."""
    own = [workload for workload, _ in settings.workloads if workload.files.prompt is not None]
    if not own:
        return
    from headworks.compiled import Published, own_prompt, read_file
    from headworks.prompts import PROMPTS_FILE, PromptRegistry

    registry = PromptRegistry.below(settings.project.storage, PROMPTS_FILE)
    try:
        for workload in own:
            assert workload.files.prompt is not None, "it was looked for"
            try:
                prompt = own_prompt(workload, Published())
                source = read_file(workload.files.prompt).decode("utf-8-sig")
            except ConfigError:
                continue  # it is not served: a published one is active, or configuration could not have been read
            if prompt is not None:
                registry.keep_draft(workload.name, prompt.version, prompt.hash, source, time.time())
    finally:
        registry.close()


def _door(settings: Settings) -> Door:
    config = settings.project.config
    bad = config.access.bad_keys
    return Door(config.server.trusted_proxies, tries=bad.tries, window_s=bad.window_s, lockout_s=bad.lockout_s)


def _body_sealer(settings: Settings) -> "BodySealer | None":
    records = settings.project.config.records
    if not records.bodies:
        return None
    from headworks.body_sealing import BodySealer  # cryptography and zstd: only who keeps bodies
    from headworks.records.content import ContentVault

    return BodySealer(ContentVault(settings.secret), records.days, time.time)


def _with_targets(
    settings: Settings, workload: Workload, work: "CompiledWorkload", table: RouteTable[Station]
) -> "CompiledWorkload":
    from headworks.screening import AnswerRunner, RulesRunner  # only who has workloads loads it

    names = [target_of_rung(settings.project.config, name) for name in work.chain_names]
    chain = tuple(table.resolve(name) for name in names if name is not None)
    assert len(chain) == len(work.chain_names), "the contract's names were checked"
    rules, timeout_s = workload.files.rules, workload.contract.validation.rules_timeout_s
    injection = work.contract.screening.injection
    check = None if injection is None or injection.check is None else injection.check.model
    code = workload.files.fallback_code if work.deterministic is not None else None
    first = workload.files.first_code if workload.contract.first == DETERMINISTIC else None
    return msgspec.structs.replace(
        work,
        chain=chain,
        rules=None if rules is None else RulesRunner(rules, timeout_s),
        answerer=None if code is None else AnswerRunner(code, timeout_s),
        first=None if first is None else AnswerRunner(first, timeout_s),
        check_model="" if check is None else target_of_rung(settings.project.config, check) or check,
    )
