"""Bodies that go through piece by piece, on loopback."""

import asyncio

from headworks.body import HIGH_WATER_BYTES

HEAD = b"POST /upload HTTP/1.1\r\nhost: gateway\r\n"
GET = b"GET /echo HTTP/1.1\r\nhost: gateway\r\n\r\n"


async def begun(served, head):
    client = await served.connect()
    client.send(head)
    return client, await served.application.held.get()


async def until(is_so):
    while not is_so():
        await asyncio.sleep(0)


def test_the_application_begins_before_the_body_is_there_and_the_connection_goes_on(serve):
    async def dialogue(served):
        client, task = await begun(served, HEAD + b"content-length: 6\r\n\r\nabc")
        task.take()
        await until(lambda: task.pieces)
        assert not task.end.done()
        client.send(b"def")
        assert await task.end is None
        assert (b"".join(task.pieces), task.body.length) == (b"abcdef", 6)
        task.reply.respond(200, b"", b"done")
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"done")
        assert "connection" not in answer.headers
        assert (await client.ask(GET)).status == 200

    serve(dialogue)


def test_a_chunked_body_comes_as_what_it_holds(serve):
    async def dialogue(served):
        client, task = await begun(served, HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        task.take()
        client.send(b"2\r\nde\r\n0\r\n\r\n")
        assert await task.end is None
        assert (b"".join(task.pieces), task.body.length) == (b"abcde", None)
        task.reply.respond(200, b"", b"")
        await client.answer()

    serve(dialogue)


def test_more_than_can_be_held_stays_with_the_client_until_it_is_taken(serve):
    async def dialogue(served):
        size = 20_000_000
        client, task = await begun(served, HEAD + b"content-length: %d\r\n\r\n" % size)
        client.send(b"x" * size)
        await until(lambda: task.body.held >= HIGH_WATER_BYTES)
        for _ in range(50):
            await asyncio.sleep(0)
        assert task.body.held <= 2 * HIGH_WATER_BYTES
        assert served.server.buffered_bytes == 0
        task.take()
        assert await task.end is None
        assert sum(map(len, task.pieces)) == size
        task.reply.respond(200, b"", b"")
        assert (await client.answer()).status == 200

    serve(dialogue, body_bytes=1000)


def test_an_answer_before_the_end_of_the_body_ends_the_connection(serve):
    async def dialogue(served):
        client, task = await begun(served, HEAD + b"content-length: 6\r\n\r\nabc")
        task.reply.respond(400, b"", b"no")
        client.send(b"def" + GET)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await client.at_end() == b""
        assert len(served.application.requests) == 1

    serve(dialogue)


def test_a_client_that_goes_away_in_the_middle_is_noticed(serve):
    async def dialogue(served):
        client, task = await begun(served, HEAD + b"content-length: 6\r\n\r\nabc")
        task.take()
        await client.close()
        await task.is_cancelled.wait()
        assert not task.end.done()

    serve(dialogue)


def test_a_body_that_is_too_long_or_malformed_ends_with_a_refusal(serve):
    async def dialogue(served):
        for head, rest, status in (
            (b"transfer-encoding: chunked\r\n\r\n", b"ff\r\n" + b"x" * 255 + b"\r\n", 413),
            (b"transfer-encoding: chunked\r\n\r\n", b"zz\r\n", 400),
        ):
            client, task = await begun(served, HEAD + head)
            task.take()
            client.send(rest)
            refusal = await task.end
            assert refusal.status == status
            task.reply.respond(refusal.status, b"", b"")
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (status, "close")
            await client.close()

    serve(dialogue, body_bytes=50, upload_bytes=100)


def test_a_length_that_is_too_long_is_refused_at_once(serve):
    async def dialogue(served):
        client = await served.connect()
        answer = await client.ask(HEAD + b"content-length: 300000\r\n\r\n")
        assert answer.status == 413
        assert not served.application.requests

    serve(dialogue, body_bytes=50, upload_bytes=100)


def test_a_body_that_stops_coming_ends_with_a_refusal(serve):
    async def dialogue(served):
        client, task = await begun(served, HEAD + b"content-length: 6\r\n\r\nabc")
        task.take()
        refusal = await task.end
        assert refusal.status == 408
        task.reply.respond(408, b"", b"")
        assert (await client.answer()).status == 408

    serve(dialogue, body_timeout_s=0.1)


def test_behind_another_request_a_body_is_gathered_as_usual(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"POST /held HTTP/1.1\r\nhost: gateway\r\ncontent-length: 0\r\n\r\n")
        first = await served.application.held.get()
        client.send(HEAD + b"content-length: 3\r\n\r\nabc")
        await until(lambda: served.server.buffered_bytes == 3)
        first.reply.respond(200, b"", b"first")
        assert (await client.answer()).body == b"first"
        assert (await client.answer()).body.endswith(b"|abc")

    serve(dialogue)


def test_who_expects_to_be_told_to_go_on_is_told(serve):
    async def dialogue(served):
        client, task = await begun(served, HEAD + b"content-length: 3\r\nexpect: 100-continue\r\n\r\n")
        task.take()
        assert (await client.head())[0] == 100
        client.send(b"abc")
        assert await task.end is None
        task.reply.respond(200, b"", b"")
        assert (await client.answer()).status == 200

    serve(dialogue)
