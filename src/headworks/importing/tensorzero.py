"""TensorZero's `tensorzero.toml`: models and their providers; functions are in `tensorzero_functions`.

Source: TensorZero's configuration reference and its guide to retries and fallbacks, 2026-11.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headworks.importing.clouds import THE_MODEL, Lacking, Word, check_model, cloud_connection, is_cloud
from headworks.importing.deployments import Account, Connection, Deployment
from headworks.importing.draft import Composer, Group, is_public_name
from headworks.importing.keys import Keys, variable_of
from headworks.importing.ledger import Ledger, leaves
from headworks.importing.result import Imported, all_texts, imported
from headworks.importing.source import Place, Source, Value
from headworks.importing.tensorzero_functions import Functions
from headworks.importing.tensorzero_tables import FUNCTIONLESS, GATEWAY, PROVIDER, UNKNOWN
from headworks.importing.texts import header, host_name, is_fit, is_model_name, per_million, seconds
from headworks.importing.upstreams import Kind, Upstream, address, quirks_of, upstream_named, what_instead
from headworks.importing.writing import Sections

_COSTS = {
    "/usage/prompt_tokens": "input", "/usage/input_tokens": "input", "/usage/completion_tokens": "output",
    "/usage/output_tokens": "output", "/usage/prompt_tokens_details/cached_tokens": "cached_input",
    "/usage/input_tokens_details/cached_tokens": "cached_input",
}  # fmt: skip
"""Where upstreams say how much was used, and what that is priced as here."""

_BIND = r"(\[[0-9A-Fa-f:.]*\]|[^:\[\]]*):(\d{1,5})"


_CLOUD: dict[Kind, dict[str, Word]] = {
    "azure": {"endpoint": "address", "deployment_id": "model"},
    "vertex": {"project_id": "project", "location": "location", "model_id": "model"},
    "bedrock": {"region": "region", "model_id": "model", "endpoint_url": "address"},
}


def _resolved(text: str) -> str:
    """An address or a name that stands in a variable is not followed here: the file says what it means."""
    return "" if variable_of(text) is not None else text


class Refused(Exception):
    """What cannot be a deployment; the message says what to do instead."""


def import_tensorzero(source: Source, *, folder: Path, simulator: str | None = None) -> Imported:
    """Our files in the place of TensorZero's.

    Arguments:
        source: the file.
        folder: its folder, from which templates and schemas are named.
        simulator: an origin that stands in for all providers.
    """
    ledger, keys, sections = Ledger(source), Keys(all_texts(source)), Sections()
    models = Models(source, ledger, keys)
    models.read()
    functions = Functions(source, ledger, folder, models)
    functions.read()
    composed = Composer(list(models.groups.values()), ledger, source).compose()
    models.settle_routing()
    functions.settle_models()
    _gateway(source, ledger, sections)
    _tables(source, ledger)
    return imported(
        composed, sections, ledger, keys,
        source=source, gateway="TensorZero", unknown=UNKNOWN, simulator=simulator, more=functions.files(composed),
    )  # fmt: skip


class Models:
    """Reads `models` and `embedding_models`. Mutable: the groups so far, by public name."""

    def __init__(self, source: Source, ledger: Ledger, keys: Keys) -> None:
        self._source = source
        self._ledger = ledger
        self._keys = keys
        self._routing: list[tuple[Place, str, str]] = []
        self.groups: dict[str, Group] = {}

    def read(self) -> None:
        """Take over all models of the file."""
        for section in ("models", "embedding_models"):
            for name, value in ((self._source.root.get(section) or Value(0)).fields or {}).items():
                self._model(name, value, (section, name))

    def settle_routing(self) -> None:
        """Say of each `routing` what became of it, once models are composed."""
        for place, name, text in self._routing:
            if not self._ledger.is_free(place):
                continue
            if name in self.groups and self.groups[name].deployments:
                self._ledger.mapped(place, text)
            else:
                self._ledger.missing(place, "none of its providers could be taken over")

    def named(self, text: str, place: Place) -> str | None:
        """The public name of a model that a variant names, `type::model` made into one; None where there is none."""
        if text in self.groups and self.groups[text].deployments:
            return text
        kind, mark, model = text.partition("::")
        if not mark:
            return None
        found = upstream_named(kind)
        if found is None or not is_model_name(model) or not is_public_name(text):
            return None
        name, upstream = found
        if not upstream.base_url and upstream.kind == "openai-compatible":
            return None
        key, _ = self._key(None, kind, upstream, name)
        if is_cloud(upstream):
            return None
        connection = Connection(
            name, upstream.kind, upstream.base_url or None, own=quirks_of(name, upstream, upstream.kind)
        )
        made = Deployment(connection, Account(key or ""), model, place, (*place, "model"))
        self.groups[text] = Group(text, [made])
        return text

    def spread(self, wished: str, parts: Sequence[tuple[str, float, Place]]) -> str:
        """A new public name for several, each with its share of the load; returns it.

        Arguments:
            parts: public names, each with its share, 0 for what is asked only after the others, and the place of what
                names it.
        """
        first: list[Deployment] = []
        later: list[Deployment] = []
        for public, share, place in parts:
            for number, one in enumerate(self.groups[public].deployments):
                made = msgspec.structs.replace(one, named=place, settled=())
                tier = 0 if share and not number else len(later) + 1
                account = msgspec.structs.replace(one.account, weight=share if not tier else 1, tier=tier)
                (later if tier else first).append(msgspec.structs.replace(made, account=account))
        number, name = 1, wished
        while name in self.groups:
            number += 1
            name = f"{wished}-{number}"
        self.groups[name] = Group(name, [*first, *later], goes_on=True)
        return name

    def _model(self, name: str, value: Value, place: Place) -> None:
        if not is_public_name(name) or not is_model_name(name):
            self._ledger.missing(place, "a public name begins with a letter or digit and has letters, digits, ._:/@+-")
            return
        group = self.groups.setdefault(name, Group(name, [], goes_on=True))
        providers = (value.get("providers") or Value(0)).fields or {}
        routing = value.get("routing")
        order = routing.texts() if routing is not None else []
        for provider in [*(one for one in order if one in providers), *(one for one in providers if one not in order)]:
            at = (*place, "providers", provider)
            if provider not in order:
                self._ledger.needless(at, "`routing` does not name it")
                continue
            try:
                made = self._deployment(providers[provider], at, len(group.deployments))
            except Refused as refused:
                self._ledger.missing(at, str(refused))
                continue
            group.deployments.append(made)
        if routing is not None:
            told = (
                f"models.{name}, its provider and `fallback`; callers send `{name}`, without `tensorzero::model_name::`"
            )
            self._routing.append(((*place, "routing"), name, told))
        if (times := value.get("timeouts")) is not None:
            text = "the time of a whole call is its caller's (`x-headworks-deadline-ms`) or `defaults.deadline_s`"
            for one, _ in leaves(times, (*place, "timeouts")):
                self._ledger.missing(one, text)
        if value.get("timeout_ms") is not None:
            self._ledger.missing((*place, "timeout_ms"), "a time limit is a provider's `timeouts`, in seconds")
        if not group.deployments:
            del self.groups[name]

    def _deployment(self, value: Value, place: Place, tier: int) -> Deployment:
        fields = value.fields or {}

        def text(field: str) -> str:
            found = fields.get(field)
            return (found.text if found is not None else None) or ""

        found = upstream_named(text("type"))
        if found is None:
            raise Refused(what_instead(text("type")))
        name, upstream = found
        if is_cloud(upstream):
            return self._at_cloud(fields, place, tier, name, upstream)
        kind, base_url = address(upstream, text("api_base"))
        if kind == "openai-compatible" and base_url is None:
            raise Refused("its address is not in the file: add `api_base` and import again")
        if base_url is not None and not is_fit("base-url", base_url):
            raise Refused("its address is no plain URL: no credentials, no query; a key goes into `api_key_location`")
        if not is_model_name(text("model_name")):
            raise Refused("the model's name is none: visible ASCII characters without spaces")
        if kind != upstream.kind and base_url is not None:
            name = host_name(base_url)
        settled: dict[Place, str] = {(*place, "type"): "{provider}.kind"}
        if "api_base" in fields:
            settled[(*place, "api_base")] = "{provider}.base_url" if base_url else "{provider}.kind"
        location = fields.get("api_key_location")
        if location is not None and location.fields is not None:
            location = self._fallback_location(location, (*place, "api_key_location"))
            told_at = (*place, "api_key_location", "fallback")
        else:
            told_at = (*place, "api_key_location")
        key, told = self._key(location, text("type"), upstream, name, is_usual=kind == upstream.kind)
        if key is None and upstream.variable and kind != "openai-compatible":
            key, told = self._key(None, text("type"), upstream, name)
        if location is not None:
            settled[told_at] = f"{{at}}.api_key: {told}"
        connection = Connection(
            name,
            kind,
            base_url,
            self._headers(fields, place, settled),
            self._time(fields, place, settled),
            own=quirks_of(name, upstream, kind),
        )
        prices = self._prices(fields, place, settled)
        self._rest(fields, place, settled)
        account = Account(key or "", tier=tier)
        named = (*place, "model_name")
        return Deployment(
            connection, account, text("model_name"), place, named, prices=prices, settled=tuple(settled.items())
        )

    def _at_cloud(self, fields: dict[str, Value], place: Place, tier: int, name: str, upstream: Upstream) -> Deployment:
        placed = {field: (value, (*place, field)) for field, value in fields.items()}
        try:
            found = cloud_connection(name, upstream, placed, _CLOUD[upstream.kind], _resolved, self._keys)
            model = found.model or ""
            check_model(upstream.kind, model)
        except Lacking as lacking:
            raise Refused(str(lacking)) from None
        if not is_model_name(model):
            raise Refused("the model's name is none: visible ASCII characters without spaces")
        settled = {(*place, "type"): "{provider}.kind", **found.settled}
        key, told = None, ""
        location = fields.get("api_key_location")
        if upstream.variable:
            key, told = self._key(location, (fields["type"].text or ""), upstream, name)
            if location is not None:
                settled[(*place, "api_key_location")] = f"{{at}}.api_key: {told}"
        connection = msgspec.structs.replace(
            found.connection,
            headers=self._headers(fields, place, settled),
            total_s=self._time(fields, place, settled),
        )
        prices = self._prices(fields, place, settled)
        self._rest(fields, place, settled)
        named = next((at for at, told in found.settled.items() if told == THE_MODEL), (*place, "type"))
        settled.pop(named, None)
        account = Account(key or "", tier=tier)
        return Deployment(connection, account, model, place, named, prices=prices, settled=tuple(settled.items()))

    def _fallback_location(self, value: Value, place: Place) -> Value | None:
        """Of a location with a default and a fallback, the one that is not the caller's to give."""
        default, fallback = value.get("default"), value.get("fallback")
        if default is not None:
            self._ledger.missing((*place, "default"), "callers cannot bring keys of their own")
        return fallback

    def _key(
        self, value: Value | None, kind: str, upstream: Upstream, name: str, *, is_usual: bool = True
    ) -> tuple[str | None, str]:
        if value is None:
            place: Place = ("provider_types", kind, "defaults", "api_key_location")
            value = self._source.at(place)
            if value is not None and self._ledger.is_free(place) and value.text is not None:
                self._ledger.mapped(place, "`api_key` of the providers that name none")
        text = "" if value is None else value.text or ""
        if text.startswith(("dynamic::", "none", "path::")) or (value is not None and not text):
            if text.startswith("path::") and is_fit("secret-reference", f"file:{text.removeprefix('path::')}"):
                return f"file:{text.removeprefix('path::')}", "the same file"
            return None, "callers cannot bring keys of their own: none" if text.startswith(
                "dynamic"
            ) else "no key is sent"
        usual = upstream.variable if is_usual else f"{name.upper().replace('-', '_')}_API_KEY"
        return self._keys.reference(value, usual, f"the key of {name}")

    def _headers(
        self, fields: dict[str, Value], place: Place, settled: dict[Place, str]
    ) -> tuple[tuple[str, str], ...]:
        headers: list[tuple[str, str]] = []
        for index, one in enumerate((fields.get("extra_headers") or Value(0)).items or ()):
            name, value, at = one.get("name"), one.get("value"), (*place, "extra_headers", index)
            made = (
                header(name.text, value, self._keys) if name is not None and name.text and value is not None else None
            )
            if made is None or name is None or name.text is None:
                self._ledger.missing(at, "this header cannot be set here: a key goes into `api_key`")
                continue
            headers.append((name.text, made[0]))
            settled[at] = "{provider}." + made[1]
        return tuple(headers)

    def _time(self, fields: dict[str, Value], place: Place, settled: dict[Place, str]) -> float | None:
        """The longest of the limits for whole answers: ours knows one, whether streamed or not."""
        longest: float | None = None
        for at, value in leaves(fields["timeouts"], (*place, "timeouts")) if "timeouts" in fields else ():
            limit = seconds(value, 0.001)
            if at[-1] == "total_ms" and limit is not None:
                longest = limit if longest is None else max(longest, limit)
                settled[at] = "{provider}.timeouts.total_s and first_byte_s, the longer one of all"
            else:
                text = "a first piece that is late: `latency: { hedge: true }` of a workload's contract"
                self._ledger.missing(at, text)
        single = seconds(fields.get("timeout_ms"), 0.001)
        if single is not None:
            settled[(*place, "timeout_ms")] = "{provider}.timeouts.total_s and first_byte_s"
        return longest if longest is not None else single

    def _prices(self, fields: dict[str, Value], place: Place, settled: dict[Place, str]) -> dict[str, str]:
        found: dict[str, tuple[Place, Value]] = {}
        for index, one in enumerate((fields.get("cost") or Value(0)).items or ()):
            pointer, cost = one.get("pointer"), one.get("cost_per_million")
            ours = _COSTS.get((pointer.text if pointer else None) or "")
            if ours is None or cost is None or cost.number is None:
                self._ledger.missing((*place, "cost", index), "this is not priced by itself here: see `prices.models`")
                continue
            found[ours] = ((*place, "cost", index), cost)
        costs = {ours: cost.number or 0.0 for ours, (_, cost) in found.items()}
        if not {"input", "output"} <= set(costs):
            for at, _ in found.values():
                self._ledger.missing(at, "a price of your own is whole, input and output: `prices.models`")
            return {}
        prices: dict[str, str] = {}
        for ours, (at, _) in found.items():
            # Theirs is added to the price of all input, so that a discount is negative; ours is the price itself.
            amount = costs[ours] + (costs["input"] if ours == "cached_input" else 0)
            price = per_million(f"{amount:.9f}", 1)
            if price is None:
                self._ledger.missing(at, "a price is not below nothing: `prices.models`")
                continue
            prices[ours] = price
            settled[at] = f"{{price}}.{ours}"
        return prices

    def _rest(self, fields: dict[str, Value], place: Place, settled: dict[Place, str]) -> None:
        for name in fields:
            at = (*place, name)
            is_told = any(other[: len(at)] == at for other in settled)
            if name in PROVIDER and not is_told and self._ledger.is_free(at):
                fate, text = PROVIDER[name]
                (self._ledger.missing if fate == "missing" else self._ledger.needless)(at, text)


