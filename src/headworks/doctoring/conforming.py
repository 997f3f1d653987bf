"""Asking the suite of `extending` of one provider, through the same codecs as calls go."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from headworks.calls import AttemptFailed, Endpoint, FailureKind, UnreadableAnswer
from headworks.dialects import Bridge, EventSplitter, parse_event, read_fields
from headworks.dialects.bridging import DialectBridge
from headworks.dialects.structured import emulated_by, schema_bridge, wants_schema
from headworks.doctoring.asking import Asker, Heard, asking
from headworks.errors import Refusal
from headworks.exchange import Timeouts
from headworks.extending import Case, Outcome, Told
from headworks.provider_plans import ProviderPlan
from headworks.providers import Provider
from headworks.transport import Origin

_SPOKEN = (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE)
_TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=60.0, between_bytes_s=30.0, total_s=120.0)
_REJECTIONS = (FailureKind.REJECTED, FailureKind.REFUSED, FailureKind.TOO_LONG)
_NO_SUCH_MODEL = "headworks-no-such-model"


class Found(msgspec.Struct, frozen=True):
    """What came of one case. `spoken` is the API in which the provider was asked; `says` what was wrong, quoting
    nothing of the answer."""

    case: str
    spoken: str
    outcome: Outcome
    is_needed: bool
    says: str = ""


async def conform(
    plan: ProviderPlan, model: str, cases: Sequence[Case], *, heard: Callable[[Found], None] = lambda _: None
) -> list[Found]:
    """Ask every case in every API that this provider speaks, one after the other. Each is a call of a few tokens.

    Arguments:
        model: as the provider calls it.
        heard: told of each as it comes.
    """
    found = []
    async with _asker(plan) as asker:
        provider = plan.make(plan.pools[0].settings)
        for spoken in _SPOKEN:
            if spoken not in plan.speaks:
                continue
            suite = _Suite(asker, provider, spoken, model)
            for case in cases:
                found.append(await suite.ask(case))
                heard(found[-1])
    return found


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
            heard = await self._asker.ask(self._provider.json_request(path, sent, b""), _TIMEOUTS)
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
