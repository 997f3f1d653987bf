"""Hooks: other packages' code before and after a call, compiled from configuration, bounded in time, and audited.

A hook is asked before anything else is done with a call: before its contract, its screening, its quotas and budgets.
All of these judge what it has changed as they judge what callers send. Whoever has no hooks does not load this.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from secrets import token_hex
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any

import msgspec

from headworks.access import Grant
from headworks.access.grant import ModelPattern
from headworks.admission import Admission, metadata_of
from headworks.auditing import event
from headworks.calls import Endpoint, JournalEntry, OutcomeReport, Settled
from headworks.composing import freed_fields
from headworks.dialects import RequestHead
from headworks.errors import Refusal, StorageError
from headworks.exchange import Request
from headworks.extending import PARAMETERS, CallEnd, CallFacts, CallRefused, Changes, JsonValue
from headworks.hook_plans import HookPlan
from headworks.plans import form_of
from headworks.records.outcomes import read_value
from headworks.settlement import OpenCall, Work
from headworks.side_threads import SideThreads
from headworks.telemetry import report

if TYPE_CHECKING:
    from headworks.compiled import CompiledWorkload

MOST_THREADS = 16
"""Of a worker, for hooks that are plain functions: as many of them can be asked at a time."""

MOST_TOLD = 1000
"""Calls of a worker that hooks are still to be told of; of further ones they learn nothing, and that is audited."""

TELL_EVERY_S = 10.0
"""A hook that fails is told of in the log and the audit log at once, and then as often, with how many calls it were."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NOTE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_MOST_NOTES = 32
_MOST_MESSAGE = 1000
_HAS_METADATA = (Endpoint.RESPONSES, Endpoint.CHAT)
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")

_encode = msgspec.json.Encoder().encode


class Hooked(msgspec.Struct, frozen=True):
    """A call as its hooks want it. `work` is its workload, None where it has none; `note` what they did, for its
    record."""

    request: Request
    head: RequestHead | None
    work: Any
    note: str


class HookFailed(Exception):
    """A hook answered what it may not, or took too long. The text says what, and quotes nothing."""


