"""The pool against a real upstream on loopback."""

import asyncio
import gc
import socket
import ssl
import weakref

import pytest
import trustme

from headworks.calls import FailureKind
from headworks.transport import Origin

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def assert_ok(listener):
    assert listener.failure is None
    assert (listener.status, listener.body) == (200, b"ok")


def assert_failed(listener, kind, words):
    assert listener.failure is not None
    assert listener.failure.kind is kind
    assert words in listener.failure.detail
    assert listener.failure.detail.startswith("models ")


# -- requests and connections -----------------------------------------------------------------------------------------


def test_a_request_goes_out_with_our_framing_and_the_answer_comes_back(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool, b'{"a":1}')
        asked = await bench.asked()
        host = b"host: 127.0.0.1:%d\r\n" % bench.upstream.port
        assert asked.head == (
            b"POST /v1/chat HTTP/1.1\r\n" + host + b"authorization: Bearer x\r\ncontent-length: 7\r\n\r\n"
        )
        assert asked.body == b'{"a":1}'
        asked.answer(b"HTTP/1.1 200 OK\r\nX-Many: a\r\nx-many: b\r\nContent-Length: 2\r\n\r\nok")
        assert_ok(await listener.over())
        assert listener.headers[b"x-many"] == b"a, b"

    converse(dialogue)


def test_a_large_body_arrives_whole(converse):
    async def dialogue(bench):
        body = b"x" * 5_000_000
        bench.upstream.is_answering = True
        assert_ok(await bench.ask(bench.pool(), body))
        assert (await bench.asked()).body == body

    converse(dialogue)


def test_a_connection_is_kept_and_used_again(converse):
    async def dialogue(bench):
        bench.upstream.is_answering = True
        pool = bench.pool()
        for _ in range(10):
            assert_ok(await bench.ask(pool))
        assert bench.upstream.connections == 1
        assert pool.open_connections == 1

    converse(dialogue)


def test_the_limit_bounds_connections_and_the_queue_is_first_come_first_served(converse):
    async def dialogue(bench):
        pool = bench.pool(limit=2)
        listeners = [bench.send(pool, b"%d" % number) for number in range(6)]
        order = []
        for _ in range(6):
            asked = await bench.asked()
            assert pool.open_connections <= 2
            order.append(int(asked.body))
            asked.answer()
        for listener in listeners:
            assert_ok(await listener.over())
        assert bench.upstream.connections == 2
        assert sorted(order[:2]) == [0, 1]
        assert order[2:] == [2, 3, 4, 5]

    converse(dialogue)


def test_a_call_that_waited_for_a_connection_is_let_go_when_it_is_over(converse):
    async def dialogue(bench):
        bench.upstream.is_answering = True
        listener = bench.send(bench.pool(), b"{}")
        assert_ok(await listener.over())
        known = weakref.ref(listener)
        del listener
        await asyncio.sleep(0.05)  # for the loop to let go of what it has called
        gc.collect()  # once: in a process with a whole suite's objects it takes a second
        assert known() is None, "the timer of its wait holds it until the time limit that it had"

    converse(dialogue)


def test_a_full_queue_is_said_at_once(converse):
    async def dialogue(bench):
        pool = bench.pool(limit=1, waiting=1)
        first = bench.send(pool)
        asked = await bench.asked()
        waiting = [bench.send(pool) for _ in range(2)]
        refused = await bench.ask(pool)
        assert_failed(refused, FailureKind.UNREACHABLE, "too many requests waiting")
        bench.upstream.is_answering = True
        asked.answer()
        for listener in (first, *waiting):
            assert_ok(await listener.over())

    converse(dialogue)


def test_who_waits_for_a_connection_too_long_fails_and_leaves_the_queue(converse):
    async def dialogue(bench):
        pool = bench.pool(limit=1)
        first = bench.send(pool)
        asked = await bench.asked()
        late = await bench.ask(pool, first_byte_s=0.1)
        assert_failed(late, FailureKind.TIMEOUT, "no free connection in time")
        asked.answer()
        assert_ok(await first.over())
        bench.upstream.is_answering = True
        assert_ok(await bench.ask(pool))
        assert bench.upstream.asked.qsize() == 1

    converse(dialogue)


