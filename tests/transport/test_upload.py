"""Bodies that go up piece by piece, to a real upstream on loopback."""

import asyncio
import contextlib

from headworks.calls import FailureKind
from headworks.errors import Refusal
from headworks.transport import Origin


@contextlib.asynccontextmanager
async def served_by(bench, serve):
    """A pool before an upstream of the test's own."""
    writers, tasks = [], []

    async def handle(reader, writer):
        writers.append(writer)
        tasks.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    pool = bench.pool(Origin("127.0.0.1", server.sockets[0].getsockname()[1], is_tls=False))
    try:
        yield pool
    finally:
        await pool.close()
        await asyncio.gather(*tasks)
        for writer in writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        server.close()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def test_pieces_go_up_as_they_come_and_the_connection_is_kept(converse):
    async def dialogue(bench):
        pool = bench.pool()
        bench.upstream.is_answering = True
        body, listener, _, _ = bench.upload(pool, 6)
        body.feed(b"abc")
        body.feed(b"def")
        body.end()
        assert (await listener.over()).status == 200
        assert (await bench.asked()).body == b"abcdef"
        assert (await bench.ask(pool)).status == 200
        assert bench.upstream.connections == 1

    converse(dialogue)


def test_a_body_of_unknown_length_goes_up_in_chunks(converse):
    async def dialogue(bench):
        got = asyncio.get_running_loop().create_future()

        async def serve(reader, writer):
            got.set_result(await reader.readuntil(b"0\r\n\r\n"))
            writer.write(OK)

        async with served_by(bench, serve) as pool:
            body, listener, _, _ = bench.upload(pool)
            body.feed(b"abc")
            body.end()
            assert (await listener.over()).body == b"ok"
            head, _, sent = (await got).partition(b"\r\n\r\n")
            assert b"\r\ntransfer-encoding: chunked" in head
            assert b"content-length" not in head
            assert sent == b"3\r\nabc\r\n0\r\n\r\n"

    converse(dialogue)


def test_an_upstream_that_does_not_read_has_the_client_wait(converse):
    async def dialogue(bench):
        is_to_read = asyncio.Event()

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            await is_to_read.wait()
            await reader.readexactly(40_000_000)
            writer.write(OK)

        async with served_by(bench, serve) as pool:
            body, listener, _, asked = bench.upload(pool, 40_000_000)
            await bench.settle(lambda: pool.open_connections == 1)
            sent = 0
            while "pause" not in asked:
                body.feed(b"x" * 100_000)
                sent += 100_000
                await asyncio.sleep(0)
            assert sent < 40_000_000
            is_to_read.set()
            await bench.settle(lambda: "resume" in asked)
            body.feed(b"x" * (40_000_000 - sent))
            body.end()
            assert (await listener.over()).body == b"ok"

    converse(dialogue)


def test_an_answer_before_the_end_is_passed_on_and_the_connection_not_used_again(converse):
    async def dialogue(bench):
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")

        async with served_by(bench, serve) as pool:
            body, listener, _, _ = bench.upload(pool, 1000)
            body.feed(b"x")
            assert (await listener.over()).status == 413
            assert pool.open_connections == 0
            body.feed(b"y" * 999)  # read, and dropped
            assert body.held == 0

    converse(dialogue)


def test_a_body_that_breaks_off_breaks_the_attempt(converse):
    async def dialogue(bench):
        pool = bench.pool()
        body, listener, _, _ = bench.upload(pool, 10)
        await bench.settle(lambda: pool.open_connections == 1)
        body.feed(b"abc")
        body.fail(Refusal(408, "request_timeout", "Late."))
        assert (await listener.over()).failure.kind is FailureKind.BROKEN
        assert pool.open_connections == 0

    converse(dialogue)


def test_an_upload_is_not_sent_a_second_time(converse):
    async def dialogue(bench):
        pool = bench.pool()
        body, listener, _, _ = bench.upload(pool, 3)
        body.feed(b"abc")
        body.end()
        (await bench.asked()).reset()
        assert (await listener.over()).failure.kind is FailureKind.BROKEN
        assert bench.upstream.connections == 1

    converse(dialogue)


def test_a_cancelled_upload_lets_its_body_go(converse):
    async def dialogue(bench):
        pool = bench.pool()
        body, listener, flight, _ = bench.upload(pool, 10)
        await bench.settle(lambda: pool.open_connections == 1)
        flight.cancel()
        body.feed(b"abc")
        assert body.held == 0
        assert pool.open_connections == 0
        assert not listener.is_over.is_set()

    converse(dialogue)


def test_an_upstream_that_does_not_answer_in_time_is_given_up(converse):
    async def dialogue(bench):
        pool = bench.pool()
        body, listener, _, _ = bench.upload(pool, 3, first_byte_s=0.1)
        body.feed(b"abc")
        body.end()
        assert (await listener.over()).failure.kind is FailureKind.TIMEOUT

    converse(dialogue)
