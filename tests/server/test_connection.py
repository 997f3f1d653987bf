"""The server on loopback, spoken to in raw bytes."""

import asyncio
import gc

import pytest

from headworks.server.connection import _PARSED_BYTES, _PIPELINE_DEPTH, Connection

HEAD = b"host: gateway\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n"


def get(path=b"/echo", headers=b"", version=b"1.1"):
    return b"GET %b HTTP/%b\r\n%b%b\r\n" % (path, version, HEAD, headers)


def post(body=b"", path=b"/echo", headers=b""):
    return b"POST %b HTTP/1.1\r\n%b%bcontent-length: %d\r\n\r\n%b" % (path, HEAD, headers, len(body), body)


# -- requests in, answers out -----------------------------------------------------------------------------------------


def test_a_sized_body_reaches_the_application_whole(serve):
    async def dialogue(served):
        client = await served.connect()
        answer = await client.ask(post(b"x" * 300_000, b"/echo?a=b"))
        assert answer.status == 200
        assert answer.body == b"/echo?a=b|" + b"x" * 300_000
        assert answer.headers["date"].endswith("gmt")
        assert "connection" not in answer.headers

    serve(dialogue)


def test_a_chunked_body_is_joined_and_its_trailers_are_dropped(serve):
    async def dialogue(served):
        client = await served.connect()
        body = b"5;ext=1\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nhost: evil\r\nx: y\r\n\r\n"
        answer = await client.ask(b"POST /echo HTTP/1.1\r\n" + CHUNKED + b"\r\n" + body)
        assert answer.body == b"/echo?|hello 0123456789"
        assert served.application.requests[0].headers[b"host"] == b"gateway"
        assert (await client.ask(get())).status == 200

    serve(dialogue)


def test_headers_are_lower_cased_and_repeated_ones_joined(serve):
    async def dialogue(served):
        client = await served.connect()
        await client.ask(get(headers=b"X-Many: a\r\nx-many: b\r\n"))
        assert served.application.requests[0].headers[b"x-many"] == b"a, b"

    serve(dialogue)


def test_a_connection_serves_one_request_after_another(serve):
    async def dialogue(served):
        client = await served.connect()
        for number in range(20):
            assert (await client.ask(post(b"%d" % number))).body == b"/echo?|%d" % number
        assert len(served.server.connections) == 1

    serve(dialogue)


