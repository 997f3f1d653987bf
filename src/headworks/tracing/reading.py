"""Reading the body of `POST /v1/traces/ingest`, as `BackendSpanExporter` of the OpenAI Agents SDK sends it.

    {"data": [{"object": "trace", "id", "workflow_name", "group_id", "metadata"},
              {"object": "trace.span", "id", "trace_id", "parent_id", "started_at", "ended_at", "span_data", "error"}]}

Source: `agents/tracing/processors.py`, `spans.py`, `span_data.py`, 0.24. Inputs, outputs, metadata and the texts of
errors are what people said: they are skipped, not decoded.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from headworks.errors import Refusal

MOST_ITEMS = 1000
"""Most traces and spans in one body; the SDK sends up to 128."""

MOST_BODY_BYTES = 8 << 20
MOST_NAME_CHARACTERS = 200

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_OPTIONAL_ID = re.compile(r"[^\x00-\x1f\x7f]{0,256}")


class Trace(msgspec.Struct, frozen=True):
    """One run of an agent. `group_id` is what the application puts runs together by, a conversation say."""

    trace_id: str
    workflow: str
    group_id: str


class Span(msgspec.Struct, frozen=True):
    """One step of a run. Times are microseconds since the Unix epoch, 0 where none is given; `response_id` is that of
    the response that a model gave, where it is one's span."""

    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    name: str
    started_us: int
    ended_us: int
    response_id: str
    has_failed: bool


class Ingested(msgspec.Struct, frozen=True):
    """What was in one body."""

    traces: Sequence[Trace]
    spans: Sequence[Span]


class _SpanData(msgspec.Struct, frozen=True):
    type: str = ""
    name: str | None = None
    response_id: str | None = None


class _Item(msgspec.Struct, frozen=True):
    object: str
    id: str
    workflow_name: str | None = None
    group_id: str | None = None
    trace_id: str | None = None
    parent_id: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    span_data: _SpanData | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct, frozen=True):
    data: list[_Item]


_decode = msgspec.json.Decoder(_Body).decode
_AT = re.compile(r"`\$\.([a-z_.\[\]0-9]{1,60})`")


def read_traces(body: bytes) -> Ingested:
    """The traces and spans in a body. All of them are good, or none is taken.

    Raises:
        Refusal: 400 or 413; names the item and the field at fault, never what stands in it.
    """
    if len(body) > MOST_BODY_BYTES:
        raise Refusal(413, "request_too_large", f"A body of traces has at most {MOST_BODY_BYTES >> 20} MiB.")
    try:
        items = _decode(body).data
    except msgspec.ValidationError as error:
        found = _AT.search(str(error))
        where = found[1] if found else "data"
        raise _wrong(where, "is missing or of a wrong type") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "invalid_json", "The body is not valid JSON.") from None
    if len(items) > MOST_ITEMS:
        raise _wrong("data", f"has more than {MOST_ITEMS} traces and spans: send them in several bodies")
    traces: list[Trace] = []
    spans: list[Span] = []
    for index, item in enumerate(items):
        place = f"data[{index}]"
        if item.object == "trace":
            group_id = _optional(item.group_id, f"{place}.group_id")
            traces.append(Trace(_id(item.id, f"{place}.id"), _name(item.workflow_name), group_id))
        elif item.object == "trace.span":
            spans.append(_span(item, place))
        else:
            raise _wrong(f"{place}.object", "must be `trace` or `trace.span`")
    return Ingested(traces, spans)


def _span(item: _Item, place: str) -> Span:
    data = item.span_data or _SpanData()
    return Span(
        trace_id=_id(item.trace_id or "", f"{place}.trace_id"),
        span_id=_id(item.id, f"{place}.id"),
        parent_id=_optional(item.parent_id, f"{place}.parent_id"),
        kind=_name(data.type) or "span",
        name=_name(data.name),
        started_us=_moment(item.started_at, f"{place}.started_at"),
        ended_us=_moment(item.ended_at, f"{place}.ended_at"),
        response_id=_optional(data.response_id, f"{place}.span_data.response_id"),
        has_failed=len(memoryview(item.error)) > 0 and bytes(item.error) != b"null",
    )


def _id(text: str, place: str) -> str:
    if _ID.fullmatch(text) is None:
        raise _wrong(place, "must be an id: 1 to 128 letters, digits, `_`, `-`, `.` or `:`")
    return text


def _optional(text: str | None, place: str) -> str:
    if text is not None and _OPTIONAL_ID.fullmatch(text) is None:
        raise _wrong(place, "must be an id of at most 256 characters")
    return text or ""


def _name(text: str | None) -> str:
    """A name as it is kept: no longer than it can be shown."""
    return (text or "").encode("utf-8", "replace").decode()[:MOST_NAME_CHARACTERS]


def _moment(text: str | None, place: str) -> int:
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise _wrong(place, "must be a moment in ISO 8601") from None


def _wrong(place: str, what: str) -> Refusal:
    return Refusal(400, "invalid_value", f"Invalid value for '{place}': it {what}.", param=place)
