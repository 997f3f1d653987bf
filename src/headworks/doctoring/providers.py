"""Each provider, each of its pools: reached, its key accepted, its models there, its limits as configured.

The key is tried with `GET /models`, which costs nothing. Where that is not served, with a call whose body is `{}`: it
is refused for its key or for its body, and no model is asked. Only `--paid` makes calls of real models, one a model, of
a few tokens: providers state their limits on those alone.
"""

import asyncio
from collections.abc import Mapping

import msgspec

from headworks.calls import Endpoint, FailureKind
from headworks.catalogue import PriceArchive
from headworks.config import Project, price_book, tier_limits
from headworks.config import Provider as ProviderSection
from headworks.config.references import is_token
from headworks.config.sections.upstreams import ProviderPool
from headworks.doctoring.asking import Asker, Heard, asking, clock_finding, failure_words, reach
from headworks.doctoring.findings import Check, Finding, Verdict, in_thread, ok, problem, skipped, warning
from headworks.doctoring.limits import Stated, compare, compare_with_tier, configured_limits, stated_limits
from headworks.doctoring.situation import Situation
from headworks.errors import ConfigError, HeadworksError
from headworks.exchange import Timeouts
from headworks.provider_plans import ProviderPlan, read_provider
from headworks.providers import Provider
from headworks.transport import Origin

_LISTS = {"anthropic": "/models?limit=1000", "gemini": "/models?pageSize=1000"}
"""Lists come in pages: the largest that there is (their API references, 2026-11)."""

_LISTLESS = frozenset({"bedrock"})
"""Kinds that list their models elsewhere, with other rights: what is answered to the wish for a list says nothing."""

_PAID = Timeouts(connect_s=5.0, first_byte_s=45.0, between_bytes_s=20.0, total_s=60.0)
_PAID_TOKENS = 16
"""The least that the Responses API takes (OpenAI API reference, 2026-11)."""

_LIMIT_S = 60.0
_PAID_LIMIT_S = 600.0
_SHOWN = 3


def checks(situation: Situation) -> list[Check]:
    """One for each pool of each provider."""
    project = situation.project
    if project is None:
        return []
    found = []
    for name, provider in project.config.providers.items():
        if provider.kind == "simulator":
            found.append(Check(f"provider {name}", in_thread(_inside)))
            continue
        limit_s = _PAID_LIMIT_S if situation.is_paid else _LIMIT_S
        for pool in provider.pools or ("",):
            title = f"provider {name}, pool {pool}" if pool else f"provider {name}"
            look = _Look(situation, project, name, pool)
            found.append(Check(title, look.look, limit_s))
    return found


def _inside() -> list[Finding]:
    return [ok("reached", "the simulator is inside the gateway: no network, no key")]


class _Models(msgspec.Struct, frozen=True):
    """A list of models, as OpenAI and Anthropic have it (`data`), or Google (`models`). A long one goes on."""

    data: tuple["_Model", ...] | None = None
    models: tuple["_Model", ...] | None = None
    has_more: bool | None = None
    next_page: str | None = msgspec.field(default=None, name="nextPageToken")


