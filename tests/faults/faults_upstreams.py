"""Upstreams that do what no HTTP server does: bytes cut anywhere, silence, floods of 429, strangers' certificates."""

import asyncio
import contextlib
import gzip
import itertools
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import msgspec

CHUNK = 'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",%s}\n\n'
DELTA = CHUNK % '"choices":[{"index":0,"delta":%s}]'
EVENTS = [
    DELTA % '{"role":"assistant","content":""}',
    DELTA % '{"content":"One, "}',
    DELTA % '{"content":"zwei, "}',
    DELTA % '{"content":"três."}',
    CHUNK % '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]',
    CHUNK % '"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9}',
    "data: [DONE]\n\n",
]
TEXT = "One, zwei, três."
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKS = [b"%x\r\n%b\r\n" % (len(event.encode()), event.encode()) for event in EVENTS]
STREAM = HEAD + b"".join(CHUNKS) + b"0\r\n\r\n"
"""A recorded stream, with its framing: what is cut at every byte."""

FIRST_EVENT = len(HEAD) + len(CHUNKS[0]) - 2
"""With so many bytes of it the stream has begun; its first event has no text."""

FIRST_CONTENT = FIRST_EVENT + len(CHUNKS[1])
"""With so many bytes of it a caller has seen text."""

LAST_EVENT = len(HEAD) + len(b"".join(CHUNKS)) - 3
"""With so many bytes of it nothing is missing but a blank line and the end of the framing."""


def plain(body: object, status: str = "200 OK", *headers: str) -> bytes:
    """An answer with its length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9},
}


class Asked(msgspec.Struct, frozen=True):
    """One request that has arrived."""

    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def model(self) -> str:
        return str(self.body["model"])


BROKEN: dict[str, bytes] = {
    "no HTTP at all": b"\x00\x01\x02 this is not HTTP\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 OK 200\r\ncontent-length: 0\r\n\r\n",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nno colon here\r\ncontent-length: 2\r\n\r\n{}",
    "two lengths": plain(COMPLETION).replace(b"content-length", b"content-length: 3\r\ncontent-length"),
    "a length below zero": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: -5\r\n\r\n{}",
    "a chunk's size that is no number": HEAD + b"zz\r\ndata: {}\r\n0\r\n\r\n",
    "a chunk that is longer than it says": HEAD + b"3\r\ndata: {}\n\n\r\n0\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2_000_000,
    "an empty body": plain(b""),
    "null": plain(b"null"),
    "a list": plain(b"[]"),
    "an object of something else": plain(b'{"hello": 1}'),
    "half an object": plain(json.dumps(COMPLETION).encode()[:100]),
    "not UTF-8": plain(b'{"choices": "\xff\xfe"}'),
    "very deep JSON": plain(b"[" * 200_000),
    "a page of HTML": plain(b"<html>Bad gateway</html>", "200 OK"),
    "zipped, unasked": plain(gzip.compress(json.dumps(COMPLETION).encode()), "200 OK", "content-encoding: gzip"),
    "no event that is JSON": plain(b"data: hello\n\ndata: [DONE]\n\n").replace(
        b"application/json", b"text/event-stream"
    ),
    "a list as an event": plain(b"data: []\n\ndata: [DONE]\n\n").replace(b"application/json", b"text/event-stream"),
    "no event but the last": plain(b"data: [DONE]\n\n").replace(b"application/json", b"text/event-stream"),
    "an empty stream": plain(b"").replace(b"application/json", b"text/event-stream"),
    "an error as an event": plain(b'data: {"error": {"message": "no", "type": "server_error"}}\n\n').replace(
        b"application/json", b"text/event-stream"
    ),
}
"""Answers that are none, each to be sent once."""


Act = Callable[[Asked, asyncio.StreamWriter], Awaitable[bool]]
"""What is done with a request; whether the connection is kept."""


async def well(asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Answer as one should."""
    writer.write(STREAM if asked.body.get("stream") else plain(COMPLETION))
    return True


class Upstream:
    """A server in a thread. State: how many requests came, by the last characters of their key."""

    def __init__(self, act: Act, tls: ssl.SSLContext | None = None, *, host: str = "localhost") -> None:
        self._act = act
        self._tls = tls
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_ready = threading.Event()
        self.port = 0
        self.asked: list[Asked] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._is_ready.wait(10)

    @property
    def address(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def kill(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls))
        self.port = server.sockets[0].getsockname()[1]
        self._is_ready.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        asked = Asked(headers, body)
        self.asked.append(asked)
        return await self._act(asked, writer)


async def cut(asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """The stream's first bytes, as many as the model's name ends in, and the connection's end."""
    writer.write(STREAM[: int(asked.model.rpartition("-")[2])])
    await writer.drain()
    return False


def cuts_streams(least: int, below: int) -> Act:
    """Whole answers as they should be; of each stream its first bytes, `least` or more of them and fewer than `below`,
    another number each time, and the end of the connection."""
    asked_before = itertools.count()

    async def act(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if not asked.body.get("stream"):
            return await well(asked, writer)
        writer.write(STREAM[: least + next(asked_before) * _STRIDE % (below - least)])
        await writer.drain()
        return False

    return act


_STRIDE = 397
"""Prime: the places of cuts are all different for a while, and not in order."""


def breaks_answers() -> Act:
    """One broken answer after the other, of every kind, and the connection's end."""
    answers = itertools.cycle(BROKEN.values())

    async def act(_: Asked, writer: asyncio.StreamWriter) -> bool:
        writer.write(next(answers))
        await writer.drain()
        return False

    return act


async def broken(asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """The broken answer whose number the model's name ends in, and the connection's end."""
    writer.write(list(BROKEN.values())[int(asked.model.rpartition("-")[2])])
    await writer.drain()
    return False


async def silent(asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Take the request, and nothing else ever."""
    await asyncio.sleep(3600)
    return False


async def half_way(asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Begin an answer and fall silent with the connection open."""
    whole = STREAM if asked.body.get("stream") else plain(COMPLETION)
    writer.write(whole[: len(whole) // 2])
    await asyncio.sleep(3600)
    return False


def storm_on(key: str, *, is_dated: bool = False) -> Act:
    """429 for the requests of one key, which are to come again after a second; the others are answered.

    Arguments:
        is_dated: it says so with a date of its clock (RFC 9110 §10.2.3), which its `date` tells.
    """

    async def act(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.headers["authorization"] != f"Bearer {key}":
            return await well(asked, writer)
        error = {"error": {"message": "Rate limit reached.", "type": "requests", "code": "rate_limit_exceeded"}}
        again = ["retry-after: 1"]
        if is_dated:
            now_s = time.time()
            again = [f"date: {formatdate(now_s, usegmt=True)}", f"retry-after: {formatdate(now_s + 1, usegmt=True)}"]
        writer.write(plain(error, "429 Too Many Requests", *again))
        return True

    return act
