"""What must hold between the fields of `headworks.yaml`, beyond each one's own type."""

import ipaddress
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

import msgspec

from headworks.config.administration import is_loopback, issuer_problems, key_set_problems, problems_of
from headworks.config.droppable import droppable_faults
from headworks.config.naming import model_named
from headworks.config.references import SIGNING
from headworks.config.sections.access import Access, TokenIssuer
from headworks.config.sections.administration import Admin
from headworks.config.sections.kinds import SPEAKS, region_at
from headworks.config.sections.models import TIER_ROLES, Model, ModelTarget
from headworks.config.sections.prices import ProviderPrices
from headworks.config.sections.providers import Provider
from headworks.config.sections.records import Anchor, Records, Storage
from headworks.config.sections.server import Server
from headworks.config.sections.upstreams import Timeouts
from headworks.config.shape import Config
from headworks.config.walk import Findings, Path, suggestion

_NEEDS_NETWORK = (
    "base_url", "insecure", "api_key", "older_api_keys", "organization", "project", "headers", "proxy", "ca_file",
    "connections",
)  # fmt: skip
_NEEDS_SIMULATOR = ("plan", "seed", "pace")
_NEEDS_OPENAI = ("organization", "project")
_OF_ONE_API = {
    "anthropic": "messages",
    "gemini": "generate_content",
    "vertex": "generate_content",
    "bedrock": "converse",
}
"""By the kind of a provider that serves one API of its own: how `speaks` calls it."""

_MODEL_IN_PATH = {
    "generate_content": ("Google's", "gemini"),
    "embed_content": ("Google's", "gemini"),
    "cached_contents": ("Google's", "gemini"),
    "converse": ("AWS's", "bedrock"),
    "invoke_model": ("AWS's", "bedrock"),
}
"""APIs whose paths name the model, which only their own kinds of providers write: whose they are, and a kind."""

_OF_ONE_KIND = {
    "quirks": "openai-compatible",
    "extension": "openai-compatible",
    "api_version": "azure",
    "location": "vertex",
    "region": "bedrock",
    "access_key_id": "bedrock",
    "secret_access_key": "bedrock",
    "session_token": "bedrock",
    "guardrail": "bedrock",
    "latency": "bedrock",
}
"""Fields that one kind of provider has a use for."""

_BASE_URL_NEEDED = {"openai-compatible": "http://127.0.0.1:8000/v1", "azure": "https://NAME.openai.azure.com"}
"""By kind: an example of the base URL that it needs."""

_KEY_NEEDED = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
}
"""By kind: the variable that usually holds the key that it needs."""


_OPEN_TO_OTHERS = (
    "`open` is for this machine alone, and other machines reach `server.host`: use keys, or listen on 127.0.0.1"
)


