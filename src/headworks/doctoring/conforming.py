"""Asking the suite of `extending` of one provider: its cases through the same codecs as calls go, its records as they
are."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec

from headworks.calls import AttemptFailed, Endpoint, FailureKind, UnreadableAnswer
from headworks.dialects import Bridge, EventSplitter, parse_event, read_fields
from headworks.dialects.bridging import DialectBridge
from headworks.dialects.structured import emulated_by, schema_bridge, wants_schema
from headworks.doctoring.asking import Asker, Heard, asking
from headworks.doctoring.recorded import ask_patiently, ask_recorded
from headworks.errors import Refusal
from headworks.exchange import Timeouts
from headworks.extending import RECORDED, Case, Outcome, Recorded, Told, recorded
from headworks.provider_plans import ProviderPlan
from headworks.providers import Provider
from headworks.transport import Origin

SPOKEN = (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE)
"""The APIs in which models answer in text, and in which the cases are asked."""

_TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=60.0, between_bytes_s=30.0, total_s=120.0)
_REJECTIONS = (FailureKind.REJECTED, FailureKind.REFUSED, FailureKind.TOO_LONG)
_NO_SUCH_MODEL = "headworks-no-such-model"
_MOST_TOLD = 2
"""How many differences a line of a table says."""


class Found(msgspec.Struct, frozen=True):
    """What came of one case.

    Attributes:
        case: its name.
        spoken: the API in which the provider was asked.
        is_needed: a provider without it is none that Headworks can serve.
        says: what was wrong, quoting nothing of the answer.
        part: `feature`, it was asked what callers ask; `shape`, what is recorded of its own API.
        differences: of a shape, all in which the answer is not as it is recorded.
    """

    case: str
    spoken: str
    outcome: Outcome
    is_needed: bool
    says: str = ""
    part: Literal["feature", "shape"] = "feature"
    differences: tuple[str, ...] = ()


class Unasked(msgspec.Struct, frozen=True):
    """A part of the API that this provider serves and that was not asked, and why."""

    spoken: str
    says: str


class Report(msgspec.Struct, frozen=True):
    """What was found, and what was not asked."""

    found: tuple[Found, ...]
    unasked: tuple[Unasked, ...] = ()


async def conform(
    plan: ProviderPlan,
    models: Mapping[Endpoint, str],
    cases: Sequence[Case],
    *,
    server: str | None = None,
    more: Mapping[Endpoint, Sequence[Recorded]] | None = None,
    heard: Callable[[Found], None] = lambda _: None,
) -> Report:
    """Ask every case, and what is recorded, in every API that this provider speaks, one after the other. Each is a call
    of a few tokens.

    Arguments:
        models: for each API the model that is asked, as the provider calls it; an API without one is not asked.
        server: which server it is, as `extending.recorded` knows them: its quirks, or its kind.
        more: further records, by API.
        heard: told of each as it comes.
    """
    found: list[Found] = []

    def keep(one: Found) -> None:
        found.append(one)
        heard(one)

    async with _asker(plan) as asker:
        provider = plan.make(plan.pools[0].settings)
        for spoken in (one for one in RECORDED if one in plan.speaks and one in models):
            if spoken in SPOKEN:
                suite = _Suite(asker, provider, spoken, models[spoken])
                for case in cases:
                    keep(await suite.ask(case))
            for each in (*recorded(spoken, server), *(more or {}).get(spoken, ())):
                model = models[spoken] if each.status < 400 else _NO_SUCH_MODEL
                outcome, told = await ask_recorded(asker, provider, spoken, model, each, _TIMEOUTS)
                keep(Found(each.name, spoken.value, outcome, False, _in_short(told), "shape", told))
    return Report(tuple(found), tuple(_unasked(plan, models)))


def _in_short(told: tuple[str, ...]) -> str:
    more = len(told) - _MOST_TOLD
    return "; ".join(told[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")


def _unasked(plan: ProviderPlan, models: Mapping[Endpoint, str]) -> Iterator[Unasked]:
    for one in Endpoint:
        if one in plan.speaks and one in RECORDED and one not in models:
            yield Unasked(one.value, f"say which model of it: --model {one.value}=NAME")
        elif one in plan.speaks and one not in RECORDED:
            yield Unasked(one.value, "nothing is recorded of it: it stores things, or wants sound or a session")


@asynccontextmanager
async def _asker(plan: ProviderPlan) -> AsyncIterator[Asker]:
    if plan.kind != "simulator":
        origin = Origin.from_url(plan.pools[0].base_url, proxy=plan.proxy, ca_file=plan.ca_file)
        async with asking(plan.name, origin) as asker:
            yield asker
        return
    from headworks.simulator import Plan, SimulatedUpstream, Simulator

    assert isinstance(plan.simulator_plan, Plan)
    upstream = SimulatedUpstream(Simulator(plan.simulator_plan, now=asyncio.get_running_loop().time))
    try:
        yield Asker(upstream, asyncio.get_running_loop())
    finally:
        await upstream.close()


class _Suite:
    """The cases in one of the provider's APIs. State: what was answered, so that what is alike is asked once."""

    def __init__(self, asker: Asker, provider: Provider, spoken: Endpoint, model: str) -> None:
        self._asker = asker
        self._provider = provider
        self._spoken = spoken
        self._model = model
        self._answers: dict[tuple[bytes, str], tuple[Bridge, Heard]] = {}

    async def ask(self, case: Case) -> Found:
        outcome, says = await self._judge(case)
        return Found(case.name, self._spoken.value, outcome, case.is_needed, says)

    async def _judge(self, case: Case) -> tuple[Outcome, str]:
        try:
            bridge, heard = await self._answer(case, _NO_SUCH_MODEL if case.expects_error else self._model)
        except Refusal as refusal:
            return "untranslated", f"{refusal.param or 'it'} has no place in this API"
        if heard.failure is not None:
            return "failed", heard.failure.detail.rstrip(".")
        if heard.status >= 300:
            return self._refused(case, heard)
        if case.expects_error:
            return "wrong", f"it is answered with {heard.status}"
        try:
            told = _streamed(bridge, heard) if case.fields.get("stream") else _whole(bridge, heard)
        except UnreadableAnswer as error:
            return "wrong", f"the answer is not what the API promises: {error}"
        except AttemptFailed as error:
            return "failed", error.failure.detail.rstrip(".")
        says = case.judge(told)
        if says or case.then is None:
            return ("wrong", says) if says else ("supported", "")
        return await self._judge(Case(case.name, case.then(told), _any, case.called))

    def _refused(self, case: Case, heard: Heard) -> tuple[Outcome, str]:
        kind = self._provider.classify(heard.status, heard.headers, heard.body).kind
        says = f"answered {heard.status}"
        if case.expects_error:
            is_told = kind in (FailureKind.REJECTED, FailureKind.GONE)
            return ("supported", "") if is_told else ("wrong", f"{says}, which means {kind.value}")
        return ("refused", says) if kind in _REJECTIONS else ("failed", f"{says}: {kind.value}")

    async def _answer(self, case: Case, model: str) -> tuple[Bridge, Heard]:
        body = json.dumps({"model": model, **case.fields}).encode()
        key = (body, case.called.value)
        if key not in self._answers:
            bridge = self._bridge(case.called, body)
            sent = bridge.request(body, model, limit_name=self._provider.limit_name)
            is_streamed = bool(case.fields.get("stream"))
            path = self._provider.call_path(self._spoken, model, is_streamed=is_streamed)
            request = self._provider.json_request(path, sent, b"")
            heard = await ask_patiently(self._asker, self._provider, request, _TIMEOUTS)
            self._answers[key] = bridge, heard
        return self._answers[key]

    def _bridge(self, called: Endpoint, body: bytes) -> Bridge:
        mode = self._provider.structured_output
        emulated = emulated_by(frozenset({self._spoken}), mode)
        if emulated is not None and wants_schema(called, read_fields(body)):
            return schema_bridge(called, emulated, body, mode)
        return DialectBridge(called, self._spoken, body)


def _any(_: Told) -> str:
    return ""


def _whole(bridge: Bridge, heard: Heard) -> Told:
    body, _ = bridge.answer(heard.body)
    return Told(msgspec.json.decode(body, type=dict[str, Any]))


def _streamed(bridge: Bridge, heard: Heard) -> Told:
    """A streamed response, read as its caller reads it.

    Raises:
        UnreadableAnswer: it did not end as it should.
    """
    steps = bridge.stream()
    answer: dict[str, Any] = {}
    pieces: list[str] = []
    for event in _events(b"".join(steps.feed(piece.data) for piece in heard.pieces)):
        if event["type"] == "response.output_text.delta":
            pieces.append(event["delta"])
        elif event["type"] in ("response.completed", "response.incomplete"):
            answer = event["response"]
    if not steps.is_complete or not answer:
        raise UnreadableAnswer("the stream has no end")
    return Told(answer, len(pieces), "".join(pieces))


def _events(data: bytes) -> Iterator[dict[str, Any]]:
    for block in EventSplitter().feed(data):
        event = parse_event(block)
        if event is not None:
            yield msgspec.json.decode(event.data, type=dict[str, Any])