class _Model(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""


class _Look:
    """One look at one pool of one provider; `pool` is "" where there are none."""

    def __init__(self, situation: Situation, project: Project, name: str, pool: str) -> None:
        self._situation = situation
        self._project = project
        self._name = name
        self._section: ProviderSection = project.config.providers[name]
        self._pool_name = pool
        self._pool: ProviderPool | None = self._section.pools.get(pool)
        self._place = f"providers.{name}.pools.{pool}" if pool else f"providers.{name}"

    async def look(self) -> list[Finding]:
        try:
            # In a thread: a secret manager may take its time.
            plan = await asyncio.to_thread(read_provider, self._project, self._name, self._situation.environment)
        except ConfigError as error:
            return [problem("key", str(error), "see to it: without it, every call there fails")]
        pool = next(one for one in plan.pools if one.name == self._pool_name)
        origin = Origin.from_url(pool.base_url, proxy=plan.proxy, ca_file=plan.ca_file)
        findings = await reach(origin, now_s=self._situation.now())
        if findings[0].verdict is Verdict.PROBLEM:
            return findings
        provider = plan.make(msgspec.structs.replace(pool.settings, name=plan.name))
        async with asking(self._name, origin) as asker:
            findings += await self._try_key(asker, provider, plan)
            if self._situation.is_paid:
                findings += await self._pay(asker, provider, plan)
            else:
                findings += await asyncio.to_thread(self._by_tier)
        return findings

    def _by_tier(self) -> list[Finding]:
        """The limits beside what is documented for the account's usage tier, where headworks.yaml names one."""
        target = f"{self._name}:{self._pool_name}" if self._pool_name else self._name
        try:
            book = price_book(self._project, PriceArchive(self._project.storage).current())
        except HeadworksError as error:
            return [skipped("limits", f"the catalogue of models cannot be read: {error}")]
        found = [one for one in tier_limits(self._project, book) if one.provider == target]
        if found:
            return [finding for one in found for finding in compare_with_tier(one)]
        says = "providers state their limits only with calls that they charge for"
        return [skipped("limits", says, "`--paid` makes one of a few tokens for each model")]

    # -- what costs nothing ---------------------------------------------------------------------------------------

    async def _try_key(self, asker: Asker, provider: Provider, plan: ProviderPlan) -> list[Finding]:
        path = _LISTS.get(plan.kind, "/models")
        request = provider.request("GET", path, b"", b"", b"")
        heard = await asker.ask(request)
        if heard.failure is not None:
            return [problem("answers", failure_words(heard.failure), "see whether it is up: its status page says so")]
        clock = clock_finding(heard, self._name, now_s=self._situation.now())
        findings = [] if clock is None else [clock]
        if heard.status in (404, 405, 501) or plan.kind in _LISTLESS:
            return [*findings, await self._try_empty_call(asker, provider, plan)]
        if heard.status >= 300:
            return [*findings, self._refused(provider, heard, f"GET {path}")]
        known = _read_models(heard.body)
        if known is None:
            says = f"GET {path} is answered with something that is no list of models"
            return [*findings, problem("answers", says, f"see that `{self._place}.base_url` leads to the API's root")]
        again = await asker.ask(request)
        if again.failure is None:
            trip_ms = round((again.head_s - again.sent_s) * 1000, 1)
            findings.append(ok("answers", f"GET {path} in {trip_ms:g} ms", round_trip_ms=trip_ms))
        says = "the key is accepted" if _has_key(plan, self._pool) else "it asks for no key"
        return [*findings, ok("key", f"{says} (GET {path})"), *self._missing(known)]

    async def _try_empty_call(self, asker: Asker, provider: Provider, plan: ProviderPlan) -> Finding:
        """A call without content is refused before anything is generated. Where the model is in the path, it names one
        that there is: of another, it would be told that it is not there, and nothing of the key."""
        spoken = _spoken(plan)
        if spoken is None:
            return skipped("key", "it serves no /models, and nothing else that could be asked without a cost")
        model = next(iter(self._models()), "none")
        path = provider.call_path(spoken, model, is_streamed=False)
        body = msgspec.json.encode({"model": model} if plan.kind == "azure" else {})
        heard = await asker.ask(provider.json_request(path, body, b""))
        if heard.failure is not None:
            return problem("key", failure_words(heard.failure), "see whether it is up")
        if heard.status in (400, 422):
            return ok("key", f"the key is not refused (POST {path} with an empty body: it serves no /models)")
        if heard.status < 300:
            return warning(
                "key", f"POST {path} takes an empty body: what it is cannot be told", "see what answers there"
            )
        return self._refused(provider, heard, f"POST {path}")

    def _refused(self, provider: Provider, heard: Heard, what: str) -> Finding:
        failure = provider.classify(heard.status, heard.headers, heard.body)
        kind, why = failure.kind, failure.detail.partition(": ")[2]
        says = f"{what} is answered with {heard.status}{f': {why}' if why else ''}"
        own = self._section.api_key or self._section.access_key_id
        reference = self._pool.api_key if self._pool is not None and self._pool.api_key else own
        if kind is FailureKind.UNAUTHORIZED and heard.status == 403 and what.startswith("GET"):
            return warning(
                "key",
                f"{says}: the key may not list models, or not from here",
                "see which rights the key has; calls may work",
            )
        if kind is FailureKind.UNAUTHORIZED:
            where = reference or f"`{self._place}.api_key`"
            way_out = f"make a new one at the provider and put it into {where}"
            if reference is not None and is_token(reference):
                way_out = f"see who {reference} is, and whether it may call models"
            return problem("key", f"the key is refused ({says})", way_out)
        if kind is FailureKind.RATE_LIMITED:
            return warning("key", f"{says}: over its limit at this moment", "look again in a minute")
        if kind is FailureKind.QUOTA:
            return problem("key", f"{says}: the account's credit or quota is used up", "see to the account's billing")
        if heard.status >= 500:
            return problem("answers", says, "the provider has a fault: see its status page")
        return problem("answers", says, f"see that `{self._place}.base_url` leads to the API's root")

    def _missing(self, known: frozenset[str]) -> list[Finding]:
        if not known:
            return []
        wanted = self._models()
        missing = [one for one in wanted if one not in known]
        if not missing:
            return [ok("models", f"all {len(wanted)} models of headworks.yaml are there")] if wanted else []
        shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        says = f"not among the models that this key sees: {shown}"
        return [warning("models", says, "see whether the name is right, an alias, or retired (`headworks models`)")]

    def _models(self) -> list[str]:
        """The models that the file names of this provider."""
        pairs = [pair for one in self._project.config.models.values() for pair in one.pairs]
        named = [model for provider, model in pairs if provider == self._name]
        return list(dict.fromkeys([*named, *(self._section.models or ())]))

    # -- what costs something -------------------------------------------------------------------------------------

    async def _pay(self, asker: Asker, provider: Provider, plan: ProviderPlan) -> list[Finding]:
        spoken = _spoken(plan)
        models = self._models()
        if spoken is None or not models:
            return [
                skipped("limits", "headworks.yaml names no model of it that answers in text: there is none to call")
            ]
        findings: list[Finding] = []
        for model in models:
            path = provider.call_path(spoken, model, is_streamed=False)
            body = msgspec.json.encode(_least_call(spoken, model, provider.limit_name))
            heard = await asker.ask(provider.json_request(path, body, b""), _PAID)
            if heard.failure is not None:
                findings.append(
                    problem(f"call {model}", failure_words(heard.failure), "see whether the provider is up")
                )
                continue
            if heard.status >= 300:
                says = f"a call of {model} is answered with {heard.status}"
                way_out = "see whether this key may use it, and whether it answers in text"
                findings.append(problem(f"call {model}", says, way_out))
            else:
                took_ms = round((heard.head_s - heard.sent_s) * 1000)
                says = f"{model} answers in {took_ms:g} ms"
                findings.append(ok(f"call {model}", says, answer_ms=took_ms))
            findings += self._limits(model, heard.headers)
        return findings

    def _limits(self, model: str, headers: Mapping[bytes, bytes]) -> list[Finding]:
        stated = stated_limits(headers)
        if stated == Stated():
            return [skipped(f"limits {model}", f"the provider states no limits for {model}")]
        configured = configured_limits(self._section, model, self._pool)
        return compare(stated, configured, model, f"{self._place}.model_limits.{model}")


def _has_key(plan: ProviderPlan, pool: ProviderPool | None) -> bool:
    """Whether a key is sent there."""
    return bool(plan.settings.api_key or (pool is not None and pool.api_key))


def _spoken(plan: ProviderPlan) -> Endpoint | None:
    """The dialect to call it in."""
    wanted = (Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE)
    return next((one for one in wanted if one in plan.speaks), None)


def _least_call(spoken: Endpoint, model: str, limit_name: str) -> dict[str, object]:
    """The smallest call that there is."""
    messages = [{"role": "user", "content": "Hi"}]
    if spoken is Endpoint.RESPONSES:
        return {"model": model, "input": "Hi", "max_output_tokens": _PAID_TOKENS, "store": False}
    if spoken is Endpoint.GENERATE_CONTENT:
        parts = [{"role": "user", "parts": [{"text": "Hi"}]}]
        return {"contents": parts, "generationConfig": {"maxOutputTokens": _PAID_TOKENS}}
    if spoken is Endpoint.CONVERSE:
        turn = {"role": "user", "content": [{"text": "Hi"}]}
        return {"messages": [turn], "inferenceConfig": {"maxTokens": _PAID_TOKENS}}
    if spoken is Endpoint.MESSAGES:
        return {"model": model, "messages": messages, "max_tokens": 1}
    return {"model": model, "messages": messages, limit_name: _PAID_TOKENS}


def _read_models(body: bytes) -> frozenset[str] | None:
    """The names in a list of models; none where the list goes on elsewhere, None if it is no such list."""
    try:
        read = msgspec.json.decode(body, type=_Models)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    listed = read.models if read.data is None else read.data
    if listed is None:
        return None
    if read.has_more or read.next_page:
        return frozenset()
    return frozenset(one.id or one.name.removeprefix("models/") for one in listed)