def test_an_idle_connection_is_closed_after_its_time(converse):
    async def dialogue(bench):
        bench.upstream.is_answering = True
        pool = bench.pool(idle_s=0.1)
        assert_ok(await bench.ask(pool))
        await bench.settle(lambda: pool.open_connections == 0)
        await bench.settle(lambda: bench.upstream.open == 0)
        assert_ok(await bench.ask(pool))
        assert bench.upstream.connections == 2

    converse(dialogue)


def test_a_connection_past_its_age_is_replaced(converse):
    async def dialogue(bench):
        pool = bench.pool(max_age_s=0.05)
        for _ in range(2):
            listener = bench.send(pool)
            asked = await bench.asked()
            await bench.tick(0.1)
            asked.answer()
            assert_ok(await listener.over())
        assert bench.upstream.connections == 2

    converse(dialogue)


def test_an_upstream_that_says_close_gets_a_new_connection_for_the_next(converse):
    async def dialogue(bench):
        pool = bench.pool()
        for _ in range(2):
            listener = bench.send(pool)
            asked = await bench.asked()
            asked.answer(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
            assert_ok(await listener.over())
            assert pool.open_connections == 0
        assert bench.upstream.connections == 2

    converse(dialogue)


def test_a_connection_closed_while_idle_is_not_used(converse):
    async def dialogue(bench):
        bench.upstream.is_answering = True
        pool = bench.pool()
        assert_ok(await bench.ask(pool))
        (await bench.asked()).close()
        await bench.settle(lambda: pool.open_connections == 0)
        assert_ok(await bench.ask(pool))
        assert bench.upstream.connections == 2

    converse(dialogue)


def test_a_request_on_a_stale_connection_is_sent_once_more_and_not_twice(converse):
    async def dialogue(bench):
        pool = bench.pool()
        first = bench.send(pool)
        (await bench.asked()).answer()
        assert_ok(await first.over())
        await asyncio.sleep(0)
        listener = bench.send(pool)
        (await bench.asked()).reset()
        again = await bench.asked()
        assert again.connection == 2
        again.reset()
        assert_failed(await listener.over(), FailureKind.BROKEN, "before an answer")
        assert bench.upstream.asked.empty()

    converse(dialogue)


def test_a_request_on_a_fresh_connection_is_never_sent_again(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool)
        (await bench.asked()).reset()
        assert_failed(await listener.over(), FailureKind.BROKEN, "before an answer")
        assert bench.upstream.connections == 1

    converse(dialogue)


def test_nothing_unasked_is_taken_for_an_answer(converse):
    async def dialogue(bench):
        pool = bench.pool()
        first = bench.send(pool)
        asked = await bench.asked()
        asked.answer()
        assert_ok(await first.over())
        asked.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await bench.settle(lambda: pool.open_connections == 0)
        bench.upstream.is_answering = True
        assert_ok(await bench.ask(pool))

    converse(dialogue)


@pytest.mark.parametrize("cut", [1, 20, 41])
def test_an_answer_behind_the_answer_never_reaches_the_next_request(converse, cut):
    async def dialogue(bench):
        pool = bench.pool()
        first = bench.send(pool)
        (await bench.asked()).answer(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"[:cut])
        assert_ok(await first.over())
        assert pool.open_connections == 0
        bench.upstream.is_answering = True
        assert_ok(await bench.ask(pool))

    converse(dialogue)


# -- time limits ------------------------------------------------------------------------------------------------------


def test_an_upstream_that_does_not_begin_to_answer_times_out(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = await bench.ask(pool, first_byte_s=0.1)
        assert_failed(listener, FailureKind.TIMEOUT, "did not begin to answer within 0.1 s")
        assert pool.open_connections == 0

    converse(dialogue)


def test_an_answer_that_stops_coming_times_out(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool, between_bytes_s=0.1)
        (await bench.asked()).answer(CHUNKED + b"2\r\nok\r\n")
        assert_failed(await listener.over(), FailureKind.TIMEOUT, "sent nothing for 0.1 s")
        assert listener.body == b"ok"
        assert pool.open_connections == 0

    converse(dialogue)


def test_an_answer_that_keeps_coming_still_ends_at_its_total_time(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool, between_bytes_s=5.0, total_s=0.3)
        asked = await bench.asked()
        asked.answer(CHUNKED)
        while not listener.is_over.is_set():
            asked.answer(b"2\r\nok\r\n")
            await bench.tick(0.05)
        assert_failed(listener, FailureKind.TIMEOUT, "did not finish within 0.3 s")

    converse(dialogue)


def test_bytes_move_the_limit_between_bytes(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool, between_bytes_s=0.3, first_byte_s=0.3)
        asked = await bench.asked()
        asked.answer(CHUNKED)
        for _ in range(8):
            await bench.tick(0.05)
            asked.answer(b"2\r\nok\r\n")
        asked.answer(b"0\r\n\r\n")
        assert (await listener.over()).body == b"ok" * 8

    converse(dialogue)


def test_a_total_of_zero_is_no_limit(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool, total_s=0.0)
        (await bench.asked()).answer()
        assert_ok(await listener.over())

    converse(dialogue)


def test_a_refused_connection_is_unreachable(converse):
    async def dialogue(bench):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            pool = bench.pool(Origin("127.0.0.1", nobody.getsockname()[1], is_tls=False))
            listeners = [bench.send(pool) for _ in range(3)]
            for listener in listeners:
                assert_failed(await listener.over(), FailureKind.UNREACHABLE, "cannot be reached")
        assert pool.open_connections == 0

    converse(dialogue)


def test_a_name_that_does_not_exist_is_unreachable(converse):
    async def dialogue(bench):
        listener = await bench.ask(bench.pool(Origin("no-such-host.invalid", 80, is_tls=False)))
        assert_failed(listener, FailureKind.UNREACHABLE, "cannot be reached")

    converse(dialogue)


def test_a_connection_that_is_not_taken_in_time_times_out(converse):
    async def dialogue(bench):
        # TLS to a listener that accepts and says nothing: the handshake never ends.
        silent = Origin("127.0.0.1", bench.upstream.port, is_tls=True)
        listener = await bench.ask(bench.pool(silent, connect_s=0.2))
        assert_failed(listener, FailureKind.TIMEOUT, "did not take a connection in 0.2 s")

    converse(dialogue)


# -- answers of every shape -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (CHUNKED + b"3\r\none\r\n3;x=y\r\ntwo\r\n0\r\ntrailer: x\r\n\r\n", 200, b"onetwo"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nx-early: a\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", 302, b""),
        (b"HTTP/1.1 529 \r\ncontent-length: 2\r\n\r\nno", 529, b"no"),
    ],
)
def test_an_answer_is_handed_on_as_it_is_and_its_connection_is_kept(converse, data, status, body):
    async def dialogue(bench):
        pool = bench.pool()
        for step in (len(data), 1):
            listener = bench.send(pool)
            asked = await bench.asked()
            for start in range(0, len(data), step):
                asked.answer(data[start : start + step])
                await asyncio.sleep(0)
            await listener.over()
            assert listener.failure is None
            assert (listener.status, listener.body) == (status, body)
            assert b"x-early" not in listener.headers
        assert bench.upstream.connections == 1, "no redirect is followed, no connection wasted"

    converse(dialogue)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nx: y\r\n\r\n"])
def test_an_answer_that_ends_with_its_connection_is_complete(converse, head):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool)
        asked = await bench.asked()
        asked.answer(head + b"to the ")
        await listener.has_head.wait()
        asked.answer(b"end")
        asked.close()
        await listener.over()
        assert (listener.failure, listener.body) == (None, b"to the end")
        await bench.settle(lambda: pool.open_connections == 0)

    converse(dialogue)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_an_answer_that_is_cut_is_a_failure_never_a_short_answer(converse, data):
    async def dialogue(bench):
        pool = bench.pool()
        for how in ("close", "reset"):
            listener = bench.send(pool)
            asked = await bench.asked()
            asked.answer(data)
            await asked.sent()
            getattr(asked, how)()
            assert_failed(await listener.over(), FailureKind.BROKEN, "closed the connection before")
            assert pool.open_connections == 0

    converse(dialogue)


