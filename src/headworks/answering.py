"""What goes to the caller around an answer: its headers, and the words for an attempt that failed."""

import math
import re
from collections.abc import Mapping
from time import time

import msgspec

from headworks.calls import Endpoint, Failure, FailureKind
from headworks.errors import Refusal
from headworks.headers import Lines, RawHeaders
from headworks.limits import parse_retry_after
from headworks.settlement import OpenCall

JSON = b"application/json"
EVENT_STREAM = b"text/event-stream; charset=utf-8"

STREAM_HEADERS = b"cache-control: no-cache, no-transform\r\nx-accel-buffering: no\r\n"
"""Ask proxies in front not to buffer or re-compress a stream (nginx `proxy_buffering`, 2026 documentation)."""

_CONTENT_TYPE = b"\r\ncontent-type:"
_FOREIGN_IDS = (b"apim-request-id", b"x-ms-request-id", b"x-generation-id", b"x-amzn-requestid")
"""Where Azure's gateway, OpenRouter and AWS say what they call an answer (2026-11)."""

_REQUEST_ID = b"\r\nx-request-id:"
_CONTENT_TYPE_BYTES = len(_CONTENT_TYPE)
_REQUEST_ID_BYTES = len(_REQUEST_ID)
_LIMITS = Lines(b"x-ratelimit-")
_ANTHROPIC_LIMITS = Lines(b"anthropic-ratelimit-")
_RENAMED_LIMITS = tuple(
    (f"anthropic-ratelimit-{of}-{what}".encode(), f"x-ratelimit-{what}-{of}".encode())
    for of in ("requests", "tokens")
    for what in ("limit", "remaining")
)
"""What counts the same at both. When a limit is full again Anthropic tells as a moment, OpenAI as a duration."""

_RELAYED_SOMETIMES = (Lines(b"retry-after"), Lines(b"x-should-retry:"), Lines(b"content-disposition:"))
"""Headers of errors and of files that go to the caller; the limits go with every answer."""

_STATUS_OF_FAILURE = {
    FailureKind.TIMEOUT: 504,
    FailureKind.RATE_LIMITED: 429,
    FailureKind.QUOTA: 429,
    FailureKind.OVERLOADED: 503,
    FailureKind.REJECTED: 400,
    FailureKind.TOO_LONG: 400,
    FailureKind.OVERSIZED: 429,
    FailureKind.REFUSED: 400,
    FailureKind.GONE: 404,
    FailureKind.STOPPED: 503,
    FailureKind.OPEN: 503,
    FailureKind.LIMITED: 429,
    FailureKind.BUDGET: 429,
    FailureKind.DENIED: 403,
    FailureKind.HELD: 403,
}

_KIND_OF_FAILURE = {FailureKind.LIMITED: "rate_limit_error", FailureKind.BUDGET: "insufficient_quota"}
"""OpenAI's words (error codes, 2026-10): `insufficient_quota` is that of an account whose budget is spent."""

IN_VAIN = frozenset({FailureKind.BUDGET, FailureKind.OVERSIZED})
"""What is told with 429, and is not better in a moment: a budget is used up, a request is larger than a limit."""

NO_COST = b"x-headworks-cost-usd: 0.000000000000\r\n"
"""Of an answer that no provider gave."""

STOPPED = Failure(FailureKind.STOPPED, "this gateway is stopping and could not wait for the answer's end")

_LATER = "Try again shortly; if it stays so, the gateway's operator must look at this upstream."
_WAYS_OUT = {
    FailureKind.TIMEOUT: "Try again, ask for a shorter answer, or have the operator allow this upstream more time.",
    FailureKind.RATE_LIMITED: "Try again later, and more slowly.",
    FailureKind.QUOTA: "The gateway's operator must raise the quota of its account at the provider.",
    FailureKind.OVERLOADED: "Try again in a moment.",
    FailureKind.INVALID: "The gateway's operator must look at this upstream: it does not keep to its API.",
    FailureKind.REJECTED: "Change the request; the provider would refuse it again.",
    FailureKind.GONE: "The gateway's operator must name another model, or a fallback.",
    FailureKind.TOO_LONG: "Shorten the input, or have the operator name a fallback with a larger context window.",
    FailureKind.OVERSIZED: "Ask for less at once: it is more than the provider's limit has room for, however long one "
    "waits; or have the operator name a fallback, or ask the provider for a higher limit.",
    FailureKind.REFUSED: "Change what the request is about; the same is refused again.",
}


