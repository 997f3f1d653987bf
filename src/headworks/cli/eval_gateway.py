"""The project's own pipeline, in this process, for evals: arms of a workload, a judge's and an embeddings model.

Calls of an eval go the way that every call goes (prompt, screening, schema, rules, repair), but to one model, without
fallback, canary and waiting for approval: what is measured is that model. The run's own log is their record; they are
not among the records of the traffic, whose figures they would distort.
"""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec

from headworks.assembly import Assembly
from headworks.calls import Settled, Usage
from headworks.catalogue import PriceArchive
from headworks.cli.eval_preparing import EvalArms, served_name
from headworks.config import Project, price_book
from headworks.config.data import why_not_to
from headworks.errors import CommandError, Refusal
from headworks.evals.golden import GoldenCase
from headworks.evals.runs import Arm, CallError, Reply
from headworks.evals.scorers import Answer, ToolCall
from headworks.exchange import Request
from headworks.hull import Hull
from headworks.library.mailbox import Mailbox
from headworks.records.answers import read_answer
from headworks.records.content import ContentVault
from headworks.screening import has_not_judged
from headworks.telemetry import Metrics
from headworks.wheel import TimerWheel

_INFRASTRUCTURE = frozenset(
    {
        "upstream_unreachable", "upstream_broken", "upstream_rate_limited", "upstream_quota_exhausted",
        "upstream_overloaded", "upstream_error", "upstream_invalid", "upstream_unauthorized", "upstream_model_gone",
        "gateway_stopping", "journal_full", "unknown_prompt_variable", "missing_prompt_variable",
        "invalid_prompt_variable", "rules_failed",
    }
)  # fmt: skip
"""Codes of errors that say nothing of how good a model is with a prompt: that there is no such model is one of them,
and that a case does not fit the prompt, so that no model was asked."""

_FINAL = frozenset(
    {
        "upstream_quota_exhausted", "upstream_unauthorized", "upstream_model_gone", "unknown_prompt_variable",
        "missing_prompt_variable", "invalid_prompt_variable",
    }
)  # fmt: skip
"""Of these: what asking again does not mend."""

_ANSWER_S = 600.0
_REASON = re.compile(r"\((.*)\) and was not passed on\.", re.DOTALL)
"""Of the sentence that a caller is told, what is particular."""


class _Tap(Metrics):
    """Hears of every settled call. State: those that nobody has asked for yet."""

    def __init__(self) -> None:
        super().__init__()
        self.settled: dict[str, Settled] = {}

    def observe(self, call: Settled) -> None:
        """Keep it until it is asked for."""
        self.settled[call.opened.call_id] = call


