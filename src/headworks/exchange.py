"""The words of one HTTP exchange, downstream and upstream: what the server hands in and the transport hands back.

These are seams, not implementations. `server` implements `Reply` on a socket and `library` in memory;
`transport` implements `Upstream` on a connection pool and `simulator` in process. Whoever speaks only these
words runs in all of them.

Header names are lower-case bytes throughout. A *header block* is already rendered: `name: value\\r\\n` lines
without the blank line at the end.
"""

import re
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from headworks.body import BodyStream
from headworks.calls import Failure
from headworks.errors import Refusal


class Wire(Protocol):
    """One side of a connection on which both sides speak whenever they like. Calls after its end do nothing."""

    def write(self, data: bytes) -> None:
        """Send as soon as possible; never blocks (see `WireEnd.on_full`)."""
        ...

    def pause(self) -> None:
        """Stop reading: whoever gets what comes in is slower."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def close(self) -> None:
        """Close when all that was written is sent. What still comes in is discarded; `on_lost` is not called."""
        ...

    def abort(self) -> None:
        """Close now. `on_lost` is not called."""
        ...


class WireEnd(Protocol):
    """Where what comes in on a wire goes."""

    def on_data(self, data: bytes) -> None: ...
    def on_lost(self) -> None:
        """The other side has gone, and nothing follows."""
        ...

    def on_full(self) -> None:
        """The other side takes less than it is sent: what is written now waits."""
        ...

    def on_free(self) -> None:
        """It has caught up."""
        ...


class Upgrade(Protocol):
    """A request that asks for its connection to become a wire. It is either accepted once, or answered like others;
    then the connection ends with the answer."""

    def accept(self, headers: bytes, end: WireEnd) -> Wire:
        """Answer 101 with this header block; `upgrade`, `connection` and `date` are written by the server."""
        ...


class Request(msgspec.Struct, gc=False):
    """One parsed request.

    Attributes:
        path: the one decoded path that routing and authorisation both read.
        query: the raw query string without the question mark.
        headers: by lower-case name; those of framing need not be there.
        admission: what `Application.admit` learnt from the head and wants to find again in `handle`.
        incoming: set by `Application.admit` where it wants the body piece by piece; `handle` is then called before the
            body is there. Without it, or where the whole body came along, `body` has it.
        peer: the address that it came from; known when it is admitted, and not of what is like one before.
        upgrade: where it asks to speak WebSocket.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[bytes, bytes] = msgspec.field(default_factory=dict)
    body: bytes = b""
    admission: object = None
    incoming: BodyStream | None = None
    peer: str = ""
    upgrade: Upgrade | None = None

    def again(self, body: bytes) -> "Request":
        """A request with the same head and another body. It brings along what was learnt from that head then: whether
        that still holds is for `Application.admit` to judge."""
        return Request(self.method, self.path, self.query, self.headers, body, self.admission)