class Rules:
    """Judges each struct as soon as it has been read; notes what is wrong with the findings."""

    def __init__(self, findings: Findings, provider_names: Collection[str]) -> None:
        self._findings = findings
        self._provider_names = provider_names

    def judge(self, struct: msgspec.Struct, path: Path) -> None:
        match struct:
            case Server():
                self._server(struct, path)
            case Storage():
                self._storage(struct, path)
            case Records():
                self._records(struct, path)
            case Anchor():
                self._anchor(struct, path)
            case TokenIssuer():
                self._token_issuer(struct, path)
            case Provider():
                self._provider(struct, path)
            case Model():
                self._model(struct, path)
            case ModelTarget():
                self._model_target(struct, path)
            case ProviderPrices():
                self._provider_prices(struct, path)
            case Admin() | Access():
                self._all(problems_of(struct), path)
            case Config():
                self._config(struct)
                self._hooks(struct)
                self._prices(struct)
                self._all(issuer_problems(struct.admin, struct.access), path)
            case _:
                pass

    def _server(self, server: Server, path: Path) -> None:
        if server.buffered_bytes < server.body_bytes:
            self._blame((*path, "buffered_bytes"), (*path, "body_bytes"), "must not be below `body_bytes`")

    def _storage(self, storage: Storage, path: Path) -> None:
        if storage.segment_bytes * 2 > storage.journal_bytes:
            self._blame((*path, "segment_bytes"), (*path, "journal_bytes"), "must be at most half of `journal_bytes`")

    def _records(self, records: Records, path: Path) -> None:
        if records.store is None and records.store_password is not None:
            self._findings.add_unless_faulty((*path, "store_password"), "has a meaning only beside `store`")

    def _anchor(self, anchor: Anchor, path: Path) -> None:
        if (anchor.file is None) == (anchor.url is None):
            self._findings.add_unless_faulty(path, "needs either `file` or `url`")
        elif anchor.token is not None and anchor.url is None:
            self._findings.add_unless_faulty((*path, "token"), "has a meaning only beside `url`")

    def _all(self, problems: Iterable[tuple[Path, str]], path: Path) -> None:
        for place, message in problems:
            self._findings.add_unless_faulty((*path, *place), message)

    def _token_issuer(self, issuer: TokenIssuer, path: Path) -> None:
        self._all(key_set_problems(issuer), path)
        for name, is_set in (("team", issuer.team is not None), ("models", bool(issuer.models))):
            if is_set and getattr(issuer.claims, name) is not None:
                self._findings.add_unless_faulty((*path, name), f"is said by the claim that `claims.{name}` names")

    def _blame(self, path: Path, other: Path, message: str) -> None:
        """Note a problem between two fields with the first one that the file sets; defaults agree already."""
        if self._findings.is_set(path):
            self._findings.add_unless_faulty(path, message)
        else:
            self._findings.add_unless_faulty(other, f"its default {path[-1]} {message}: set that too")

    def _provider(self, provider: Provider, path: Path) -> None:
        kind = provider.kind
        for field, its_kind in _OF_ONE_KIND.items():
            if kind != its_kind:
                self._refuse_fields((field,), f"has a meaning for `kind: {its_kind}` only", path)
        if kind == "simulator":
            self._refuse_fields(_NEEDS_NETWORK, "has no meaning for the simulator: it needs no network", path)
        else:
            self._refuse_fields(_NEEDS_SIMULATOR, "has a meaning for `kind: simulator` only", path)
        if kind in ("anthropic", "gemini", "azure", "bedrock"):
            self._refuse_fields(_NEEDS_OPENAI, "has a meaning for OpenAI's API only", path)
        if kind in _OF_ONE_API and provider.speaks not in (SPEAKS[kind], (_OF_ONE_API[kind],)):
            served = " and ".join(f"`{one}`" for one in SPEAKS[kind])
            self._findings.add_unless_faulty(
                (*path, "speaks"), f"`kind: {kind}` serves {served} and nothing else; leave it out"
            )
        elif kind not in _OF_ONE_API and provider.extension is None:
            for spoken in _MODEL_IN_PATH.keys() & set(provider.speaks):
                whose, its_kind = _MODEL_IN_PATH[spoken]
                self._findings.add_unless_faulty(
                    (*path, "speaks"),
                    f"`{spoken}` is {whose} API, whose paths name the model: use `kind: {its_kind}`, with `base_url` "
                    "for a server that speaks it (`headworks simulate` does)",
                )
        if kind == "vertex":
            self._vertex(provider, path)
        if kind == "bedrock":
            self._bedrock(provider, path)
        self._signing_references(provider, path)
        self._place_and_key(provider, path)
        self._origins(provider, path)
        keyed = provider.api_key is not None or provider.access_key_id is not None
        keyed = keyed or kind in ("simulator", "openai-compatible")
        for name, pool in provider.pools.items():
            if pool.api_key is None and not keyed:
                hint = "is missing: neither the pool nor its provider has a key"
                self._findings.add_unless_faulty((*path, "pools", name, "api_key"), hint)

    def _vertex(self, provider: Provider, path: Path) -> None:
        self._refuse_fields(("organization",), "has a meaning for OpenAI's API only", path)
        for field in ("project", "location"):
            if not provider.base_url and getattr(provider, field) is None:
                self._findings.add_unless_faulty((*path, field), "is missing: `kind: vertex` needs it")

    def _bedrock(self, provider: Provider, path: Path) -> None:
        if provider.region is None and not region_at(provider.base_url):
            self._findings.add_unless_faulty((*path, "region"), "is missing: `kind: bedrock` needs it")
        if provider.probe is not None:
            hint = "has no meaning for `kind: bedrock`: there is nothing that could be asked without a cost"
            self._findings.add_unless_faulty((*path, "probe"), hint)
        if provider.structured_output in ("grammar", "json_object"):
            hint = "`kind: bedrock` knows `json_schema` and `tool`"
            self._findings.add_unless_faulty((*path, "structured_output"), hint)
        if provider.access_key_id is None:
            self._refuse_fields(
                ("secret_access_key", "session_token"), "has a meaning only beside `access_key_id`", path
            )
            return
        if provider.secret_access_key is None:
            self._findings.add_unless_faulty((*path, "secret_access_key"), "is missing: `access_key_id` needs it")
        self._refuse_fields(("api_key", "older_api_keys"), "has no meaning beside `access_key_id`", path)

    def _signing_references(self, provider: Provider, path: Path) -> None:
        """Credentials that requests are signed with must be sent nowhere: only Bedrock's key knows what they are."""
        places: dict[Path, str | None] = {(*path, "headers", name): text for name, text in provider.headers.items()}
        for name in ("access_key_id", "secret_access_key", "session_token"):
            places[*path, name] = getattr(provider, name)
        if provider.kind != "bedrock":
            places[*path, "api_key"] = provider.api_key
            places |= {(*path, "older_api_keys", at): key for at, key in enumerate(provider.older_api_keys)}
            for name, pool in provider.pools.items():
                places[*path, "pools", name, "api_key"] = pool.api_key
                inner = (*path, "pools", name, "older_api_keys")
                places |= {(*inner, at): key for at, key in enumerate(pool.older_api_keys)}
        for place, text in places.items():
            if text is not None and text.startswith(SIGNING):
                hint = "is to sign requests with, never to be sent: only `api_key` of `kind: bedrock` takes it"
                self._findings.add_unless_faulty(place, hint)

    def _place_and_key(self, provider: Provider, path: Path) -> None:
        example = _BASE_URL_NEEDED.get(provider.kind)
        has_place = provider.base_url or (provider.pools and all(pool.base_url for pool in provider.pools.values()))
        if example is not None and not has_place:
            hint = f"is missing: `kind: {provider.kind}` needs it, for example `{example}`"
            self._findings.add_unless_faulty((*path, "base_url"), hint)
        key = _KEY_NEEDED.get(provider.kind)
        if key is not None and provider.api_key is None and not provider.pools:
            hint = f"is missing: `kind: {provider.kind}` needs it, for example `api_key: env:{key}`"
            self._findings.add_unless_faulty((*path, "api_key"), hint)

    def _origins(self, provider: Provider, path: Path) -> None:
        """Where its servers are: over a network in clear text only where that is allowed."""
        places = {(*path, "base_url"): provider.base_url}
        for name, pool in provider.pools.items():
            place = (*path, "pools", name, "base_url")
            places[place] = pool.base_url
            if pool.base_url and provider.kind == "simulator":
                self._findings.add_unless_faulty(place, "has no meaning for the simulator: it needs no network")
        for place, url in places.items():
            if self._findings.is_set(place) and url and not (provider.insecure or is_safe_origin(url)):
                self._findings.add_unless_faulty(
                    place,
                    "expected `https://`: clear text is for loopback and private hosts; `insecure: true` allows it",
                )

    def _refuse_fields(self, fields: tuple[str, ...], message: str, path: Path) -> None:
        for field in fields:
            if self._findings.is_set((*path, field)):
                self._findings.add_unless_faulty((*path, field), message)

    def _model(self, model: Model, path: Path) -> None:
        for index, message in droppable_faults(model.droppable):
            self._findings.add_unless_faulty((*path, "droppable", index), message)
        if self._findings.is_set((*path, "targets")):
            self._refuse_fields(("provider", "model"), "has no meaning beside `targets`", path)
            return
        for field in ("provider", "model"):
            if not getattr(model, field):
                self._findings.add_unless_faulty((*path, field), "is missing")
        if model.provider and model.provider not in self._provider_names:
            self._findings.add_unless_faulty(
                (*path, "provider"), f"no provider has this name{suggestion(model.provider, self._provider_names)}"
            )

    def _model_target(self, target: ModelTarget, path: Path) -> None:
        if target.provider not in self._provider_names:
            hint = suggestion(target.provider, self._provider_names)
            self._findings.add_unless_faulty(path, f"no provider has the name before the slash{hint}")

    def _provider_prices(self, prices: ProviderPrices, path: Path) -> None:
        if prices.self_hosted is not None:
            self._refuse_fields(("discount_percent",), "has no meaning beside `self_hosted`: no list price holds", path)

    def _hooks(self, config: Config) -> None:
        for name, hook in config.hooks.items():
            for number, target in enumerate(hook.targets):
                if target not in config.models:
                    hint = suggestion(target, config.models)
                    self._findings.add_unless_faulty(
                        ("hooks", name, "targets", number), f"`models` has no such name{hint}"
                    )

    def _prices(self, config: Config) -> None:
        for name in config.prices.providers:
            if name not in config.providers:
                hint = suggestion(name, config.providers)
                self._findings.add_unless_faulty(("prices", "providers", name), f"no provider has this name{hint}")
        for name in config.prices.models:
            provider = name.partition("/")[0]
            if provider not in config.providers:
                hint = suggestion(provider, config.providers)
                self._findings.add_unless_faulty(
                    ("prices", "models", name), f"no provider has the name before the slash{hint}"
                )
        url = config.prices.update_url
        if url is not None and not is_safe_origin(url):
            self._findings.add_unless_faulty(
                ("prices", "update_url"), "expected `https://`: clear text is for loopback and private hosts"
            )

    def _config(self, config: Config) -> None:
        problem = open_access_problem(config)
        if problem:
            self._findings.add_unless_faulty(("access", "mode"), problem)
        for name, model in config.models.items():
            first, slash, _ = name.partition("/")
            if slash and first in self._provider_names:
                self._findings.add_unless_faulty(
                    ("models", name), f"hides what `{first}/…` already reaches: a public name needs another beginning"
                )
            self._upstream_models(config, name, model)
            for index, other in enumerate(model.fallback):
                if model_named(config, other) is None:
                    hint = suggestion(other, config.models)
                    self._findings.add_unless_faulty(
                        ("models", name, "fallback", index),
                        f"names no model: expected one of `models`, or `provider/model`{hint}",
                    )
                elif other == name:
                    self._findings.add_unless_faulty(("models", name, "fallback", index), "is the model itself")
        self._tiers(config)
        self._unscreened(config)

    def _unscreened(self, config: Config) -> None:
        """What is sent unscreened must not go on to where it would have been screened."""
        names = config.screening.unscreened
        for index, name in enumerate(names):
            where: Path = ("screening", "unscreened", index)
            if model_named(config, name) is None:
                hint = suggestion(name, config.models)
                self._findings.add_unless_faulty(
                    where, f"names no model: expected one of `models`, or `provider/model`{hint}"
                )
            elif name in config.models:
                for other in config.models[name].fallback:
                    if other not in names:
                        self._findings.add_unless_faulty(where, f"falls back to `{other}`, which must stand here, too")

    def _upstream_models(self, config: Config, name: str, model: Model) -> None:
        for index, (provider_name, model_name) in enumerate(model.pairs):
            provider = config.providers.get(provider_name)
            if provider is not None and provider.models is not None and model_name not in provider.models:
                where: Path = ("targets", index) if model.targets else ("model",)
                self._findings.add_unless_faulty(
                    ("models", name, *where),
                    f"is not among `providers.{provider_name}.models`{suggestion(model_name, provider.models)}",
                )
            if (provider_name, model_name) in model.pairs[:index]:
                self._findings.add_unless_faulty(
                    ("models", name, "targets", index), "is the same as an earlier one: give that one more `weight`"
                )

    def _tiers(self, config: Config) -> None:
        for role in TIER_ROLES:
            name = getattr(config.tiers, role)
            if name is not None and model_named(config, name) is None:
                self._findings.add_unless_faulty(
                    ("tiers", role),
                    f"names no model: expected one of `models`, or `provider/model`{suggestion(name, config.models)}",
                )


