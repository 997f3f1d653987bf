"""Putting the parts together: the only place where a configuration chooses them.

`read_settings` turns a project into plain values, secrets read; it fails where something cannot be had, and the
caller still has what it had before. `assemble` builds a gateway from them and cannot fail for reasons of
configuration: this is what makes a reload atomic.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from headworks.access import KEYS_FILE, Door, KeyRing, KeyStore, OpenRing, server_secret
from headworks.accounting import open_books
from headworks.admitting import Admissions
from headworks.attempts import Policy
from headworks.budgeting import Wallet
from headworks.calls import Endpoint, Limits, ObjectNote
from headworks.catalogue import PriceArchive, PriceBook, load_tokenizer
from headworks.config import (
    LOCK_FILE,
    Project,
    Secret,
    Workload,
    is_reference,
    load_workloads,
    locked_model_problem,
    model_of_rung,
    read_lock,
    read_secret,
    store_url,
    target_of_rung,
)
from headworks.config.budgets import team_budgets
from headworks.config.data import data_faults
from headworks.config.limits import TargetLimits, limits_by_pool
from headworks.config.pricing import price_book
from headworks.config.quirks import PLAIN, QUIRKS
from headworks.config.sections.access import TokenIssuer
from headworks.config.sections.providers import Provider as ProviderConfig
from headworks.config.sections.upstreams import Probe as ProbeConfig
from headworks.config.walk import suggestion
from headworks.errors import ConfigError, LimitsUnavailable, Problem, Refusal, SecretError, StorageError
from headworks.exchange import Timeouts, Upstream
from headworks.gateway import ANSWER_BYTES, Gateway, Parts, random_up_to
from headworks.keying import KeyedUpstream, blocks_of
from headworks.limiting import Limiter
from headworks.limits import Authority, LocalAuthority
from headworks.limits.budgets.own import OwnBooks
from headworks.limits.budgets.socket_books import SocketBooks
from headworks.limits.local import SocketAuthority
from headworks.ownership import Mark, ResponseOwner, Shelf
from headworks.planning import Planner
from headworks.probing import ProbePlan, Prober
from headworks.providers import REGISTRY, Provider, ProviderSettings
from headworks.records import JOURNAL_FOLDER, CallLookup, Journal, ObjectSelection, has_store, open_mark
from headworks.routing import Headroom, Health, Member, Reach, RouteTable
from headworks.secrets import Kept, KnownKeys, ask_for_look, references_of_provider
from headworks.settlement import Settlement
from headworks.shedding import Load
from headworks.sightings import Sightings
from headworks.stations import Station
from headworks.streaming import StreamRelay
from headworks.surveying import Surveyor
from headworks.telemetry import RUN_FOLDER, Metrics, Standing, report
from headworks.transport import Origin, PoolLimits, UpstreamPool
from headworks.wheel import Timer, TimerWheel

if TYPE_CHECKING:
    from headworks.access.issuers import Issuers
    from headworks.cached_calls import CachedWorkload
    from headworks.compiled import CompiledWorkload, Published
    from headworks.config.contract import Cache
    from headworks.conversation_values import ConversationValues
    from headworks.response_cache import ResponseCache, Store
    from headworks.screened_calls import PlainCalls
    from headworks.tracing import Ingested
    from headworks.workload_call import WorkloadCalls

T = TypeVar("T")

_KEY_REFRESH_S = 0.4
"""How often a worker looks for changed keys; with the wheel's tick, a revocation holds within half a second."""

_SPEECHES = {
    "responses": Endpoint.RESPONSES,
    "chat": Endpoint.CHAT,
    "messages": Endpoint.MESSAGES,
    "generate_content": Endpoint.GENERATE_CONTENT,
    "embeddings": Endpoint.EMBEDDINGS,
    "moderations": Endpoint.MODERATIONS,
    "images": Endpoint.IMAGES,
    "audio": Endpoint.AUDIO,
    "models": Endpoint.MODELS,
    "completions": Endpoint.COMPLETIONS,
    "files": Endpoint.FILES,
    "batches": Endpoint.BATCHES,
    "conversations": Endpoint.CONVERSATIONS,
    "vector_stores": Endpoint.VECTOR_STORES,
    "fine_tuning": Endpoint.FINE_TUNING,
    "evals": Endpoint.EVALS,
}

