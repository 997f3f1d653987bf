"""A project as a gateway needs it: plain values, secrets read, workloads compiled.

`read_settings` fails where something cannot be had, and the caller still has what it had before; what is built from
settings (`assembly`) cannot fail for reasons of configuration: this is what makes a reload atomic.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import msgspec

from headworks.access import server_secret
from headworks.catalogue import PriceArchive, PriceBook
from headworks.config import (
    LOCK_FILE,
    Project,
    Workload,
    load_workloads,
    locked_model_problem,
    model_of_rung,
    read_lock,
    read_secret,
    store_url,
)
from headworks.config.data import data_faults
from headworks.config.pricing import price_book
from headworks.config.walk import suggestion
from headworks.errors import ConfigError, LimitsUnavailable, Problem, SecretError
from headworks.provider_plans import ProviderPlan, provider_plan
from headworks.routing import Member
from headworks.secrets import Kept, KnownKeys, with_known
from headworks.token_issuers import check_key_sets

if TYPE_CHECKING:
    from headworks.compiled import CompiledWorkload, Published
    from headworks.conversation_values import ConversationValues
    from headworks.hook_plans import HookPlan
    from headworks.screened_calls import PlainCalls


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
    hooks: tuple["HookPlan", ...] = ()

    def __repr__(self) -> str:
        return f"Settings({str(self.project.file)!r})"  # the rest holds secrets

    def __reduce__(self) -> NoReturn:
        raise TypeError("settings hold secrets: they cannot be pickled or copied")


def read_settings(
    project: Project,
    environment: Mapping[str, str] = os.environ,
    kept: Kept | None = None,
    *,
    asks: bool = True,
    demands_evidence: bool = True,
) -> Settings:
    """Read what the project refers to.

    Arguments:
        kept: provider keys that are known (`look_at_keys`).
        asks: keys that are not among them are asked for, which blocks: never on an event loop that serves.
        demands_evidence: semantic caches must have been measured. Who switches them off need not.

    Raises:
        ConfigError: something cannot be used, with its place in the file.
        SecretError: the server secret cannot be read.
        StorageError: the prices in use cannot be read.
    """
    config = project.config
    keys = KnownKeys(project, environment, kept, asks=asks)
    environment = with_known(environment, kept)
    plans = tuple(provider_plan(project, name, keys) for name in config.providers)
    names = tuple((name, model.provider, model.model, model.fallback) for name, model in config.models.items())
    groups = {
        name: tuple(Member(one.provider, one.model, one.weight, one.tier) for one in model.targets)
        for name, model in config.models.items()
        if model.targets
    }
    if config.access.tokens:
        check_key_sets(project)
    workloads = read_workloads(project)
    problems = [problem for workload, work in workloads for problem in _target_problems(project, plans, workload, work)]
    if demands_evidence:
        problems += _semantic_problems(project, workloads)
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    seals = any(
        work.contract.retention.content != "off"
        or work.contract.retention.prefixes
        or work.policy.has_holds
        or work.privacy is not None
        or (work.contract.cache is not None and work.contract.cache.store != "memory")
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
        _hooks(project, environment),
    )


def _hooks(project: Project, environment: Mapping[str, str]) -> tuple["HookPlan", ...]:
    if not project.config.hooks:
        return ()
    from headworks.hook_plans import plan_hooks  # only who has hooks loads them

    return plan_hooks(project, environment)


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


def _semantic_problems(project: Project, workloads: Sequence[tuple[Workload, "CompiledWorkload"]]) -> Iterator[Problem]:
    """Semantic caches that were not measured, or as something else than they are now."""
    asked = [
        (workload, work)
        for workload, work in workloads
        if work.contract.cache is not None and work.contract.cache.semantic is not None
    ]
    if not asked:
        return
    from headworks.semantic_caches import semantic_problem  # the model: only who has such a cache loads it

    locked = read_lock(project.folder / LOCK_FILE).workloads
    for workload, work in asked:
        evidence = locked[workload.name].semantic_cache if workload.name in locked else None
        problem = semantic_problem(workload, work.prompt, evidence)
        if problem is not None:
            yield problem


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
