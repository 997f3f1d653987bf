"""Step 9, settle: everything that is known of one call, gathered while it runs, and its two journal entries."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, time_ns
from typing import Any, Protocol

import msgspec

from headworks.calls import (
    NO_USAGE,
    Caller,
    Endpoint,
    Failure,
    FailureKind,
    JournalEntry,
    Opened,
    Outcome,
    Settled,
    SettledFromCache,
    SettledWithPrefix,
    Usage,
    Verdict,
    Weight,
)
from headworks.errors import StorageError
from headworks.structs import Untracked

_astuple = msgspec.structs.astuple


class Work(msgspec.Struct):
    """What a call has beyond a plain one because it belongs to a workload. Filled in by the step that learns it.

    The fields are those of `calls.Settled` from `workload` to `course`, by name, order and default. Content (the call's
    bodies and `template_values`) is sealed by whoever sets `content_expires_us`, before the call is settled.
    `prefix` is the fingerprint of the request, where the contract has it kept. `cached` is of a call that was given an
    earlier call's answer: what that cost in pico-dollars (-1: not known), and its age in seconds. `dropped` are the
    fields of the request that were left out for some target.
    """

    workload: str = ""
    prompt_version: str = ""
    prompt_hash: str = ""
    schema_hash: str = ""
    verdict: Verdict = ""
    repairs: int = 0
    wasted_tokens: int = 0
    caller_key: str = ""
    trace_id: str = ""
    template_values: bytes = b""
    content_expires_us: int = 0
    course: str = ""
    prefix: bytes = b""
    cached: tuple[int, int] | None = None
    dropped: tuple[str, ...] = ()

    @property
    def is_attempt_open(self) -> bool:
        """Whether the last attempt has begun, and nothing is said yet of its end."""
        last = self.course.rpartition("; ")[2]
        return last != "" and ": " not in last

    def note_attempt(self, target: str) -> None:
        """An attempt begins."""
        self.course = f"{self.course}; {target}" if self.course else target

    def note_end(self, how: str) -> None:
        """How it ended."""
        self.course = f"{self.course}: {how}"[:_MOST_COURSE]


_RESPONSES = Endpoint.RESPONSES.value
_MOST_COURSE = 2000
_PLAIN_FIELDS = Settled.__struct_fields__.index("workload")
_AFTER_WORK = Settled.__struct_fields__.index("cost_pico")
_WORK_FIELDS = _AFTER_WORK - _PLAIN_FIELDS

CANCELLED = "client_disconnected"
"""The code of a call whose caller has gone."""

UNTOLD = frozenset({FailureKind.TIMEOUT, FailureKind.BROKEN, FailureKind.INVALID, FailureKind.STOPPED})
"""Failures of an upstream that may have generated something: it is paid for, and nobody says how much."""


class Quota(Protocol):
    """What a call has taken of the quotas that it is under: `limiting.CallQuota`, where there are any.

    Attributes:
        money: what it may spend; None where it is under no budget.
    """

    money: Any

    def covers(self, station: Any) -> bool:
        """Whether what was reserved is for this very attempt, with nothing to find out: then it is used now."""
        ...

    def take(self, station: Any, now_s: float) -> Failure | None:
        """Reserve for one attempt at a target; why it cannot be made, if it cannot."""
        ...

    def believe(self, station: Any, status: int, headers: Mapping[bytes, bytes], now_s: float) -> None:
        """Take in what the provider's headers say is left."""
        ...

    def release(self, call: "OpenCall", cost_pico: int) -> None:
        """The call has ended, and came to so much; -1 where nobody knows."""
        ...

    def headers(self) -> bytes:
        """What its caller is told of the budgets that it is under, as lines of the answer's head."""
        ...