_KEYS_WITHOUT_SECRET = {"simulator": "in-process"}
"""The simulator wants some key, as every provider does, and takes any."""

_WORDS_OF_A_PROVIDER = (*Provider.__annotations__, "request", "call_path", "json_request", "classify")
"""What `providers.Provider` promises; Python 3.11 cannot list it."""

_TRACE_DAYS = 30
"""How long agents' traces are kept where `records.days` does not say."""

_DAY_US = 86_400_000_000

_OWNER_WAIT_S = 1.5
_OWNER_POLL_S = 0.1
"""A response made by another worker is in the store once its journal is drained: that long a look-up waits for it."""


_SLOW_SHARE = 0.5
"""Of the time that an answer's head may take: an answer that takes longer counts as a failure of its target's."""


class PoolPlan(msgspec.Struct, frozen=True):
    """One project, key or server of a provider; the only one has no name. `spares` are the same with older keys, the
    newest first; `is_keyed` says that there are some, or that the key may change while the gateway runs."""

    name: str
    settings: ProviderSettings
    weight: int
    tier: int
    limits: TargetLimits
    base_url: str = ""
    spares: tuple[ProviderSettings, ...] = ()
    is_keyed: bool = False


class ProviderPlan(msgspec.Struct, frozen=True):
    """Everything needed to build one provider, secrets read. `make` knows how it wants to be asked."""

    name: str
    kind: str
    settings: ProviderSettings
    pools: tuple["PoolPlan", ...]
    base_url: str
    speaks: frozenset[Endpoint]
    models: tuple[str, ...] | None
    timeouts: Timeouts
    limits: PoolLimits
    proxy: str | None
    ca_file: str | None
    simulator_plan: object | None
    make: Callable[[ProviderSettings], Provider]
    probe: ProbeConfig | None = None


class Settings(msgspec.Struct, frozen=True):
    """A project as the gateway needs it. `workloads` are compiled, but for their targets; `book` has the prices."""

    project: Project
    providers: tuple[ProviderPlan, ...]
    names: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    groups: Mapping[str, tuple[Member, ...]]
    book: PriceBook
    secret: bytes
    workloads: tuple[tuple[Workload, "CompiledWorkload"], ...] = ()
    valkey: str = ""
    store_url: str = ""
    screening: "PlainCalls | None" = None
    values: "ConversationValues | None" = None

    def __repr__(self) -> str:
        return f"Settings({str(self.project.file)!r})"  # the rest holds secrets

    def __reduce__(self) -> NoReturn:
        raise TypeError("settings hold secrets: they cannot be pickled or copied")


def read_settings(
    project: Project, environment: Mapping[str, str] = os.environ, kept: Kept | None = None, *, asks: bool = True
) -> Settings:
    """Read what the project refers to.

    Arguments:
        kept: provider keys that are known (`look_at_keys`).
        asks: keys that are not among them are asked for, which blocks: never on an event loop that serves.

    Raises:
        ConfigError: something cannot be used, with its place in the file.
        SecretError: the server secret cannot be read.
        StorageError: the prices in use cannot be read.
    """
    config = project.config
    keys = KnownKeys(project, environment, kept, asks=asks)
    plans = tuple(_provider_plan(project, name, keys) for name in config.providers)
    names = tuple((name, model.provider, model.model, model.fallback) for name, model in config.models.items())
    groups = {
        name: tuple(Member(one.provider, one.model, one.weight, one.tier) for one in model.targets)
        for name, model in config.models.items()
        if model.targets
    }
    if config.access.tokens:
        _check_key_sets(project)
    workloads = read_workloads(project)
    problems = [problem for workload, work in workloads for problem in _target_problems(project, plans, workload, work)]
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    seals = any(
        work.contract.retention.content != "off"
        or work.contract.retention.prefixes
        or work.policy.has_holds
        or work.privacy is not None
        for _, work in workloads
    )
    screens = config.screening.privacy is not None or bool(config.screening.teams)
    needs_secret = config.access.mode == "keys" or seals or screens
    secret = server_secret(config.access.secret, project.folder, environment) if needs_secret else b""
    archive = PriceArchive(project.storage)
    book = price_book(project, archive.current())
    values = screening = None
    if screens or any(work.privacy is not None for _, work in workloads):
        from headworks.conversation_values import ConversationValues  # detectors: only who screens loads them
        from headworks.screening.privacy import VAULT_FILE

        values = ConversationValues(secret, project.storage / VAULT_FILE)
        if screens:
            from headworks.screened_calls import PlainCalls

            keeps_bodies = config.records.bodies
            screening = PlainCalls(config.screening, values, file=str(project.file), keeps_bodies=keeps_bodies)
    return Settings(
        project,
        plans,
        names,
        groups,
        book,
        secret,
        workloads,
        valkey_url(project, environment),
        store_url(project, environment),
        screening,
        values,
    )


