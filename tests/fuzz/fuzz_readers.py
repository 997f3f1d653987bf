"""Mutated requests, read by us and by another reader: what both take is the same request.

    python tests/fuzz/fuzz_readers.py --seconds 60 [--seed N]
    python tests/fuzz/fuzz_readers.py --connections 10000000 [--seed N]

A proxy in front that reads one request where we read two, or another path, is how requests are smuggled. The other
reader is h11, a parser of its own that shares no code with ours. Whatever it refuses, we may read; what it reads, we
read alike: method, path and body of each request of the connection, in order.
"""

import argparse
import asyncio
import random
import sys
import time
from urllib.parse import unquote

import h11
from fuzz_http import LIMITS, Application, FuzzedServer, MemoryTransport, mutated, run_callbacks

from headworks.wheel import TimerWheel


class Noting(Application):
    """Answers at once and notes what it was asked; None for what was refused."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def refuse(self, refusal, request, reply):
        self.seen.append(None)
        super().refuse(refusal, request, reply)

    def handle(self, request, reply):
        self.seen.append((request.method, request.path, request.query, request.body))
        reply.respond(200, b"", b"answer")


def ours(server, loop, data):
    """What we make of the bytes of one connection."""
    server.application = Noting()
    connection = server.make_connection()
    transport = MemoryTransport(connection)
    connection.connection_made(transport)
    if not transport.is_closing:
        connection.data_received(data)
        run_callbacks(loop)
    connection.connection_lost(None)
    run_callbacks(loop)
    return server.application.seen


def theirs(data):
    """What h11 makes of them."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    found = []
    try:
        while True:
            event = connection.next_event()
            match event:
                case h11.Request():
                    head, body = event, b""
                case h11.Data():
                    body += bytes(event.data)
                case h11.EndOfMessage():
                    path, _, query = head.target.decode("latin-1").partition("?")
                    found.append((head.method.decode(), unquote(path), query, body))
                    connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                    connection.send(h11.EndOfMessage())
                    if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                        return found
                    connection.start_next_cycle()
                case _:
                    return found
    except h11.ProtocolError:  # refused, or the end of HTTP on this connection (CONNECT)
        return found


def check(server, loop, data):
    """One connection, read twice; returns how many requests both had."""
    agreed = 0
    for mine, other in zip(ours(server, loop, data), theirs(data), strict=False):
        if mine is None:
            continue
        assert mine == other, f"we read {mine!r}, others {other!r}"
        agreed += 1
    return agreed


def fuzz(seconds, connections, seed):
    """Fuzz for so long, or so often where that is not 0; returns how many requests two readers agreed on, and how many
    connections they have read."""
    chance = random.Random(seed)
    loop = asyncio.new_event_loop()
    wheel = TimerWheel(loop)
    loop.set_exception_handler(lambda *_: None)
    try:
        server = FuzzedServer(Noting(), limits=LIMITS, wheel=wheel, loop=loop)
        count = read = 0
        due_s = time.monotonic() + seconds
        while read < connections if connections else time.monotonic() < due_s:
            read += 1
            data = mutated(chance)
            try:
                count += check(server, loop, data)
            except BaseException:
                sys.stderr.write(f"seed {seed}: {data!r}\n")
                raise
        return count, read
    finally:
        wheel.close()
        loop.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--connections", type=int, default=0)
    arguments.add_argument("--seed", type=int, default=None)
    chosen = arguments.parse_args()
    first = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(2**32)
    requests, tried = fuzz(chosen.seconds, chosen.connections, first)
    print(f"seed {first}: {requests} requests of {tried} connections, nothing found")
