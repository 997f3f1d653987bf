"""What a store counts of output: how long answers are, and what was paid for and thrown away. Values and arithmetic."""

from collections.abc import Iterator
from typing import Literal, get_args

import msgspec

from headworks.calls import Settled

WasteReason = Literal["cut", "validation", "rejected", "cancelled", "failed"]
"""Why output was thrown away: *cut* at the maximum, it failed *validation* on the way to an answer, or there was none
and it was *rejected*; the client *cancelled*, the call *failed* after output had been paid for."""

WASTE_REASONS: tuple[WasteReason, ...] = get_args(WasteReason)

_CUT = frozenset({"length", "max_output_tokens"})
"""Finish reasons of an answer that reached its maximum: Chat's, and the Responses API's reason for `incomplete`."""

_JUDGED_BAD = frozenset({"repaired", "invalid", "blocked"})


class Span(msgspec.Struct, frozen=True):
    """Which calls to count: opened since (included) and until (not), in microseconds since the Unix epoch; of one
    workload. None is no bound; "" are calls of no workload."""

    since_us: int | None = None
    until_us: int | None = None
    workload: str | None = None


class OutputLengths(msgspec.Struct, frozen=True):
    """Answers of about one length: `calls` answers with 2^(bucket-1) to 2^bucket - 1 output tokens (bucket 0: none),
    `tokens` in all. `first_hour` is the first in which there were any, in Unix seconds."""

    workload: str
    prompt_version: str
    model: str
    bucket: int
    first_hour: int
    calls: int
    tokens: int


class Wasted(msgspec.Struct, frozen=True):
    """Output tokens that were thrown away for one reason, and in how many calls."""

    workload: str
    prompt_version: str
    reason: WasteReason
    calls: int
    tokens: int


class OutputCount(msgspec.Struct, frozen=True):
    """How many answers of a workload had exactly so many tokens; as `has_length` and `length_of` count."""

    workload: str
    output_tokens: int
    calls: int


def bucket_of(tokens: int) -> int:
    """The bucket for a length: 0 for 0, 1 for 1, 2 for 2 and 3, 3 for 4 to 7, ..."""
    return tokens.bit_length()


def bounds_of(bucket: int) -> tuple[int, int]:
    """The least and the greatest length in a bucket."""
    return (1 << bucket) >> 1, (1 << bucket) - 1


def has_length(call: Settled) -> bool:
    """Whether a call says something of how long answers are: a model answered it, and its tokens are known."""
    return call.outcome == "answered" and call.usage_source != "none" and call.finish_reason != "degraded"


def length_of(call: Settled) -> int:
    """Tokens of the answer that was given: without those of turns that were thrown away."""
    return max(0, call.output_tokens - max(0, call.wasted_tokens))


def _was_judged_bad(course: str) -> bool:
    """Whether an attempt's answer was found bad, though another one, or a static one, was given in the end."""
    return any(f": {verdict}" in course for verdict in ("invalid", "blocked", "output_invalid", "output_blocked"))


def wasted_by(call: Settled) -> Iterator[tuple[WasteReason, int]]:
    """What of a call's output was thrown away, by reason; never more in all than its `output_tokens`.

    What its workload threw away failed validation if the verdict or a repair says so; the rest of the output is
    counted where the call ended.
    """
    output = max(0, call.output_tokens)
    thrown = min(max(0, call.wasted_tokens), output)
    failed_validation = 0
    if call.repairs > 0 or call.verdict in _JUDGED_BAD or (thrown and _was_judged_bad(call.course)):
        failed_validation = output if call.verdict == "invalid" and not thrown else thrown
    if failed_validation:
        yield "validation" if call.outcome == "answered" else "rejected", failed_validation
    rest = output - failed_validation
    if call.outcome == "cancelled":
        reason: WasteReason = "cancelled"
    elif call.outcome != "answered":
        reason = "failed"
    elif call.finish_reason in _CUT:
        reason = "cut"
    else:
        # An answer that was good in the end: thrown away is only what the workload says.
        reason, rest = "failed", thrown - failed_validation
    if rest > 0:
        yield reason, rest
