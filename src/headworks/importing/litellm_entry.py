"""One entry of LiteLLM's `model_list`: a deployment of ours, or a word on why it cannot be one.

Source: LiteLLM's documentation of the proxy's configuration, of load balancing and of custom prices, 2026-11.
"""

import re
from typing import get_args

import msgspec

from headworks.calls import Endpoint
from headworks.config.droppable import DROPPABLE, KEPT, droppable_faults
from headworks.config.sections.kinds import Speech
from headworks.importing.clouds import Lacking, Word, check_model, cloud_connection, is_cloud
from headworks.importing.deployments import ANY, Account, Asked, Connection, Deployment
from headworks.importing.draft import is_public_name
from headworks.importing.keys import Keys, variable_of
from headworks.importing.ledger import Ledger
from headworks.importing.litellm_access import money_of_deployment
from headworks.importing.litellm_tables import PARAMS, SENT
from headworks.importing.source import Place, Value
from headworks.importing.texts import header, host_name, is_fit, is_model_name, per_million, seconds, whole
from headworks.importing.upstreams import Kind, Upstream, address, quirks_of, upstream_named, what_instead

_BY_BEGINNING = {
    "gpt-": "openai", "o1": "openai", "o3": "openai", "o4": "openai", "chatgpt-": "openai", "ft:gpt": "openai",
    "text-embedding": "openai", "dall-e": "openai", "whisper": "openai", "tts-": "openai", "omni-moderation": "openai",
    "claude": "anthropic",
}  # fmt: skip
"""How LiteLLM tells the provider of a bare model name; `gemini` alone means Vertex AI there."""

_PRICES = {
    "input_cost_per_token": "input", "output_cost_per_token": "output", "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write", "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input", "output_cost_per_audio_token": "audio_output",
}  # fmt: skip

_MODES: dict[str, tuple[Speech, ...]] = {
    "chat": (), "completion": (), "embedding": (), "responses": ("responses",), "image_generation": ("images",),
    "audio_transcription": ("audio",), "audio_speech": ("audio",), "moderation": ("moderations",),
}  # fmt: skip

_CLOUD: dict[Kind, dict[str, Word]] = {
    "azure": {"api_base": "address", "base_url": "address", "api_version": "api_version"},
    "vertex": {
        "vertex_project": "project", "vertex_ai_project": "project", "vertex_location": "location",
        "vertex_ai_location": "location", "api_base": "address",
    },
    "bedrock": {
        "aws_region_name": "region", "aws_access_key_id": "access_key_id", "aws_session_token": "session_token",
        "aws_secret_access_key": "secret_access_key", "aws_bedrock_runtime_endpoint": "address",
    },
}  # fmt: skip
_WAYS = {
    "azure": r"^(o_series|gpt5_series|responses)/",
    "bedrock": r"^(converse|converse_like|invoke)/|^[a-z]{2,10}(-[a-z]{2,12}){1,3}-[0-9]{1,2}/",
}
"""What may stand before a model's name there: how to ask for it, or the region, which a field names here."""

_SCOPES = "a key names the models that it may use: `headworks keys create NAME --models ...`"
_BOUNDS = "expected a number within the bounds of our file (docs/reference/configuration.md)"


_BESIDE = ("rpm", "tpm")
"""What may stand beside `litellm_params`, too, as in LiteLLM's own examples; what is within comes first."""

NOWHERE = "https://upstream.invalid"
"""For a trial: the address in a variable that is not set (RFC 2606 §2)."""

_MAY_BE_DROPPED = DROPPABLE[Endpoint.CHAT] | DROPPABLE[Endpoint.RESPONSES]
DROPPED = frozenset(name for name in _MAY_BE_DROPPED if name.partition(".")[0] not in _MAY_BE_DROPPED - {name})
"""What `drop_params` drops and we may, in the APIs that LiteLLM has it for; what lies below a field goes with it."""


def provider_of(model: str) -> tuple[str, str]:
    """LiteLLM's provider of a model's name, and the name there; an empty provider where it cannot be told."""
    first, slash, rest = model.partition("/")
    if slash and first == first.lower() and "." not in first:
        return first, rest
    for beginning, provider in _BY_BEGINNING.items():
        if model.startswith(beginning):
            return provider, model
    return "", model


class Refused(Exception):
    """The entry cannot be a deployment; the message says what to do instead."""


