"""A sink of records that sends each call as a span to an OpenTelemetry collector, or to whoever speaks its protocol.

OTLP/HTTP with JSON (OpenTelemetry Protocol 1.9), attributes by the semantic conventions for generative AI (1.41, in
development) and, where those have none, below `headworks.`. A record holds no prompt and no answer, so no span does.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from http.client import HTTPException
from re import fullmatch
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request

from headworks._version import __version__
from headworks.calls import Endpoint
from headworks.errors import ConfigError, Problem, StorageError
from headworks.fetching import fetch
from headworks.records import Record
from headworks.telemetry import report

_TIMEOUT_S = 10.0
"""Of one export (OpenTelemetry, "OTLP exporter configuration": `OTEL_EXPORTER_OTLP_TIMEOUT`)."""

_PATH = "/v1/traces"
"""Where traces are taken, below an endpoint (OTLP 1.9, "OTLP/HTTP Request")."""

_CLIENT, _ERROR = 3, 2
"""Numbers of `Span.SpanKind.SPAN_KIND_CLIENT` and `Status.StatusCode.STATUS_CODE_ERROR` (trace.proto)."""

_OPERATIONS: Mapping[str, str] = {
    Endpoint.CHAT: "chat",
    Endpoint.RESPONSES: "chat",
    Endpoint.MESSAGES: "chat",
    Endpoint.COMPLETIONS: "text_completion",
}
"""Of endpoints, the convention's `gen_ai.operation.name`. Others go by their own name."""

_SETTINGS = frozenset({"endpoint", "headers", "service_name"})