def test_a_byte_at_a_time_is_a_request_too(serve):
    async def dialogue(served):
        client = await served.connect()
        for byte in post(b"body", headers=b"x-a: b\r\n"):
            client.send(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"/echo?|body"

    serve(dialogue)


def test_connection_close_is_honoured(serve):
    async def dialogue(served):
        client = await served.connect()
        answer = await client.ask(get(headers=b"connection: close\r\n"))
        assert answer.headers["connection"] == "close"
        assert await client.at_end() == b""

    serve(dialogue)


def test_http_1_0_closes_unless_it_asks_to_keep_the_connection(serve):
    async def dialogue(served):
        client = await served.connect()
        answer = await client.ask(get(headers=b"connection: keep-alive\r\n", version=b"1.0"))
        assert answer.headers["connection"] == "keep-alive"
        answer = await client.ask(get(version=b"1.0"))
        assert answer.headers["connection"] == "close"
        assert await client.at_end() == b""

    serve(dialogue)


def test_an_answer_of_unknown_length_is_chunked_and_ends_with_the_connection_on_http_1_0(serve):
    async def dialogue(served):
        for version, framing in ((b"1.1", "chunked"), (b"1.0", None)):
            client = await served.connect()
            client.send(get(b"/held", version=version, headers=b"connection: keep-alive\r\n"))
            reply = (await served.application.held.get()).reply
            reply.begin(200, b"x-a: b\r\n", b"one ")
            reply.write(b"")
            reply.write(b"two ")
            reply.end(b"three")
            answer = await client.answer()
            assert answer.body == b"one two three"
            assert answer.headers.get("transfer-encoding") == framing
            assert answer.headers["x-a"] == "b"
        assert await client.at_end() == b""

    serve(dialogue)


def test_an_answer_of_known_length_is_not_chunked(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held"))
        reply = (await served.application.held.get()).reply
        reply.begin(200, b"", b"one ", length=7)
        reply.end(b"two")
        answer = await client.answer()
        assert (answer.body, answer.headers["content-length"]) == (b"one two", "7")
        assert (await client.ask(get())).status == 200

    serve(dialogue)


def test_the_answer_to_head_has_no_body_so_that_the_next_answer_is_read_as_itself(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"HEAD /echo HTTP/1.1\r\n" + HEAD + b"\r\n" + get(b"/echo?next"))
        assert (await client.answer(is_head=True)).headers["content-length"] == "7"
        assert (await client.answer()).body == b"/echo?next|"
        for length in (None, 5):
            client.send(b"HEAD /held HTTP/1.1\r\n" + HEAD + b"\r\n")
            reply = (await served.application.held.get()).reply
            reply.begin(200, b"", b"12", length)
            reply.write(b"34")
            reply.end(b"5")
            assert (await client.answer(is_head=True)).status == 200
            assert (await client.ask(get(b"/echo?last"))).body == b"/echo?last|"

    serve(dialogue)


def test_an_aborted_answer_is_seen_as_cut_not_as_complete(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/abort") + get())
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()
        assert len(served.application.requests) == 1, "nothing is served behind a broken answer"

    serve(dialogue)


def test_a_bug_in_the_application_is_reported_and_ends_the_connection(serve):
    async def dialogue(served):
        for data in (get(b"/bug"), get(b"/held") + get(b"/bug")):
            client = await served.connect()
            client.send(data)
            if b"held" in data:
                (await served.application.held.get()).reply.respond(200, b"", b"")
                await client.answer()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.answer()
            error = served.errors.pop()
            assert isinstance(error, LookupError)

    serve(dialogue)


# -- pipelining -------------------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"".join(post(b"%d" % number, b"/held") for number in range(5)))
        for number in range(5):
            task = await served.application.held.get()
            assert task.request.body == b"%d" % number
            assert served.application.held.empty(), "one at a time"
            task.reply.respond(200, b"", b"answer %d" % number)
        for number in range(5):
            assert (await client.answer()).body == b"answer %d" % number

    serve(dialogue)


def test_a_request_that_arrives_between_two_queued_ones_waits_for_its_turn(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held?1") + get(b"/held?2"))
        first = await served.application.held.get()
        (connection,) = served.server.connections
        first.reply.respond(200, b"", b"1")
        # The next one is started by the loop's next turn; this one comes in before.
        connection.data_received(get(b"/held?3"))
        for number in ("2", "3"):
            task = await served.application.held.get()
            assert task.request.query == number
            task.reply.respond(200, b"", number.encode())
        assert [(await client.answer()).body for _ in range(3)] == [b"1", b"2", b"3"]

    serve(dialogue)


def test_reading_stops_while_many_requests_wait(serve):
    async def dialogue(served):
        client = await served.connect()
        count = 12
        first = get(b"/held?0")
        client.send(first)
        task = await served.application.held.get()
        (connection,) = served.server.connections
        for number in range(1, count):
            if connection._is_reading_paused:
                break
            connection.data_received(get(b"/held?%d" % number))
        assert number == 9, "eight wait behind the one that is answered"
        client.send(b"".join(get(b"/held?%d" % late) for late in range(number, count)))
        for number in range(count):
            assert task.request.query == str(number)
            task.reply.respond(200, b"", b"%d" % number)
            if number < count - 1:
                task = await served.application.held.get()
        assert [(await client.answer()).body for _ in range(count)] == [b"%d" % number for number in range(count)]

    serve(dialogue)


def test_of_thousands_of_requests_in_one_read_few_are_held_and_all_are_answered(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held"))
        task = await served.application.held.get()
        client.send(get() * 3000)
        (connection,) = served.server.connections
        while not connection._is_reading_paused:
            await asyncio.sleep(0)
        assert len(connection._queue) <= _PIPELINE_DEPTH + _PARSED_BYTES // len(get())
        task.reply.respond(200, b"", b"first")
        assert (await client.answer()).body == b"first"
        for _ in range(3000):
            assert (await client.answer()).status == 200
            assert len(connection._queue) <= _PIPELINE_DEPTH + _PARSED_BYTES // len(get())

    serve(dialogue)


def test_a_large_body_before_a_partial_head_does_not_count_as_that_head(serve):
    async def dialogue(served):
        client = await served.connect()
        data = post(b"x" * 60_000) + get()
        client.send(data[:-5])
        assert (await client.answer()).status == 200
        client.send(data[-5:])
        assert (await client.answer()).status == 200

    serve(dialogue, header_bytes=4096, target_bytes=1024)


def test_a_queued_request_does_not_time_out_while_an_answer_is_under_way(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held"))
        task = await served.application.held.get()
        second = post(b"12345678")
        (connection,) = served.server.connections
        connection.data_received(second[:-4])
        assert connection._read_timer.is_armed
        connection.data_received(second[-4:])
        assert not connection._read_timer.is_armed
        await served.tick(0.3)
        task.reply.respond(200, b"", b"slow")
        assert (await client.answer()).body == b"slow"
        assert (await client.answer()).body == b"/echo?|12345678"

    serve(dialogue, body_timeout_s=0.1)


def test_bytes_after_an_error_never_become_a_request(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"GET /echo HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n" + get())
        assert (await client.answer()).status == 400
        client.send(get())
        assert await client.at_end() == b""
        assert served.application.requests == []

    serve(dialogue)


def test_an_error_behind_a_request_is_answered_after_it(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held") + b"nonsense\r\n\r\n")
        task = await served.application.held.get()
        task.reply.respond(200, b"", b"good")
        assert (await client.answer()).body == b"good"
        assert (await client.answer()).status == 400
        assert await client.at_end() == b""

    serve(dialogue)


# -- Expect and early answers -----------------------------------------------------------------------------------------


def test_a_client_that_expects_100_continue_gets_it(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"POST /echo HTTP/1.1\r\n" + HEAD + b"content-length: 4\r\nexpect: 100-continue\r\n\r\n")
        assert (await client.answer()).status == 100
        client.send(b"body")
        assert (await client.answer()).body == b"/echo?|body"

    serve(dialogue)


def test_100_continue_waits_for_the_answers_before_it(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held"))
        task = await served.application.held.get()
        client.send(b"POST /echo HTTP/1.1\r\n" + HEAD + b"content-length: 4\r\nexpect: 100-continue\r\n\r\n")
        (connection,) = served.server.connections
        while connection._request is None:
            await asyncio.sleep(0)
        task.reply.respond(200, b"", b"")
        assert [(await client.answer()).status for _ in range(2)] == [200, 100]
        client.send(b"body")
        assert (await client.answer()).body == b"/echo?|body"

    serve(dialogue)


def test_another_expectation_is_417(serve):
    async def dialogue(served):
        client = await served.connect()
        assert (await client.ask(post(b"x", headers=b"expect: tea\r\n"))).status == 417

    serve(dialogue)


@pytest.mark.parametrize("coding", [b"gzip", b"GZip ", b"identity, br", b"deflate"])
def test_a_packed_body_is_415_and_the_connection_stays(serve, coding):
    async def dialogue(served):
        client = await served.connect()
        answer = await client.ask(post(b"\x1f\x8b", headers=b"content-encoding: " + coding + b"\r\n"))
        assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
        assert [refusal.code for refusal in served.application.refusals] == ["unsupported_content_encoding"]
        assert (await client.ask(post(b"{}", headers=b"content-encoding: identity\r\n"))).status == 200

    serve(dialogue)


def test_a_refused_client_that_expects_100_continue_is_answered_before_its_body(serve):
    async def dialogue(served):
        client = await served.connect()
        head = b"POST /refused HTTP/1.1\r\n" + HEAD + b"content-length: 4\r\nexpect: 100-continue\r\n\r\n"
        answer = await client.ask(head)
        assert answer.status == 401
        assert answer.headers["connection"] == "close"

    serve(dialogue)


def test_an_early_refusal_of_a_small_body_keeps_the_connection(serve):
    async def dialogue(served):
        client = await served.connect()
        answer = await client.ask(post(b"x" * 100_000, b"/refused"))
        assert answer.status == 401
        assert "connection" not in answer.headers
        assert (await client.ask(get())).status == 200
        assert [request.path for request in served.application.requests] == ["/echo"]

    serve(dialogue)


def test_an_early_refusal_of_a_large_body_does_not_wait_for_it(serve):
    async def dialogue(served):
        client = await served.connect()
        answer = await client.ask(b"POST /refused HTTP/1.1\r\n" + HEAD + b"content-length: 1000000\r\n\r\n")
        assert answer.status == 401
        assert answer.headers["connection"] == "close"
        # What was on its way meanwhile is discarded: no reset destroys the answer.
        client.send(b"x" * 1_000_000)
        assert await client.at_end() == b""

    serve(dialogue)


def test_an_early_refusal_of_an_endless_chunked_body_does_not_read_it_all(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"POST /refused HTTP/1.1\r\n" + CHUNKED + b"\r\n" + b"10000\r\n%b\r\n" % (b"x" * 65536) * 5)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")

    serve(dialogue)


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (get(headers=b"x-a: %b\r\n" % (b"y" * 40_000)), 431),
        (get(headers=b"x-a: %b\r\n" % (b"y" * 400_000)), 431),
        (get(headers=b"".join(b"x-%d: y\r\n" % number for number in range(101))), 431),
        (get(b"/" + b"a" * 8192), 414),
        (get(b"/" + b"a" * 100_000), 414),
        (b"POST /echo HTTP/1.1\r\n" + HEAD + b"content-length: 2000000\r\n\r\n", 413),
        (b"POST /echo HTTP/1.1\r\n" + CHUNKED + b"\r\n" + b"10000\r\n%b\r\n" % (b"x" * 65536) * 16 + b"1\r\n", 413),
        (b"POST /echo HTTP/1.1\r\n" + CHUNKED + b"\r\n0\r\nx: " + b"y" * 900_000, 431),
        (b"POST /echo HTTP/1.1\r\n" + CHUNKED + b"\r\n0\r\n" + b"x: y\r\n" * 101, 431),
        (b"POST /echo HTTP/1.1\r\n" + CHUNKED + b"\r\n1;" + b"y" * 900_000, 431),
    ],
)
def test_what_is_too_large_is_refused(serve, data, status):
    async def dialogue(served):
        client = await served.connect()
        client.send(data + b"x")
        answer = await client.answer()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert served.application.requests == []

    serve(dialogue, body_bytes=1_000_000)


def test_a_body_of_exactly_the_limit_is_served(serve):
    async def dialogue(served):
        client = await served.connect()
        assert (await client.ask(post(b"x" * 1000))).status == 200
        assert (await client.ask(post(b"x" * 1001))).status == 413

    serve(dialogue, body_bytes=1000)


def test_a_small_body_limit_does_not_count_the_head_before_the_body(serve):
    async def dialogue(served):
        client = await served.connect()
        data = post(b"0123456789", headers=b"x-a: %b\r\n" % (b"y" * 2000))
        client.send(data[:-5])
        await client.writer.drain()
        (connection,) = served.server.connections
        while connection._request is None:
            await asyncio.sleep(0)
        client.send(data[-5:])
        assert (await client.answer()).body == b"/echo?|0123456789"

    serve(dialogue, body_bytes=100)


def test_bodies_of_all_connections_together_are_bounded(serve):
    async def dialogue(served):
        first = await served.connect()
        first.send(post(b"x" * 3000, b"/held"))
        task = await served.application.held.get()
        assert served.server.buffered_bytes == 3000
        second = await served.connect()
        answer = await second.ask(post(b"x" * 3000))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        task.reply.respond(200, b"", b"")
        assert served.server.buffered_bytes == 0
        third = await served.connect()
        assert (await third.ask(post(b"x" * 3000))).status == 200

    serve(dialogue, buffered_bytes=5000)


def test_one_connection_too_many_is_told_so(serve):
    async def dialogue(served):
        first = await served.connect()
        assert (await first.ask(get())).status == 200
        second = await served.connect()
        answer = await second.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert await second.at_end() == b""
        assert (await first.ask(get())).status == 200

    serve(dialogue, connections=1)


# -- what smuggles ----------------------------------------------------------------------------------------------------

_SMUGGLED = {
    "length and chunks": (post(b"0\r\n\r\n", headers=b"transfer-encoding: chunked\r\n"), 400),
    "chunks and length": (b"POST / HTTP/1.1\r\n" + CHUNKED + b"content-length: 5\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab", 400),
    "two equal lengths": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length: 1\r\ncontent-length: 1\r\n\r\na", 400),
    "length list": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length: 1, 1\r\n\r\na", 400),
    "signed length": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length: +1\r\n\r\na", 400),
    "negative length": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length: -1\r\n\r\na", 400),
    "hexadecimal length": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length: 0x1\r\n\r\na", 400),
    "empty length": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length:\r\n\r\n", 400),
    "length overflow": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length: 18446744073709551617\r\n\r\na", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nhost: a\n\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\n" + HEAD + b"x-a: b\r\n c\r\n\r\n", 400),
    "space before colon": (b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400),
    "length with space before colon": (b"POST / HTTP/1.1\r\n" + HEAD + b"content-length : 1\r\n\r\na", 400),
    "bare carriage return": (b"GET / HTTP/1.1\r\n" + HEAD + b"x-a: b\rc\r\n\r\n", 400),
    "zero byte": (b"GET / HTTP/1.1\r\n" + HEAD + b"x-a: b\0c\r\n\r\n", 400),
    "bad chunk size": (b"POST / HTTP/1.1\r\n" + CHUNKED + b"\r\nzz\r\n", 400),
    "chunk size overflow": (b"POST / HTTP/1.1\r\n" + CHUNKED + b"\r\n10000000000000000\r\n", 400),
    "chunk without end": (b"POST / HTTP/1.1\r\n" + CHUNKED + b"\r\n1\r\nabc\r\n", 400),
    "chunk line feed": (b"POST / HTTP/1.1\r\n" + CHUNKED + b"\r\n1\na\r\n0\r\n\r\n", 400),
    "other coding": (b"POST / HTTP/1.1\r\n" + HEAD + b"transfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n", 501),
    "coding in capitals twice": (b"POST / HTTP/1.1\r\n" + CHUNKED + b"Transfer-Encoding: x\r\n\r\n0\r\n\r\n", 400),
    "chunks on 1.0": (b"POST / HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
    "host with path": (b"GET / HTTP/1.1\r\nhost: a/?x=\r\n\r\n", 400),
    "absolute form": (b"GET http://gateway/echo HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "connect": (b"CONNECT gateway:443 HTTP/1.1\r\n" + HEAD + b"\r\n", 405),
    "trace": (b"TRACE /echo HTTP/1.1\r\n" + HEAD + b"\r\n", 405),
    "h2c": (get(headers=b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: A\r\n"), 400),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "http/2 version": (get(version=b"2.0"), 505),
    "http/0.9": (b"GET /echo HTTP/0.9\r\n" + HEAD + b"\r\n", 505),
    "no version": (b"GET /echo\r\n\r\n", 505),
    "two authorizations": (get(headers=b"authorization: a\r\nauthorization: b\r\n"), 400),
    "two keys": (get(headers=b"x-api-key: a\r\nx-api-key: b\r\n"), 400),
    "tls on the plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
}


@pytest.mark.parametrize("name", _SMUGGLED)
def test_a_request_with_two_readings_is_refused_and_nothing_behind_it_is_served(serve, name):
    data, status = _SMUGGLED[name]

    async def dialogue(served):
        client = await served.connect()
        client.send(data + get(b"/echo?smuggled"))
        answer = await client.answer()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert await client.at_end() == b""
        assert served.application.requests == []

    serve(dialogue)


# -- time -------------------------------------------------------------------------------------------------------------


def test_an_idle_connection_is_closed_silently(serve):
    async def dialogue(served):
        client = await served.connect()
        assert (await client.ask(get())).status == 200
        assert await client.at_end() == b""
        assert await (await served.connect()).at_end() == b""

    serve(dialogue, idle_timeout_s=0.5)


@pytest.mark.parametrize("data", [get()[:-3], post(b"body")[:-1]])
def test_a_request_that_does_not_arrive_in_time_is_408(serve, data):
    async def dialogue(served):
        client = await served.connect()
        answer = await client.ask(data)
        assert answer.status == 408
        assert await client.at_end() == b""

    serve(dialogue, header_timeout_s=0.1, body_timeout_s=0.1)


def test_headers_that_trickle_do_not_move_their_time_limit(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"GET / HTTP/1.1\r\n" + HEAD)
        arriving = asyncio.ensure_future(client.answer())
        while not arriving.done():
            client.send(b"x-a: b\r\n")
            await asyncio.wait([arriving], timeout=0.05)
        assert arriving.result().status == 408

    serve(dialogue, header_timeout_s=0.3)


def test_a_body_that_keeps_coming_does_not_time_out(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"POST /echo HTTP/1.1\r\n" + HEAD + b"content-length: 10\r\n\r\n")
        for _ in range(10):
            await served.tick(0.12)
            client.send(b"x")
        assert (await client.answer()).status == 200

    serve(dialogue, body_timeout_s=1.0)


def test_a_client_that_does_not_read_pauses_the_application_and_is_aborted(serve):
    async def dialogue(served):
        client = await served.connect_slow()
        client.send(get(b"/held"))
        task = await served.application.held.get()
        task.reply.begin(200, b"")
        while not task.is_paused:
            task.reply.write(b"x" * 65536)
            await asyncio.sleep(0)
        await task.is_cancelled.wait()
        await served.empty()
        task.reply.write(b"after the end")
        task.reply.end()

    serve(dialogue, write_timeout_s=0.2)


def test_a_client_that_reads_slowly_but_reads_is_served(serve):
    async def dialogue(served):
        client = await served.connect_slow()
        client.send(get(b"/held"))
        task = await served.application.held.get()
        task.reply.begin(200, b"")
        while not task.is_paused:
            task.reply.write(b"x" * 65536)
            await asyncio.sleep(0)
        head = await client.head()
        assert head[0] == 200
        while task.is_paused:
            await client.reader.read(65536)
        task.reply.end(b"last")
        tail = b""
        while not tail.endswith(b"\r\n4\r\nlast\r\n0\r\n\r\n"):
            tail = tail[-20:] + await client.reader.read(65536)
        assert not task.is_cancelled.is_set()

    serve(dialogue, write_timeout_s=5.0)


def test_an_answer_that_is_not_taken_before_closing_does_not_keep_the_connection(serve):
    async def dialogue(served):
        client = await served.connect_slow()
        client.send(get(b"/held", headers=b"connection: close\r\n"))
        task = await served.application.held.get()
        task.reply.respond(200, b"", b"x" * 10_000_000)
        await served.empty()

    serve(dialogue, write_timeout_s=0.2)


def test_a_client_that_half_closes_and_does_not_read_does_not_keep_the_connection(serve):
    async def dialogue(served):
        client = await served.connect_slow()
        client.send(get(b"/held"))
        task = await served.application.held.get()
        task.reply.begin(200, b"")
        while not task.is_paused:
            task.reply.write(b"x" * 65536)
            await asyncio.sleep(0)
        client.writer.write_eof()
        await task.is_cancelled.wait()
        await served.empty()

    serve(dialogue, write_timeout_s=0.2)


# -- clients that go, servers that stop -------------------------------------------------------------------------------


def test_a_client_that_has_gone_cancels_what_runs_for_it_and_what_waits(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(post(b"x" * 1000, b"/held") + post(b"y" * 1000, b"/held") + post(b"z" * 1000)[:-10])
        task = await served.application.held.get()
        while served.server.buffered_bytes < 2990:
            await asyncio.sleep(0)
        await client.close()
        await task.is_cancelled.wait()
        await served.empty()
        assert served.server.buffered_bytes == 0
        assert len(served.application.requests) == 1
        task.reply.respond(200, b"", b"nobody hears this")
        task.reply.abort()

    serve(dialogue)


def test_a_body_whose_client_goes_half_way_is_given_back(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"POST /echo HTTP/1.1\r\n" + HEAD + b"content-length: 100\r\n\r\n" + b"x" * 50)
        while served.server.buffered_bytes != 50:
            await asyncio.sleep(0)
        await client.close()
        await served.empty()
        assert served.server.buffered_bytes == 0
        assert served.application.requests == []

    serve(dialogue)


def test_a_stopping_server_finishes_what_is_under_way_and_closes(serve):
    async def dialogue(served):
        idle, streaming, waiting, arriving = [await served.connect() for _ in range(4)]
        await idle.ask(get())
        streaming.send(get(b"/held"))
        begun = await served.application.held.get()
        begun.reply.begin(200, b"", b"first ")
        waiting.send(get(b"/held"))
        unbegun = await served.application.held.get()
        arriving.send(post(b"body")[:-1])
        while served.server.buffered_bytes != 3:
            await asyncio.sleep(0)
        stopping = asyncio.ensure_future(served.server.stop(10.0))
        assert await idle.at_end() == b""
        with pytest.raises(ConnectionRefusedError):
            await served.connect()
        begun.reply.end(b"last")
        assert (await streaming.answer()).body == b"first last"
        assert await streaming.at_end() == b""
        unbegun.reply.respond(200, b"", b"answer")
        answer = await waiting.answer()
        assert (answer.body, answer.headers["connection"]) == (b"answer", "close")
        arriving.send(b"y")
        assert (await arriving.answer()).body == b"/echo?|body"[:-1] + b"y"
        assert await stopping == 0

    serve(dialogue)


def test_a_stopping_server_does_not_start_what_it_could_not_answer(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held"))
        task = await served.application.held.get()
        stopping = asyncio.ensure_future(served.server.stop(10.0))
        await asyncio.sleep(0)
        (connection,) = served.server.connections
        task.reply.respond(200, b"", b"")
        connection.data_received(get() + get())
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.at_end() == b""
        assert len(served.application.requests) == 1
        assert await stopping == 0

    serve(dialogue)


def test_what_does_not_finish_in_time_is_asked_to_end_and_counted(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held"))
        await served.application.held.get()
        assert await served.server.stop(0.1) == 1
        answer = await client.answer()
        assert (answer.status, answer.body) == (503, b"stopped")
        assert not served.server.connections

    serve(dialogue)


def test_what_does_not_end_when_asked_is_broken(serve, monkeypatch):
    monkeypatch.setattr("headworks.server.listening._LAST_WORDS_S", 0.05)

    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held?deaf"))
        task = await served.application.held.get()
        assert await served.server.stop(0.05) == 1
        assert task.is_cancelled.is_set()
        assert not served.server.connections

    serve(dialogue)


def test_a_request_stays_with_the_application_that_admitted_it(serve):
    async def dialogue(served):
        client = await served.connect()
        old = served.application
        old.tag = b"old"
        client.send(post(b"body")[:-1])
        while served.server.buffered_bytes != 3:
            await asyncio.sleep(0)
        served.server.application = type(old)()
        client.send(b"y")
        assert (await client.answer()).body == b"old/echo?|bod" + b"y"
        assert (await client.ask(get())).body == b"/echo?|"

    serve(dialogue)


# -- what is left of it -----------------------------------------------------------------------------------------------


def test_a_connection_that_has_closed_is_held_by_nothing(serve):
    """Neither by the timers of its time limits nor by a circle: thousands may come and go within one time limit."""

    def alive():
        return sum(type(one) is Connection for one in gc.get_objects())

    async def dialogue(served):
        before = alive()
        for _ in range(20):
            client = await served.connect()
            await client.ask(post(b"x"))
            await client.close()
        await served.empty()
        for _ in range(5):
            await asyncio.sleep(0)
        assert alive() <= before

    gc.collect()
    gc.disable()
    try:
        serve(dialogue, idle_timeout_s=3600.0)
    finally:
        gc.enable()


@pytest.mark.parametrize("status", [499, 529, 799])
def test_a_status_without_a_name_is_passed_on(serve, status):
    async def dialogue(served):
        client = await served.connect()
        client.send(get(b"/held"))
        (await served.application.held.get()).reply.respond(status, b"", b"x")
        assert (await client.answer()).status == status

    serve(dialogue)
