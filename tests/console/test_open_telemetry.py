"""Spans for a collector: what is in them, that the protocol's own reader takes them, and what becomes of refusals."""

import base64
import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from headworks.calls import Opened, Settled
from headworks.console.open_telemetry import OpenTelemetrySink, span_of
from headworks.errors import ConfigError, StorageError
from headworks.extending import SINKS, load_extension
from headworks.records import Batch, Selection, open_store

OPENED = Opened(
    "call_1", 1_700_000_000_000_000, "responses", "triage", "key_1", "ann", "blue", "u", "main", "gpt-6-luna", True, 90
)
ANSWERED = Settled(
    OPENED,
    "answered",
    200,
    250_000,
    40_000,
    finish_reason="stop",
    served_model="gpt-6-luna-2026-05-01",
    response_id="resp_1",
    input_tokens=1200,
    cached_tokens=1024,
    output_tokens=30,
    reasoning_tokens=8,
    usage_source="provider",
    attempts=2,
    workload="triage",
    prompt_version="1.2.0",
    trace_id="trace_4bf92f3577b34da6a3ce929d0e0e4736",
    cost_pico=123_456_789_012,
    price_version="t",
)
REFUSED = Settled(
    Opened("call_2", 1_700_000_001_000_000, "chat.completions", "fast"), "refused", 429, 90, error_code="rate_limited"
)


@pytest.fixture
def records(tmp_path):
    store = open_store(tmp_path)
    store.commit(Batch([ANSWERED, REFUSED]))
    found = sorted(store.select(Selection(limit=10)), key=lambda record: record.seq)
    store.close()
    return found


@contextmanager
def collector(status=200, said=b"{}"):
    """A server that keeps what it is sent; gives its address and that."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()


def read(body):
    """The request, by the classes that are generated from the protocol. Its JSON has ids in hexadecimal, where that of
    protobuf has base64 (OTLP 1.9, "JSON Protobuf Encoding")."""
    request = json.loads(gzip.decompress(body))
    for spans in request["resourceSpans"]:
        for span in spans["scopeSpans"][0]["spans"]:
            for name in ("traceId", "spanId"):
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return ParseDict(request, ExportTraceServiceRequest())


def values(span):
    def value(any_value):
        kind = any_value.WhichOneof("value")
        got = getattr(any_value, kind)
        return [one.string_value for one in got.values] if kind == "array_value" else got

    return {attribute.key: value(attribute.value) for attribute in span.attributes}


def test_the_protocols_own_reader_finds_what_a_call_was(records):
    with collector() as (address, got):
        OpenTelemetrySink({"endpoint": address, "headers": "x-team=blue%20sky,Api-Key=k", "service_name": "gw"}).write(
            records
        )
    ((path, sent, body),) = got
    headers = {name.lower(): value for name, value in sent.items()}
    assert (path, headers["x-team"], headers["api-key"]) == ("/v1/traces", "blue sky", "k")
    (resource,) = read(body).resource_spans
    assert values(resource.resource)["service.name"] == "gw"
    answered, refused = resource.scope_spans[0].spans

    assert (answered.name, answered.kind) == ("chat triage", Span.SPAN_KIND_CLIENT)
    assert answered.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert answered.end_time_unix_nano - answered.start_time_unix_nano == 250_000_000
    assert answered.start_time_unix_nano == 1_700_000_000_000_000_000
    assert answered.status.code == Status.STATUS_CODE_UNSET
    found = values(answered)
    assert {name: found[name] for name in found if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "main",
        "gen_ai.request.model": "gpt-6-luna",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "gpt-6-luna-2026-05-01",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.04,
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 1024,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 8,
    }
    assert (found["headworks.cost_pico_usd"], found["headworks.workload"]) == (123_456_789_012, "triage")
    assert (found["headworks.prompt.version"], found["headworks.attempts"]) == ("1.2.0", 2)

    assert (refused.status.code, refused.status.message) == (Status.STATUS_CODE_ERROR, "rate_limited")
    assert values(refused)["error.type"] == "rate_limited"
    assert "gen_ai.usage.input_tokens" not in values(refused)
    assert len({span.span_id for span in (answered, refused)} | {refused.trace_id}) == 3


def test_what_another_release_has_recorded_is_a_span_too(records):
    assert span_of(msgspec.structs.replace(records[0], endpoint="of.tomorrow"))["name"] == "of.tomorrow triage"


def test_the_same_call_is_the_same_span_when_it_is_sent_again(records):
    assert [span_of(one) for one in records] == [span_of(one) for one in records]


@pytest.mark.parametrize("named", ["", "run 7", "0" * 32, "4bf92f35"])
def test_what_is_no_trace_of_w3c_gives_a_trace_of_its_own(records, named):
    trace = span_of(msgspec.structs.replace(records[0], trace_id=named))["traceId"]

    assert len(trace) == 32
    assert trace.strip("0")
    assert trace == span_of(msgspec.structs.replace(records[0], trace_id="other"))["traceId"]


@pytest.mark.parametrize("status", [400, 401, 429, 503, 302])
def test_what_the_collector_does_not_take_is_given_again(records, status):
    with collector(status) as (address, _), pytest.raises(StorageError, match=f"answers {status}"):
        OpenTelemetrySink({"endpoint": address}).write(records)


def test_a_collector_that_is_away_is_told_without_its_key(records):
    with collector() as (address, _):
        pass
    with pytest.raises(StorageError, match="cannot be reached") as raised:
        OpenTelemetrySink({"endpoint": address, "headers": "authorization=secret"}).write(records)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "said", [b'{"partialSuccess": {"rejectedSpans": "1"}}', b'{"partialSuccess": {"rejectedSpans": 1}}']
)
def test_what_is_rejected_for_good_is_not_sent_again_and_is_told(records, said, capsys):
    with collector(said=said) as (address, _):
        OpenTelemetrySink({"endpoint": address}).write(records)

    assert capsys.readouterr().err == "headworks: the collector has rejected 1 of 2 spans for good\n"


@pytest.mark.parametrize("said", [b"", b"{}", b"\x0a\x00", b'{"partialSuccess": {}}', b"[]"])
def test_an_answer_that_says_nothing_is_a_good_one(records, said, capsys):
    with collector(said=said) as (address, _):
        OpenTelemetrySink({"endpoint": address}).write(records)

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs `endpoint`"),
        ({"endpoint": "127.0.0.1:4318"}, "needs `endpoint`"),
        ({"endpoint": "http://c", "header": "a=b"}, "has no setting `header`"),
        ({"endpoint": "http://c", "headers": "secret"}, "`headers` is not `name=value,name=value`"),
        ({"endpoint": "http://c", "headers": "a=b%0ac: d"}, "`headers` is not `name=value,name=value`"),
    ],
)
def test_settings_that_are_wrong_are_told(settings, message):
    with pytest.raises(ConfigError, match=message) as raised:
        OpenTelemetrySink(settings)
    assert "secret" not in str(raised.value)


def test_it_is_found_by_its_name():
    assert load_extension(SINKS, "opentelemetry") is OpenTelemetrySink
