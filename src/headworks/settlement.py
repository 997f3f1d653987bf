"""Step 9, settle: everything that is known of one call, gathered while it runs, and its two journal entries."""

import os
from collections.abc import Callable
from time import perf_counter, time_ns
from typing import Protocol

import msgspec

from headworks.calls import NO_USAGE, Caller, JournalEntry, Opened, Outcome, Settled, Usage, Verdict
from headworks.errors import StorageError
from headworks.flow import Signal

_astuple = msgspec.structs.astuple


class Work(msgspec.Struct):
    """What a call has beyond a plain one because it belongs to a workload. Filled in by the step that learns it.

    The fields are the last ones of `calls.Settled`, by name, order and default. Content (the call's bodies and
    `template_values`) is sealed by whoever sets `content_expires_us`, before the call is settled.
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


_PLAIN_FIELDS = Settled.__struct_fields__.index("workload")


class OpenCall:
    """One call while it runs. Fields are filled in by the step that learns them.

    Fields that end in `_s` are times of `time.perf_counter`: the event loop's own clock stands still within a turn.
    `work` is None for a call that has nothing to say there, so that it pays nothing for it.
    """

    __slots__ = (
        "attempts",
        "call_id",
        "caller",
        "endpoint",
        "entry",
        "error_code",
        "finish_reason",
        "first_s",
        "head_s",
        "is_settled",
        "is_streamed",
        "model",
        "opened_us",
        "provider",
        "request_body",
        "request_bytes",
        "requested_model",
        "response_body",
        "response_bytes",
        "response_id",
        "sent_s",
        "served_model",
        "started_s",
        "upstream_request_id",
        "usage",
        "user",
        "work",
    )

    def __init__(self, call_id: str, caller: Caller, endpoint: str, opened_us: int, request_bytes: int) -> None:
        self.call_id = call_id
        self.caller = caller
        self.endpoint = endpoint
        self.opened_us = opened_us
        self.request_bytes = request_bytes
        self.started_s = perf_counter()
        self.requested_model = self.provider = self.model = self.user = ""
        self.is_streamed = self.is_settled = False
        self.entry: Opened | None = None
        self.response_bytes = self.attempts = 0
        self.sent_s = self.head_s = self.first_s = 0.0
        self.usage: Usage = NO_USAGE
        self.error_code = self.finish_reason = self.served_model = self.response_id = self.upstream_request_id = ""
        self.request_body = self.response_body = b""
        self.work: Work | None = None

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
        )
        return entry

    def settled(self, outcome: Outcome, status: int) -> Settled:
        """The entry to write before the caller sees the end. A call is settled once."""
        assert not self.is_settled, "a call is settled once"
        self.is_settled = True
        usage = self.usage
        settled = Settled(
            self.entry or self.opened(),
            outcome,
            status,
            int((perf_counter() - self.started_s) * 1e6),
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
        )
        work = self.work
        if work is None:
            return settled
        return Settled(*_astuple(settled)[:_PLAIN_FIELDS], *_astuple(work))

    def timings(self) -> bytes:
        """The timing headers: how long the upstream took to its answer's head, and what was spent here."""
        upstream_us = int((self.head_s - self.sent_s) * 1e6) if self.head_s else 0
        own_us = int((perf_counter() - self.started_s) * 1e6) - upstream_us
        return b"x-headworks-upstream-ms: %d.%03d\r\nx-headworks-overhead-ms: %d.%03d\r\n" % (
            upstream_us // 1000,
            upstream_us % 1000,
            own_us // 1000,
            own_us % 1000,
        )


class CallMaker:
    """Begins calls. State: how many; the beginning that the ids of this millisecond share.

    A call id is `call_`, the time in milliseconds, a part that is this process's own, a counter. Ids sort by time and
    are unique over processes and machines; they are names, not secrets.
    """

    def __init__(self) -> None:
        self._own = os.urandom(5).hex()
        self._count = 0
        self._ms = 0
        self._beginning = ""

    def begin(self, endpoint: str, caller: Caller, request_bytes: int = 0) -> OpenCall:
        """A call that begins now."""
        now_us = time_ns() // 1000
        ms = now_us // 1000
        if ms != self._ms:
            self._ms = ms
            self._beginning = f"call_{ms:011x}{self._own}"
        self._count = count = (self._count + 1) & 0xFFFFFF
        return OpenCall(f"{self._beginning}{count:06x}", caller, endpoint, now_us, request_bytes)


class EntryWriter(Protocol):
    """What makes entries durable: `records.Journal`."""

    def append_nowait(self, entry: JournalEntry, then: Callable[[StorageError | None], object] | None = None) -> None:
        """Write an entry at the end of this turn of the loop, then call `then` with None or with what went wrong."""
        ...


class Settlement:
    """Where calls are opened and settled: the journal, and what else learns of a call's end.

    Arguments:
        journal: makes entries durable.
        observe: called with each settled entry (metrics).
        note_response: called with each answered response (who may see it).
    """

    def __init__(
        self,
        journal: EntryWriter,
        observe: Callable[[Settled], None],
        note_response: Callable[[OpenCall], None],
    ) -> None:
        self._append = journal.append_nowait
        self._observe = observe
        self._note_response = note_response

    def open(self, call: OpenCall) -> Signal[StorageError | None]:
        """Write that a call is about to be made; await it, then raise the error if it is one."""
        written: Signal[StorageError | None] = Signal()
        self._append(call.opened(), written.set)
        return written

    def open_then(self, call: OpenCall, then: Callable[[StorageError | None], object]) -> None:
        """Write that a call is about to be made, then go on with `then`."""
        self._append(call.opened(), then)

    def settle(self, call: OpenCall, outcome: Outcome, status: int) -> Signal[StorageError | None]:
        """Write how a call ended; await it, then raise the error if it is one."""
        written: Signal[StorageError | None] = Signal()
        self.settle_then(call, outcome, status, written.set)
        return written

    def settle_then(
        self, call: OpenCall, outcome: Outcome, status: int, then: Callable[[StorageError | None], object]
    ) -> None:
        """Write how a call ended, then go on with `then`."""
        settled = call.settled(outcome, status)
        self._observe(settled)
        if call.response_id and outcome == "answered":
            self._note_response(call)
        self._append(settled, then)

    def settle_cancelled(self, call: OpenCall) -> None:
        """The caller has gone. 499 is nginx's word for it; no caller sees it."""
        if not call.is_settled:
            call.error_code = call.error_code or "client_disconnected"
            settled = call.settled("cancelled", 499)
            self._observe(settled)
            self._append(settled)

    def settle_unrecorded(self, call: OpenCall, outcome: Outcome, status: int) -> None:
        """Count a call that there is no room to record."""
        self._observe(call.settled(outcome, status))
