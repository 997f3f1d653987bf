"""Portkey's configs (JSON: a strategy and its targets) and the `conf.json` of its open gateway.

A config says nothing of names: callers sent it along. So it becomes a public name here, the file's own; targets that
leave the model to the caller become providers whose models are named as `provider/NAME`.

Source: the configuration schema of Portkey's open gateway and its documentation of configs, 2026-11.
"""

import re

import msgspec

from headworks.importing.clouds import Lacking, Word, check_model, cloud_connection, is_cloud
from headworks.importing.deployments import ANY, Account, Asked, Connection, Deployment
from headworks.importing.draft import Composer, Group, slug
from headworks.importing.keys import Keys
from headworks.importing.ledger import Ledger
from headworks.importing.portkey_targets import Target, Targets
from headworks.importing.result import Imported, all_texts, imported
from headworks.importing.source import Place, Source, Value
from headworks.importing.texts import host_name, is_fit, is_model_name, seconds, whole
from headworks.importing.upstreams import Kind, Upstream, address, quirks_of, upstream_named, what_instead
from headworks.importing.writing import Sections

_UNKNOWN = "nothing here has this name: look for its purpose in docs/reference/configuration.md"
_CACHE = "answers are given again where a workload's contract says so: `cache` (docs/how-to/response-cache.md)"
_GUARD = "screening is a workload's: its schema, its rules, `screening.privacy` (docs/how-to/workloads.md)"
_SENT = "callers send it, or a workload's contract fixes it (docs/how-to/workloads.md)"
_CLOUD: dict[Kind, dict[str, Word]] = {
    "azure": {
        "custom_host": "address", "azure_resource_name": "resource", "resource_name": "resource",
        "azure_api_version": "api_version", "api_version": "api_version", "azure_deployment_id": "model",
        "deployment_id": "model",
    },
    "vertex": {"vertex_project_id": "project", "vertex_region": "location"},
    "bedrock": {
        "aws_region": "region", "aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
    },
}  # fmt: skip
_TIMES = {"needless": "what passes is tried again or elsewhere, what does not is not; pauses are the provider's own"}
_OWN = frozenset(name for words in _CLOUD.values() for name in words)
_OF_TARGET: dict[str, tuple[str, str]] = {
    "cache": ("missing", _CACHE),
    "description": ("needless", "says something to people"),
    "input_guardrails": ("missing", _GUARD),
    "output_guardrails": ("missing", _GUARD),
    "before_request_hooks": ("missing", _GUARD),
    "after_request_hooks": ("missing", _GUARD),
    "forward_headers": ("missing", "callers' headers are not passed on; `headers` of a provider are fixed ones"),
    "on_status_codes": ("needless", _TIMES["needless"]),
    "strict_open_ai_compliance": ("needless", "each API is answered in its own form"),
    "plugins_enabled": ("missing", _GUARD),
    "credentials": ("missing", "are of plugins, which are not there; their values were not copied"),
    "admin_token": ("needless", "there is no administration over the network: `headworks keys` works on the machine"),
}

_ATTEMPTS = ("attempts", "count")
"""The second is how some of Portkey's own examples write it."""


class _Refused(Exception):
    """The target cannot be a deployment; the message says what to do instead."""


def import_portkey(source: Source, *, simulator: str | None = None) -> Imported:
    """Our files in the place of Portkey's; `simulator` is an origin that stands in for all providers."""
    return _Portkey(source, simulator).run()


