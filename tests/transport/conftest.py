"""A real upstream and a real proxy in the test's own loop, and a sink that notes what it hears."""

import asyncio
import contextlib

import pytest
import uvloop

from headworks.body import BodyStream
from headworks.exchange import Timeouts, UpstreamRequest, request_line
from headworks.transport import Origin, PoolLimits, UpstreamPool
from headworks.wheel import Timer, TimerWheel

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Asked:
    """One request as the upstream got it, with the connection to answer on."""

    def __init__(self, head, body, writer, connection):
        self.head = head
        self.body = body
        self.writer = writer
        self.connection = connection
        self.is_left = asyncio.Event()

    def answer(self, data=OK):
        self.writer.write(data)

    async def sent(self):
        """Until all of it has left this process."""
        await settle(lambda: self.writer.transport.get_write_buffer_size() == 0)

    def close(self):
        self.writer.close()

    def reset(self):
        self.writer.transport.abort()


class Upstream:
    """Takes requests off real connections; the test answers them."""

    def __init__(self):
        self.asked = asyncio.Queue()
        self.connections = 0
        self.open = 0
        self.port = 0
        self.is_answering = False
        self.writers = []

    async def listen(self, tls=None):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        number = self.connections
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"content-length: ")
                body = await reader.readexactly(int(length.split(b"\r\n")[0])) if length else b""
                asked = Asked(head, body, writer, number)
                asked.reader = reader
                if self.is_answering:
                    asked.answer()
                self.asked.put_nowait(asked)
                if b"\r\nupgrade: " in head.lower():
                    await asked.is_left.wait()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        finally:
            self.open -= 1

    async def close(self):
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await settle(lambda: self.open == 0)


class Proxy:
    """An HTTP proxy that knows CONNECT and nothing else."""

    def __init__(self, answer=b"HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n"):
        self.answer = answer
        self.heads = []
        self.pumps = set()

    async def listen(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        middle = len(self.answer) // 2
        writer.write(self.answer[:middle])
        await writer.drain()
        writer.write(self.answer[middle:])
        if b" 200 " not in self.answer:
            writer.close()
            return
        host, port = head.split(b" ")[1].decode().rsplit(":", 1)
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    async def close(self):
        self.server.close()


async def _pump(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


class Listener:
    """A sink that notes what it hears and checks the order of it."""

    def __init__(self):
        self.status = 0
        self.headers = {}
        self.body = b""
        self.failure = None
        self.is_over = asyncio.Event()
        self.has_head = asyncio.Event()
        self.on_bytes = None

    def on_head(self, status, headers):
        assert not self.status
        assert not self.is_over.is_set()
        self.status, self.headers = status, dict(headers)
        self.has_head.set()

    def on_body(self, data):
        assert self.status
        assert not self.is_over.is_set()
        self.body += data
        if self.on_bytes is not None:
            self.on_bytes()

    def on_end(self):
        assert self.status
        assert not self.is_over.is_set()
        self.is_over.set()

    def on_failure(self, failure):
        assert not self.is_over.is_set()
        self.failure = failure
        self.is_over.set()

    async def over(self):
        await self.is_over.wait()
        return self


async def settle(is_so):
    """Let the loop run until something is so; the test's own time limit ends a wait in vain."""
    while not is_so():
        await asyncio.sleep(0)


class Bench:
    """A pool in front of an upstream."""

    def __init__(self, upstream, wheel):
        self.upstream = upstream
        self.wheel = wheel
        self.loop = asyncio.get_running_loop()
        self.pools = []
        self.proxies = []
        self.errors = []

    def pool(self, origin=None, *, connect_s=2.0, **limits):
        pool = UpstreamPool(
            "models",
            origin or Origin("127.0.0.1", self.upstream.port, is_tls=False),
            limits=PoolLimits(**limits),
            connect_s=connect_s,
            wheel=self.wheel,
            loop=self.loop,
        )
        self.pools.append(pool)
        return pool

    def listener(self):
        return Listener()

    def send(self, pool, body=b"{}", **timeouts):
        listener = Listener()
        request = UpstreamRequest(request_line("POST", "/v1/chat"), b"authorization: Bearer x\r\n", body)
        listener.flight = pool.send(request, listener, Timeouts(**timeouts))
        return listener

    def upload(self, pool, length=None, **timeouts):
        """A body to feed, what hears of the answer, the flight, and what the body asked of its source."""
        body, listener = BodyStream(), Listener()
        asked = []
        body.bind(length, lambda: asked.append("pause"), lambda: asked.append("resume"))
        request = UpstreamRequest(request_line("POST", "/v1/files"), b"authorization: Bearer x\r\n")
        flight = pool.upload(request, body, listener, Timeouts(**timeouts))
        return body, listener, flight, asked

    async def ask(self, pool, body=b"{}", **timeouts):
        return await self.send(pool, body, **timeouts).over()

    async def proxy(self, **answers):
        proxy = Proxy(**answers)
        await proxy.listen()
        self.proxies.append(proxy)
        return proxy

    async def asked(self):
        """The next request that has reached the upstream."""
        return await self.upstream.asked.get()

    async def settle(self, is_so):
        await settle(is_so)

    async def tick(self, delay_s):
        """Until the pool's own wheel has turned for so long."""
        turned = asyncio.Event()
        self.wheel.arm(Timer(turned.set), delay_s)
        await turned.wait()


@pytest.fixture
def converse():
    """Run a test's coroutine on uvloop with an upstream; afterwards no connection may be left."""

    def run(dialogue, *, tls=None):
        async def main():
            wheel = TimerWheel(asyncio.get_running_loop())
            upstream = Upstream()
            await upstream.listen(tls)
            bench = Bench(upstream, wheel)
            bench.loop.set_exception_handler(lambda _, context: bench.errors.append(context))
            try:
                async with asyncio.timeout(60):
                    await dialogue(bench)
            finally:
                for pool in bench.pools:
                    await pool.close()
                    assert pool.open_connections == 0
                await upstream.close()
                for proxy in bench.proxies:
                    await proxy.close()
                wheel.close()
            assert not bench.errors

        uvloop.run(main())

    return run
