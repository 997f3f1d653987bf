"""Hooks: other packages' code before and after a call, compiled from configuration, bounded in time, and audited.

A hook is asked before anything else is done with a call: before its contract, its screening, its quotas and budgets.
All of these judge what it has changed as they judge what callers send. Whoever has no hooks does not load this.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from headworks.access import Grant
from headworks.access.grant import ModelPattern
from headworks.admission import Admission
from headworks.auditing import event
from headworks.calls import JournalEntry, Settled
from headworks.dialects import RequestHead
from headworks.errors import Refusal, StorageError
from headworks.exchange import Request
from headworks.extending import CallEnd, CallFacts, CallRefused
from headworks.hook_changes import (
    Hooked,
    HookFailed,
    changed_by,
    end_of,
    facts_of,
    note,
    reports_of,
    what_differs,
)
from headworks.hook_checks import ObjectChecks, names_by_target
from headworks.hook_plans import HookPlan
from headworks.plans import form_of
from headworks.routing import Target
from headworks.settlement import OpenCall
from headworks.side_threads import SideThreads
from headworks.stations import Station
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
_MOST_MESSAGE = 1000


class Hooks:
    """The hooks of one configuration. State: what they are still to be told, and which failures were told of.

    Arguments:
        plans: in the order in which they are asked.
        append: writes a journal entry. Raises StorageError.

    Raises:
        ConfigError: one cannot be made any more.
    """

    def __init__(
        self, plans: Sequence[HookPlan], loop: asyncio.AbstractEventLoop, append: Callable[[JournalEntry], None]
    ) -> None:
        hooks = tuple(map(_Hook, plans))
        self._before = tuple(hook for hook in hooks if hook.asks is not None)
        self._after = tuple(hook for hook in hooks if hook.tells is not None)
        self._loop = loop
        self._append = append
        self._threads = SideThreads("hook", MOST_THREADS)
        self._tasks: set[asyncio.Task[None]] = set()

    def objects(self, named: Mapping[str, Target[Station]]) -> ObjectChecks:
        """Asks them about what is made at providers and asks models there.

        Arguments:
            named: the targets of public names.
        """
        return ObjectChecks(self, names_by_target(named))

    @property
    def asks_before(self) -> bool:
        """Whether any is asked before calls; if not, they go their usual way."""
        return bool(self._before)

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
            facts = facts_of(call, name, found, admission, grant, hook.plan.targets)
            try:
                changes = await self._ask(hook, hook.asks, facts)
                changed = found if changes is None else changed_by(changes, found, facts, admission, hook.name, reread)
            except CallRefused as refused:
                raise self._refusal(call, hook, refused) from None
            except Exception as error:  # noqa: BLE001 - whatever it is: not our code; its text may quote anything
                self._failed_before(call, hook, error, found.note)
                changed = msgspec.structs.replace(found, note=f"{found.note}hook {hook.name}: failed, gone on; ")
            found = changed
        note(call, found.note)
        return found

    def asks_team(self, team: str) -> bool:
        """Whether any hook is asked about calls of a team."""
        return any(not hook.plan.teams or team in hook.plan.teams for hook in self._before)

    async def check(self, call: OpenCall, asked: CallFacts, names: Collection[str], *, what: str, why: str) -> None:
        """Ask every hook that is concerned about what asks a model and goes as it is.

        Arguments:
            call: in whose record it stands.
            names: of the model; a hook is concerned that is concerned with any.
            what: is asked about, for whoever is refused.
            why: it goes as it is, for the same.

        Raises:
            Refusal: a hook refuses it, or wants it otherwise, or has failed.
        """
        for hook in self._before:
            if not any(hook.concerns(name, call.caller.team) for name in names):
                continue
            try:
                changes = await self._ask(hook, hook.asks, asked)
                others = "" if changes is None else what_differs(changes, asked)
            except CallRefused as refused:
                refusal = self._refusal(call, hook, refused)
                refusal.message = f"{refusal.message} (This is about {what}.)"
                raise refusal from None
            except Exception as error:  # noqa: BLE001 - as before a call
                self._failed_before(call, hook, error, "")
                note(call, f"hook {hook.name}: failed, gone on")
                continue
            if others and asked.manner != "count":
                note(call, f"hook {hook.name}: wants {others}, refused")
                raise Refusal(
                    403,
                    "hook_wants_change",
                    f"The hook `{hook.name}` sets {others} of {what}, and {why}: say it there as the hook has it, or "
                    "ask the gateway's operator how.",
                    kind="permission_error",
                )

    def _failed_before(self, call: OpenCall, hook: "_Hook", error: Exception, noted: str) -> None:
        """Tell of a failure. Raises Refusal: calls are not made without this hook."""
        why = str(error) if isinstance(error, HookFailed) else type(error).__name__
        self._failed(call.call_id, hook, why)
        if hook.plan.is_closed:
            note(call, f"{noted}hook {hook.name}: failed")
            raise Refusal(
                503,
                "hook_failed",
                f"The hook `{hook.name}` has failed, and calls are not made without it; the gateway's log says why.",
                kind="server_error",
            ) from None

    def _refusal(self, call: OpenCall, hook: "_Hook", refused: CallRefused) -> Refusal:
        note(call, f"hook {hook.name}: refused")
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
            task = self._loop.create_task(self._tell(hook, end_of(settled)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, hook: "_Hook", end: CallEnd) -> None:
        try:
            notes = await self._ask(hook, hook.tells, end)
            reports = [] if notes is None else reports_of(notes, hook.name, end)
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
        made = plan.make()
        self.asks = None if made.before is None else _Asked(made.before)
        self.tells = None if made.after is None else _Asked(made.after)
        self._models = tuple(map(ModelPattern, plan.models))

    def concerns(self, model: str, team: str) -> bool:
        if self.plan.teams and team not in self.plan.teams:
            return False
        return not self._models or any(pattern.matches(model) for pattern in self._models)


def _settle(over: "asyncio.Future[object]", work: Awaitable[object]) -> None:  # noqa: ARG001 - by a timer, too
    if not over.done():
        over.set_result(None)
