"""What a hostile caller, or a hostile provider, sends ends as a refusal: no fault of ours, no memory, no second header.

The process is watched from outside: its answers, what it logs, and the most memory that it ever held.
"""

import gzip
import json
import re
import sys

import pytest
from watching import COMPLETION, plain, well

MEGABYTE = 1 << 20
GROWTH = 64 * MEGABYTE
"""By which hostile input may raise the peak: the figure of the acceptance suite (H29)."""

SEGMENT = gzip.compress(bytes(MEGABYTE), 9)
"""A kilobyte that is a megabyte; a stream of gzip may have many (RFC 1952 §2.2)."""

CHAT = "/v1/chat/completions"
WORDS = [{"role": "user", "content": "x"}]


def linux_only():
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak of another process is read from /proc")


DEEP = 100_000
BODIES = {
    "deep list": b"[" * DEEP,
    "deep list that ends": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep content": b'{"model":"M","messages":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep field": b'{"model":"M","messages":[{"role":"user","content":"x"}],"metadata":'
    + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "deep input": b'{"model":"M","input":' + b'[{"content":' * DEEP + b"1" + b"}]" * DEEP + b"}",
    "deep schema": b'{"model":"M","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema",'
    b'"json_schema":{"name":"x","schema":' + b'{"not":' * DEEP + b"{}" + b"}" * DEEP + b"}}}",
    "huge whole number": b'{"model":"M","messages":[{"role":"user","content":"x"}],"max_tokens":'
    + b"9" * 10_000 + b"}",
    "huge number elsewhere": b'{"model":"M","messages":[{"role":"user","content":"x"}],"seed":' + b"9" * 10_000 + b"}",
    "huge exponent": b'{"model":"M","messages":[{"role":"user","content":"x"}],"temperature":1e999999999}',
    "not a number": b'{"model":"M","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
    "half a surrogate": b'{"model":"M","messages":[{"role":"user","content":"\\ud800"}]}',
    "half a surrogate as a model": b'{"model":"\\ud800","messages":[]}',
    "not UTF-8": b'{"model":"M","messages":[{"role":"user","content":"\xff\xfe"}]}',
    "a zero byte": b'{"model":"M\\u0000","messages":[{"role":"user","content":"\\u0000"}]}',
    "line ends in a model": b'{"model":"M\\r\\nset-cookie: a=1","messages":[]}',
    "many members": b'{"model":"M","messages":[{"role":"user","content":"x"}],'
    + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}",
    "the same member": b'{"model":"M","messages":[{"role":"user","content":"x"}]' + b',"model":"x"' * 20_000 + b"}",
    "a model that is a list": b'{"model":["M"],"messages":[]}',
    "an empty body": b"",
    "null": b"null",
    "a word": b'"x"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"model":"M"}'.encode("utf-16"),
    "a schema that refers far away": b'{"model":"M","messages":[{"role":"user","content":"x"}],"response_format":{'
    b'"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"$ref":"http://127.0.0.1/x","$id":"file:///etc"}}}}',
    "a schema that refers to no place": b'{"model":"M","messages":[{"role":"user","content":"x"}],"response_format":'
    b'{"type":"json_schema","json_schema":{"name":"x","schema":{"$ref":"#/a/' + b"9" * 5000 + b'"}}}}',
    "a pattern that runs away": b'{"model":"M","messages":[{"role":"user","content":"x"}],"response_format":{"type":'
    b'"json_schema","json_schema":{"name":"x","schema":{"type":"string","pattern":"^(a+)+$"}}}}',
}  # fmt: skip
PATHS = (CHAT, "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings", "/v1/outcomes")


def test_no_body_is_a_fault_of_ours_or_takes_memory_that_stays(watched):
    linux_only()
    watched.ask(CHAT, {"model": "open/m", "messages": WORDS})
    before = watched.held_bytes()
    for name, body in BODIES.items():
        for model in (b"open/m", b"chat/m", b"claude/m", b"google/m"):
            for path in PATHS:
                status, answer = watched.ask(path, body.replace(b'"M', b'"' + model))
                assert status in (200, 400, 404, 413, 415, 422), (name, path, model, status, answer[:300])
                assert b"Traceback" not in answer
        path = "/v1beta/models/google%2Fm:generateContent"
        assert watched.ask(path, body)[0] in (200, 400, 404), (name, path)

    assert watched.faults() == []
    assert watched.peak_bytes - before < GROWTH


