"""A real server on loopback with a small application, and clients that speak in raw bytes."""

import asyncio
import socket

import pytest
import uvloop

from headworks.body import BodyStream
from headworks.errors import Refusal
from headworks.exchange import Request
from headworks.server import HttpServer, ServerLimits, bind
from headworks.wheel import Timer, TimerWheel


class Task:
    """A request that the application answers when the test says so."""

    def __init__(self, request, reply):
        self.request = request
        self.reply = reply
        self.is_cancelled = asyncio.Event()
        self.is_paused = False
        reply.set_flow(self._pause, self._resume)

    def cancel(self):
        self.is_cancelled.set()

    def stop(self):
        if self.request.query != "deaf":
            self.reply.respond(503, b"", b"stopped")

    def _pause(self):
        self.is_paused = True

    def _resume(self):
        self.is_paused = False


class Intake(Task):
    """A request whose body comes piece by piece."""

    def __init__(self, request, reply):
        super().__init__(request, reply)
        self.body = request.incoming
        self.pieces = []
        self.end = asyncio.get_running_loop().create_future()

    def take(self):
        self.body.attach(self.pieces.append, self.end.set_result)


class Application:
    """Answers /echo at once, holds /held for the test, refuses /refused at its head."""

    def __init__(self):
        self.requests = []
        self.refusals = []
        self.held = asyncio.Queue()
        self.tag = b""

    def admit(self, request):
        if request.path == "/refused":
            raise Refusal(401, "invalid_api_key", "No.")
        if request.path.startswith("/upload"):
            request.incoming = BodyStream()

    def refuse(self, refusal, request, reply):
        self.refusals.append(refusal)
        headers = "".join(f"{name}: {value}\r\n" for name, value in refusal.headers)
        reply.respond(refusal.status, headers.encode(), refusal.body())

    def handle(self, request, reply):
        assert type(request) is Request
        self.requests.append(request)
        if request.path == "/bug":
            raise LookupError("a bug in the application")
        if request.path.startswith("/upload") and request.incoming is not None:
            task = Intake(request, reply)
            self.held.put_nowait(task)
            return task
        if request.path == "/held":
            task = Task(request, reply)
            self.held.put_nowait(task)
            return task
        if request.path == "/abort":
            reply.begin(200, b"")
            reply.write(b"some")
            reply.abort()
            return None
        reply.respond(200, b"", self.tag + request.path.encode() + b"?" + request.query.encode() + b"|" + request.body)
        return None


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


class Client:
    """One raw connection; reads answers as a strict client would."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def send(self, data):
        self.writer.write(data)

    async def head(self):
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return status, headers

    async def answer(self, *, is_head=False):
        status, headers = await self.head()
        body = b""
        if is_head or status < 200:
            return Answer(status, headers, body)
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            assert await self.reader.readexactly(2) == b"\r\n"
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await self.reader.read()
        return Answer(status, headers, body)

    async def ask(self, data):
        self.send(data)
        return await self.answer()

    async def at_end(self):
        """What is left until the server closes; empty if nothing is."""
        return await self.reader.read()

    async def close(self):
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


class Served:
    """The server with its application, and how to reach it."""

    def __init__(self, application, server, wheel, port):
        self.application = application
        self.server = server
        self.wheel = wheel
        self.port = port
        self.clients = []
        self.errors = []

    async def connect(self, **options):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    async def connect_slow(self):
        """A client whose kernel takes little for it, so that the server soon notices that nobody reads."""
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=1024)
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    async def tick(self, delay_s):
        """Until the server's own wheel has turned for so long."""
        turned = asyncio.Event()
        self.wheel.arm(Timer(turned.set), delay_s)
        await turned.wait()

    async def empty(self):
        """Until no connection is left."""
        while self.server.connections:
            await asyncio.sleep(0)


@pytest.fixture
def serve():
    """Run a test's coroutine on uvloop with a server; afterwards nothing may be held any more."""

    def run(dialogue, *, tls=None, **limits):
        async def main():
            loop = asyncio.get_running_loop()
            wheel = TimerWheel(loop)
            application = Application()
            server = HttpServer(application, limits=ServerLimits(**limits), wheel=wheel, loop=loop)
            listener = bind("127.0.0.1", 0, shared=False)
            await server.listen(listener, tls)
            served = Served(application, server, wheel, listener.getsockname()[1])
            loop.set_exception_handler(lambda _, context: served.errors.append(context.get("exception")))
            try:
                async with asyncio.timeout(60):
                    await dialogue(served)
                    for client in served.clients:
                        await client.close()
                    await served.empty()
            finally:
                for client in served.clients:
                    client.writer.transport.abort()
                await server.stop(0)
                await asyncio.sleep(0)
            wheel.close()
            assert server.buffered_bytes == 0
            assert not server.connections
            assert not served.errors

        uvloop.run(main())

    return run
