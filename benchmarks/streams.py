"""Many streams at once: every one read to its end and checked, the cost of a chunk measured while all are live."""

import asyncio
import gc
import statistics
import time
from array import array
from typing import cast

import msgspec
import uvloop

from benchmarks import figures, processes, targets, wire
from benchmarks.targets import CannotMeasure, Target

_CONNECTS_AT_ONCE = 25
_BETWEEN_CONNECTS_S = 0.02
"""Together: 1,250 new streams a second, so that opening them does not overwhelm a gateway before the measurement."""
_PART_S = 0.25
"""Long enough for a p99 of the usual 20,000 chunks a second, short enough that a stall spoils few of them."""


class StreamCosts(msgspec.Struct, frozen=True):
    """What one round of streams cost.

    Attributes:
        streams: that were opened.
        complete: that had every chunk in order, a finish reason, usage and the end mark.
        problem: what was wrong with one of the others; empty when all were complete.
        seconds: of the window in which all streams were live and the rest was measured.
        chunks: received in the window.
        offered: chunks that the stub's pace would have sent in the window.
        worker_us: CPU microseconds a chunk of the processes that hold the connections.
        all_us: the same for every process of the target.
        core_share: CPU time of the workers by time of the window.
        p50_us, p99_us: from the stub's write to the load's read of a chunk, microseconds.
        steady_p99_us: the median of the p99 of every quarter of a second. A stall of the whole machine for some
            milliseconds, which a shared one has every few seconds, moves p99 but not this.
        resident_bytes: of the workers with all streams live.
    """

    streams: int
    complete: int
    problem: str
    seconds: float
    chunks: int
    offered: int
    worker_us: float
    all_us: float
    core_share: float
    p50_us: float
    p99_us: float
    steady_p99_us: float
    resident_bytes: int


class Dechunker:
    """Takes the framing of HTTP/1.1's chunked coding (RFC 9112 §7.1) off bytes that come in any portions.

    State: `_rest`, received bytes that do not make a whole chunk yet; `is_ended` after the last chunk.
    """

    __slots__ = ("_rest", "is_ended")

    def __init__(self) -> None:
        self._rest = b""
        self.is_ended = False

    def feed(self, data: bytes) -> bytes:
        """The content that has become complete. Raises ValueError when the framing is wrong."""
        if self._rest:
            data = self._rest + data
        contents = []
        position = 0
        while not self.is_ended:
            line_end = data.find(b"\r\n", position)
            if line_end < 0:
                break
            size = int(data[position:line_end].partition(b";")[0], 16)
            chunk_end = line_end + 2 + size
            if len(data) < chunk_end + 2:
                break
            if data[chunk_end : chunk_end + 2] != b"\r\n":
                raise ValueError("a chunk does not end where its size says")
            if size == 0:
                self.is_ended = True
            else:
                contents.append(data[line_end + 2 : chunk_end])
            position = chunk_end + 2
        self._rest = data[position:]
        return contents[0] if len(contents) == 1 else b"".join(contents)


