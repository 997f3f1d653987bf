"""From a provider of `headworks.yaml` to all that is needed to build one: secrets read, pools, what it serves.

Nothing is connected to yet. What cannot be had is named with its place in the file.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import cast
from urllib.parse import urlsplit

import msgspec

from headworks.calls import Endpoint
from headworks.config import Project, Secret, is_reference
from headworks.config.limits import TargetLimits, limits_by_pool
from headworks.config.quirks import PLAIN, QUIRKS
from headworks.config.sections.providers import Provider as ProviderConfig
from headworks.config.sections.upstreams import Probe as ProbeConfig
from headworks.errors import ConfigError, SecretError
from headworks.exchange import Timeouts
from headworks.keying import blocks_of
from headworks.providers import REGISTRY, Provider, ProviderSettings
from headworks.secrets import KnownKeys, references_of_provider
from headworks.sigv4 import unpacked
from headworks.transport import PoolLimits

_SPEECHES = {
    "responses": Endpoint.RESPONSES,
    "chat": Endpoint.CHAT,
    "messages": Endpoint.MESSAGES,
    "generate_content": Endpoint.GENERATE_CONTENT,
    "converse": Endpoint.CONVERSE,
    "invoke_model": Endpoint.INVOKE_MODEL,
    "embeddings": Endpoint.EMBEDDINGS,
    "embed_content": Endpoint.EMBED_CONTENT,
    "moderations": Endpoint.MODERATIONS,
    "images": Endpoint.IMAGES,
    "audio": Endpoint.AUDIO,
    "realtime": Endpoint.REALTIME,
    "models": Endpoint.MODELS,
    "completions": Endpoint.COMPLETIONS,
    "files": Endpoint.FILES,
    "batches": Endpoint.BATCHES,
    "conversations": Endpoint.CONVERSATIONS,
    "vector_stores": Endpoint.VECTOR_STORES,
    "fine_tuning": Endpoint.FINE_TUNING,
    "evals": Endpoint.EVALS,
    "cached_contents": Endpoint.CACHED_CONTENTS,
}

_KEYS_WITHOUT_SECRET = {"simulator": "in-process"}
"""The simulator wants some key, as every provider does, and takes any."""

_WORDS_OF_A_PROVIDER = (*Provider.__annotations__, "request", "call_path", "json_request", "classify")
"""What `providers.Provider` promises; Python 3.11 cannot list it."""


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


def read_provider(project: Project, name: str, environment: Mapping[str, str] = os.environ) -> ProviderPlan:
    """One provider as `settings.read_settings` reads it, whatever is wrong with the others.

    Raises:
        ConfigError: something of it cannot be used, with its place in the file.
    """
    return provider_plan(project, name, KnownKeys(project, environment))


def provider_plan(project: Project, name: str, keys: KnownKeys) -> ProviderPlan:
    """The plan of one provider, made with these keys.

    Raises:
        ConfigError: something of it cannot be used, with its place in the file.
    """
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
        says_cost=quirks.says_cost,
        refused=quirks.refused,
        unsent=quirks.unsent,
        api_version=provider.api_version or "",
    )
    if provider.kind == "bedrock":
        from headworks.aws_settings import aws_fields, signing_key  # only who has Bedrock loads it

        key = settings.api_key or signing_key(provider, secret)
        settings = msgspec.structs.replace(settings, api_key=key, **aws_fields(provider, provider.base_url))
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
    if provider.kind == "bedrock":
        from headworks.aws_settings import aws_fields

        changes |= aws_fields(provider, base_url)
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


def key_blocks(plan: ProviderPlan, pool: PoolPlan, expired: frozenset[str] = frozenset()) -> list[bytes]:
    """What requests through a pool begin with, for each of its keys, the newest first.

    Arguments:
        expired: secrets that are not to be used; what needs one of them is left out.
    """
    usable = (one for one in (pool.settings, *pool.spares) if not (expired and expired & _secrets_of(one)))
    return blocks_of([plan.make(settings) for settings in usable])


def _secrets_of(settings: ProviderSettings) -> set[str]:
    """What of it may be secret."""
    signing = unpacked(settings.api_key)
    parts = () if signing is None else (signing.key_id, signing.key, signing.token)
    return {settings.api_key, *parts, *(value for _, value in settings.headers)}