def valkey_url(project: Project, environment: Mapping[str, str]) -> str:
    """The URL of the Valkey that keeps the books of limits, with what is secret in it; "" where none does.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    reference = project.config.quotas.valkey
    if reference is None:
        return ""
    try:
        url = read_secret(reference, base=project.folder, environment=environment).reveal()
        from headworks.limits.valkey import ValkeyAuthority  # only who has several machines loads it

        ValkeyAuthority(url)
    except (SecretError, LimitsUnavailable) as error:
        raise ConfigError(project.problem(("quotas", "valkey"), str(error))) from None
    return url


def read_workloads(project: Project) -> tuple[tuple[Workload, "CompiledWorkload"], ...]:
    """Every workload of the project, compiled.

    Raises:
        ConfigError: carries every problem of every workload.
    """
    workloads = load_workloads(project)
    if not workloads:
        return ()
    from headworks.compiled import compile_workload  # templates and schemas: only who has workloads loads them

    locked = read_lock(project.folder / LOCK_FILE).workloads
    compiled: list[tuple[Workload, CompiledWorkload]] = []
    problems: list[Problem] = []
    for workload in workloads:
        model = locked[workload.name].model if workload.name in locked else ""
        problem = locked_model_problem(project, workload, model)
        if problem is not None:
            problems.append(problem)
            continue
        try:
            published = _published(project, workload.name)
            compiled.append((workload, compile_workload(workload, locked_model=model, published=published)))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(*problems)
    return tuple(compiled)


def _target_problems(
    project: Project, plans: Sequence[ProviderPlan], workload: Workload, work: "CompiledWorkload"
) -> Iterator[Problem]:
    """Models of the chain that their provider is known not to have: a simulator's are known only from its plan. And
    those to which the workload's data must not go: what the lock has decided on need not stand in the contract."""
    models = {plan.name: plan.models for plan in plans}
    for name in work.chain_names:
        found = model_of_rung(project.config, name)
        assert found is not None, "the contract's names were checked, and the lock's"
        for provider, model in found.pairs:
            known = models[provider]
            if known is not None and model not in known:
                message = f"`{name}` is {provider}/{model}, and that provider has no such model"
                yield workload.problem(("ladder",), message + suggestion(model, known))
            for field, message in data_faults(work.contract.data, provider, project.config.providers[provider]):
                yield workload.problem(("data", field), f"{message} (`{name}` is in use)")


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


def _published(project: Project, name: str) -> "Published":
    from headworks.compiled import Published
    from headworks.prompts import PROMPTS_FILE, PromptRegistry

    if not (project.storage / PROMPTS_FILE).exists():
        return Published()
    registry = PromptRegistry(project.storage / PROMPTS_FILE)
    try:
        return Published(registry.list(name), registry.active(name))
    finally:
        registry.close()


def read_provider(project: Project, name: str, environment: Mapping[str, str] = os.environ) -> ProviderPlan:
    """One provider as `read_settings` reads it, whatever is wrong with the others.

    Raises:
        ConfigError: something of it cannot be used, with its place in the file.
    """
    return _provider_plan(project, name, KnownKeys(project, environment))