class Window:
    """What is counted while it is open, in parts of a quarter of a second; one for all streams of a round."""

    def __init__(self) -> None:
        self.is_open = False
        self.chunks = 0
        self.taken_ns = array("q")
        self.parts: list[array[int]] = []

    async def hold_open(self, seconds: float) -> None:
        """Count for this time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        self.is_open = True
        while (left := end - loop.time()) > 0:
            self.taken_ns = array("q")
            self.parts.append(self.taken_ns)
            await asyncio.sleep(min(_PART_S, left))
        self.is_open = False


class StreamReader(asyncio.Protocol):
    """One streamed call: sends the request, checks everything that comes back.

    `problem` is None while all is well. `began` is done with the first chunk, `ended` with the end of the answer or
    of the connection; neither ever holds an exception.
    """

    def __init__(self, request: bytes, expected_chunks: int, window: Window) -> None:
        loop = asyncio.get_running_loop()
        self.began: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.problem: str | None = None
        self._request = request
        self._expected = expected_chunks
        self._window = window
        self._next = 0
        self._head: bytes | None = b""
        self._dechunker: Dechunker | None = None
        self._rest = b""
        self._last_events = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, which asyncio does not know
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if self._head is not None:
            data = self._take_head(data)
        if self._dechunker is not None:
            try:
                data = self._dechunker.feed(data)
            except ValueError as error:
                self._fail(str(error))
                return
        if self._rest:
            data = self._rest + data
        # Only whole events: a mark must not be missed because it arrived in two portions.
        complete = data.rfind(b"\n\n") + 2
        self._rest = data[max(complete, 0) :]
        if complete >= 2:
            self._read_events(data[:complete], now)
        if self._dechunker is not None and self._dechunker.is_ended:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            if self._dechunker is None and self._head is None and exc is None:
                self._finish()  # an answer that ends with its connection (RFC 9112 §6.3, rule 8)
            else:
                self._fail(f"the connection broke after {self._next} of {self._expected} chunks")

    def _take_head(self, data: bytes) -> bytes:
        """Collect the header section; what follows it."""
        head, found, rest = (cast("bytes", self._head) + data).partition(b"\r\n\r\n")
        if not found:
            self._head = head
            return b""
        self._head = None
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(f"answered {head[:40]!r} {rest[:200]!r}")
        if b"\r\ntransfer-encoding: chunked" in head.lower():
            self._dechunker = Dechunker()
        return rest

    def _read_events(self, events: bytes, now: int) -> None:
        marks = wire.CHUNK_MARK.findall(events)
        for number, sent in marks:
            if int(number) != self._next:
                self._fail(f"chunk {int(number)} came in the place of {self._next}")
            self._next += 1
            if self._window.is_open:
                self._window.taken_ns.append(now - int(sent))
        if marks and not self.began.done():
            self.began.set_result(None)
        if self._window.is_open:
            self._window.chunks += len(marks)
        if self._next == self._expected:
            self._last_events += events

    def _finish(self) -> None:
        if self._next != self._expected:
            self._fail(f"ended after {self._next} of {self._expected} chunks")
        elif missing := [name for name, mark in _END_MARKS if not any(word in self._last_events for word in mark)]:
            self._fail(f"ended without {' and '.join(missing)}")
        self._close()

    def _fail(self, problem: str) -> None:
        self.problem = self.problem or problem
        self._close()

    def _close(self) -> None:
        self._transport.close()
        for future in (self.began, self.ended):
            if not future.done():
                future.set_result(None)


_END_MARKS = (
    ("a finish reason", (b'"finish_reason":"stop"', b'"finish_reason": "stop"', b'"status":"completed"')),
    ("usage", (b'"total_tokens":267', b'"total_tokens": 267')),
    ("an end mark", (b"data: [DONE]", b'"response.completed"')),
)


def measure(
    target: Target, *, path: str, streams: int, window_s: float, interval_s: float = 0.05, patience_s: float = 60.0
) -> StreamCosts:
    """Open the streams, wait until all are live, measure for a time, read all to their end.

    Arguments:
        interval_s: the stub's time between two chunks of a stream.
        patience_s: for all streams to begin, and again for all to end; what is missing then counts as incomplete.

    Raises CannotMeasure when streams had ended before the window was over, so that not all were live in it.
    """
    return uvloop.run(_measure(target, path, streams, window_s, interval_s, patience_s))


async def _measure(
    target: Target, path: str, streams: int, window_s: float, interval_s: float, patience_s: float
) -> StreamCosts:
    opening_s = streams / _CONNECTS_AT_ONCE * _BETWEEN_CONNECTS_S
    chunks = round((opening_s * 2 + window_s + 1.5) / interval_s)
    is_chat = path == wire.CHAT_PATH
    body = wire.chat_body(chunks=chunks) if is_chat else wire.responses_body(chunks=chunks)
    request = wire.request_bytes(target.host, path, target.headers, body)
    window = Window()
    readers = await _open(target, request, chunks, streams, window)
    await asyncio.wait([reader.began for reader in readers], timeout=patience_s)
    everyone = target.everyone()
    gc.collect()
    gc.disable()  # a collection of the load must not show in the latencies of the gateway
    try:
        workers_before = processes.cpu_seconds(target.workers)
        all_before = processes.cpu_seconds(everyone, with_ended_children=True)
        begun = time.monotonic()
        await window.hold_open(window_s)
        seconds = time.monotonic() - begun
        worker_s = processes.cpu_seconds(target.workers) - workers_before
        all_s = processes.cpu_seconds(everyone, with_ended_children=True) - all_before
    finally:
        gc.enable()
    resident_bytes = processes.resident_bytes(target.workers)
    ended_early = sum(reader.ended.done() and reader.problem is None for reader in readers)
    if ended_early:
        raise CannotMeasure(f"{ended_early} streams of {target.name} ended before they were measured: use fewer")
    await asyncio.wait([reader.ended for reader in readers], timeout=patience_s)
    problems = [reader.problem or "did not end" for reader in readers if reader.problem or not reader.ended.done()]
    if not window.chunks:
        raise CannotMeasure(f"{target.name} relayed no chunk: {problems[:1]}")
    taken_ns = [taken for part in window.parts for taken in part]
    return StreamCosts(
        streams=streams,
        complete=streams - len(problems),
        problem=problems[0] if problems else "",
        seconds=seconds,
        chunks=window.chunks,
        offered=round(streams * seconds / interval_s),
        worker_us=worker_s / window.chunks * 1e6,
        all_us=all_s / window.chunks * 1e6,
        core_share=worker_s / seconds,
        p50_us=figures.percentile(taken_ns, 50) / 1000,
        p99_us=figures.percentile(taken_ns, 99) / 1000,
        steady_p99_us=statistics.median(figures.percentile(part, 99) for part in window.parts if part) / 1000,
        resident_bytes=resident_bytes,
    )


async def _open(target: Target, request: bytes, chunks: int, streams: int, window: Window) -> list[StreamReader]:
    """Open all streams, a few at a time."""
    loop = asyncio.get_running_loop()
    readers: list[StreamReader] = []
    while len(readers) < streams:
        portion = min(_CONNECTS_AT_ONCE, streams - len(readers))
        opened = await asyncio.gather(
            *(
                loop.create_connection(lambda: StreamReader(request, chunks, window), targets.HOST, target.port)
                for _ in range(portion)
            )
        )
        readers += [reader for _, reader in opened]
        await asyncio.sleep(_BETWEEN_CONNECTS_S)
    return readers
