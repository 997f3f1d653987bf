"""The upstream of the benchmarks: the cheapest server that answers as the OpenAI API does.

Run as a process of its own: `python -m benchmarks.stub --port 0` prints the port that it took. It answers

- `POST /v1/chat/completions` and `POST /v1/responses` at once with a fixed answer, or, when the body asks for a
  stream, with as many chunks as the body's `max_tokens` (`max_output_tokens`) says, one every `--interval` seconds;
- `GET /bench/counters` with what it has served, which is how the benchmarks count calls exactly.

Streams are paced by one timer for all: the interval is cut in slots of about a millisecond, streams are dealt to the
slots in turn, and each tick serves the slots that have come due. So a thousand streams cost a thousand writes an
interval, evenly spread, and no timer of their own.
"""

import argparse
import asyncio
import gc
import json
import re
import time
from typing import cast

import uvloop

from benchmarks import wire

_SLOT_S = 0.001
"""libuv's timers have a resolution of a millisecond."""
_STREAM_WANTED = re.compile(rb'"stream": ?true')
_CHUNKS_WANTED = re.compile(rb'"max_(?:completion_|output_)?tokens": ?(\d+)')
_SIZE = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)


class Counters:
    """What the upstream has served since it started; state of one process, changed only by its connections."""

    def __init__(self) -> None:
        self.calls = 0
        self.streams = 0
        self.chunks = 0
        self.cut_streams = 0

    def as_json(self) -> bytes:
        return json.dumps(vars(self)).encode()


class Pacer:
    """Deals streams to time slots and serves each slot once an interval.

    State: `_slots`, the live streams by slot; `_served`, how many slots have been served since `start`.
    """

    def __init__(self, interval_s: float, counters: Counters) -> None:
        self.counters = counters
        self._slots: list[list[Stream]] = [[] for _ in range(max(1, round(interval_s / _SLOT_S)))]
        self._slot_s = interval_s / len(self._slots)
        self._served = 0
        self._dealt = 0
        self._started = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._started = loop.time()
        loop.call_later(self._slot_s, self._tick)

    def add(self, stream: "Stream") -> None:
        """Serve this stream from the next round of its slot."""
        self._slots[self._dealt % len(self._slots)].append(stream)
        self._dealt += 1

    def _tick(self) -> None:
        due = int((self._loop.time() - self._started) / self._slot_s)
        while self._served < due:
            slot = self._slots[self._served % len(self._slots)]
            self._served += 1
            ended = [stream for stream in slot if not stream.send_next()]
            for stream in ended:
                slot.remove(stream)
        self._loop.call_later(self._slot_s, self._tick)


class Stream:
    """One streamed answer under way on one connection."""

    __slots__ = ("_chunk", "_chunks", "_connection", "_counters", "_end", "_next")

    def __init__(self, connection: "Connection", *, is_chat: bool, chunks: int, counters: Counters) -> None:
        self._connection = connection
        self._chunk = wire.chat_chunk if is_chat else wire.responses_chunk
        self._end = wire.chat_stream_end() if is_chat else wire.responses_stream_end(chunks)
        self._chunks = chunks
        self._next = 0
        self._counters = counters

    def send_next(self) -> bool:
        """Send the next chunk; False when that was the end of the stream or nobody listens any more."""
        transport = self._connection.transport
        if transport is None or transport.is_closing():
            self._counters.cut_streams += 1
            return False
        if self._next < self._chunks:
            transport.write(_framed(self._chunk(self._next, time.monotonic_ns())))
            self._counters.chunks += 1
            self._next += 1
            return True
        transport.write(_framed(self._end) + b"0\r\n\r\n")
        return False


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests one after another, as gateways send them."""

    def __init__(self, pacer: Pacer, answers: dict[bytes, bytes], stream_head: bytes) -> None:
        self.transport: asyncio.Transport | None = None
        self._pacer = pacer
        self._counters = pacer.counters
        self._answers = answers
        self._stream_head = stream_head
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class, which asyncio does not know

    def connection_lost(self, _exc: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        while data:
            head_end = data.find(b"\r\n\r\n")
            if head_end < 0:
                break
            body_start = head_end + 4
            head = data[: head_end + 2]
            if size := _SIZE.search(head):
                body_end = body_start + int(size[1])
                if len(data) < body_end:
                    break
            elif _CHUNKED.search(head):
                # A gateway that re-frames the body; the stub only looks for words in it, so it need not join it.
                last = data.find(b"\r\n0\r\n\r\n", head_end + 2)
                if last < 0:
                    break
                body_end = last + 7
            else:
                body_end = body_start
            self._answer(head, data[body_start:body_end])
            data = data[body_end:]
        self._received = data

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self.transport is not None
        path = head[: head.index(b" HTTP/")].rpartition(b" ")[2]
        if path == b"/bench/counters":
            self.transport.write(_sized(b"200 OK", self._counters.as_json(), b""))
        elif path not in self._answers:
            self.transport.write(_sized(b"404 Not Found", b'{"error":{"message":"the stub has no such path"}}', b""))
        elif _STREAM_WANTED.search(body):
            self._counters.streams += 1
            wanted = _CHUNKS_WANTED.search(body)
            is_chat = path == wire.CHAT_PATH.encode()
            first = wire.chat_stream_start() if is_chat else wire.responses_stream_start()
            self.transport.write(self._stream_head + _framed(first))
            chunks = int(wanted[1]) if wanted else 16
            self._pacer.add(Stream(self, is_chat=is_chat, chunks=chunks, counters=self._counters))
        else:
            self._counters.calls += 1
            self.transport.write(self._answers[wire.WANTS_JSON if wire.WANTS_JSON in body else path])


def _framed(data: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _sized(status: bytes, body: bytes, headers: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b" % (
        status,
        len(body),
        headers,
        body,
    )


async def serve(port: int, *, interval_s: float, as_openai: bool) -> asyncio.Server:
    """Start the upstream on 127.0.0.1 in the running loop; port 0 takes a free one."""
    headers = wire.answer_headers(as_openai=as_openai)
    answers = {
        wire.CHAT_PATH.encode(): _sized(b"200 OK", wire.chat_answer(), headers),
        wire.RESPONSES_PATH.encode(): _sized(b"200 OK", wire.responses_answer(), headers),
        wire.WANTS_JSON: _sized(b"200 OK", wire.chat_answer(as_json=True), headers),
    }
    stream_head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n%b\r\n"
    ) % headers
    loop = asyncio.get_running_loop()
    pacer = Pacer(interval_s, Counters())
    pacer.start(loop)
    return await loop.create_server(
        lambda: Connection(pacer, answers, stream_head), "127.0.0.1", port, backlog=4096, reuse_address=True
    )


async def _run(options: argparse.Namespace) -> None:
    server = await serve(options.port, interval_s=options.interval, as_openai=not options.bare)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.freeze()
    gc.disable()  # nothing here makes cycles that matter, and a collection would show in the latencies of others
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--interval", type=float, default=0.05, help="seconds between the chunks of a stream")
    parser.add_argument("--bare", action="store_true", help="leave out the headers that the OpenAI API adds")
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