class _Portkey:
    """One file. Mutable: the groups and sections so far."""

    def __init__(self, source: Source, simulator: str | None) -> None:
        self._source = source
        self._simulator = simulator
        self._ledger = Ledger(source)
        self._keys = Keys(all_texts(source))
        self._sections = Sections()
        self._name = slug(source.name.rpartition(".")[0] or source.name)
        self._groups: dict[str, Group] = {}
        self._only: dict[str, list[str]] = {}

    def run(self) -> Imported:
        """Everything imported."""
        root = self._source.root
        targets = list(Targets(self._ledger, self._name, _OWN).flattened(root))
        overrides = [one.fields.get("override_params", (Value(0), ()))[0] for one in targets]
        has_models = any(one.get("model") is not None for one in overrides)
        for target in targets:
            if target.fields.keys() & {"provider", "virtual_key"} or target.place:
                self._take(target, alone=len(targets) == 1 or not has_models)
        for index, one in enumerate((root.get("integrations") or Value(0)).items or ()):
            self._integration(one, ("integrations", index))
        composed = Composer(list(self._groups.values()), self._ledger, self._source).compose()
        for provider in composed.providers:
            if provider.name in self._only:
                provider.models = self._only[provider.name]
        self._tables(root, ())
        return imported(
            composed, self._sections, self._ledger, self._keys,
            source=self._source, gateway="Portkey", unknown=_UNKNOWN, simulator=self._simulator,
        )  # fmt: skip

    def _take(self, target: Target, *, alone: bool) -> None:
        try:
            deployment, provider = self._deployment(target)
        except _Refused as refused:
            if target.place:
                self._ledger.missing(target.place, str(refused))
            else:
                field = "provider" if "provider" in target.fields else "virtual_key"
                self._ledger.missing((field,), str(refused))
            return
        self._rest(target)
        if deployment.model != ANY:
            self._groups.setdefault(self._name, Group(self._name, [], goes_on=True)).deployments.append(deployment)
            return
        if not alone:
            text = (
                f"leaves the model to the caller, and is no part of `{self._name}`: callers name {provider}/NAME; "
                "write the models that callers name, with their `fallback`, under `models`"
            )
            self._ledger.missing(deployment.named, text)
        name = f"{provider}/*"
        self._groups.setdefault(name, Group(name, [])).deployments.append(deployment)

    def _deployment(self, target: Target) -> tuple[Deployment, str]:
        """The deployment of a target, and the name of its provider here."""
        fields = target.fields
        theirs, usual = self._provider(fields)
        named = upstream_named(theirs)
        if named is None:
            raise _Refused(what_instead(theirs))
        name, upstream = named
        settled: dict[Place, str] = {}
        if is_cloud(upstream):
            return self._at_cloud(target, name, upstream, usual, settled)
        given = fields.get("custom_host", (Value(0), ()))[0].text or ""
        kind, base_url = address(upstream, given)
        if kind == "openai-compatible" and base_url is None:
            raise _Refused("its address is not in the file: add `custom_host` and import again")
        if base_url is not None and not is_fit("base-url", base_url):
            raise _Refused("its address is no plain URL: no credentials, no query; a key goes into `api_key`")
        if kind != upstream.kind and base_url is not None:
            name = host_name(base_url)
        model, at = self._model(fields)
        if given:
            settled[fields["custom_host"][1]] = "{provider}.base_url"
        total_s = seconds(fields.get("request_timeout", (None, ()))[0], 0.001)
        if total_s is not None and len(fields["request_timeout"][1]) > 1:
            settled[fields["request_timeout"][1]] = "{provider}.timeouts.total_s and first_byte_s"
        elif total_s is not None:
            total_s = None  # that of the whole file is a default
        account = self._account(fields, name, upstream, usual, kind, settled)
        account = msgspec.structs.replace(account, weight=target.weight, tier=target.tier)
        self._weigh(target, settled)
        field = "provider" if "provider" in fields else "virtual_key"
        named_at = at or fields[field][1]
        if at is not None and field in fields:
            vault = f"{{at}}.api_key: {account.api_key}; the key itself is in Portkey's vault: set the variable"
            settled[fields[field][1]] = vault if usual else "{provider}"
        connection = Connection(name, kind, base_url, total_s=total_s, own=quirks_of(name, upstream, kind))
        place = target.place or (field,)
        return Deployment(connection, account, model, place, named_at, settled=tuple(settled.items())), slug(name)

    def _at_cloud(
        self, target: Target, name: str, upstream: Upstream, usual: str, settled: dict[Place, str]
    ) -> tuple[Deployment, str]:
        fields = target.fields
        try:
            found = cloud_connection(name, upstream, fields, _CLOUD[upstream.kind], lambda text: text, self._keys)
            model, at = (found.model, None) if found.model is not None else self._model(fields)
            check_model(upstream.kind, model)
        except Lacking as lacking:
            raise _Refused(str(lacking)) from None
        if not is_model_name(model):
            raise _Refused("the model's name is none: visible ASCII characters without spaces")
        settled.update(found.settled)
        field = "provider" if "provider" in fields else "virtual_key"
        account = self._account(fields, name, upstream, usual, upstream.kind, settled)
        account = msgspec.structs.replace(account, weight=target.weight, tier=target.tier)
        if at is not None and field in fields:
            settled[fields[field][1]] = "{provider}"
        self._weigh(target, settled)
        place = target.place or (field,)
        named_at = at or fields[field][1]
        made = Deployment(found.connection, account, model, place, named_at, settled=tuple(settled.items()))
        return made, slug(name)

    def _weigh(self, target: Target, settled: dict[Place, str]) -> None:
        """Say what becomes of a target's own weight."""
        place = target.fields.get("weight", (None, ()))[1]
        if not place or place[:-1] != target.place:
            return
        if target.is_balanced:
            settled[place] = "{share}"
        else:
            self._ledger.needless(place, "a weight has a meaning for the strategy `loadbalance` only")

    def _provider(self, fields: dict[str, tuple[Value, Place]]) -> tuple[str, str]:
        """Their provider's name, and the variable of its key where the file says which key it is."""
        named = fields.get("provider", (Value(0), ()))[0].text or ""
        if named and not named.startswith("@"):
            return named, ""
        kept = named.removeprefix("@") or fields.get("virtual_key", (Value(0), ()))[0].text or ""
        model = self._model(fields)[0]
        kept = kept or (model.partition("/")[0].removeprefix("@") if model.startswith("@") else "")
        words = re.split(r"[^a-z0-9]+", kept.lower())
        for count in (2, 1):
            for start in range(len(words) - count + 1):
                found = "-".join(words[start : start + count])
                if upstream_named(found) is not None or "azure" in found or "bedrock" in found:
                    return found, f"{slug(kept).upper().replace('-', '_')}_API_KEY"
        raise _Refused(
            "its provider and key are in Portkey's vault: say `provider` and `api_key` here and import again"
        )

    def _model(self, fields: dict[str, tuple[Value, Place]]) -> tuple[str, Place | None]:
        override, place = fields.get("override_params", (Value(0), ()))
        value = override.get("model")
        if value is None or not value.text:
            return ANY, None
        name = value.text.partition("/")[2] if value.text.startswith("@") else value.text
        if not is_model_name(name):
            raise _Refused("the model's name is none: visible ASCII characters without spaces")
        return name, (*place, "model")

    def _account(
        self, fields: dict[str, tuple[Value, Place]], name: str, upstream: Upstream, usual: str, kind: str,
        settled: dict[Place, str],
    ) -> Account:  # fmt: skip
        is_usual = kind == upstream.kind
        variable = usual or (upstream.variable if is_usual else f"{slug(name).upper().replace('-', '_')}_API_KEY")
        value, place = fields.get("api_key", (None, ()))
        has_key = value is not None or "virtual_key" in fields or (is_usual and bool(upstream.variable))
        key, told = self._keys.reference(value, variable, f"the key of {name}") if has_key else (None, "")
        if key is None and upstream.variable and kind != "openai-compatible":
            key, told = self._keys.reference(None, upstream.variable, f"the key of {name}")
        if value is not None:
            settled[place] = f"{{at}}.api_key: {told}"
        if "virtual_key" in fields and "provider" in fields:
            settled[fields["virtual_key"][1]] = f"{{at}}.api_key: {told}; the key itself is in Portkey's vault"
        account = Account(key or "")
        for theirs, ours in (("openai_organization", "organization"), ("openai_project", "project")):
            found, at = fields.get(theirs, (Value(0), ()))
            if found.text and kind in ("openai", "openai-compatible") and is_fit("header-value", found.text):
                account = msgspec.structs.replace(account, **{ours: found.text})
                settled[at] = f"{{at}}.{ours}"
        return account

    def _rest(self, target: Target) -> None:
        """What of a target's own parameters is left to callers."""
        override, place = target.fields.get("override_params", (Value(0), ()))
        for name in override.fields or {}:
            if name != "model" and self._ledger.is_free((*place, name)):
                self._ledger.missing((*place, name), _SENT)

    def _integration(self, value: Value, place: Place) -> None:
        """A provider of `conf.json`."""
        fields = {name: (one, (*place, name)) for name, one in (value.fields or {}).items()}
        secret = value.get("credentials")
        if secret is not None and secret.get("apiKey") is not None:
            fields["api_key"] = (secret.get("apiKey") or Value(0), (*place, "credentials", "apiKey"))
        try:
            deployment, _ = self._deployment(Target(place, fields, 0))
        except _Refused as refused:
            self._ledger.missing(place, str(refused))
            return
        own = slug((value.get("slug") or Value(0)).text or deployment.connection.name)
        if value.get("slug") is not None:
            deployment = msgspec.structs.replace(
                deployment, settled=(*deployment.settled, ((*place, "slug"), "{provider}"))
            )
        deployment = msgspec.structs.replace(deployment, asked=self._rates(value, place, own))
        if f"{own}/*" in self._groups:
            self._ledger.missing(deployment.named, "another integration has this slug")
            return
        self._groups[f"{own}/*"] = Group(f"{own}/*", [deployment])
        models = (value.get("models") or Value(0)).items or ()
        for index, model in enumerate(models):
            name, at = model.get("slug"), (*place, "models", index)
            status = model.get("status")
            if name is None or not name.text or not is_model_name(name.text):
                continue
            if status is not None and status.text not in ("active", None):
                self._ledger.needless(at, "a model that is not active is not in the list")
                continue
            self._only.setdefault(own, []).append(name.text)
            self._ledger.mapped((*at, "slug"), f"providers.{own}.models: callers name {own}/{name.text}")
            if status is not None:
                self._ledger.mapped((*at, "status"), f"providers.{own}.models")
            prices = model.get("pricing_config")
            if prices is not None and prices.is_leaf:
                self._ledger.needless((*at, "pricing_config"), "list prices are in the catalogue (`headworks models`)")
            elif prices is not None:
                self._ledger.missing((*at, "pricing_config"), "write the prices under `prices.models`")

    def _rates(self, value: Value, place: Place, name: str) -> Asked:
        found: dict[str, int] = {}
        for index, rate in enumerate((value.get("rate_limits") or Value(0)).items or ()):
            kind, unit, number = (rate.get(field) for field in ("type", "unit", "value"))
            most, at = whole(number, 1, 10**12), (*place, "rate_limits", index)
            if (
                kind is None
                or unit is None
                or most is None
                or kind.text not in ("requests", "tokens")
                or unit.text != "rpm"
            ):
                text = f"limits are by the minute or the day: `limits` of providers.{name}"
                self._ledger.missing(at, text)
                continue
            found[kind.text] = most
            self._ledger.mapped(at, f"providers.{name}.limits.{kind.text}_per_minute, of each model")
        return Asked(found.get("requests"), found.get("tokens"))

    def _tables(self, value: Value, place: Place) -> None:
        """Retries, time limits and what is told of by its name, on all levels."""
        for name, one in (value.fields or {}).items():
            at = (*place, name)
            if name == "strategy" and self._ledger.is_free((*at, "on_status_codes")) and one.get("on_status_codes"):
                self._ledger.needless((*at, "on_status_codes"), _TIMES["needless"])
            if name == "retry":
                self._retry(one, at)
            elif name == "request_timeout" and self._ledger.is_free(at):
                self._timeout(one, at, is_default=not place)
            elif name == "targets":
                for index, target in enumerate(one.items or ()):
                    self._tables(target, (*at, index))
            elif name in _OF_TARGET and self._ledger.is_free(at):
                fate, text = _OF_TARGET[name]
                if fate == "missing" and one.truth is not False:
                    self._ledger.missing(at, text)
                else:
                    self._ledger.needless(at, text if fate == "needless" else "it is off, and there is none here")

    def _retry(self, value: Value, place: Place) -> None:
        for name, one in (value.fields or {}).items():
            at = (*place, name)
            if not self._ledger.is_free(at):
                continue
            number = (
                whole(one, 0, 1000) if name in ("attempts", "count") else None
            )  # `count` is in older examples of theirs
            said = self._sections.get("defaults", "retries")
            if number is None:
                if name in ("on_status_codes", "use_retry_after_header"):
                    self._ledger.needless(at, _TIMES["needless"])
            elif said is None or said == min(number, 10):
                self._sections.set("defaults", "retries", min(number, 10), one.line)
                self._ledger.mapped(at, "defaults.retries, of every provider" + (", 10 at most" if number > 10 else ""))
            else:
                self._ledger.missing(at, f"attempts are counted for all providers alike: defaults.retries is {said}")

    def _timeout(self, value: Value, place: Place, *, is_default: bool) -> None:
        limit = seconds(value, 0.001)
        if limit is None or not is_default:
            self._ledger.missing(place, "a time limit is a provider's `timeouts`, in seconds, or `defaults.timeouts`")
            return
        for field in ("total_s", "first_byte_s"):
            self._sections.set("defaults.timeouts", field, limit, value.line)
        self._ledger.mapped(place, "defaults.timeouts.total_s and first_byte_s")