def test_many_tiny_chunks_and_many_headers_take_no_memory(watched):
    linux_only()
    before = watched.held_bytes()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {watched.key}\r\ncontent-type: application/json\r\n"
    )
    body = json.dumps({"model": "open/m", "messages": [{"role": "user", "content": "y" * 100_000}]}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    whole = watched.say(head.encode() + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + chunks)
    many = watched.say(head.encode() + b"".join(b"x-%d: y\r\n" % number for number in range(10_000)) + b"\r\n")

    assert whole.startswith(b"HTTP/1.1 200 ")
    assert many.startswith(b"HTTP/1.1 431 ")
    assert watched.peak_bytes - before < GROWTH


def test_a_packed_request_is_not_unpacked(watched):
    linux_only()
    before = watched.held_bytes()
    bomb = gzip.compress(b'{"model":"') + SEGMENT * 256

    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x-gzip", "compress"):
        status, answer = watched.ask(CHAT, bomb, content_encoding=coding)
        assert (status, json.loads(answer)["error"]["code"]) == (415, "unsupported_content_encoding")

    assert watched.peak_bytes - before < GROWTH


@pytest.mark.parametrize("provider", ["open", "claude", "google"])
def test_a_packed_answer_is_not_unpacked(watched, provider):
    linux_only()
    answer = plain(SEGMENT * 256, "content-encoding: gzip" if provider == "open" else "content-encoding: deflate")
    before = watched.held_bytes()
    watched.upstream.answer = lambda path, body: answer
    try:
        for path, body in ((CHAT, {"messages": WORDS}), ("/v1/responses", {"input": "x", "store": False})):
            for stream in (False, True):
                status, told = watched.ask(
                    path, body | {"model": f"{provider}/bomb{stream}{path[-4:]}", "stream": stream}
                )
                assert status == 502, (path, stream, told[:300])
                assert json.loads(told)["error"]["code"] == "upstream_invalid"
    finally:
        watched.upstream.answer = well

    assert watched.faults() == []
    assert watched.peak_bytes - before < GROWTH


def test_an_endless_answer_and_an_endless_event_end_within_bounds(watched):
    linux_only()
    before = watched.held_bytes()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n\r\n"
    endless = (
        (False, head % b"application/json" + b'{"id":"', b"x" * MEGABYTE),
        (True, head % b"text/event-stream" + b"data: ", b"x" * MEGABYTE),
    )
    for number, (stream, first, again) in enumerate(endless):
        watched.upstream.pieces = [first] + [again] * 66
        body = {"model": f"open/endless{number}", "messages": WORDS, "stream": stream}
        status, told = watched.ask(CHAT, body)
        assert status == 502, (number, told[:300])

    assert watched.faults() == []
    assert watched.peak_bytes - before < 4 * GROWTH  # an answer may have 64 MiB, and is joined once


def test_nothing_from_either_side_becomes_a_header_of_the_other(watched):
    evil = [
        b"a\r\nset-cookie: x=1",
        b"a\nset-cookie: x=1",
        b"a\rset-cookie: x=1",
        b"a\x00set-cookie: x=1",
        "a\u560d\u560aset-cookie: x=1".encode(),
        b"a%0d%0aset-cookie: x=1",
    ]
    before = len(watched.upstream.heads)
    for value in evil:
        for name in (
            b"x-client-request-id",
            b"idempotency-key",
            b"openai-beta",
            b"anthropic-version",
            b"x-headworks-trace",
        ):
            for path in (CHAT.encode(), b"/v1/messages"):
                body = json.dumps({"model": "open/m", "max_tokens": 9, "messages": WORDS}).encode()
                answer = watched.say(
                    b"POST %b HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer %b\r\n%b: %b\r\n"
                    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                    % (path, watched.key.encode(), name, value, len(body), body)
                )
                assert b"\r\nset-cookie" not in answer.lower()
    for head in watched.upstream.heads[before:]:
        assert re.search(rb"[\r\n]set-cookie|\0", head) is None
        assert re.search(rb"(?<!\r)\n|\r(?!\n)", head) is None
    names = ("x-request-id: a\tb", "openai-processing-ms: 1", "set-cookie: up=1", "server: x", "x-ratelimit-limit: 1")
    watched.upstream.answer = lambda path, body: plain(COMPLETION, *names, "access-control-allow-origin: *")
    try:
        body = json.dumps({"model": "open/m", "messages": WORDS})
        told = watched.say(
            f"POST {CHAT} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {watched.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        ).partition(b"\r\n\r\n")[0]
    finally:
        watched.upstream.answer = well
    assert told.startswith(b"HTTP/1.1 200 ")
    for name in (b"set-cookie", b"access-control", b"\r\nserver: x"):
        assert name not in told.lower()


def test_paths_that_are_said_in_headers_or_twice_are_not_the_ones_that_are_authorised(watched):
    """A request without a key reaches what needs none, whatever else it says of host and path."""
    lines = [
        "host: a/metrics?x=", "host: a:80@b", "host: /metrics", "host: a\r\nhost: b",
        "host: a\r\nx-original-url: /metrics",
        "host: a\r\nx-rewrite-url: /health/live", "host: a\r\nx-forwarded-prefix: /metrics",
        "host: a\r\nx-forwarded-path: /metrics", "host: a\r\nx-http-method-override: GET",
        "host: a\r\nauthorization: ", "host: a\r\nauthorization: Bearer", "host: a\r\nauthorization: Bearer null",
        "host: a\r\nauthorization: Basic Og==", "host: a\r\nx-api-key: ",
    ]  # fmt: skip
    targets = [
        "/v1/models", "/v1/models?/metrics", "/v1/models#/metrics", "/metrics/../v1/models", "/metrics/..;/v1/models",
        "/v1/models/metrics", "http://a/metrics", "//metrics", "/metrics%2f..%2fv1/models", "/V1/MODELS", "/v1/models/",
        "/v1/approvals", "/v1/diagnostics/stream", "/v1/responses/resp_1",
    ]  # fmt: skip
    before = len(watched.upstream.heads)
    for host in lines:
        for target in targets:
            answer = watched.say(f"GET {target} HTTP/1.1\r\n{host}\r\nconnection: close\r\n\r\n".encode())
            assert answer.split(b" ")[1] in (b"400", b"401", b"404", b"405", b"429"), (host, target, answer[:200])
    assert len(watched.upstream.heads) == before