def _provider_plan(project: Project, name: str, keys: KnownKeys) -> ProviderPlan:
    provider = project.config.providers[name]

    def secrets(reference: str, *place: str) -> tuple[Secret, ...]:
        try:
            return keys.read(reference)
        except SecretError as error:
            raise ConfigError(project.problem(("providers", name, *place), str(error))) from None

    def secret(reference: str, *place: str) -> str:
        return secrets(reference, *place)[0].reveal()

    headers = tuple(
        (header, secret(value, "headers", header) if is_reference(value) else value)
        for header, value in provider.headers.items()
    )
    quirks = PLAIN if provider.quirks is None else QUIRKS[provider.quirks]
    settings = ProviderSettings(
        name=name,
        base_path=_base_path(provider.base_url),
        api_key=secret(provider.api_key, "api_key")
        if provider.api_key
        else _KEYS_WITHOUT_SECRET.get(provider.kind, ""),
        organization=provider.organization or "",
        project="" if provider.kind == "vertex" else provider.project or "",
        headers=headers,
        structured_output=provider.structured_output or quirks.structured_output,
        limit_name=quirks.limit_name if provider.kind == "openai-compatible" else "max_completion_tokens",
        caches_by_key=provider.kind in ("openai", "simulator"),
        renamed=quirks.renamed,
        refused=quirks.refused,
        unsent=quirks.unsent,
        api_version=provider.api_version or "",
    )
    spares = _spares(settings, provider.api_key, provider.older_api_keys, secrets)
    is_keyed = bool(spares) or any(not one.startswith("env:") for one in references_of_provider(project, name))
    connections = provider.connections
    simulator_plan = _simulator_plan(project, name) if provider.kind == "simulator" else None
    return ProviderPlan(
        name=name,
        kind=provider.kind,
        settings=settings,
        pools=tuple(_pool_plan(settings, provider, pool, secrets, spares, is_keyed) for pool in provider.pools)
        or (PoolPlan("", settings, 1, 0, limits_by_pool(provider)[""], provider.base_url, spares, is_keyed),),
        base_url=provider.base_url,
        speaks=frozenset(_SPEECHES[speech] for speech in provider.speaks),
        models=provider.models or _simulated_models(simulator_plan),
        timeouts=provider.timeouts or project.config.defaults.timeouts,
        limits=PoolLimits(connections.limit, connections.idle_s, connections.max_age_s, connections.waiting),
        proxy=provider.proxy,
        ca_file=str(project.path(provider.ca_file)) if provider.ca_file else None,
        simulator_plan=simulator_plan,
        make=REGISTRY[provider.kind] if provider.extension is None else _extension(project, name, settings),
        probe=provider.probe,
    )


def _extension(project: Project, name: str, settings: ProviderSettings) -> Callable[[ProviderSettings], Provider]:
    """The third party's provider that the configuration names; it is made once, to see that it is one.

    Raises:
        ConfigError: it cannot be had, or is none.
    """
    from headworks.extending import PROVIDERS, ExtensionError, load_extension  # only who names one pays for loading it

    extension = project.config.providers[name].extension or ""
    place = ("providers", name, "extension")
    try:
        offered = load_extension(PROVIDERS, extension)
    except ExtensionError as error:
        raise ConfigError(project.problem(place, str(error))) from None
    make = cast("Callable[[ProviderSettings], Provider]", offered)
    try:
        made = make(settings)
    except Exception as error:  # noqa: BLE001 - whatever it raises is not ours; its text may quote the key
        says = f"`{extension}` fails with {type(error).__name__} when a provider is made of its settings"
        raise ConfigError(project.problem(place, says)) from None
    missing = [word for word in _WORDS_OF_A_PROVIDER if not hasattr(made, word)]
    if missing:
        says = f"`{extension}` makes something that is no provider: it has no {', '.join(sorted(missing))}"
        raise ConfigError(project.problem(place, says))
    return make


def _spares(
    settings: ProviderSettings, newest: str | None, older: Sequence[str], secrets: Callable[..., tuple[Secret, ...]]
) -> tuple[ProviderSettings, ...]:
    """The settings with each key beside the newest."""
    found = [one.reveal() for one in (secrets(newest, "api_key")[1:] if newest is not None else ())]
    found += [one.reveal() for reference in older for one in secrets(reference, "older_api_keys")]
    keys = [key for key in dict.fromkeys(found) if key != settings.api_key]
    return tuple(msgspec.structs.replace(settings, api_key=key) for key in keys)


