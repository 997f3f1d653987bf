import asyncio

import pytest

ASK = (
    b"GET /wire HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class End:
    """Takes an upgrade when the test says so, and notes what comes."""

    def __init__(self, request, reply):
        self.request = request
        self.reply = reply
        self.data = b""
        self.is_lost = asyncio.Event()
        self.is_full = asyncio.Event()
        self.is_free = asyncio.Event()
        self.is_cancelled = False
        self.wire = None

    def accept(self):
        self.wire = self.request.upgrade.accept(b"x-chosen: y\r\n", self)

    def on_data(self, data):
        self.data += data

    def on_lost(self):
        self.is_lost.set()

    def on_full(self):
        self.is_full.set()

    def on_free(self):
        self.is_free.set()

    def cancel(self):
        self.is_cancelled = True

    def stop(self):
        self.wire.write(b"stopping")
        self.wire.close()

    async def has(self, data):
        while self.data != data:
            await asyncio.sleep(0)


def taking(served, *, at_once=True):
    """Have the application take upgrades; returns where they come."""
    ends = asyncio.Queue()

    def handle(request, reply):
        if request.upgrade is None:
            reply.respond(200, b"", b"plain")
            return None
        end = End(request, reply)
        if at_once:
            end.accept()
        ends.put_nowait(end)
        return end

    served.application.handle = handle
    return ends


@pytest.mark.parametrize("at_once", [True, False])
def test_a_connection_becomes_a_wire_in_both_directions(serve, at_once):
    async def dialogue(served):
        ends = taking(served, at_once=at_once)
        client = await served.connect()
        client.send(ASK + b"early")
        end = await ends.get()
        if not at_once:
            end.accept()
        status, headers = await client.head()
        assert (status, headers["upgrade"], headers["connection"]) == (101, "websocket", "upgrade")
        assert headers["x-chosen"] == "y"
        await end.has(b"early")
        client.send(b", later")
        await end.has(b"early, later")
        end.wire.write(b"down")
        assert await client.reader.readexactly(4) == b"down"
        end.wire.close()
        assert await client.at_end() == b""
        assert not end.is_lost.is_set()
        assert not end.is_cancelled

    serve(dialogue)


def test_who_listens_hears_of_a_client_that_goes_and_is_not_cancelled(serve):
    async def dialogue(served):
        ends = taking(served)
        client = await served.connect()
        client.send(ASK)
        end = await ends.get()
        await client.head()
        client.writer.transport.abort()
        await end.is_lost.wait()
        assert not end.is_cancelled
        end.wire.write(b"to nobody")
        end.wire.close()

    serve(dialogue)


def test_a_client_that_goes_before_it_is_accepted_cancels(serve):
    async def dialogue(served):
        ends = taking(served, at_once=False)
        client = await served.connect()
        client.send(ASK)
        end = await ends.get()
        client.writer.transport.abort()
        await served.empty()
        assert end.is_cancelled
        end.accept()
        end.wire.write(b"to nobody")

    serve(dialogue)


def test_an_upgrade_may_be_refused_and_the_connection_ends_with_that(serve):
    async def dialogue(served):
        ends = taking(served, at_once=False)
        client = await served.connect()
        client.send(ASK)
        end = await ends.get()
        end.reply.respond(403, b"", b"no")
        answer = await client.answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (403, b"no", "close")
        assert await client.at_end() == b""

    serve(dialogue)


def test_what_follows_a_refused_upgrade_is_no_request(serve):
    async def dialogue(served):
        taken = []
        served.application.handle = lambda request, reply: (
            taken.append(request.path),
            reply.respond(404, b"", b""),
        )[1]
        client = await served.connect()
        client.send(ASK + b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await client.answer()).status == 404
        assert await client.at_end() == b""
        assert taken == ["/wire"]

    serve(dialogue)


def test_an_upgrade_behind_an_unanswered_request_is_refused(serve):
    async def dialogue(served):
        client = await served.connect()
        client.send(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n" + ASK)
        task = await served.application.held.get()
        task.reply.respond(200, b"", b"")
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 400

    serve(dialogue)


def test_too_much_before_the_answer_breaks_the_connection(serve):
    async def dialogue(served):
        ends = taking(served, at_once=False)
        client = await served.connect()
        client.send(ASK + bytes(70_000))
        end = await ends.get()
        await served.empty()
        assert end.is_cancelled

    serve(dialogue)


def test_a_stop_tells_whoever_is_at_the_wire(serve):
    async def dialogue(served):
        ends = taking(served)
        client = await served.connect()
        client.send(ASK)
        await ends.get()
        await client.head()
        stopped = asyncio.ensure_future(served.server.stop(0))
        assert await client.at_end() == b"stopping"
        await client.close()
        assert await stopped == 1

    serve(dialogue)


def test_a_client_that_takes_nothing_is_told_of_and_given_up(serve):
    async def dialogue(served):
        ends = taking(served)
        client = await served.connect_slow()
        client.send(ASK)
        end = await ends.get()
        while not end.is_full.is_set():
            end.wire.write(bytes(65_536))
        await end.is_lost.wait()

    serve(dialogue, write_timeout_s=0.1)


def test_reading_waits_while_whoever_listens_is_slower(serve):
    async def dialogue(served):
        ends = taking(served)
        client = await served.connect()
        client.send(ASK)
        end = await ends.get()
        await client.head()
        end.wire.pause()
        client.send(b"waits")
        await served.tick(0.05)
        assert end.data == b""
        end.wire.resume()
        await end.has(b"waits")
        end.wire.abort()

    serve(dialogue)