@pytest.mark.parametrize(
    "data",
    [
        b"not http at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 700_000,
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nx: y\r\n folded: z\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" * 30_000,
    ],
)
def test_what_is_not_an_acceptable_answer_is_invalid(converse, data):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool)
        (await bench.asked()).answer(data)
        await listener.over()
        assert listener.failure.kind is FailureKind.INVALID
        assert pool.open_connections == 0
        bench.upstream.is_answering = True
        assert_ok(await bench.ask(pool))

    converse(dialogue)


def test_headers_without_end_are_named_as_what_is_wrong(converse):
    async def dialogue(bench):
        listener = bench.send(bench.pool())
        (await bench.asked()).answer(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 700_000)
        await listener.over()
        assert listener.failure.detail == "models sent headers of over 65536 bytes"

    converse(dialogue)


def test_an_answer_before_the_request_was_taken_closes_the_connection(converse):
    async def dialogue(bench):
        async def impatient(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
            await is_answered.wait()
            writer.transport.abort()
            is_gone.set()

        is_answered, is_gone = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(impatient, "127.0.0.1", 0, limit=1024)
        pool = bench.pool(Origin("127.0.0.1", server.sockets[0].getsockname()[1], is_tls=False))
        listener = await bench.ask(pool, b"x" * 20_000_000)
        assert (listener.status, listener.body) == (413, b"no")
        assert pool.open_connections == 0
        is_answered.set()
        await is_gone.wait()
        server.close()

    converse(dialogue)


# -- cancel, pause, close ---------------------------------------------------------------------------------------------


def test_cancelling_closes_the_connection_and_frees_its_slot(converse):
    async def dialogue(bench):
        pool = bench.pool(limit=1)
        first = bench.send(pool)
        asked = await bench.asked()
        asked.answer(CHUNKED + b"2\r\nok\r\n")
        await first.has_head.wait()
        second = bench.send(pool, b"second")
        first.flight.cancel()
        first.flight.cancel()
        again = await bench.asked()
        assert (again.body, again.connection) == (b"second", 2)
        again.answer()
        assert_ok(await second.over())
        assert not first.is_over.is_set(), "a cancelled sink hears nothing more"
        await bench.settle(lambda: bench.upstream.open == 1)

    converse(dialogue)


def test_cancelling_who_waits_leaves_the_queue_to_the_others(converse):
    async def dialogue(bench):
        pool = bench.pool(limit=1)
        first, second, third = (bench.send(pool, body) for body in (b"1", b"2", b"3"))
        asked = await bench.asked()
        second.flight.cancel()
        asked.answer()
        assert_ok(await first.over())
        asked = await bench.asked()
        assert asked.body == b"3"
        asked.answer()
        assert_ok(await third.over())
        assert not second.is_over.is_set()

    converse(dialogue)


def test_cancelling_inside_the_answer_stops_it_there(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool)
        listener.on_bytes = listener.flight.cancel
        (await bench.asked()).answer(CHUNKED + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
        await bench.settle(lambda: pool.open_connections == 0)
        assert listener.body == b"a"
        assert not listener.is_over.is_set()

    converse(dialogue)


def test_a_paused_answer_is_not_read_and_does_not_time_out_between_bytes(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool, between_bytes_s=0.1)
        listener.on_bytes = listener.flight.pause
        asked = await bench.asked()
        asked.answer(CHUNKED + b"2\r\nok\r\n")
        await listener.has_head.wait()
        await bench.settle(lambda: listener.body)
        listener.on_bytes = None
        for _ in range(200):
            asked.answer(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        asked.answer(b"0\r\n\r\n")
        await bench.tick(0.4)
        assert not listener.is_over.is_set()
        assert listener.body == b"ok"
        assert asked.writer.transport.get_write_buffer_size() > 0, "the upstream feels that nobody reads"
        listener.flight.resume()
        await listener.over()
        assert listener.failure is None
        assert len(listener.body) == 2 + 200 * 65536

    converse(dialogue)


def test_a_paused_answer_still_ends_at_its_total_time(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool, total_s=0.3)
        listener.on_bytes = listener.flight.pause
        (await bench.asked()).answer(CHUNKED + b"2\r\nok\r\n")
        assert_failed(await listener.over(), FailureKind.TIMEOUT, "did not finish within 0.3 s")

    converse(dialogue)


def test_a_connection_whose_answer_ended_while_paused_serves_the_next_request(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool)
        listener.on_bytes = listener.flight.pause
        (await bench.asked()).answer()
        assert_ok(await listener.over())
        listener.flight.resume()
        await asyncio.sleep(0)
        bench.upstream.is_answering = True
        assert_ok(await bench.ask(pool, first_byte_s=1.0))
        assert bench.upstream.connections == 1

    converse(dialogue)


def test_a_flight_that_is_paused_before_it_has_a_connection_is_paused_when_it_has(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool, first_byte_s=0.2)
        listener.flight.pause()
        (await bench.asked()).answer()
        await bench.tick(0.3)
        assert not listener.is_over.is_set()
        listener.flight.resume()
        assert_ok(await listener.over())

    converse(dialogue)


def test_a_closed_pool_fails_what_is_under_way_and_what_waits_and_takes_no_more(converse):
    async def dialogue(bench):
        pool = bench.pool(limit=1)
        first, second = bench.send(pool), bench.send(pool)
        await bench.asked()
        await pool.close()
        assert_failed(await first.over(), FailureKind.BROKEN, "taken out of service")
        assert_failed(await second.over(), FailureKind.UNREACHABLE, "taken out of service")
        assert_failed(await bench.ask(pool), FailureKind.UNREACHABLE, "out of service")
        await bench.settle(lambda: bench.upstream.open == 0)

    converse(dialogue)


def test_a_pool_may_be_closed_while_it_dials(converse):
    async def dialogue(bench):
        pool = bench.pool(Origin("127.0.0.1", bench.upstream.port, is_tls=True))
        listener = bench.send(pool)
        await bench.settle(lambda: bench.upstream.open == 1)
        await pool.close()
        assert_failed(await listener.over(), FailureKind.UNREACHABLE, "taken out of service")

    converse(dialogue)


def test_a_bug_in_a_sink_is_reported_and_does_not_keep_the_connection(converse):
    async def dialogue(bench):
        pool = bench.pool()
        listener = bench.send(pool)

        def fail():
            raise LookupError("a bug in the sink")

        listener.on_bytes = fail
        (await bench.asked()).answer()
        await bench.settle(lambda: pool.open_connections == 0)
        assert [type(context["exception"]) for context in bench.errors] == [LookupError]
        bench.errors.clear()

    converse(dialogue)


# -- TLS and proxies --------------------------------------------------------------------------------------------------


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def test_tls_with_a_known_authority_is_spoken(converse, server_tls, ca_file):
    async def dialogue(bench):
        bench.upstream.is_answering = True
        pool = bench.pool(Origin("localhost", bench.upstream.port, is_tls=True, ca_file=ca_file))
        for _ in range(3):
            assert_ok(await bench.ask(pool, b"x" * 100_000))
        assert bench.upstream.connections == 1

    converse(dialogue, tls=server_tls)


def test_tls_of_an_unknown_authority_is_refused(converse, server_tls, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)

    async def dialogue(bench):
        for ca_file in (str(other), None):
            pool = bench.pool(Origin("localhost", bench.upstream.port, is_tls=True, ca_file=ca_file))
            assert_failed(await bench.ask(pool), FailureKind.UNREACHABLE, "cannot be reached")
        assert bench.upstream.asked.empty(), "no request, no key, went out"

    converse(dialogue, tls=server_tls)


def test_tls_for_another_name_is_refused(converse, server_tls, ca_file):
    async def dialogue(bench):
        pool = bench.pool(Origin("127.0.0.1", bench.upstream.port, is_tls=True, ca_file=ca_file))
        assert_failed(await bench.ask(pool), FailureKind.UNREACHABLE, "cannot be reached")
        assert bench.upstream.asked.empty()

    converse(dialogue, tls=server_tls)


def test_a_missing_authority_file_is_a_failure_of_the_request(converse, tmp_path):
    async def dialogue(bench):
        missing = str(tmp_path / "missing.pem")
        pool = bench.pool(Origin("localhost", bench.upstream.port, is_tls=True, ca_file=missing))
        assert_failed(await bench.ask(pool), FailureKind.UNREACHABLE, "No such file")

    converse(dialogue)


def test_a_proxy_is_asked_for_a_tunnel(converse):
    async def dialogue(bench):
        bench.upstream.is_answering = True
        proxy = await bench.proxy()
        pool = bench.pool(Origin("127.0.0.1", bench.upstream.port, is_tls=False, proxy=proxy.url))
        for _ in range(2):
            assert_ok(await bench.ask(pool))
        target = b"127.0.0.1:%d" % bench.upstream.port
        assert proxy.heads == [b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (target, target)]

    converse(dialogue)


def test_tls_goes_through_the_proxy_to_the_upstream_itself(converse, server_tls, ca_file):
    async def dialogue(bench):
        bench.upstream.is_answering = True
        proxy = await bench.proxy()
        pool = bench.pool(Origin("localhost", bench.upstream.port, is_tls=True, proxy=proxy.url, ca_file=ca_file))
        for _ in range(2):
            assert_ok(await bench.ask(pool, b"x" * 100_000))
        assert len(proxy.heads) == 1
        assert b"authorization" not in proxy.heads[0], "the proxy sees no key"

    converse(dialogue, tls=server_tls)


def test_tls_through_a_proxy_is_verified_too(converse, server_tls):
    async def dialogue(bench):
        proxy = await bench.proxy()
        pool = bench.pool(Origin("localhost", bench.upstream.port, is_tls=True, proxy=proxy.url))
        assert_failed(await bench.ask(pool), FailureKind.UNREACHABLE, "cannot be reached")
        assert bench.upstream.asked.empty()

    converse(dialogue, tls=server_tls)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answered CONNECT with 407"),
        (b"nonsense\r\n\r\n", "answered CONNECT with no status"),
        (b"x" * 70_000, "too long"),
        (b"HTTP/1.1 ", "closed the connection"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_makes_the_upstream_unreachable(converse, answer, words):
    async def dialogue(bench):
        proxy = await bench.proxy(answer=answer)
        pool = bench.pool(Origin("127.0.0.1", bench.upstream.port, is_tls=False, proxy=proxy.url))
        assert_failed(await bench.ask(pool), FailureKind.UNREACHABLE, words)
        assert pool.open_connections == 0

    converse(dialogue)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://api.openai.com:8443/v1", "api.openai.com:8443"),
        ("http://localhost:4010", "localhost:4010"),
        ("http://[::1]:4010/v1", "[::1]:4010"),
        ("http://gpu", "gpu"),
    ],
)
def test_an_origin_is_read_from_a_url(url, authority):
    origin = Origin.from_url(url)
    assert origin.authority == authority
    assert origin.is_tls == url.startswith("https")