def _pool_plan(
    settings: ProviderSettings,
    provider: ProviderConfig,
    name: str,
    secrets: Callable[..., tuple[Secret, ...]],
    spares: tuple[ProviderSettings, ...],
    is_keyed: bool,
) -> PoolPlan:
    pool = provider.pools[name]
    base_url = pool.base_url or provider.base_url
    changes = {
        "name": f"{settings.name}:{name}",
        "base_path": _base_path(base_url),
        "organization": settings.organization if pool.organization is None else pool.organization,
        "project": settings.project if pool.project is None else pool.project,
    }
    own = msgspec.structs.replace(settings, **changes)
    if pool.api_key is None and not pool.older_api_keys:
        others = tuple(msgspec.structs.replace(spare, **changes) for spare in spares)
    else:
        place = ("pools", name)
        found = () if pool.api_key is None else secrets(pool.api_key, *place, "api_key")
        own = msgspec.structs.replace(own, api_key=found[0].reveal()) if found else own
        others = _spares(own, pool.api_key, pool.older_api_keys, lambda one, field: secrets(one, *place, field))
    limits = limits_by_pool(provider)[name]
    return PoolPlan(name, own, pool.weight, pool.tier, limits, base_url, others, is_keyed or bool(others))


def _base_path(base_url: str) -> str:
    return urlsplit(base_url).path.rstrip("/") if base_url else "/v1"


def _simulated_models(plan: object) -> tuple[str, ...] | None:
    """The simulator's models are known: a name that is none of them need not be asked for."""
    if plan is None:
        return None
    from headworks.simulator import Plan  # only a project with a simulator pays for loading it

    assert isinstance(plan, Plan), "it was read as one"
    return tuple(plan.models)


def _simulator_plan(project: Project, name: str) -> object:
    from headworks.simulator import Plan, load_plan  # only a project with a simulator pays for loading it

    provider = project.config.providers[name]
    plan = load_plan(project.path(provider.plan)) if provider.plan else Plan()
    changes: dict[str, object] = {"pace": provider.pace * plan.pace}
    if provider.seed:
        changes["seed"] = provider.seed
    return msgspec.structs.replace(plan, **changes)


