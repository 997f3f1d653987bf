"""Mutated requests against a server connection, without a socket.

    python tests/fuzz/fuzz_http.py --seconds 60 [--seed N]

Each round feeds mutated and recombined requests in random pieces to a `Connection` on a transport in memory, with an
application that answers at once, later, or never. It fails on any exception that leaves the connection, on an answer
that is not well-formed HTTP, and on bytes that are still counted when the connection has gone.
"""

import argparse
import asyncio
import random
import sys
import time

from headworks.errors import Refusal
from headworks.server import HttpServer, ServerLimits
from headworks.wheel import TimerWheel

SEEDS = (
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /v1/models?limit=2 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /held HTTP/1.1\r\nhost: [::1]\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
    b"POST /held HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc",
    b"POST /refused HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
    b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /stream HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)

TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b":",
    b",",
    b"%2f",
    b"/../",
    b"//",
    b"\xff",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"chunked",
    b"identity, chunked",
    b"content-length: 5\r\n",
    b"content-length:\r\n",
    b"transfer-encoding: chunked\r\n",
    b"host: b\r\n",
    b"x: " + b"y" * 3000 + b"\r\n",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"x: y\r\n" * 40,
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"expect: 100-continue\r\n",
)

LIMITS = ServerLimits(
    header_bytes=2048, header_count=20, target_bytes=512, body_bytes=4096, buffered_bytes=6000, connections=2
)


class MemoryTransport:
    """As much of a transport as a connection uses."""

    def get_extra_info(self, name, default=None):
        return default

    def __init__(self, connection):
        self.connection = connection
        self.sent = []
        self.is_closing = False
        self.is_aborted = False
        self.is_reading = True
        self.has_eof = False

    def write(self, data):
        assert not self.has_eof, "written after the end"
        if not self.is_closing:
            self.sent.append(data)

    def write_eof(self):
        self.has_eof = True

    def can_write_eof(self):
        return True

    def close(self):
        self.is_closing = True

    def abort(self):
        self.is_closing = self.is_aborted = True

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high):
        assert high > 0


class Application:
    """Answers at once, in pieces, later, or never."""

    def __init__(self):
        self.waiting = []
        self.methods = []

    def admit(self, request):
        assert request.path.startswith("/")
        if request.path == "/refused":
            raise Refusal(401, "invalid_api_key", "No.")

    def refuse(self, refusal, request, reply):
        self.methods.append(request.method if request is not None else "")
        reply.respond(refusal.status, b"", refusal.body())

    def handle(self, request, reply):
        assert len(request.body) <= LIMITS.body_bytes
        self.methods.append(request.method)
        if request.path == "/held":
            self.waiting.append(reply)
            return self
        if request.path == "/stream":
            reply.begin(200, b"", b"one")
            reply.write(b"two")
            reply.end(b"three")
            return None
        reply.respond(200, b"", b"answer")
        return None

    def cancel(self):
        self.waiting.clear()


def mutated(chance):
    """A few requests, one after another, each with a few changes."""
    data = bytearray()
    for _ in range(chance.choice((1, 1, 2, 4, 30))):
        request = bytearray(chance.choice(SEEDS))
        for _ in range(chance.choice((0, 0, 1, 1, 2, 5))):
            place = chance.randrange(len(request) + 1)
            match chance.randrange(5):
                case 0:
                    request[place:place] = chance.choice(TOKENS)
                case 1:
                    del request[place : place + chance.randrange(1, 12)]
                case 2 if place < len(request):
                    request[place] = chance.randrange(256)
                case 3:
                    line_end = request.find(b"\r\n", place)
                    request[line_end + 2 : line_end + 2] = chance.choice(TOKENS)
                case _:
                    other = chance.choice(SEEDS)
                    request[place:] = other[chance.randrange(len(other)) :]
        data += request
    return bytes(data)


def feed(server, loop, data, chance):
    """One connection's life. `server.application` must be an `Application` of this module."""
    application = server.application
    connection = server.make_connection()
    transport = MemoryTransport(connection)
    connection.connection_made(transport)
    place = 0
    while place < len(data) and not transport.is_closing:
        size = chance.choice((1, 3, 40, 1000, 100_000))
        connection.data_received(data[place : place + size])
        place += size
        if chance.random() < 0.3:
            run_callbacks(loop)
        if application.waiting and chance.random() < 0.5:
            reply = application.waiting.pop()
            if chance.random() < 0.1:
                reply.abort()
            else:
                reply.respond(200, b"", b"late")
    run_callbacks(loop)
    if chance.random() < 0.5:
        while application.waiting and not transport.is_closing:
            application.waiting.pop().respond(200, b"", b"last")
            run_callbacks(loop)
    answers = b"".join(transport.sent)
    connection.connection_lost(None)
    run_callbacks(loop)
    assert server.buffered_bytes == 0, f"{server.buffered_bytes} bytes are still counted"
    assert not server.connections
    check_answers(answers, application.methods)


def check_answers(answers, methods):
    """What was sent is exactly one whole answer to each request that was taken up, in order, and nothing else."""
    place, count = 0, 0
    while place < len(answers):
        head, blank, _ = answers[place:].partition(b"\r\n\r\n")
        assert blank, "a head has no end"
        status_line, *lines = head.split(b"\r\n")
        version, status, _ = status_line.split(b" ", 2)
        assert version == b"HTTP/1.1"
        headers = dict(line.split(b": ", 1) for line in lines)
        place += len(head) + 4
        if status == b"100":
            continue
        method = methods[count]
        count += 1
        if method == "HEAD":
            continue
        if b"content-length" in headers:
            place += int(headers[b"content-length"])
        elif b"transfer-encoding" in headers:
            place = answers.index(b"\r\n0\r\n\r\n", place) + 7
        else:
            place = len(answers)  # HTTP/1.0: the end of the connection is the end of the body
    assert place == len(answers), "an answer is cut"


def run_callbacks(loop):
    """One turn of the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


class FuzzedServer(HttpServer):
    """A server whose connections the fuzzer makes itself."""

    def make_connection(self):
        from headworks.server.connection import Connection

        return Connection(self)


def fuzz(seconds, seed):
    """Fuzz for so long; returns how many connections were tried. Raises what the connection raised."""
    chance = random.Random(seed)
    loop = asyncio.new_event_loop()
    wheel = TimerWheel(loop)
    reported = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    try:
        server = FuzzedServer(Application(), limits=LIMITS, wheel=wheel, loop=loop)
        count = 0
        due_s = time.monotonic() + seconds
        while time.monotonic() < due_s:
            state = chance.getstate()
            data = mutated(chance)
            server.application = Application()
            try:
                feed(server, loop, data, chance)
                assert not reported, reported
            except BaseException:
                sys.stderr.write(f"seed {seed}, connection {count}, state {hash(state)}: {data!r}\n")
                raise
            count += 1
        return count
    finally:
        wheel.close()
        loop.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--seed", type=int, default=None)
    chosen = arguments.parse_args()
    first = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {first}: {fuzz(chosen.seconds, first)} connections, nothing found")