class Reply(Protocol):
    """Where the answer to one request goes: either `respond` once, or `begin`, any number of `write`, then
    `end` or `abort`. Calls after the client has gone are harmless and do nothing."""

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """Send a complete answer in one write. `headers` is a header block without framing headers."""
        ...

    def begin(self, status: int, headers: bytes, first: bytes = b"", length: int | None = None) -> None:
        """Send the head, and `first` with it; the body follows, chunked unless its `length` in bytes is known."""
        ...

    def write(self, data: bytes) -> None:
        """Send a piece of the body as soon as possible; never blocks (see `set_flow`)."""
        ...

    def end(self, data: bytes = b"") -> None:
        """Send the last piece, if any, and the end of the body."""
        ...

    def abort(self) -> None:
        """Break the connection: the client sees a truncated answer, not a complete one."""
        ...

    def set_flow(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """Have `pause` called when the client reads too slowly and `resume` when it has caught up."""
        ...


class Running(Protocol):
    """A request that an application is working on."""

    def cancel(self) -> object:
        """The client has gone: stop, give everything back."""
        ...

    def stop(self) -> object:
        """Time is up: answer with an error what is not answered, end with one what is under way."""
        ...


class Application(Protocol):
    """What a server serves."""

    def admit(self, request: Request) -> None:
        """Look at the head before the body is read; raise `errors.Refusal` to answer without reading it.

        A request may come with the `admission` of an earlier one that had the same head.
        """
        ...

    def refuse(self, refusal: Refusal, request: Request | None, reply: Reply) -> None:
        """Answer with an error that `admit` raised or that the server found; no request if it was not HTTP."""
        ...

    def handle(self, request: Request, reply: Reply) -> Running | None:
        """Answer a complete request through `reply`; what is returned is cancelled when the client goes away."""
        ...


class UpstreamRequest(msgspec.Struct, frozen=True, gc=False):
    """A request to send upstream. `line` is the request line (see `request_line`); `headers` a header block without
    `host`, framing and connection headers, which the transport owns."""

    line: bytes
    headers: bytes
    body: bytes = b""


def request_line(method: str, target: str) -> bytes:
    """The first line of a request; `target` is path and query as sent.

    Raises:
        ValueError: a character that would end the line or the target early, or that is not ASCII.
    """
    line = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
    if _REQUEST_LINE.fullmatch(line) is None:
        raise ValueError("a request line holds white space, control characters or nothing where it may not")
    return line


_REQUEST_LINE = re.compile(rb"[A-Z]+ /[\x21-\x7e]* HTTP/1\.1\r\n")


SHARE_WITH_MORE = 0.6
"""Share of the time left that the attempts at one target may take while another is still to come: most answers come
long before, and the one after it still has time for an answer of its own."""

STATIC_ANSWER_S = 0.1
"""What is set aside for a static answer, where it is what comes after the last target."""


def last_answer_s(left_s: float, function_s: float = 0.0) -> float:
    """Seconds that are set aside, of those left, for an answer that no model gives.

    Arguments:
        function_s: what a function may take over it; 0 where there is none.
    """
    if function_s:
        return min(STATIC_ANSWER_S + function_s, left_s / 4)
    return min(STATIC_ANSWER_S, left_s / 10)


class Timeouts(msgspec.Struct, frozen=True):
    """The time limits of one attempt, in seconds. `first_byte_s` counts from the request's last byte sent to
    the answer's head; `between_bytes_s` between two reads of the answer; `total_s` bounds the whole."""

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    between_bytes_s: float = 60.0
    total_s: float = 600.0

    def within(self, total_s: float) -> "Timeouts":
        """The same, with none above this time."""
        return Timeouts(
            connect_s=min(self.connect_s, total_s),
            first_byte_s=min(self.first_byte_s, total_s),
            between_bytes_s=min(self.between_bytes_s, total_s),
            total_s=min(self.total_s, total_s),
        )


class Sink(Protocol):
    """Where an upstream's answer goes, in this order: one `on_head`, any number of `on_body`, then `on_end`;
    or `on_failure` at any point, after which nothing follows."""

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None: ...
    def on_body(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_failure(self, failure: Failure) -> None: ...


class WireSink(Sink, Protocol):
    """A sink of a request to change to another protocol: `on_wire` comes in the place of everything else when the
    upstream does; an answer of another kind is none but an answer."""

    def on_wire(self, headers: Mapping[bytes, bytes], wire: Wire) -> WireEnd | None:
        """The upstream has changed; None where it has changed to something else than was asked, and is to be left."""
        ...


class Flight(Protocol):
    """One request under way upstream."""

    def pause(self) -> None:
        """Stop reading the answer: the client is slower than the upstream."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def cancel(self) -> None:
        """Give up: the sink hears nothing more. Harmless after the end."""
        ...


class Upstream(Protocol):
    """One origin that requests can be sent to."""

    def upload(self, request: UpstreamRequest, body: BodyStream, sink: Sink, timeouts: Timeouts) -> Flight:
        """Send a request whose body comes piece by piece, and never twice. An upstream may answer before it has all of
        it; what is left is not sent then."""
        ...

    def send(self, request: UpstreamRequest, sink: Sink, timeouts: Timeouts) -> Flight:
        """Send now or as soon as a connection is free; returns at once."""
        ...

    def connect(self, request: UpstreamRequest, sink: WireSink, timeouts: Timeouts) -> Flight:
        """Ask to change to the protocol that the request's headers name; its body is not sent."""
        ...

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
        ...