class Hooks:
    """The hooks of one configuration. State: what they are still to be told, and which failures were told of.

    Arguments:
        plans: in the order in which they are asked.
        append: writes a journal entry. Raises StorageError.
    """

    def __init__(
        self, plans: Sequence[HookPlan], loop: asyncio.AbstractEventLoop, append: Callable[[JournalEntry], None]
    ) -> None:
        self._before = tuple(_Hook(plan) for plan in plans if plan.before is not None)
        self._after = tuple(_Hook(plan) for plan in plans if plan.after is not None)
        self._loop = loop
        self._append = append
        self._threads = SideThreads("hook", MOST_THREADS)
        self._tasks: set[asyncio.Task[None]] = set()

    # -- before a call --------------------------------------------------------------------------------------------

    async def before(
        self,
        call: OpenCall,
        request: Request,
        head: RequestHead | None,
        admission: Admission,
        grant: Grant,
        work: "CompiledWorkload | None",
        reread: Callable[[Request, Admission], RequestHead | None],
    ) -> Hooked:
        """Ask every hook that this call concerns, one after the other.

        Arguments:
            reread: the head of a request that was changed.

        Raises:
            Refusal: a hook refuses the call, or has failed and calls are not made without it.
        """
        asked = head.model if head is not None else form_of(request, admission.route).model
        name = asked if work is None else work.name
        call.requested_model = name
        found = Hooked(request, head, work, "")
        for hook in self._before:
            if not hook.concerns(name, call.caller.team):
                continue
            facts = _facts(call, name, found, admission, grant, hook)
            try:
                changes = await self._ask(hook, hook.asks, facts)
                changed = found if changes is None else self._changed(changes, found, facts, admission, hook, reread)
            except CallRefused as refused:
                raise self._refusal(call, hook, refused) from None
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is: not our code; its text may quote anything
                why = str(error) if isinstance(error, HookFailed) else type(error).__name__
                self._failed(call.call_id, hook, why)
                if hook.plan.is_closed:
                    _note(call, f"{found.note}hook {hook.name}: failed")
                    raise Refusal(
                        503,
                        "hook_failed",
                        f"The hook `{hook.name}` has failed, and calls are not made without it; the gateway's log says "
                        "why.",
                        kind="server_error",
                    ) from None
                changed = msgspec.structs.replace(found, note=f"{found.note}hook {hook.name}: failed, gone on; ")
            found = changed
        return found

    def _changed(
        self,
        changes: object,
        found: Hooked,
        facts: CallFacts,
        admission: Admission,
        hook: "_Hook",
        reread: Callable[[Request, Admission], RequestHead | None],
    ) -> Hooked:
        """The call with these changes. Raises HookFailed: they are none that a hook may make."""
        if not isinstance(changes, Changes):
            raise HookFailed("it answered something else than Changes")
        if not changes.metadata and not changes.parameters and changes.target in ("", facts.targets[0]):
            return found
        head, work = found.head, found.work
        endpoint = admission.route.endpoint
        if changes.target and changes.target not in facts.targets:
            raise HookFailed("it chose a target that is not among those it may choose")
        is_body_changed = bool(changes.metadata or changes.parameters) or (work is None and bool(changes.target))
        if is_body_changed and (head is None or endpoint is Endpoint.GENERATE_CONTENT):
            raise HookFailed("it changed a call whose body has no place for that: it can only refuse it")
        said = [*(f"metadata.{one}" for one in sorted(changes.metadata)), *sorted(changes.parameters)]
        if changes.target:
            said.append(f"target {changes.target}")
        note = f"{found.note}hook {hook.name}: {', '.join(said)}; "
        if work is not None and changes.target:
            chosen = facts.targets.index(changes.target)
            chain = (work.chain[chosen], *(one for index, one in enumerate(work.chain) if index != chosen))
            work = msgspec.structs.replace(work, chain=chain)
        if not is_body_changed:
            return Hooked(found.request, head, work, note)
        assert head is not None, "it was looked for"
        fields = {**head.fields, **_parameters(changes.parameters, work, endpoint)}
        if changes.metadata:
            fields["metadata"] = _metadata(changes.metadata, head, endpoint)
        if work is None and changes.target:
            fields["model"] = msgspec.Raw(_encode(changes.target))
        request = found.request.again(_encode(fields))
        request.admission = admission
        try:
            head = reread(request, admission)
        except Refusal as refusal:
            raise HookFailed(f"it changed the call to one that cannot be made ({refusal.code})") from None
        return Hooked(request, head, work, note)

    def _refusal(self, call: OpenCall, hook: "_Hook", refused: CallRefused) -> Refusal:
        _note(call, f"hook {hook.name}: refused")
        code, status = str(refused.code), refused.status
        if _CODE.fullmatch(code) is None:
            code = "refused_by_hook"
        if status not in range(400, 500):
            status = 403
        kind = "permission_error" if status == 403 else "invalid_request_error"
        return Refusal(status, code, str(refused.message)[:_MOST_MESSAGE], kind=kind)

    # -- after a call ---------------------------------------------------------------------------------------------

    def observing(self, observe: Callable[[Settled], None]) -> Callable[[Settled], None]:
        """The same function, after which hooks are told, too; itself where there are none to tell."""
        if not self._after:
            return observe

        def both(settled: Settled) -> None:
            observe(settled)
            self._ended(settled)

        return both

    def _ended(self, settled: Settled) -> None:
        opened = settled.opened
        concerned = [
            hook for hook in self._after if hook.concerns(opened.workload or opened.requested_model, opened.team)
        ]
        for hook in concerned:
            if len(self._tasks) >= MOST_TOLD:
                self._failed(opened.call_id, hook, "too many calls are still to be told of")
                continue
            task = self._loop.create_task(self._tell(hook, _end(settled)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, hook: "_Hook", end: CallEnd) -> None:
        try:
            notes = await self._ask(hook, hook.tells, end)
            reports = [] if notes is None else _reports(notes, hook, end)
        except Exception as error:  # noqa: BLE001 - as before a call
            self._failed(end.call_id, hook, str(error) if isinstance(error, HookFailed) else type(error).__name__)
            return
        self._write(*reports)

    async def close(self) -> None:
        """Wait until all hooks that were told have answered, each within its time."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        for hook in {*self._before, *self._after}:
            self._tell_failures(hook, perf_counter())
        self._threads.close()

    # -- either ---------------------------------------------------------------------------------------------------

    async def _ask(self, hook: "_Hook", asked: "_Asked | None", about: CallFacts | CallEnd) -> object:
        """What a hook answers.

        Raises:
            HookFailed: it takes too long.
            Exception: whatever it raises.
        """
        assert asked is not None, "who has none is not asked"
        over: asyncio.Future[object] = self._loop.create_future()
        work: asyncio.Future[Any]
        if asked.is_async:
            work = self._loop.create_task(asked.function(about))
        else:
            work = self._threads.run(self._loop, partial(asked.function, about))
        timer = self._loop.call_later(hook.plan.timeout_s, _settle, over, work)
        work.add_done_callback(partial(_settle, over))
        try:
            await over
        finally:
            timer.cancel()
            if not work.done():
                work.cancel()
        if not work.done() or work.cancelled():
            raise HookFailed(f"it took longer than {hook.plan.timeout_s:g} s")
        answer: object = work.result()
        return answer

    def _failed(self, call_id: str, hook: "_Hook", why: str) -> None:
        hook.failures += 1
        hook.last_failure = (call_id, why)
        now_s = perf_counter()
        if now_s >= hook.quiet_until_s:
            self._tell_failures(hook, now_s)

    def _tell_failures(self, hook: "_Hook", now_s: float) -> None:
        if not hook.failures:
            return
        call_id, why = hook.last_failure
        calls = "a call" if hook.failures == 1 else f"{hook.failures} calls"
        policy = "closed" if hook.plan.is_closed else "open"
        report(f"the hook {hook.name} has failed for {calls}, of late {call_id}: {why}")
        detail: dict[str, str | int] = {"calls": hook.failures, "why": why, "on_failure": policy}
        hook.failures, hook.quiet_until_s = 0, now_s + TELL_EVERY_S
        self._write(
            event(
                "hook.failed",
                actor=f"hook:{hook.name}",
                origin="gateway",
                target=call_id,
                outcome="failed",
                detail=detail,
            )
        )

    def _write(self, *entries: JournalEntry) -> None:
        for entry in entries:
            try:
                self._append(entry)
            except StorageError as error:
                report(f"what a hook has said could not be written: {error}")


class _Asked:
    """A function of a hook, and whether it is `async`."""

    __slots__ = ("function", "is_async")

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)


class _Hook:
    """One of them. State: the failures that nobody has been told of yet."""

    def __init__(self, plan: HookPlan) -> None:
        self.plan = plan
        self.name = plan.name
        self.failures = 0
        self.last_failure = ("", "")
        self.quiet_until_s = 0.0
        self.asks = None if plan.before is None else _Asked(plan.before)
        self.tells = None if plan.after is None else _Asked(plan.after)
        self._models = tuple(map(ModelPattern, plan.models))

    def concerns(self, model: str, team: str) -> bool:
        if self.plan.teams and team not in self.plan.teams:
            return False
        return not self._models or any(pattern.matches(model) for pattern in self._models)


def _settle(over: "asyncio.Future[object]", work: Awaitable[object]) -> None:  # noqa: ARG001 - by a timer, too
    if not over.done():
        over.set_result(None)


def _facts(call: OpenCall, name: str, found: Hooked, admission: Admission, grant: Grant, hook: _Hook) -> CallFacts:
    head, work = found.head, found.work
    if work is not None:
        targets = tuple(f"{target.provider}/{target.model}" for target in work.chain)
    else:
        usual = head.model if head is not None else name
        others = () if head is None else hook.plan.targets
        targets = (usual, *(other for other in others if other != usual and grant.may_use(other)))
    return CallFacts(
        call_id=call.call_id,
        endpoint=call.endpoint,
        model=name,
        workload="" if work is None else name,
        key_id=call.caller.key_id,
        owner=call.caller.owner,
        team=call.caller.team,
        is_streamed=False if head is None else head.is_streamed,
        request_bytes=call.request_bytes,
        metadata={} if head is None or admission.route.endpoint not in _HAS_METADATA else metadata_of(head),
        parameters={} if head is None else _shown(head),
        targets=targets,
    )


def _shown(head: RequestHead) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for name, raw in head.fields.items():
        if name in PARAMETERS:
            try:
                found[name] = msgspec.json.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue  # its provider judges it
    return found


def _parameters(
    wanted: Mapping[str, JsonValue], work: "CompiledWorkload | None", endpoint: Endpoint
) -> dict[str, msgspec.Raw]:
    """Raises HookFailed: there is one among them that a hook may not set, or that the contract fixes."""
    if not wanted.keys() <= PARAMETERS:
        raise HookFailed("it set a field that hooks may not set")
    if work is not None:
        freed = freed_fields(work.contract.caller_may_set)
        fixed = work.fixed[Endpoint.CHAT if endpoint is Endpoint.CHAT else Endpoint.RESPONSES].keys()
        taken = [name for name in wanted if name in fixed and name not in freed]
        most = work.limit
        if most is not None:
            taken += [
                name for name in _LIMITS if name in wanted and name not in freed and not _is_within(wanted[name], most)
            ]
        if taken:
            raise HookFailed(f"it set `{taken[0]}`, which the contract of `{work.name}` fixes")
    try:
        return {name: msgspec.Raw(_encode(value)) for name, value in wanted.items()}
    except (TypeError, ValueError, RecursionError):
        raise HookFailed("it set a field to something that is no JSON") from None


def _is_within(value: JsonValue, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value <= most


def _metadata(wanted: Mapping[Any, Any], head: RequestHead, endpoint: Endpoint) -> msgspec.Raw:
    if endpoint not in _HAS_METADATA:
        raise HookFailed("it set metadata, and this API has none")
    if not all(isinstance(name, str) and isinstance(value, str) for name, value in wanted.items()):
        raise HookFailed("it set metadata that is no text")
    return msgspec.Raw(_encode({**metadata_of(head), **wanted}))


def _end(settled: Settled) -> CallEnd:
    opened = settled.opened
    return CallEnd(
        call_id=opened.call_id,
        endpoint=opened.endpoint,
        requested_model=opened.requested_model,
        workload=opened.workload,
        key_id=opened.key_id,
        owner=opened.owner,
        team=opened.team,
        provider=opened.provider,
        model=opened.model,
        served_model=settled.served_model,
        outcome=settled.outcome,
        status=settled.status,
        error_code=settled.error_code,
        finish_reason=settled.finish_reason,
        verdict=settled.verdict,
        attempts=settled.attempts,
        total_us=settled.total_us,
        first_token_us=settled.first_token_us,
        input_tokens=settled.input_tokens,
        cached_tokens=settled.cached_tokens,
        output_tokens=settled.output_tokens,
        reasoning_tokens=settled.reasoning_tokens,
        cost_pico=settled.cost_pico,
    )


def _reports(notes: Any, hook: _Hook, end: CallEnd) -> list[OutcomeReport]:
    """What a hook has found out, as outcomes of the call. Raises HookFailed: it is none."""
    if not isinstance(notes, Mapping) or len(notes) > _MOST_NOTES:
        raise HookFailed(f"it answered something else than a mapping of at most {_MOST_NOTES} names")
    reports = []
    for name, value in notes.items():
        if not isinstance(name, str) or _NOTE.fullmatch(name) is None:
            raise HookFailed("it gave a note a name that is none")
        try:
            kind, written = read_value(value)
        except Refusal as refusal:
            raise HookFailed(f"its note `{name}` cannot be kept: {refusal.message}") from None
        reports.append(
            OutcomeReport(
                f"outcome_{token_hex(12)}",
                time_ns() // 1000,
                name,
                kind,
                written,
                call_id=end.call_id,
                key_id=end.key_id,
                source=f"hook:{hook.name}",
                team=end.team,
            )
        )
    return reports


def _note(call: OpenCall, text: str) -> None:
    call.work = call.work or Work()
    call.work.course = text.removesuffix("; ")


def note_hooks(call: OpenCall, found: Hooked) -> None:
    """Put into a call's record what its hooks have done."""
    if found.note:
        _note(call, found.note)
