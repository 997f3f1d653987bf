"""What a stream comes to: what it said of itself, what it used and cost, as a part or whole of a call."""

from headworks.attempts import JUDGED, RULES
from headworks.calls import Failure, FailureKind, Usage
from headworks.dialects.bridging import BridgeStream, failure_of
from headworks.dialects.canonical import UpstreamError
from headworks.outcome import charge, estimate_usage, note
from headworks.plans import Plan
from headworks.settlement import OpenCall
from headworks.stream_terms import StreamTerms

JUDGED_BAD = JUDGED - {FailureKind.HELD}
"""What a screen says of a stream. While nothing has gone out, the call can still be answered in another way."""


def failed_within(steps: BridgeStream | None) -> Failure | None:
    """What a stream says that is an error and nothing else, where another target may do better."""
    summary = None if steps is None or steps.has_content else steps.summary()
    if summary is None or summary.terminal not in ("error", "failed"):
        return None
    failure = failure_of(UpstreamError(summary.error_code, ""))
    return failure if failure.kind in RULES else None


def sum_up(
    call: OpenCall, plan: Plan, steps: BridgeStream | None, failure: Failure | None, terms: StreamTerms | None
) -> None:
    """What the stream has said of itself, and what its end says of it."""
    text = ""
    if steps is not None:
        summary = steps.summary()
        note(call, summary)
        text = summary.text
    if failure is not None:
        call.error_code = failure.kind.value
    estimate_usage(call, plan, text)
    charge(call, plan)
    if terms is not None:
        _note_waste(call, failure)
        call.usage = usage_of_both(terms.spent, call.usage)


def note_unsent(call: OpenCall, plan: Plan, steps: BridgeStream, failure: Failure) -> None:
    """The same of a stream of which nothing has gone out. What was found unfit was generated, and is charged."""
    summary = steps.summary()
    note(call, summary)
    if failure.kind in JUDGED_BAD:
        estimate_usage(call, plan, summary.text)
        _note_waste(call, failure)
    charge(call, plan)


def note_part(call: OpenCall, plan: Plan, steps: BridgeStream) -> None:
    """The same of a stream that broke off and is gone on with: what has come of it was generated, and went out."""
    summary = steps.summary()
    note(call, summary)
    estimate_usage(call, plan, summary.text)
    charge(call, plan)


def _note_waste(call: OpenCall, failure: Failure | None) -> None:
    if call.work is not None and failure is not None and failure.kind in JUDGED_BAD:
        call.work.wasted_tokens += call.usage.output_tokens
        # Also where it was no screen that found it: what was withheld is not to be had from who has stored it either.
        call.work.verdict = call.work.verdict or "blocked"


def usage_of_both(one: Usage, other: Usage) -> Usage:
    """What two attempts of one call have used; estimated if a part of it is."""
    if one.source == "none":
        return other
    if other.source == "none":
        return one
    return Usage(
        one.input_tokens + other.input_tokens,
        one.cached_tokens + other.cached_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.output_tokens + other.output_tokens,
        one.reasoning_tokens + other.reasoning_tokens,
        "estimated" if "estimated" in (one.source, other.source) else "provider",
        details=one.details.plus(other.details) if one.details and other.details else one.details or other.details,
    )