class Hull:
    """What a process keeps over reloads: journal, keys, metrics, and the way to look responses up.

    Arguments:
        worker: this process's name in file names.
        load: how much there is to do; by default nobody looks.
        render_metrics: makes the text of `/metrics`; by default of this process alone.
        is_keyless: whoever calls is trusted: the caller is this very process.
        is_alone: no control plane keeps the books of its quotas.
        ask_for_keys: has provider keys looked at, for one is refused; by default whoever does so for the gateway.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        worker: str,
        loop: asyncio.AbstractEventLoop,
        wheel: TimerWheel,
        metrics: Metrics,
        load: Load | None = None,
        render_metrics: Callable[[], bytes] | None = None,
        is_ready: Callable[[], bool] = lambda: True,
        is_keyless: bool = False,
        is_alone: bool = False,
        ask_for_keys: Callable[[], None] | None = None,
    ) -> None:
        storage = settings.project.storage
        limits = settings.project.config.storage
        self.loop = loop
        self.wheel = wheel
        self.metrics = metrics
        self.load = load or Load()
        self.render_metrics = render_metrics or metrics.render
        self.is_ready = is_ready
        self.lookup = CallLookup(storage, settings.store_url)
        self.journal = Journal(
            storage / JOURNAL_FOLDER,
            worker=worker,
            segment_bytes=limits.segment_bytes,
            limit_bytes=limits.journal_bytes,
            loop=loop,
            now=time.time,
        )
        self._is_keyless = is_keyless
        self.sightings = (
            Sightings(self.journal.append, lambda: not self.journal.is_full, time.monotonic)
            if settings.project.config.audit.enabled and not is_keyless
            else None
        )
        quotas, workers = settings.project.config.quotas, max(1, settings.project.config.server.workers)
        share = 1.0 / (quotas.machines * workers) if quotas.away == "share" else 0.0
        self._authority = _authority(settings, is_alone=is_keyless or is_alone)
        holder = f"{socket.gethostname()}/{worker}/{os.urandom(6).hex()}"
        teams = settings.project.config.access.teams
        self.limiter = Limiter(self._authority, holder, loop, share=share, teams=teams)
        is_without_control = is_keyless or is_alone
        self._books = (
            OwnBooks(partial(open_books, storage, settings.store_url)) if is_without_control else SocketBooks(storage)
        )
        self.wallet = Wallet(self._books, holder, loop)
        self.admissions = Admissions(self.limiter, self.wallet)
        self.surveyor = Surveyor(self.limiter)
        self._has_others = settings.project.config.server.workers != 1 and not is_keyless
        self._store: KeyStore | None = None
        self._lookup_trouble = ""
        self._storage = storage
        self.ask_for_keys = ask_for_keys or self._ask_for_keys

        self._mark = self._object_mark(settings)

    def _ask_for_keys(self) -> None:
        try:
            ask_for_look(self._storage / RUN_FOLDER, time.time())
        except OSError as error:
            report(f"new provider keys cannot be asked for: {error.strerror}")

    def _object_mark(self, settings: Settings) -> Mark:
        """Where it says whether any object was made at a provider. In a store that other machines share there may be
        some of theirs, so that every call is looked through."""
        if settings.store_url:
            return bytearray(b"\1")
        mark, is_new = open_mark(self._storage)
        if is_new and has_store(self._storage) and self.lookup.has_objects():
            mark[0] = 1
        return mark

    def shelf(self) -> Shelf:
        """What is known of objects at providers."""
        return Shelf(self._find_note, self._select_notes, self._mark)

    async def _find_note(self, object_id: str, waits: bool) -> ObjectNote | None:
        """What is known of an object, as the store has it; waits while another worker's note may be on its way."""
        question = partial(self.lookup.note_of, object_id)
        return await (self._wait_for(question) if waits else self._look_up(question))

    async def _select_notes(self, selection: ObjectSelection) -> list[ObjectNote]:
        return await self._look_up(partial(self.lookup.objects, selection))

    def ring(self, settings: Settings) -> KeyRing | OpenRing:
        """Who may call, for these settings."""
        if self._is_keyless or settings.project.config.access.mode == "open":
            return OpenRing()
        if self._store is None:
            self._store = KeyStore(self._storage / KEYS_FILE)
        access = settings.project.config.access
        issuers = _issuers(settings.project) if access.tokens else None
        return KeyRing(self._store, settings.secret, time.time, teams=access.teams, issuers=issuers)

    async def find_owner(self, response_id: str) -> ResponseOwner | None:
        """Who made a response, as the store knows it; waits while another worker's record may be on its way."""
        found = await self._wait_for(partial(self.lookup.owner_of, response_id))
        return None if found is None else ResponseOwner(*found)

    async def _wait_for(self, question: Callable[[], T | None]) -> T | None:
        due_s = self.loop.time() + (_OWNER_WAIT_S if self._has_others else 0.0)
        while True:
            found = await self._look_up(question)
            if found is not None or self.loop.time() >= due_s:
                return found
            await asyncio.sleep(_OWNER_POLL_S)

    async def _look_up(self, question: Callable[[], T]) -> T:
        """As the store knows it at this moment; what is wrong with the store is for the log, and said once."""
        try:
            found = await self.loop.run_in_executor(None, question)
        except StorageError as error:
            if str(error) != self._lookup_trouble:
                self._lookup_trouble = str(error)
                report(f"whose something stored is cannot be looked up for now: {error}")
            raise Refusal(
                503,
                "records_unavailable",
                "Whose this is cannot be looked up for now. Try again, or, instead of a response's id, send the "
                "conversation itself.",
                kind="server_error",
                headers=(("retry-after", "5"),),
            ) from error
        self._lookup_trouble = ""
        return found

    async def stop_limiting(self) -> None:
        """Ask for no more leases."""
        await self.limiter.close()
        await self.wallet.close()
        await self._books.close()
        close = getattr(self._authority, "close", None)
        if close is not None:
            await close()

    def close(self) -> None:
        """Write what is left and let go of files."""
        self.journal.close()
        self.lookup.close()
        if self._store is not None:
            self._store.close()


def _authority(settings: Settings, *, is_alone: bool) -> Authority:
    """Who grants leases of quotas that are shared."""
    if settings.valkey:
        from headworks.limits.valkey import ValkeyAuthority

        return ValkeyAuthority(settings.valkey)
    return LocalAuthority(time.monotonic) if is_alone else SocketAuthority(settings.project.storage)