class OpenCall(Untracked, gc=False):
    """One call while it runs. Fields are filled in by the step that learns them.

    Fields that end in `_s` are times of `time.perf_counter`: the event loop's own clock stands still within a turn.
    `work` is None for a call that has nothing to say there, so that it pays nothing for it; `weight` for one that no
    quota of tokens can bind. `cost_pico` sums up what attempts cost, in pico-dollars; -1 as soon as that of one is not
    known. `home` is the provider, with its pool, that has what the call refers to, so that it goes nowhere else; ""
    where it may go anywhere. `saving` is done when what others will need to go on from the answer is on disk: before
    that the caller is not told its end. `seals` seals bodies that are kept, just before they are written down.
    """

    call_id: str
    caller: Caller
    endpoint: str
    opened_us: int
    request_bytes: int
    started_s: float
    source: str = ""
    requested_model: str = ""
    provider: str = ""
    model: str = ""
    user: str = ""
    is_streamed: bool = False
    is_settled: bool = False
    entry: Opened | None = None
    response_bytes: int = 0
    attempts: int = 0
    sent_s: float = 0.0
    head_s: float = 0.0
    first_s: float = 0.0
    usage: Usage = NO_USAGE
    error_code: str = ""
    finish_reason: str = ""
    served_model: str = ""
    response_id: str = ""
    upstream_request_id: str = ""
    request_body: bytes = b""
    response_body: bytes = b""
    work: Work | None = None
    cost_pico: int = 0
    price_version: str = ""
    service_tier: str = ""
    quota: Quota | None = None
    weight: Weight | None = None
    home: str = ""
    saving: "asyncio.Future[None] | None" = None
    seals: "Callable[[OpenCall], None] | None" = None

    def opened(self) -> Opened:
        """The entry to write before an upstream is called."""
        caller = self.caller
        self.entry = entry = Opened(
            self.call_id,
            self.opened_us,
            self.endpoint,
            self.requested_model,
            caller.key_id,
            caller.owner,
            caller.team,
            self.user,
            self.provider,
            self.model,
            self.is_streamed,
            self.request_bytes,
            "" if self.work is None else self.work.workload,
            self.source,
        )
        return entry

    def settled(self, outcome: Outcome, status: int, now_s: float) -> Settled:
        """The entry to write before the caller sees the end, at this time. A call is settled once."""
        assert not self.is_settled, "a call is settled once"
        self.is_settled = True
        if self.seals is not None:
            self.seals(self)
        usage = self.usage
        entry = self.entry or self.opened()
        if entry.model is not self.model or entry.provider is not self.provider:  # another target than the first
            entry = msgspec.structs.replace(entry, provider=self.provider, model=self.model)
        settled = Settled(
            entry,
            outcome,
            status,
            int((now_s - self.started_s) * 1e6),
            int((self.first_s - self.started_s) * 1e6) if self.first_s else 0,
            self.error_code,
            self.finish_reason,
            self.served_model,
            self.response_id,
            self.upstream_request_id,
            usage.input_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            usage.source,
            self.attempts,
            self.response_bytes,
            self.request_body,
            self.response_body,
            cost_pico=self.cost_pico if self.price_version or not self.provider else self._uncharged(outcome),
            price_version=self.price_version,
            service_tier=self.service_tier,
            extras=usage.extras,
        )
        work = self.work
        if work is None:
            return settled
        values = _astuple(settled)
        return Settled(*values[:_PLAIN_FIELDS], *_astuple(work)[:_WORK_FIELDS], *values[_AFTER_WORK:])

    def _uncharged(self, outcome: Outcome) -> int:
        """What a call costs of which no attempt was charged: nothing where nothing can have been used, or else -1, for
        that is not known. What belongs to no model (a stored response that is asked for again) is free."""
        if self.cost_pico < 0:
            return -1
        if not self.model or self.finish_reason == "degraded":
            return 0
        if outcome == "answered":
            return -1
        # The upstream may have been at work, and has not said so.
        is_untold = outcome == "cancelled" or self.error_code in UNTOLD
        return -1 if is_untold and self.attempts else 0

    def timings(self, now_s: float = 0.0) -> bytes:
        """The timing headers: how long the upstream took to its answer's head, and what was spent here.

        Arguments:
            now_s: where the time is known already; 0 to look.
        """
        upstream_us = int((self.head_s - self.sent_s) * 1e6) if self.head_s else 0
        own_us = int(((now_s or perf_counter()) - self.started_s) * 1e6) - upstream_us
        return b"x-headworks-upstream-ms: %d.%03d\r\nx-headworks-overhead-ms: %d.%03d\r\n" % (
            upstream_us // 1000,
            upstream_us % 1000,
            own_us // 1000,
            own_us % 1000,
        )


async def saved(call: OpenCall) -> None:
    """Wait for a call's `saving`. Whoever goes away meanwhile ends the wait, not what is waited for."""
    if call.saving is not None:
        await asyncio.shield(call.saving)