def is_safe_origin(url: str) -> bool:
    """Whether a key may travel to this URL: by TLS, or within the machine or a private network.

    Private are the addresses that IANA sets apart (RFC 1918, RFC 4193, loopback, link-local), names under
    `localhost`, `local` and `internal` (RFC 6761, RFC 6762, ICANN 2024), and names of one label, which no public
    DNS serves (a container's or a pod's).
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme == "https" or host is None:
        return parts.scheme == "https"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        labels = host.rstrip(".").split(".")
        return len(labels) == 1 or labels[-1] in ("localhost", "local", "internal")
    return address.is_loopback or address.is_private or address.is_link_local


def open_access_problem(config: Config) -> str:
    """Why `access.mode: open` may not be where this configuration listens; "" if it may. There is no way round it:
    scanners find a gateway without keys within hours, and its owner pays for what they ask."""
    return _OPEN_TO_OTHERS if config.access.mode == "open" and not is_loopback(config.server.host) else ""


def inherit_timeouts(config: Config, findings: Findings) -> Config:
    """The configuration with each provider's time limits completed from `defaults.timeouts`."""
    completed: dict[str, Provider] = {}
    for name, provider in config.providers.items():
        if provider.timeouts is None:
            completed[name] = provider
            continue
        own = {
            field: getattr(provider.timeouts, field)
            for field in Timeouts.__struct_fields__
            if findings.is_set(("providers", name, "timeouts", field))
        }
        timeouts = msgspec.structs.replace(config.defaults.timeouts, **own)
        completed[name] = msgspec.structs.replace(provider, timeouts=timeouts)
    return msgspec.structs.replace(config, providers=completed)