class AnswerHead:
    """What the caller and the record get to see of the head of an upstream's answer; strings are empty where the
    upstream said nothing."""

    __slots__ = ("content_type", "relayed", "request_id")

    def __init__(self, content_type: bytes, request_id: bytes, relayed: bytes) -> None:
        self.content_type = content_type
        self.request_id = request_id
        self.relayed = relayed

    def render(self, call: OpenCall, target: bytes, content_type: bytes, now_s: float = 0.0) -> bytes:
        """The header block of the answer to the caller; `target` is the block that names the target, `now_s` the time
        where it is known already."""
        call_id = call.call_id.encode()
        return b"content-type: %b\r\nx-request-id: %b\r\nx-headworks-call-id: %b\r\n%b%b%b" % (
            content_type,
            self.request_id or call_id,
            call_id,
            target,
            _own_lines(call, now_s),
            self.relayed,
        )


def _own_lines(call: OpenCall, now_s: float) -> bytes:
    """Timings, what is left of the call's budgets, and what it costs, in dollars: the quantity is exact, so all of its
    twelve decimals are there. A cost that rests on tokens counted here is marked."""
    lines = call.timings(now_s)
    if call.quota is not None and call.quota.money is not None:
        lines += call.quota.headers()
    if call.price_version and call.cost_pico >= 0:
        lines += b"x-headworks-cost-usd: %d.%012d\r\n" % divmod(call.cost_pico, 1_000_000_000_000)
        if call.usage.source == "estimated":
            lines += b"x-headworks-cost-estimated: true\r\n"
    return lines


def answer_head(headers: Mapping[bytes, bytes], *, is_plain: bool) -> AnswerHead:
    """What is of use in all that the upstream sent.

    Arguments:
        is_plain: a JSON answer or a stream of events, and no error: nothing unusual is worth searching for.
    """
    raw = headers if isinstance(headers, RawHeaders) else RawHeaders.of(headers)
    head, find = raw.head, raw.lowered.find
    content_type = request_id = b""
    at = find(_CONTENT_TYPE) + _CONTENT_TYPE_BYTES
    if at >= _CONTENT_TYPE_BYTES:
        content_type = head[at : find(b"\r", at)].strip()
    at = find(_REQUEST_ID) + _REQUEST_ID_BYTES
    if at >= _REQUEST_ID_BYTES:
        request_id = head[at : find(b"\r", at)].strip()
        relayed = raw.block(_LIMITS)
    else:
        request_id, relayed = _foreign(raw)
    if not is_plain:
        relayed += b"".join([raw.block(line) for line in _RELAYED_SOMETIMES])
    return AnswerHead(content_type, request_id, relayed)


def _foreign(raw: RawHeaders) -> tuple[bytes, bytes]:
    """The id and the limits of an answer that has no `x-request-id`: Anthropic's names, and OpenAI's for the same; or
    just the id, as Azure and OpenRouter have it."""
    request_id = raw.get(b"request-id", b"")
    relayed = raw.block(_LIMITS)
    if request_id:
        relayed += b"request-id: %b\r\n%b" % (request_id, raw.block(_ANTHROPIC_LIMITS))
        for theirs, ours in _RENAMED_LIMITS:
            value = raw.get(theirs)
            if value is not None:
                relayed += b"%b: %b\r\n" % (ours, value)
    else:
        request_id = next((found for name in _FOREIGN_IDS if (found := raw.get(name, b""))), b"")
    return request_id, relayed


NO_RETRY = (("x-should-retry", "false"),)
"""Tells the clients of OpenAI and Anthropic not to try again what was tried again here (`_should_retry` of their
`_base_client.py`)."""

OPEN_BREAKER = (("x-headworks-breaker", "open"),)
"""Says of a refusal that nobody was asked, because the target's circuit breaker is open."""

