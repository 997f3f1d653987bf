"""Step 8 of a workload's stream that goes on after its upstream has broken off: one stream to the caller, from several.

What goes out is written by one encoder all the way, so that ids, numbers and places stay. What comes in is read from
whoever is asked just then; what it repeats of the text so far is left out.
"""

import secrets
from collections.abc import Callable

import msgspec

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind
from headworks.dialects import AnswerSummary, TranslatedStream
from headworks.dialects.bridging import ASKED, BridgeStream, failure_of
from headworks.dialects.canonical import UpstreamError
from headworks.dialects.chat_streams import ChatDecoder
from headworks.dialects.events import Ended, Started, StreamDecoder, StreamEvent, Text, Thought
from headworks.dialects.reading import Fields
from headworks.dialects.responses_streams import ResponsesDecoder

GO_ON = (
    "The transmission of your answer broke off. Go on exactly where it ends: repeat nothing of it, do not begin anew, "
    "and say nothing about this. Where it ends within a word, go on within the word."
)
"""What the model that goes on is told, behind the answer so far."""

LEAST_OVERLAP = 8
"""Fewer equal characters than that can be chance: a list goes on with what its last line ended with."""

ANEW = 32
"""Where what goes on has so many characters in common with the beginning of the answer, it begins anew; that a text
comes back to its first words is rarer."""

_DECODERS: dict[Endpoint, Callable[[], StreamDecoder]] = {
    Endpoint.CHAT: ChatDecoder,
    Endpoint.RESPONSES: ResponsesDecoder,
}


class Stitcher:
    """Leaves out what is said a second time at a seam. State: what is held until it is known whether it is.

    Arguments:
        said: the text before the seam.
    """

    __slots__ = ("_held", "_is_over", "_said")

    def __init__(self, said: str) -> None:
        self._said = said
        self._held = ""
        self._is_over = not said

    def feed(self, text: str) -> str:
        """What is new of the next piece; nothing as long as all of it may be a repetition.

        Raises:
            AttemptFailed: it began anew, and then says something else: no seam can be made.
        """
        if self._is_over:
            return text
        self._held += text
        return "" if self._held in self._said else self.end()

    def end(self) -> str:
        """What is left at the end of the stream, or of the repetition.

        Raises:
            AttemptFailed: it began anew, and ended before it had said anything new.
        """
        if self._is_over:
            return ""
        self._is_over = True
        held, self._held = self._held, ""
        return stitched(self._said, held)


def stitched(said: str, more: str) -> str:
    """What is new in `more`, which goes on from `said`: without a repetition of its end, or of all of it.

    Raises:
        AttemptFailed: it begins anew, and says something else.
    """
    for length in range(min(len(said), len(more)), LEAST_OVERLAP - 1, -1):
        if said.endswith(more[:length]):
            return more[length:]
    if len(more) >= ANEW and said.startswith(more[:ANEW]):
        raise AttemptFailed(Failure(FailureKind.INVALID, "what should go on began anew, and said something else"))
    return more


class _Source:
    """One upstream's part of the stream; implements `events.StreamDecoder`.

    Arguments:
        decoder: reads the caller's dialect.
        stitcher: where this part goes on; None for the first.
        note: told of each event that goes on.
    """

    __slots__ = ("_decoder", "_note", "_stitcher")

    def __init__(self, decoder: StreamDecoder, stitcher: Stitcher | None, note: Callable[[StreamEvent], None]) -> None:
        self._decoder = decoder
        self._stitcher = stitcher
        self._note = note

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events to send on.

        Raises:
            AttemptFailed: the upstream says that it failed, or goes on in a way that does not fit.
        """
        events: list[StreamEvent] = []
        for event in self._decoder.feed(chunk):
            if isinstance(event, UpstreamError):
                raise AttemptFailed(failure_of(event), event.usage)
            if self._stitcher is None:
                events.append(event)
            else:
                self._stitch(event, self._stitcher, events)
        for event in events:
            self._note(event)
        return events

    def _stitch(self, event: StreamEvent, stitcher: Stitcher, events: list[StreamEvent]) -> None:
        if isinstance(event, Started | Thought):
            return  # the answer has begun, and what another model thinks is no part of it
        text = stitcher.feed(event.text) if isinstance(event, Text) else stitcher.end()
        if text:
            events.append(Text(text))
        if not isinstance(event, Text):
            events.append(event)


class ContinuedStream:
    """One stream to a caller; implements `dialects.BridgeStream`. State: who is read from, and what was said.

    Arguments:
        endpoint: the caller's dialect, Chat or Responses.
        fields: of the caller's request.

    Attributes:
        is_begun: something of it has gone out.
        may_go_on: somebody else can go on from here: only text, and thoughts, have gone out.
        kept: what has gone out, where it is kept.
    """

    def __init__(self, endpoint: Endpoint, fields: Fields) -> None:
        self._endpoint = endpoint
        self._fields = fields
        self._said: list[str] = []
        self.may_go_on = True
        self._below: BridgeStream | None = None
        self._told = self._from_the_start()
        self._before = 0
        self.is_begun = False
        self.kept: list[bytes] = []

    @property
    def said(self) -> str:
        """The text so far."""
        return "".join(self._said)

    def read_from(self, below: BridgeStream | None) -> None:
        """Go on with what another upstream sends.

        Arguments:
            below: translates it into the caller's dialect; None where it is in it.
        """
        self._below = below
        if self.is_begun:
            self._before = len(self._told.text)
            self._told.read_from(self._source(Stitcher(self.said)))
        else:  # of what an attempt before this one wrote nothing is out
            self._said, self.may_go_on = [], True
            self._told = self._from_the_start()

    def feed(self, data: bytes) -> bytes:
        """See `TranslatedStream`."""
        return self._told.feed(data if self._below is None else self._below.feed(data))

    @property
    def is_complete(self) -> bool:
        """Whether all of it has come."""
        return self._told.is_complete

    @property
    def has_content(self) -> bool:
        """See `TranslatedStream`."""
        return self._told.has_content

    def broken(self, code: str, message: str) -> bytes:
        """See `TranslatedStream`."""
        return self._told.broken(code, message)

    def summary(self) -> AnswerSummary:
        """What the present part has said of itself; the text is its own."""
        summary = self._told.summary()
        return msgspec.structs.replace(summary, text=summary.text[self._before :])

    def _from_the_start(self) -> TranslatedStream:
        encoder = ASKED[self._endpoint](self._fields).encoder()
        return TranslatedStream(self._endpoint, self._source(None), encoder, lambda: secrets.token_hex(16))

    def _source(self, stitcher: Stitcher | None) -> _Source:
        return _Source(_DECODERS[self._endpoint](), stitcher, self._note)

    def _note(self, event: StreamEvent) -> None:
        if isinstance(event, Text):
            self._said.append(event.text)
        elif not isinstance(event, Started | Thought | Ended):
            self.may_go_on = False
