"""Recorded calls over the admin API: what happened, and for who may read it, what was said."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from headworks.access import Right
from headworks.admin.api.operation import (
    Cursor,
    Moment,
    Operation,
    PageSize,
    Question,
    Visit,
    malformed,
    microseconds,
    operation,
    utc,
)
from headworks.admin.calls import get_call, search_calls, total_calls
from headworks.calls import Endpoint, Outcome, UsageSource, Verdict
from headworks.catalogue.money import usd_text
from headworks.records import Dimension, Record, Selection, Total

Text = Annotated[str, Meta(max_length=256)]


class CallAnswer(msgspec.Struct, frozen=True):
    """What is known of a call, without its content. Durations are microseconds; the cost is dollars, exact; null: not
    known."""

    call_id: str
    opened_at: datetime
    outcome: Outcome
    status: int
    error_code: str
    endpoint: str
    requested_model: str
    provider: str
    model: str
    served_model: str
    key_id: str
    owner: str
    team: str
    user: str
    is_streamed: bool
    total_us: int
    first_token_us: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage_source: UsageSource
    attempts: int
    finish_reason: str
    response_id: str
    upstream_request_id: str
    workload: str
    prompt_version: str
    verdict: Verdict
    repairs: int
    wasted_tokens: int
    trace_id: str
    course: str
    cost_usd: str | None


class CallPage(msgspec.Struct, frozen=True):
    """Calls, the newest first."""

    items: tuple[CallAnswer, ...]
    next: str | None


class CallContent(msgspec.Struct, frozen=True):
    """What is kept of a call's content; null: nothing is."""

    call_id: str
    request: str | None
    response: str | None


class TotalAnswer(msgspec.Struct, frozen=True):
    """What the calls of one group come to. `group` has a value for each dimension that was asked for."""

    group: dict[str, str | int]
    calls: int
    failures: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: str | None
    unknown_costs: int


class Totals(msgspec.Struct, frozen=True):
    """Groups, those with the most calls first."""

    items: tuple[TotalAnswer, ...]


class SearchCalls(Question, frozen=True):
    """Which calls; all that is given must hold."""

    since: Moment | None = None
    until: Moment | None = None
    key_id: Text = ""
    owner: Text = ""
    team: Text = ""
    user: Text = ""
    endpoint: Endpoint | None = None
    model: Annotated[str, Meta(max_length=256, description="`*` stands for anything.")] = ""
    provider: Text = ""
    min_status: Annotated[int, Meta(ge=0, le=599)] | None = None
    max_status: Annotated[int, Meta(ge=0, le=599)] | None = None
    outcome: tuple[Outcome, ...] = ()
    verdict: tuple[Verdict, ...] = ()
    error_code: Text = ""
    response_id: Text = ""
    workload: Text = ""
    prompt_version: Text = ""
    min_tokens: Annotated[int, Meta(ge=0)] = 0
    limit: PageSize = 50
    after: Cursor = ""


class OneCall(Question, frozen=True):
    """Which call."""

    call_id: Annotated[str, Meta(max_length=64)]


class SumUp(Question, frozen=True):
    """What is summed up, by whole hours."""

    by: Annotated[tuple[Dimension, ...], Meta(min_length=1, max_length=4)] = ("model",)
    since: Moment | None = None
    until: Moment | None = None


def _search(visit: Visit, asked: SearchCalls) -> CallPage:
    statuses = None
    if asked.min_status is not None or asked.max_status is not None:
        statuses = (asked.min_status or 0, 599 if asked.max_status is None else asked.max_status)
    selection = Selection(
        since_us=microseconds(asked.since),
        until_us=microseconds(asked.until),
        key_id=asked.key_id,
        owner=asked.owner,
        team=asked.team,
        user=asked.user,
        endpoint="" if asked.endpoint is None else asked.endpoint.value,
        model=asked.model,
        provider=asked.provider,
        statuses=statuses,
        outcomes=tuple(dict.fromkeys(asked.outcome)),
        error_code=asked.error_code,
        response_id=asked.response_id,
        min_tokens=asked.min_tokens,
        workload=asked.workload,
        prompt_version=asked.prompt_version,
        verdicts=tuple(dict.fromkeys(asked.verdict)),
        before=_place(asked.after) if asked.after else None,
        limit=asked.limit + 1,
    )
    found = search_calls(visit.desk, selection)
    shown = found[: asked.limit]
    is_more = len(found) > asked.limit
    return CallPage(tuple(map(_answer, shown)), _cursor(shown[-1]) if is_more else None)


def _show(visit: Visit, asked: OneCall) -> CallAnswer:
    return _answer(get_call(visit.desk, asked.call_id, with_content=False)[0])


def _content(visit: Visit, asked: OneCall) -> CallContent:
    record, content = get_call(visit.desk, asked.call_id, with_content=True)
    request, response = content.get("request"), content.get("response")
    return CallContent(
        record.call_id,
        None if request is None else request.decode(errors="replace"),
        None if response is None else response.decode(errors="replace"),
    )


def _sum_up(visit: Visit, asked: SumUp) -> Totals:
    by = tuple(dict.fromkeys(asked.by))
    found = total_calls(visit.desk, by, microseconds(asked.since), microseconds(asked.until))
    return Totals(tuple(_total(total, by) for total in found))


def _total(total: Total, by: tuple[Dimension, ...]) -> TotalAnswer:
    names = by if len(by) == len(total.group) else ("team", *by)
    is_known = total.unknown_costs < total.calls
    return TotalAnswer(
        dict(zip(names, total.group, strict=True)),
        total.calls,
        total.failures,
        total.input_tokens,
        total.cached_tokens,
        total.output_tokens,
        total.reasoning_tokens,
        usd_text(total.cost_pico) if is_known else None,
        total.unknown_costs,
    )


_SAME = tuple(name for name in CallAnswer.__struct_fields__ if name not in ("opened_at", "cost_usd"))


def _answer(record: Record) -> CallAnswer:
    opened_at = utc(record.opened_us / 1e6)
    assert opened_at is not None, "every call has a time"
    fields = {name: getattr(record, name) for name in _SAME}
    cost_usd = None if record.cost_pico is None else usd_text(record.cost_pico)
    return CallAnswer(opened_at=opened_at, cost_usd=cost_usd, **fields)


def _cursor(record: Record) -> str:
    return urlsafe_b64encode(f"{record.opened_us}.{record.seq}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, int]:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        opened_us, seq = (int(part) for part in text.split("."))
    except (Base64Error, ValueError):
        raise malformed("`after` is not what `next` said: begin again without it") from None
    if not (0 <= opened_us < 2**62 and 0 <= seq < 2**62):
        raise malformed("`after` is not what `next` said: begin again without it")
    return opened_us, seq


CALLS: tuple[Operation, ...] = (
    operation("GET", "/calls", "calls.search", "Search calls", Right.READ_CALLS, _search, SearchCalls, CallPage),
    operation("GET", "/calls/totals", "calls.totals", "Sum calls up", Right.READ_CALLS, _sum_up, SumUp, Totals),
    operation("GET", "/calls/{call_id}", "calls.show", "Show a call", Right.READ_CALLS, _show, OneCall, CallAnswer),
    operation(
        "GET",
        "/calls/{call_id}/content",
        "calls.content",
        "Read what is kept of a call's content",
        Right.READ_CONTENT,
        _content,
        OneCall,
        CallContent,
    ),
)
