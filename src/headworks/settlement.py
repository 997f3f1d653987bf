"""Step 9, settle: everything that is known of one call, gathered while it runs, and its two journal entries."""

import os
import time
from collections.abc import Callable

from headworks.calls import NO_USAGE, Caller, Opened, Outcome, Settled, Usage


class CallIds:
    """Makes call ids: `call_`, the time in milliseconds, a part that is this process's own, a counter.

    They sort by time and are unique over processes and machines; they are names, not secrets.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._own = os.urandom(5).hex()
        self._count = 0

    def next(self) -> str:
        """A new id."""
        self._count = (self._count + 1) & 0xFFFFFF
        return f"call_{int(self._now() * 1000):011x}{self._own}{self._count:06x}"


class OpenCall:
    """One call while it runs. Fields are filled in by the step that learns them; times are `time.perf_counter`'s."""

    __slots__ = (
        "attempts",
        "call_id",
        "caller",
        "endpoint",
        "error_code",
        "finish_reason",
        "first_s",
        "head_s",
        "is_opened",
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
    )

    def __init__(self, call_id: str, caller: Caller, endpoint: str, started_s: float, opened_us: int) -> None:
        self.call_id = call_id
        self.caller = caller
        self.endpoint = endpoint
        self.started_s = started_s
        self.opened_us = opened_us
        self.requested_model = self.provider = self.model = self.user = ""
        self.is_streamed = self.is_opened = self.is_settled = False
        self.request_bytes = self.response_bytes = self.attempts = 0
        self.sent_s = self.head_s = self.first_s = 0.0
        self.usage: Usage = NO_USAGE
        self.error_code = self.finish_reason = self.served_model = ""
        self.response_id = self.upstream_request_id = ""
        self.request_body = self.response_body = b""

    def opened(self) -> Opened:
        """The entry to write before an upstream is called."""
        self.is_opened = True
        caller = self.caller
        return Opened(
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

    def settled(self, outcome: Outcome, status: int, now_s: float) -> Settled:
        """The entry to write before the caller sees the end. A call is settled once."""
        assert not self.is_settled, "a call is settled once"
        self.is_settled = True
        usage = self.usage
        return Settled(
            self.opened(),
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
        )

    def timings(self, now_s: float) -> bytes:
        """The timing headers: how long the upstream took to its answer's head, and what was spent here."""
        upstream_s = self.head_s - self.sent_s if self.head_s else 0.0
        return b"x-headworks-upstream-ms: %.1f\r\nx-headworks-overhead-ms: %.2f\r\n" % (
            upstream_s * 1e3,
            (now_s - self.started_s - upstream_s) * 1e3,
        )