class Assembly:
    """A gateway with the upstreams that are its own; lives from one configuration to the next."""

    def __init__(self, settings: Settings, hull: Hull) -> None:
        self.settings = settings
        self._hull = hull
        self._upstreams: list[Upstream] = []
        self._keyed: dict[str, KeyedUpstream] = {}
        self._probes: dict[str, ProbePlan] = {}
        self._response_caches: list[ResponseCache] = []
        self._ring = hull.ring(settings)
        self._refresh_timer = Timer(self._refresh)
        # What calls were charged by is found again, whatever is installed later.
        PriceArchive(settings.project.storage).keep(settings.book)
        _keep_templates(settings)
        hull.limiter.reconfigure(settings.project.config.access.teams)
        hull.wallet.reconfigure(team_budgets(settings.project.config))
        reaches = [self._reach(plan) for plan in settings.providers]
        config = settings.project.config
        table = self._table = RouteTable(reaches, settings.names, settings.groups)
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
                retries=config.defaults.retries,
                deadline_s=config.defaults.deadline_s,
                heartbeat_s=config.server.heartbeat_s,
                screening=settings.screening,
                answers={name: model.answer for name, model in config.models.items() if model.answer is not None},
                models_created=int(settings.project.file.stat().st_mtime),
                keep_traces=_trace_keeper(settings.project),
            )
        )
        hull.wheel.arm(self._refresh_timer, _KEY_REFRESH_S)

    def standing(self, now_s: float, *, is_ready: bool) -> Standing:
        """How this worker stands, by the monotonic time given."""
        sheds_from = self._hull.load.sheds_from
        notes = self._prober.notes
        return self._hull.surveyor.standing(
            self._table, now_s, is_ready=is_ready, sheds_from=sheds_from, probe_notes=notes
        )

    @property
    def keys_refused(self) -> int:
        """Of how many pools the newest key is refused, so that an older one is used."""
        return sum(keyed.is_fallen_back for keyed in self._keyed.values())

    def rekey(self, kept: Kept) -> None:
        """Make new calls with the provider keys that are known now; those under way keep theirs.

        Raises:
            ConfigError: a key is none that can be sent; all stay as they were.
        """
        project = self.settings.project
        keys = KnownKeys(project, os.environ, kept, asks=False)
        names = {name.partition(":")[0] for name in self._keyed}
        plans = [_provider_plan(project, name, keys) for name in names]
        fresh = {pool.settings.name: _blocks(plan, pool) for plan in plans for pool in plan.pools}
        changed = {name for name, keyed in self._keyed.items() if keyed.take(fresh[name])}
        for target in self._table.targets():
            if target.provider in changed:
                target.station.health.key_changed()

    async def retire(self) -> None:
        """Let the calls under way finish, then close the connections that were this configuration's."""
        self._refresh_timer.disarm()
        self._prober.close()
        await self.gateway.drain()
        if self.settings.values is not None:
            self.settings.values.close()
        for upstream in self._upstreams:
            await upstream.close()
        for cache in self._response_caches:
            await cache.close()
        for work in self._works.values():
            if work.rules is not None:
                await work.rules.close()
            if work.answerer is not None:
                await work.answerer.close()

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
        )

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
            found[work.name] = CachedWorkload(cache, settings_hash(work, rules))
        return found

    def _answer_store(self, cache: "Cache") -> "Store":
        from headworks.response_cache import CACHE_FILE, MemoryStore, SqliteStore

        match cache.store:
            case "memory":
                return MemoryStore(cache.most_bytes, time.monotonic)
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
        if pool.is_keyed and plan.kind != "simulator":
            name, blocks = pool.settings.name, _blocks(plan, pool)
            upstream = KeyedUpstream(name, upstream, provider, blocks, say=report, refused=self._hull.ask_for_keys)
            self._keyed[name] = upstream
        if plan.probe is not None:
            request = provider.request("GET", plan.probe.path, b"", b"", b"")
            probe = ProbePlan(provider, upstream, request, plan.probe.every_s, plan.probe.timeout_s)
            self._probes[pool.settings.name] = probe
        limits = plan.timeouts.within(self.settings.project.config.defaults.deadline_s)
        config = self.settings.project.config
        share = 1.0 / (config.quotas.machines * max(1, config.server.workers))
        book, slow_s = self.settings.book, plan.timeouts.first_byte_s * _SLOW_SHARE

        def make(model: str) -> Station:
            price = book.for_target(plan.name, model)
            health = Health(random_up_to, slow_s=slow_s)
            if not model:  # the provider itself, for what belongs to no model
                return Station(provider, upstream, limits, price, health)
            quotas = self._hull.limiter.target_set(f"{pool.settings.name}/{model}", pool.limits.of(model))
            if quotas is not None and quotas.tokens:
                load_tokenizer(model)  # now: later it would hold up every call of this worker for 0.3 s
            headroom = None if quotas is None else Headroom(quotas.meters, share)
            return Station(provider, upstream, limits, price, health, quotas, headroom)

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

    def _refresh(self) -> None:
        try:
            self._ring.refresh()
        finally:
            self._hull.wheel.arm(self._refresh_timer, _KEY_REFRESH_S)


