"""Streams of Google's streamGenerateContent (`alt=sse`), decoded into canonical events.

Each event is an answer of its own with a further piece in it; the last one has the finish reason, and nothing follows.
"""

from collections.abc import Callable

from headworks.dialects.events import StreamEvent
from headworks.dialects.gemini_answers import AnswerReader
from headworks.dialects.sse import EventSplitter, parse_event


class GeminiDecoder:
    """Implements `events.StreamDecoder` for generateContent.

    Arguments:
        reader: makes what reads the answer.
    """

    __slots__ = ("_reader", "_splitter")

    def __init__(self, reader: Callable[[], AnswerReader] = AnswerReader) -> None:
        self._splitter = EventSplitter()
        self._reader = reader()

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes; see `StreamDecoder`."""
        events: list[StreamEvent] = []
        for block in self._splitter.feed(chunk):
            event = parse_event(block)
            if event is not None and not self._reader.is_ended:
                events += self._reader.take(event.data)
        return events
