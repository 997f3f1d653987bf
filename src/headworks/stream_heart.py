"""What keeps a stream's connection alive while nothing comes: the head of the answer, and then comments."""

import asyncio

from headworks.answering import EVENT_STREAM, STREAM_HEADERS, own_headers, request_id_line
from headworks.calls import Endpoint
from headworks.exchange import Reply
from headworks.settlement import OpenCall

HEARTBEAT_S = 15.0
"""The HTML standard, "Server-sent events", 9.2.7: about every 15 seconds."""

HEARTBEAT = b": keep-alive\n\n"

_BLANK = b"\n"
"""The same in Google's API, whose Python client takes a comment for the beginning of an error (`_iter_response_stream`
of google-genai 3.6); an empty line means nothing to anybody."""


class Heartbeat:
    """Writes something into a stream in which nothing has come for a while, so that no proxy on the way takes it for
    dead. Where the answer has not begun by then, its head goes out, before it is known who will answer: what the head
    would have said of them follows as comments. Until the first piece the call can go on to somebody else, head or not.
    Costs a piece nothing.

    Arguments:
        every_s: seconds of silence that are too many.
        named: what is known from the start of who answers: a header block.

    State: whether the head is out, and how much had gone out when it looked last.
    """

    __slots__ = ("_beat", "_call", "_every_s", "_is_begun", "_loop", "_named", "_reply", "_seen", "_timer", "is_early")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, call: OpenCall, reply: Reply, every_s: float, named: bytes = b""
    ) -> None:
        self._loop = loop
        self._call = call
        self._reply = reply
        self._every_s = every_s
        self._named = named
        self._beat = _BLANK if call.endpoint == Endpoint.GENERATE_CONTENT else HEARTBEAT
        self._is_begun = False
        self._seen = 0
        self.is_early = False
        """The head has gone out ahead of the answer: it cannot be an error any more."""
        self._timer = loop.call_later(every_s, self._look)

    def begin(self, headers: bytes, named: bytes, first: bytes = b"") -> None:
        """Send the head of the answer, and `first` with it.

        Arguments:
            named: what of the headers is news where the head is out.
        """
        self._is_begun = True
        if self.is_early:
            self._reply.write(self.told(named) + first)
        else:
            self._reply.begin(200, headers, first)

    def told(self, named: bytes) -> bytes:
        """A header block as comments, for a head that is out."""
        if self._beat is _BLANK:
            return b""
        lines = [line for line in named.split(b"\r\n") if line and line not in self._named]
        return b"".join([b": %b\n" % line for line in lines]) + b"\n" if lines else b""

    def _look(self) -> None:
        if not self._is_begun and not self.is_early:
            self.is_early = True
            lines = own_headers(self._call, EVENT_STREAM) + self._named + STREAM_HEADERS
            if self._call.endpoint == Endpoint.MESSAGES:
                lines += request_id_line(self._call).encode()
            self._reply.begin(200, lines, self._beat)
        elif self._call.response_bytes == self._seen:
            self._reply.write(self._beat)
        self._seen = self._call.response_bytes
        self._timer = self._loop.call_later(self._every_s, self._look)

    def stop(self) -> None:
        """The stream is over."""
        self._timer.cancel()