class OpenTelemetrySink:
    """Sends batches, each in one POST.

    Arguments:
        settings: `endpoint`, the collector's URL (`http://127.0.0.1:4318`); `headers`, as `name=value,name=value`
            with escapes as in URLs (OpenTelemetry's `OTEL_EXPORTER_OTLP_HEADERS`); `service_name`.

    Raises:
        ConfigError: one is missing, or is not what it should be.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        unknown = sorted(settings.keys() - _SETTINGS)
        if unknown:
            raise _wrong(f"has no setting `{unknown[0]}`: there are {', '.join(sorted(_SETTINGS))}")
        self._url = _url(settings.get("endpoint", ""))
        self._headers = {
            "content-type": "application/json",
            "content-encoding": "gzip",
            "user-agent": f"headworks/{__version__}",
            **_headers(settings.get("headers", "")),
        }
        self._resource = {
            "attributes": [
                _attribute("service.name", settings.get("service_name", "headworks")),
                _attribute("service.version", __version__),
            ]
        }

    def write(self, records: Sequence[Record]) -> None:
        """Send these.

        Raises:
            StorageError: they were not taken.
        """
        spans = {"scope": {"name": "headworks", "version": __version__}, "spans": [span_of(one) for one in records]}
        body = json.dumps({"resourceSpans": [{"resource": self._resource, "scopeSpans": [spans]}]}).encode()
        # mtime: the same records are the same bytes.
        packed = gzip.compress(body, mtime=0)
        request = Request(self._url, packed, self._headers, method="POST")  # noqa: S310 - http or https, as was checked
        try:
            with fetch(request, timeout_s=_TIMEOUT_S) as answer:
                said = answer.read(65_536)
        except HTTPError as error:
            error.close()
            raise StorageError(f"the collector answers {error.code}") from None
        except (URLError, OSError, HTTPException) as error:
            why = getattr(error, "reason", None) or type(error).__name__
            raise StorageError(f"the collector cannot be reached: {why}") from None
        rejected = _rejected(said)
        if rejected:  # they may not be sent again (OTLP 1.9, "Partial Success")
            report(f"the collector has rejected {rejected} of {len(records)} spans for good")


def span_of(record: Record) -> dict[str, object]:
    """A call as a span, in OTLP's JSON: ids in hexadecimal, 64-bit integers as strings.

    Its trace is the one that the caller has named in `metadata.trace_id`, if that is one (32 hexadecimal digits, also
    behind `trace_`, as the OpenAI Agents SDK has it), else one of its own. The same call has the same ids each time.
    """
    begun_ns = record.opened_us * 1000
    operation = _OPERATIONS.get(record.endpoint, record.endpoint)
    span: dict[str, object] = {
        "traceId": _trace_id(record),
        "spanId": sha256(b"span " + record.call_id.encode()).hexdigest()[:16],
        "name": f"{operation} {record.requested_model}".rstrip(),
        "kind": _CLIENT,
        "startTimeUnixNano": str(begun_ns),
        "endTimeUnixNano": str(begun_ns + record.total_us * 1000),
        "attributes": [_attribute(name, value) for name, value in _attributes(record, operation)],
    }
    if record.outcome != "answered":
        span["status"] = {"code": _ERROR, "message": record.error_code or record.outcome}
    return span


def _trace_id(record: Record) -> str:
    named = record.trace_id.removeprefix("trace_").lower()
    if fullmatch("[0-9a-f]{32}", named) and named.strip("0"):
        return named
    return sha256(b"trace " + record.call_id.encode()).hexdigest()[:32]


def _attributes(record: Record, operation: str) -> Iterator[tuple[str, "str | int | bool | float | list[str]"]]:
    yield "gen_ai.operation.name", operation
    yield "headworks.call_id", record.call_id
    yield "headworks.outcome", record.outcome
    yield "http.response.status_code", record.status
    yield "gen_ai.request.stream", record.is_streamed
    for name, text in (
        ("gen_ai.provider.name", record.provider),
        ("gen_ai.request.model", record.model or record.requested_model),
        ("gen_ai.response.model", record.served_model),
        ("gen_ai.response.id", record.response_id),
        ("error.type", "" if record.outcome == "answered" else record.error_code or record.outcome),
        ("headworks.endpoint", record.endpoint),
        ("headworks.key_id", record.key_id),
        ("headworks.owner", record.owner),
        ("headworks.team", record.team),
        ("headworks.workload", record.workload),
        ("headworks.prompt.version", record.prompt_version),
        ("headworks.prompt.hash", record.prompt_hash),
        ("headworks.verdict", record.verdict),
        ("headworks.course", record.course),
        ("headworks.service_tier", record.service_tier),
        ("headworks.upstream_request_id", record.upstream_request_id),
    ):
        if text:
            yield name, text
    if record.finish_reason:
        yield "gen_ai.response.finish_reasons", [record.finish_reason]
    if record.first_token_us:
        yield "gen_ai.response.time_to_first_chunk", record.first_token_us / 1e6
    if record.usage_source != "none":
        yield "gen_ai.usage.input_tokens", record.input_tokens
        yield "gen_ai.usage.output_tokens", record.output_tokens
        yield "gen_ai.usage.cache_read.input_tokens", record.cached_tokens
        yield "gen_ai.usage.cache_creation.input_tokens", record.cache_write_tokens
        yield "gen_ai.usage.reasoning.output_tokens", record.reasoning_tokens
        yield "headworks.usage_source", record.usage_source
    if record.cost_pico is not None:
        # Exact, and a number for who sums up.
        yield "headworks.cost_pico_usd", record.cost_pico
        yield "headworks.cost_usd", record.cost_pico / 1e12
    yield "headworks.attempts", record.attempts
    if record.repairs:
        yield "headworks.repairs", record.repairs
    if record.wasted_tokens:
        yield "headworks.wasted_tokens", record.wasted_tokens
    if record.cache_age_s is not None:
        yield "headworks.cache_age_s", record.cache_age_s


def _attribute(name: str, value: "str | int | bool | float | list[str]") -> dict[str, object]:
    """One, as OTLP's JSON has it (protobuf's `AnyValue`)."""
    match value:
        case bool():
            return {"key": name, "value": {"boolValue": value}}
        case int():
            return {"key": name, "value": {"intValue": str(value)}}
        case float():
            return {"key": name, "value": {"doubleValue": value}}
        case str():
            return {"key": name, "value": {"stringValue": value}}
        case _:
            return {"key": name, "value": {"arrayValue": {"values": [{"stringValue": one} for one in value]}}}


def _rejected(said: bytes) -> int:
    """How many spans the collector says that it will never take; 0 where it says nothing that can be read."""
    try:
        partial = json.loads(said)["partialSuccess"]["rejectedSpans"]
        return int(partial)
    except (ValueError, TypeError, LookupError, RecursionError):
        return 0  # most say nothing


def _url(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise _wrong("needs `endpoint`, the URL of a collector: `http://127.0.0.1:4318`")
    return endpoint if parts.path.endswith(_PATH) else endpoint.rstrip("/") + _PATH


def _headers(text: str) -> dict[str, str]:
    found = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, equals, value = pair.partition("=")
        name, value = name.strip().lower(), unquote(value.strip())
        if not equals or not fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", name) or not value.isprintable():
            raise _wrong("`headers` is not `name=value,name=value`")  # and not what it is: it holds a key
        found[name] = value
    return found


def _wrong(message: str) -> ConfigError:
    return ConfigError(Problem("records.sinks", 0, 0, f"the sink `opentelemetry` {message}"))