def _check_key_sets(project: Project) -> None:
    """Key sets in files of the operator's own: what is wrong with one is better known now than when a token comes."""
    from headworks.access.key_sets import read_key_set

    for number, one in enumerate(project.config.access.tokens):
        if one.jwks_file is None:
            continue
        try:
            read_key_set(project.path(one.jwks_file).read_bytes())
        except (OSError, ValueError) as error:
            words = (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
            place = ("access", "tokens", number, "jwks_file")
            raise ConfigError(project.problem(place, f"cannot be used: {words}")) from None


def _issuers(project: Project) -> "Issuers":
    from headworks.access.issuers import Issuers, Source, fetched_file  # only who has some loads it
    from headworks.access.tokens import ClaimNames, Issuer

    def source(one: TokenIssuer) -> Source:
        claims = one.claims
        names = ClaimNames(claims.owner, claims.team or "", claims.models or "", claims.role or "")
        limits = Limits(**{name: getattr(one.limits, name) for name in Limits.__struct_fields__})
        issuer = Issuer(one.issuer, one.audience, names, one.team or "", one.models, limits, one.networks, one.leeway_s)
        if one.jwks_file is not None:
            return Source(issuer, project.path(one.jwks_file), is_fetched=False)
        return Source(issuer, fetched_file(project.storage, one.jwks_url or ""), is_fetched=True)

    config = project.config.access
    return Issuers([source(one) for one in config.tokens], time.time, teams=config.teams, say=report)


def _door(settings: Settings) -> Door:
    config = settings.project.config
    bad = config.access.bad_keys
    return Door(config.server.trusted_proxies, tries=bad.tries, window_s=bad.window_s, lockout_s=bad.lockout_s)


def _trace_keeper(project: Project) -> Callable[["Ingested", str], Awaitable[None]]:
    """What keeps the traces that agents send. They come in batches, seconds apart: the book is opened for each."""
    days = project.config.records.days or _TRACE_DAYS

    def write(ingested: "Ingested", key_id: str) -> None:
        from headworks.tracing import TRACES_FILE, TraceBook  # only who is sent traces loads it

        now_us = time.time_ns() // 1000
        book = TraceBook(project.storage / TRACES_FILE)
        try:
            book.add(ingested, key_id, now_us=now_us, forget_before_us=now_us - days * _DAY_US)
        finally:
            book.close()

    async def keep(ingested: "Ingested", key_id: str) -> None:
        await asyncio.to_thread(write, ingested, key_id)

    return keep


def _blocks(plan: ProviderPlan, pool: PoolPlan) -> list[bytes]:
    """What requests through a pool begin with, for each of its keys, the newest first."""
    return blocks_of([plan.make(settings) for settings in (pool.settings, *pool.spares)])


def _with_targets(
    settings: Settings, workload: Workload, work: "CompiledWorkload", table: RouteTable[Station]
) -> "CompiledWorkload":
    from headworks.screening import AnswerRunner, RulesRunner  # only who has workloads loads it

    names = [target_of_rung(settings.project.config, name) for name in work.chain_names]
    chain = tuple(table.resolve(name) for name in names if name is not None)
    assert len(chain) == len(work.chain_names), "the contract's names were checked"
    rules, timeout_s = workload.files.rules, workload.contract.validation.rules_timeout_s
    code = workload.files.fallback_code if work.deterministic is not None else None
    return msgspec.structs.replace(
        work,
        chain=chain,
        rules=None if rules is None else RulesRunner(rules, timeout_s),
        answerer=None if code is None else AnswerRunner(code, timeout_s),
    )