class CallMaker:
    """Begins calls. State: how many; the beginning that the ids of this millisecond share.

    A call id is `call_`, the time in milliseconds, a part that is this process's own, a counter. Ids sort by time and
    are unique over processes and machines; they are names, not secrets.

    Arguments:
        seals: of each, see `OpenCall`.
    """

    def __init__(self, seals: "Callable[[OpenCall], None] | None" = None) -> None:
        self._seals = seals
        self._own = os.urandom(5).hex()
        self._count = 0
        self._ms = 0
        self._beginning = ""

    def begin(self, endpoint: str, caller: Caller, request_bytes: int = 0, source: str = "") -> OpenCall:
        """A call that begins now."""
        now_us = time_ns() // 1000
        ms = now_us // 1000
        if ms != self._ms:
            self._ms = ms
            self._beginning = f"call_{ms:011x}{self._own}"
        self._count = count = (self._count + 1) & 0xFFFFFF
        call = OpenCall(
            f"{self._beginning}{count:06x}", caller, endpoint, now_us, request_bytes, perf_counter(), source
        )
        if self._seals is not None:
            call.seals = self._seals
        return call


class EntryWriter(Protocol):
    """What makes entries durable: `records.Journal`."""

    def append(self, entry: JournalEntry) -> None:
        """Write an entry; when this returns, it outlives the process.

        Raises:
            StorageError: it is not written.
        """
        ...

    def append_all(self, entries: Sequence[JournalEntry]) -> bool:
        """Write several at once; False, and nothing is written, where that cannot be."""
        ...


class Settlement:
    """Where calls are opened and settled: the journal, and what else learns of a call's end.

    Arguments:
        journal: makes entries durable.
        observe: called with each settled entry (metrics).
        note_response: called with each answered response (who may see it).
        unwritten: told of an entry that could not be written where no caller is left to be told.
    """

    def __init__(
        self,
        journal: EntryWriter,
        observe: Callable[[Settled], None],
        note_response: Callable[[OpenCall], None],
        unwritten: Callable[[StorageError], None],
    ) -> None:
        self.append = self._append = journal.append
        self.append_all = journal.append_all
        self._observe = observe
        self._note_response = note_response
        self._unwritten = unwritten

    def open(self, call: OpenCall) -> None:
        """Write that a call is about to be made.

        Raises:
            StorageError: it is not written, so nothing may go up.
        """
        self._append(call.opened())

    def settle(self, call: OpenCall, outcome: Outcome, status: int, now_s: float = 0.0) -> None:
        """Write how a call ended.

        Arguments:
            now_s: when, where the time is known already; 0 to look.

        Raises:
            StorageError: it is not written, so the caller may not see the end.
        """
        settled = self.sum_up(call, outcome, status, now_s or perf_counter())
        work = call.work
        if work is None:
            self._append(settled)
        elif work.cached is not None:
            self._append(SettledFromCache(settled, *work.cached))
        else:
            self._append(SettledWithPrefix(settled, work.prefix) if work.prefix else settled)

    def sum_up(self, call: OpenCall, outcome: Outcome, status: int, now_s: float) -> Settled:
        """The entry that says how a call ended, which is still to be written; everybody else is told."""
        settled = call.settled(outcome, status, now_s)
        self.tell(call, settled)
        return settled

    def tell(self, call: OpenCall, settled: Settled) -> None:
        """Tell everybody else how a call ended: its quotas, the metrics, and who owns what was made."""
        if call.quota is not None:
            call.quota.release(call, settled.cost_pico)
        self._observe(settled)
        if call.endpoint == _RESPONSES and call.response_id and settled.outcome == "answered":
            self._note_response(call)

    def record(self, settled: Settled) -> None:
        """Write what is known to have been used by a call that nobody waits for.

        Raises:
            StorageError: it is not written.
        """
        self._append(settled)
        self._observe(settled)

    def settle_gone(self, call: OpenCall, outcome: Outcome, status: int) -> None:
        """The same where the caller's answer does not depend on it."""
        try:
            self.settle(call, outcome, status)
        except StorageError as error:
            self._unwritten(error)

    def settle_cancelled(self, call: OpenCall) -> None:
        """The caller has gone. 499 is nginx's word for it; no caller sees it."""
        if not call.is_settled:
            call.error_code = call.error_code or CANCELLED
            self.settle_gone(call, "cancelled", 499)

    def settle_unrecorded(self, call: OpenCall, outcome: Outcome, status: int) -> None:
        """Count a call that there is no room to record."""
        settled = call.settled(outcome, status, perf_counter())
        if call.quota is not None:
            call.quota.release(call, settled.cost_pico)
        self._observe(settled)