_RETRY_LINE = re.compile(rb"^x-should-retry:[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE)


def without_retry(head: AnswerHead) -> AnswerHead:
    """The head of an error that was tried again already, and says so."""
    relayed = _RETRY_LINE.sub(b"", head.relayed) + b"x-should-retry: false\r\n"
    return AnswerHead(head.content_type, head.request_id, relayed)


def with_patience_of(failure: Failure, headers: Mapping[bytes, bytes]) -> Failure:
    """The failure with what the answer's head says of waiting, where its body does not."""
    if failure.retry_after_s is not None:
        return failure
    return msgspec.structs.replace(failure, retry_after_s=parse_retry_after(headers, time()))


def with_patience(head: AnswerHead, failure: Failure) -> AnswerHead:
    """The head of an error, with `retry-after` where the upstream says in its body alone how long to wait."""
    if failure.retry_after_s is None or b"retry-after:" in head.relayed.lower():
        return head
    line = b"retry-after: %d\r\n" % math.ceil(failure.retry_after_s)
    return AnswerHead(head.content_type, head.request_id, head.relayed + line)


def own_headers(call: OpenCall, content_type: bytes = JSON) -> bytes:
    """The header block of an answer of our own."""
    call_id = call.call_id.encode()
    return b"content-type: %b\r\nx-request-id: %b\r\nx-headworks-call-id: %b\r\n%b" % (
        content_type,
        call_id,
        call_id,
        call.timings(),
    )


def error_headers(call: OpenCall, refusal: Refusal) -> bytes:
    """The header block of a refusal."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in refusal.headers)
    if call.endpoint.startswith(Endpoint.MESSAGES.value):
        lines += request_id_line(call)
    return own_headers(call) + lines.encode("latin-1")


def request_id_line(call: OpenCall) -> str:
    """The id of a call where the client of Anthropic's API looks for it."""
    return f"request-id: {call.call_id}\r\n"


class UpstreamRefusal(Refusal):
    """The refusal of a call whose attempt failed; keeps how."""

    failure: Failure


def refusal_of(failure: Failure, *, status: int = 0) -> UpstreamRefusal:
    """What the caller is told of an attempt that failed without an answer worth passing on."""
    headers: tuple[tuple[str, str], ...] = ()
    if failure.retry_after_s is not None:
        headers = (
            ("retry-after", str(math.ceil(failure.retry_after_s))),
            ("retry-after-ms", str(math.ceil(failure.retry_after_s * 1000))),
        )
    if failure.kind is FailureKind.OPEN:
        headers += OPEN_BREAKER
    if failure.kind in IN_VAIN or (failure.kind is FailureKind.LIMITED and not failure.may_retry):
        headers += (("x-should-retry", "false"),)  # the official SDKs go by it
    refusal = UpstreamRefusal(
        status or _STATUS_OF_FAILURE.get(failure.kind, 502),
        failure.kind.value,
        words_for(failure),
        kind=_KIND_OF_FAILURE.get(failure.kind, "upstream_error"),
        headers=headers,
    )
    refusal.failure = failure
    return refusal


def words_for(failure: Failure) -> str:
    """A failure in a sentence for the caller."""
    if failure.kind is FailureKind.UNAUTHORIZED:
        return (
            f"The upstream refused this gateway's own credentials ({failure.detail}). "
            "Your key is fine; the gateway's operator must look at the provider's key."
        )
    if failure.kind is FailureKind.STOPPED:
        return "This gateway is stopping and could not wait for the answer's end; try again."
    if failure.kind is FailureKind.UNFIT:
        return f"The model's answer breaks the workload's schema ({failure.detail}) and ends here."
    if failure.kind is FailureKind.BLOCKED:
        return f"The model's answer is blocked by the workload's rules ({failure.detail}): do not act on it."
    if failure.kind is FailureKind.OPEN:
        return (
            f"The upstream has failed again and again, and is not asked just now ({failure.detail}): try again later."
        )
    if failure.kind in (FailureKind.DENIED, FailureKind.HELD, FailureKind.LIMITED, FailureKind.BUDGET):
        return f"{failure.detail[:1].upper()}{failure.detail[1:]}."
    return f"The upstream failed: {failure.detail}. {_WAYS_OUT.get(failure.kind, _LATER)}"


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def is_unknown_model(status: int, body: bytes) -> bool:
    """Whether an upstream says that it has no such model (OpenAI error codes guide, 2026-10; Anthropic, "Errors";
    google/rpc/code.proto)."""
    return status == 404 and any(word in body for word in (b'"model_not_found"', b'"not_found_error"', b'"NOT_FOUND"'))


def is_error_object(body: bytes) -> bool:
    """Whether this is an error in the shape of the OpenAI API, of which Anthropic's has more."""
    try:
        return "message" in _decode_object(_decode_object(body).get("error", b""))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