def _gateway(source: Source, ledger: Ledger, sections: Sections) -> None:
    """The section `gateway`: where it listens, who may call, how long it waits."""
    place: Place = ("gateway", "bind_address")
    value = source.at(place)
    found = re.fullmatch(_BIND, value.text or "") if value is not None else None
    if value is not None and found and int(found[2]) <= 65_535:
        host = found[1].strip("[]")
        if host and is_fit("host", host):
            sections.set("server", "host", host, value.line)
        sections.set("server", "port", int(found[2]), value.line)
        ledger.mapped(place, "server.host and server.port")
    place = ("gateway", "auth", "enabled")
    value = source.at(place)
    if value is not None and value.truth:
        sections.set("access", "mode", "keys", value.line)
        ledger.mapped(place, "access.mode: keys; keys themselves are made anew: `headworks keys create NAME`")
    elif value is not None:
        text = "every call needs a key here: `headworks keys create NAME`; `access: { mode: open }` is for trials"
        ledger.missing(place, text)
    place = ("gateway", "global_outbound_http_timeout_ms")
    value = source.at(place)
    limit = seconds(value, 0.001)
    if value is not None and limit is not None:
        for field in ("total_s", "first_byte_s"):
            sections.set("defaults.timeouts", field, limit, value.line)
        if limit > 600:
            sections.set("defaults", "deadline_s", limit, value.line)
        ledger.mapped(place, "defaults.timeouts.total_s and first_byte_s")


def _tables(source: Source, ledger: Ledger) -> None:
    """What is told of by the beginning of its place; the longest that fits is right."""
    tables = {**GATEWAY, **FUNCTIONLESS}
    for place, value in leaves(source.root):
        if not ledger.is_free(place):
            continue
        names = [str(step) for step in place if isinstance(step, str)]
        for length in range(len(names), 0, -1):
            entry = tables.get(".".join(names[:length]))
            if entry is None:
                continue
            fate, text = entry
            if fate == "missing" and value.truth is not False:
                ledger.missing(place, text)
            else:
                ledger.needless(place, text if fate == "needless" else "it is off, and there is none here")
            break
