import asyncio
import ssl

import trustme

from headworks.calls import FailureKind
from headworks.exchange import Timeouts, UpstreamRequest, request_line
from headworks.transport import Origin

ASKED = UpstreamRequest(request_line("GET", "/v1/realtime"), b"connection: Upgrade\r\nupgrade: websocket\r\nx: y\r\n")
CHANGED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nx-a: b\r\n\r\n"


class End:
    """A sink that takes the wire, and notes what comes on it."""

    def __init__(self, listener, *, takes=True):
        self.listener = listener
        self.takes = takes
        self.wire = None
        self.data = b""
        self.is_lost = False
        self.is_full = False
        self.on_head = listener.on_head
        self.on_body = listener.on_body
        self.on_end = listener.on_end
        self.on_failure = listener.on_failure

    def on_wire(self, headers, wire):
        self.headers, self.wire = headers, wire
        return self if self.takes else None

    def on_data(self, data):
        self.data += data

    def on_lost(self):
        self.is_lost = True

    def on_full(self):
        self.is_full = True

    def on_free(self):
        self.is_full = False


def connect(bench, pool, *, takes=True, **timeouts):
    end = End(bench.listener(), takes=takes)
    end.flight = pool.connect(ASKED, end, Timeouts(**timeouts))
    return end


async def connected(bench, pool, rest=b""):
    end = connect(bench, pool)
    asked = await bench.asked()
    asked.answer(CHANGED + rest)
    await bench.settle(lambda: end.wire is not None)
    return end, asked


def test_a_connection_becomes_a_wire_and_what_came_with_the_answer_comes_first(converse):
    async def dialogue(bench):
        pool = bench.pool()
        end, asked = await connected(bench, pool, b"first")
        assert asked.head.startswith(b"GET /v1/realtime HTTP/1.1\r\nhost: ")
        assert b"content-length" not in asked.head
        assert end.headers[b"x-a"] == b"b"
        end.wire.write(b"up")
        assert await asked.reader.readexactly(2) == b"up"
        asked.answer(b" and more")
        await bench.settle(lambda: end.data == b"first and more")
        assert pool.open_connections == 0
        end.wire.close()
        assert await asked.reader.read() == b""
        assert not end.is_lost
        asked.is_left.set()

    converse(dialogue)


def test_an_answer_of_another_kind_is_an_answer(converse):
    async def dialogue(bench):
        end = connect(bench, bench.pool())
        asked = await bench.asked()
        asked.answer(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno")
        await end.listener.over()
        assert (end.listener.status, end.listener.body, end.wire) == (401, b"no", None)
        asked.is_left.set()

    converse(dialogue)


def test_a_change_to_something_else_fails_and_is_left(converse):
    async def dialogue(bench):
        end = connect(bench, bench.pool(), takes=False)
        asked = await bench.asked()
        asked.answer(CHANGED)
        await end.listener.over()
        assert end.listener.failure.kind is FailureKind.INVALID
        assert await asked.reader.read() == b""
        asked.is_left.set()

    converse(dialogue)


def test_an_upstream_that_does_not_answer_is_given_up(converse):
    async def dialogue(bench):
        end = connect(bench, bench.pool(), first_byte_s=0.1)
        asked = await bench.asked()
        await end.listener.over()
        assert end.listener.failure.kind is FailureKind.TIMEOUT
        asked.is_left.set()

    converse(dialogue)


def test_whoever_listens_hears_of_the_loss_of_the_upstream_and_of_the_end_of_the_pool(converse):
    async def dialogue(bench):
        pool = bench.pool()
        first, asked = await connected(bench, pool)
        asked.reset()
        await bench.settle(lambda: first.is_lost)
        asked.is_left.set()
        second, asked = await connected(bench, pool)
        await pool.close()
        await bench.settle(lambda: second.is_lost)
        asked.is_left.set()
        assert not pool.tunnels

    converse(dialogue)


def test_wires_take_no_place_of_calls(converse):
    async def dialogue(bench):
        pool = bench.pool(limit=1)
        end, asked = await connected(bench, pool)
        bench.upstream.is_answering = True
        listener = await bench.ask(pool)
        assert listener.status == 200
        end.wire.abort()
        asked.is_left.set()

    converse(dialogue)


def test_a_wire_that_is_full_says_so_and_says_when_it_is_free(converse):
    async def dialogue(bench):
        end, asked = await connected(bench, bench.pool())
        while not end.is_full:
            end.wire.write(bytes(65_536))
            await asyncio.sleep(0)
        while end.is_full:
            await asked.reader.read(1 << 20)
        end.wire.abort()
        asked.is_left.set()

    converse(dialogue)


def test_a_wire_goes_through_a_proxy_and_tls_to_the_upstream_itself(converse, tmp_path):
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def dialogue(bench):
        proxy = await bench.proxy()
        origin = Origin(
            "localhost", bench.upstream.port, is_tls=True, proxy=proxy.url, ca_file=str(tmp_path / "ca.pem")
        )
        end, asked = await connected(bench, bench.pool(origin), b"first")
        end.wire.write(b"up")
        assert await asked.reader.readexactly(2) == b"up"
        asked.answer(b" and more")
        await bench.settle(lambda: end.data == b"first and more")
        assert b"upgrade" not in proxy.heads[0].lower()
        end.wire.close()
        asked.is_left.set()

    converse(dialogue, tls=context)