class EvalGateway:
    """The running pipeline; an asynchronous context manager, for one loop."""

    def __init__(self, arms: EvalArms, project: Project, workload: str) -> None:
        self._arms = arms
        self._workload = workload
        self._numbers = {arm.name: number for number, arm in enumerate(arms.arms)}
        self._book = price_book(project, PriceArchive(project.storage).current())
        self._tap = _Tap()
        self._vault = ContentVault(arms.settings.secret)
        self._allowed = {served_name(workload, number) for number in self._numbers.values()}

    @property
    def price_version(self) -> str:
        """Of the table that costs are computed with."""
        return self._book.version

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._arms.settings.project.storage.mkdir(parents=True, exist_ok=True)
        self._wheel = TimerWheel(loop)
        self._hull = Hull(
            self._arms.settings,
            worker=f"eval_{os.getpid()}",
            loop=loop,
            wheel=self._wheel,
            metrics=self._tap,
            is_keyless=True,
            is_measuring=True,
        )
        self._assembly = Assembly(self._arms.settings, self._hull)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._assembly.retire()
        self._hull.close()
        self._wheel.close()

    async def ask(self, arm: Arm, case: GoldenCase) -> Reply:
        """Ask a case of an arm, as a caller of the workload would. What goes wrong is in the reply."""
        body: dict[str, object] = {"model": served_name(self._workload, self._numbers[arm.name])}
        if arm.prompt_hash:
            body["prompt"] = {"variables": self._arms.variables_of(arm, case)}
        items = case.input_value()
        if items:
            body["input"] = items
        return await self.call("/v1/responses", body)

    async def call(self, path: str, body: Mapping[str, object]) -> Reply:
        """Make one call of the gateway's API.

        Raises:
            CommandError: what the cases hold must not go to this model.
        """
        self._check_data(str(body["model"]))
        status, headers, answer = await self._exchange(path, msgspec.json.encode(body))
        settled = self._tap.settled.pop(headers.get("x-headworks-call-id", ""), None)
        known = Reply() if settled is None else self._figures(settled)
        if status == 200 or status == 202:
            said = read_answer(answer)
            calls = tuple(ToolCall(one.name, one.arguments) for one in said.tool_calls)
            return msgspec.structs.replace(known, answer=Answer(said.text, calls))
        withheld = None if settled is None else self._withheld(settled)
        return msgspec.structs.replace(known, error=_error(status, headers, answer), withheld=withheld)

    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """The vectors of texts.

        Raises:
            ScoringFailed: there are none.
            CommandError: what the cases hold must not go to this model.
        """
        self._check_data(model)
        from headworks.evals.scorers import ScoringFailed

        status, headers, answer = await self._exchange(
            "/v1/embeddings", msgspec.json.encode({"model": model, "input": list(texts), "encoding_format": "float"})
        )
        self._tap.settled.pop(headers.get("x-headworks-call-id", ""), None)
        if status != 200:
            error = _error(status, headers, answer)
            raise ScoringFailed(f"the embeddings model gave no vectors ({error.code})")
        try:
            data = sorted(msgspec.json.decode(answer, type=_Embeddings).data, key=lambda one: one.index)
        except msgspec.DecodeError:
            raise ScoringFailed("the embeddings model gave no vectors in the form of the OpenAI API") from None
        return [one.embedding for one in data]

    def _check_data(self, model: str) -> None:
        """See that answers may go to a model that judges them: the contract of their workload may not allow it."""
        if model in self._allowed:
            return
        settings = self._arms.settings
        for workload, _ in settings.workloads:
            reason = why_not_to(settings.project.config, workload.contract.data, model)
            if reason:
                raise CommandError(f"the cases of {self._workload} must not go to `{model[:80]}`: {reason}")
        self._allowed.add(model)

    def _figures(self, settled: Settled) -> Reply:
        """What a call took. Repair turns are part of it: the caller waits for them and pays for them."""
        opened = settled.opened
        usage = Usage(
            settled.input_tokens,
            settled.cached_tokens,
            settled.cache_write_tokens,
            settled.output_tokens,
            settled.reasoning_tokens,
            settled.usage_source,
        )
        cost: int | None = settled.cost_pico
        if settled.cost_pico < 0:
            # What failed and told no usage counts as free: a time limit that passed must not make a cap impossible.
            is_free = usage.source == "none" and settled.outcome != "answered"
            cost = 0 if is_free and self._book.for_target(opened.provider, opened.model).is_known else None
        return Reply(
            usage=usage,
            cost_pico_usd=cost,
            latency_ms=settled.total_us / 1000,
            served_model=settled.served_model,
            call_id=opened.call_id,
        )

    def _withheld(self, settled: Settled) -> Answer | None:
        """What the model had said last, where that was not passed on. It is kept for who looks at the failing cases;
        the pipeline keeps it as it keeps content for replay, sealed."""
        call_id, workload = settled.opened.call_id, settled.workload
        body = self._vault.open(call_id, workload, "response", settled.response_body)
        if not body:
            return None
        said = read_answer(body)
        return Answer(said.text, tuple(ToolCall(one.name, one.arguments) for one in said.tool_calls))

    async def _exchange(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        pieces: list[bytes] = []
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def deliver(piece: bytes | BaseException | None) -> None:
            if isinstance(piece, bytes):
                pieces.append(piece)
            elif not ended.done():
                ended.set_result(None)

        mailbox = Mailbox(deliver)
        request = Request("POST", path, headers={b"content-type": b"application/json"}, body=body)
        gateway = self._assembly.gateway
        try:
            gateway.admit(request)
        except Refusal as refusal:
            gateway.refuse(refusal, request, mailbox)
        else:
            mailbox.running = gateway.handle(request, mailbox)
        try:
            async with asyncio.timeout(_ANSWER_S):
                await ended
        except BaseException:
            mailbox.cancel()
            raise
        if mailbox.head.exception() is not None:
            return 502, {}, b'{"error": {"code": "upstream_broken", "message": "the answer broke off"}}'
        status, block = mailbox.head.result()
        return status, _headers(block), b"".join(pieces)


class _Vector(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _Embeddings(msgspec.Struct):
    data: list[_Vector]


class _ErrorFields(msgspec.Struct):
    code: str | None = None
    message: str = ""


class _ErrorBody(msgspec.Struct):
    error: _ErrorFields


def _error(status: int, headers: Mapping[str, str], body: bytes) -> CallError:
    try:
        said = msgspec.json.decode(body, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = _ErrorFields()
    reason = _REASON.search(said.message)
    words = reason[1] if reason is not None else said.message
    code = said.code or f"http_{status}"
    if code == "output_blocked" and has_not_judged(words):
        code = "rules_failed"  # of a machine that is busy: that says nothing of the answer
    is_ours = status in (401, 404, 429) or status >= 500
    is_infrastructure = code in _INFRASTRUCTURE or (code.startswith("http_") and is_ours) or status == 429
    after = headers.get("retry-after", "")
    return CallError(
        code,
        # A provider's own words may repeat what was sent to it.
        words if code in _OWN_WORDS else "",
        is_infrastructure,
        float(after) if after.isdigit() else None,
        may_retry=code not in _FINAL,
    )


_OWN_WORDS = frozenset({"output_invalid", "output_blocked", "action_denied", "action_held", *_INFRASTRUCTURE})


def _headers(block: bytes) -> dict[str, str]:
    lines = [line.partition(b":") for line in block.split(b"\r\n") if line]
    return {name.decode("latin-1").lower(): value.strip().decode("latin-1") for name, _, value in lines}