class Entry:
    """One entry of `model_list` on its way to a deployment.

    Mutable: what is to be told of its settings, as `draft.Deployment.settled` has it.

    Arguments:
        value: the entry.
        place: where it stands.
        credentials: fields with values and places by the name that `litellm_credential_name` may give.
    """

    def __init__(
        self,
        value: Value,
        place: Place,
        *,
        credentials: dict[str | None, dict[str, tuple[Value, Place]]],
        ledger: Ledger,
        keys: Keys,
    ) -> None:
        self._ledger = ledger
        self._keys = keys
        self._place = place
        self._info = (value.get("model_info") or Value(0)).fields or {}
        own = (value.get("litellm_params") or Value(0)).fields or {}
        self._own = own
        self._fields: dict[str, tuple[Value, Place]] = {
            name: (one, (*place, "litellm_params", name)) for name, one in own.items()
        }
        self._beside = {name: said for name in _BESIDE if (said := value.get(name)) is not None}
        for name, said in self._beside.items():
            self._fields.setdefault(name, (said, (*place, name)))
        credential = own.get("litellm_credential_name")
        for name, found in credentials.get(credential.text if credential else None, {}).items():
            self._fields.setdefault(name, found)
        public = value.get("model_name")
        self.name = (public.text if public else None) or ""
        self.droppable: set[str] = set()
        self._settled: dict[Place, str] = {}

    def deployments(self, environment: dict[str, str]) -> list[Deployment]:
        """The deployments that it makes: one for each organization, so mostly one.

        Arguments:
            environment: where variables are looked up that stand for an address.

        Raises:
            Refused: it makes none.
        """
        theirs, model = self._provider()
        if self.name == ANY and model == ANY and theirs and upstream_named(theirs) is not None:
            self.name = f"{theirs}/{ANY}"
            text = (
                f"a wildcard is a provider here: callers name {theirs}/NAME; names that they keep stand under `models`"
            )
        else:
            text = ""
        self._judge(theirs, model)
        named = upstream_named(theirs)
        if named is None:
            raise Refused(what_instead(theirs))
        if is_cloud(named[1]):
            connection = self._at_cloud(*named, model, environment)
        else:
            connection = self._connection(*named, environment)
        if text:
            self._ledger.missing((*self._place, "model_name"), text)
        for name in ("model", "custom_llm_provider"):
            self._settle(name, "{provider}")
        connection = self._spoken(self._headed(self._timed(connection)))
        account = self._account(connection, named[1])
        asked, prices = self._asked(), self._prices(model)
        organizations = self._organizations(connection)
        self._drops()
        self._settle("litellm_credential_name", "{provider}")
        self._told_elsewhere()
        self._rest()
        return [
            Deployment(
                connection,
                msgspec.structs.replace(account, organization=organization),
                model,
                self._place,
                (*self._place, "model_name"),
                asked,
                prices,
                () if number else tuple(self._settled.items()),
            )
            for number, organization in enumerate(organizations)
        ]

    def _text(self, name: str) -> str | None:
        found = self._fields.get(name)
        return None if found is None else found[0].text

    def _value(self, name: str) -> Value | None:
        found = self._fields.get(name)
        return None if found is None else found[0]

    def _settle(self, name: str, text: str) -> None:
        """Say where a field went; a credential that several entries name is told of once."""
        found = self._fields.get(name)
        if found is not None:
            self._settled[found[1]] = text

    def _provider(self) -> tuple[str, str]:
        """Their provider's name and the model's name there; an empty provider where it cannot be told."""
        model, custom = self._text("model") or "", self._text("custom_llm_provider")
        theirs, name = (custom, model.removeprefix(f"{custom}/")) if custom is not None else provider_of(model)
        return theirs, re.sub(_WAYS[theirs], "", name) if theirs in _WAYS else name

    def _judge(self, theirs: str, model: str) -> None:
        wild = "*" in self.name
        if wild and not (self.name.endswith("/*") and self.name.count("*") == 1 and len(self.name) > len("/*")):
            raise Refused(
                "a wildcard is a provider here, and callers name any of its models as provider/NAME: add it under "
                "`providers`, and names that callers are to keep under `models`"
            )
        if not theirs:
            raise Refused(
                "LiteLLM has the provider of this name in a list of its own: write provider/NAME, import again"
            )
        if wild != (model == ANY) and upstream_named(theirs) is not None:
            raise Refused("a wildcard on one side only: callers name any model of a provider as provider/NAME")
        if not is_public_name(self.name.removesuffix("/*")) or not is_model_name(self.name):
            raise Refused("a public name begins with a letter or digit and has at most 128 of letters, digits, ._:/@+-")
        if not is_model_name(model):
            raise Refused("the model's name is none: visible ASCII characters without spaces")

    def _connection(self, name: str, upstream: Upstream, environment: dict[str, str]) -> Connection:
        field = "api_base" if "api_base" in self._fields else "base_url"
        given = self._text(field) or ""
        variable = variable_of(given)
        if variable is not None:
            given = environment.get(variable, "")
            if not given:
                raise Refused(f"its address is in {variable}, which is not set now: set it and import again")
        kind, base_url = address(upstream, given)
        if kind == "openai-compatible" and base_url is None:
            raise Refused(f"its address is not in the file: add `{field}` and import again")
        if base_url is not None and not is_fit("base-url", base_url):
            raise Refused("its address is no plain URL: no credentials, no query; a key goes into `api_key`")
        if kind == "openai-compatible" and base_url is not None and name in ("openai", "compatible"):
            name = host_name(base_url)
        told = "{provider}.base_url" if base_url is not None else "{provider}.kind"
        how = (
            f": {variable} must be set when it is imported for good"
            if given == NOWHERE
            else f", as {variable} is set now"
        )
        self._settle(field, told + (how if variable else ""))
        return Connection(name, kind, base_url, own=quirks_of(name, upstream, kind))

    def _at_cloud(self, name: str, upstream: Upstream, model: str, environment: dict[str, str]) -> Connection:
        def resolved(text: str) -> str:
            variable = variable_of(text)
            return text if variable is None else environment.get(variable, "")

        try:
            check_model(upstream.kind, model)
            found = cloud_connection(name, upstream, self._fields, _CLOUD[upstream.kind], resolved, self._keys)
        except Lacking as lacking:
            raise Refused(str(lacking)) from None
        self._settled.update(found.settled)
        return found.connection

    def _timed(self, connection: Connection) -> Connection:
        total_s, between_s = seconds(self._value("timeout")), seconds(self._value("stream_timeout"))
        if total_s is not None:
            self._settle("timeout", "{provider}.timeouts.total_s and first_byte_s")
        if between_s is not None:
            self._settle("stream_timeout", "{provider}.timeouts.between_bytes_s")
        return msgspec.structs.replace(connection, total_s=total_s, between_bytes_s=between_s)

    def _headed(self, connection: Connection) -> Connection:
        headers: list[tuple[str, str]] = []
        for field in ("extra_headers", "headers"):
            value, place = self._fields.get(field, (Value(0), ()))
            for name, one in (value.fields or {}).items():
                made = header(name, one, self._keys)
                if made is None:
                    self._ledger.missing((*place, name), "this header cannot be set here: a key goes into `api_key`")
                    continue
                headers.append((name, made[0]))
                self._settled[(*place, name)] = "{provider}." + made[1]
        return msgspec.structs.replace(connection, headers=tuple(headers))

    def _spoken(self, connection: Connection) -> Connection:
        mode, place = self._info.get("mode"), (*self._place, "model_info", "mode")
        if mode is None or mode.text is None:
            return connection
        if mode.text not in _MODES:
            self._ledger.missing(place, "this part of the API is not served here")
            return connection
        self._settled[place] = "{provider}.speaks"
        more = _MODES[mode.text]
        if connection.kind != "openai-compatible" or not more:
            return connection
        speaks = {"chat", "embeddings", *more}
        known: tuple[str, ...] = get_args(Speech)
        return msgspec.structs.replace(connection, speaks=tuple(name for name in known if name in speaks))

    def _account(self, connection: Connection, upstream: Upstream) -> Account:
        is_usual = (
            connection.base_url in (None, upstream.base_url) or connection.kind == upstream.kind != "openai-compatible"
        )
        usual, purpose = upstream.variable if is_usual else "", f"the key of {connection.name}"
        key, told = (
            self._keys.reference(self._value("api_key"), usual or f"{connection.name.upper()}_API_KEY", purpose)
            if ("api_key" in self._fields or usual)
            else (None, "")
        )
        if key is None and upstream.variable and connection.kind != "openai-compatible":
            key, told = self._keys.reference(None, upstream.variable, purpose)
        self._settle("api_key", f"{{at}}.api_key: {told}")
        weight, tier = self._value("weight"), self._order()
        number = None if weight is None else weight.number
        if number is not None and 0 <= number <= 10**9:
            self._settle("weight", "{share}")
        else:
            number = 1
        return Account(key or "", weight=number, tier=tier)

    def _order(self) -> int:
        """Its order: of `litellm_params`, else of `model_info`, as LiteLLM has it; 0 for none."""
        own = whole(self._value("order"), 0, 100)
        if own is not None:
            self._settle("order", "{order}")
            return own
        described = whole(self._info.get("order"), 0, 100)
        if described is not None:
            self._settled[(*self._place, "model_info", "order")] = "{order}"
        return described or 0

    def _asked(self) -> Asked:
        requests, tokens = (whole(self._value(name), 1, 10**12) for name in ("rpm", "tpm"))
        if requests is not None:
            self._settle("rpm", "{limits}.requests_per_minute")
        if tokens is not None:
            self._settle("tpm", "{limits}.tokens_per_minute")
        return Asked(requests, tokens)

    def _prices(self, model: str) -> dict[str, str]:
        found: dict[str, str] = {}
        places: list[tuple[Place, str]] = []
        for theirs, ours in _PRICES.items():
            told = [(self._info[theirs], (*self._place, "model_info", theirs))] if theirs in self._info else []
            told += [self._fields[theirs]] if theirs in self._fields else []
            for value, place in told:
                price = per_million(value.text or "")
                if price is not None:
                    found[ours] = price
                    places.append((place, ours))
        if model != ANY and {"input", "output"} <= set(found):
            self._settled.update({place: f"{{price}}.{ours}" for place, ours in places})
            return found
        for place, _ in places:
            self._ledger.missing(place, "a price of your own is whole, input and output, of a model by name: `prices`")
        return {}

    def _organizations(self, connection: Connection) -> list[str]:
        value = self._value("organization")
        if value is None or connection.kind not in ("openai", "openai-compatible"):
            return [""]
        told: list[str] = []
        for item in value.items or (value,):
            name = item.text or ""
            if variable_of(name) is None and is_fit("header-value", name):
                told.append(name)
        if not told or len(told) < len(value.items or (value,)):
            return [""]
        self._settle("organization", "{at}.organization" if len(told) == 1 else "{provider}.pools, one for each")
        return told

    def _drops(self) -> None:
        """What LiteLLM drops for this deployment may be left out for its name."""
        value, place = self._own.get("drop_params"), (*self._place, "litellm_params", "drop_params")
        if value is not None and value.truth:
            self.droppable |= DROPPED
            self._settled[place] = "{droppable}"
        elif value is not None and value.is_leaf:
            self._ledger.needless(place, "nothing is left out unless `droppable` lists it")
        place = (*self._place, "litellm_params", "additional_drop_params")
        for index, one in enumerate((self._own.get("additional_drop_params") or Value(0)).items or ()):
            name, at = one.text or "", (*place, index)
            fault = next((fault for _, fault in droppable_faults([name])), None)
            if fault is None:
                self.droppable.add(name)
                self._settled[at] = "{droppable}: left out where a target has nothing for it, and sent where it has"
            elif one.is_leaf:
                self._ledger.missing(at, "is no field that can be left out" if name not in KEPT else fault)

    def _told_elsewhere(self) -> None:
        for name in self._beside:
            if name in self._own:
                self._ledger.needless((*self._place, name), f"`litellm_params.{name}` comes before it")
        for name in ("max_budget", "budget_duration"):
            if name in self._own:
                text = money_of_deployment(self._value("max_budget"), self._value("budget_duration"))
                self._ledger.missing((*self._place, "litellm_params", name), text)

    def _rest(self) -> None:
        """What has a meaning that is known and no place here, or no value that our file takes."""
        for name, value in self._own.items():
            place = (*self._place, "litellm_params", name)
            if place in self._settled or not self._ledger.is_free(place):
                continue
            if name in SENT:
                text = "callers send it, or a workload's contract fixes it (docs/how-to/workloads.md)"
                self._ledger.missing(place, text)
            elif name in PARAMS:
                self._ledger.missing(place, PARAMS[name])
            elif name in ("rpm", "tpm", "timeout", "stream_timeout", "weight", "order") or name in _PRICES:
                self._ledger.missing(place, _BOUNDS)
            elif name == "organization" and value is not None:
                self._ledger.missing(place, "write the organization's id into the provider, or a pool: `organization`")
        for name in self._info:
            place = (*self._place, "model_info", name)
            if place in self._settled or not self._ledger.is_free(place):
                continue
            if name in ("access_groups", "team_id"):
                self._ledger.missing(place, _SCOPES)
            elif name == "base_model":
                self._ledger.needless(place, "prices go by the model's own name, or by `prices.models`")
            elif name != "mode" and name not in _PRICES:
                text = "describes the model to LiteLLM; the catalogue knows it by name (`headworks models`)"
                self._ledger.needless(place, text)
