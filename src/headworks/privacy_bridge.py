"""Steps 5 and 8 for a workload whose contract screens personal data: tokens go up, values come back.

What goes up is screened as a whole, prompt and history included. The answer is read in the caller's dialect, whichever
upstream gave it, its tokens are turned back, and it is written again; a stream piece by piece. So everything behind
this (schema, rules, approvals, the caller) sees values, and everything before it tokens.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind
from headworks.dialects import AnswerSummary, Bridge
from headworks.dialects.bridging import ASKED, BridgeStream, TranslatedStream, failure_of, summary_of_answer
from headworks.dialects.canonical import AnswerCall, AnswerItem, AnswerMessage, AnswerText, ModelAnswer
from headworks.dialects.chat_streams import ChatDecoder
from headworks.dialects.events import Called, Ended, StreamDecoder, StreamEvent, Text
from headworks.dialects.reading import Fields, read_fields
from headworks.dialects.responses_streams import ResponsesDecoder
from headworks.dialects.whole import body_of_stream, read_answer
from headworks.errors import Refusal
from headworks.screening.privacy import (
    AnswerScreen,
    PrivacyPolicy,
    Redactor,
    Restorer,
    RestoringStream,
    ScreeningFailed,
    TokenBook,
)
from headworks.telemetry import report

_DECODERS: dict[Endpoint, Callable[[], StreamDecoder]] = {
    Endpoint.RESPONSES: ResponsesDecoder,
    Endpoint.CHAT: ChatDecoder,
}
_encode = msgspec.json.Encoder().encode


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a call's content: JSON, but for a streamed response, which is events. Empty is nothing."""

    request: bytes
    response: bytes
    values: bytes


class CallPrivacy:
    """One call's screening. State: its book of tokens, which nobody else has and which ends with it.

    Arguments:
        policy: the contract's.
        secret: of this installation.
        tenant: whose call it is: hashed values are the same for one tenant only.
    """

    def __init__(self, policy: PrivacyPolicy, secret: bytes, tenant: str) -> None:
        self._policy = policy
        self._redactor = Redactor(policy)
        self._book = TokenBook.of_tenant(secret, tenant)
        self._restorer = Restorer(self._book, policy.form)

    def redact(self, fields: Fields, call_id: str) -> Fields:
        """The fields that may go up.

        Raises:
            Refusal: they hold what the contract blocks, or could not be screened.
        """
        body = _encode(fields)
        try:
            redacted = self._redactor.redact(body, self._book).body
        except ScreeningFailed:
            if self._policy.fails_closed:
                raise
            report(f"{call_id}: screening failed, and went up unscreened: the contract says `on_failure: open`")
            return fields
        return fields if redacted is body else read_fields(redacted)

    def redact_text(self, text: str) -> str:
        """A text as it may go up again, with the tokens that its values have in this call.

        Raises:
            Refusal: as for `redact`, whatever the contract says of failures.
        """
        return self._redactor.redact_text(text, self._book)[0]

    def redact_kept(self, kept: Kept, endpoint: Endpoint, call_id: str, *, is_streamed: bool) -> Kept:
        """The same as it may be kept. What cannot be screened is not kept: that is told, and harms no call.

        A stream is kept as the whole answer that it was: values can lie across its pieces.
        """
        response = kept.response
        if is_streamed and response.startswith((b"data:", b"event:", b":")):
            try:
                response = body_of_stream(endpoint, response)
            except AttemptFailed:
                response = b""  # it did not come to a good end
        pieces = []
        for piece in (kept.request, response, kept.values):
            try:
                pieces.append(self._redactor.redact(piece, self._book).body if piece else b"")
            except Refusal as refusal:
                report(f"{call_id}: a part of its content is not kept, for it could not be redacted: {refusal.code}")
                pieces.append(b"")
        return Kept(*pieces)

    def restored(self, answer: ModelAnswer, *, is_json: bool) -> ModelAnswer:
        """A whole answer with its tokens turned back; what the model brought up itself is judged first.

        Raises:
            AttemptFailed: it holds what the contract blocks.
        """
        screen = AnswerScreen(self._policy, self._book)
        try:
            output = tuple([self._item(item, screen, is_json=is_json) for item in answer.output])
        except Refusal:
            raise _blocked() from None
        return msgspec.structs.replace(answer, output=output)

    def wrap(self, decoder: StreamDecoder, *, is_json: bool) -> "RestoringDecoder":
        """A decoder whose events have values in the place of tokens."""
        return RestoringDecoder(
            decoder,
            AnswerScreen(self._policy, self._book),
            self._restorer,
            restores_text=self._policy.restores_text,
            restores_arguments=self._policy.restores_arguments,
            is_json=is_json,
        )

    def _item(self, item: AnswerItem, screen: AnswerScreen, *, is_json: bool) -> AnswerItem:
        if isinstance(item, AnswerMessage):
            parts = tuple(
                [
                    msgspec.structs.replace(part, text=self._text(screen.text(part.text), is_json=is_json))
                    if isinstance(part, AnswerText)
                    else part
                    for part in item.parts
                ]
            )
            return msgspec.structs.replace(item, parts=parts)
        if isinstance(item, AnswerCall) and self._policy.restores_arguments:
            is_function = item.kind == "function"
            return msgspec.structs.replace(item, text=self._text(item.text, is_json=is_function))
        return item

    def _text(self, text: str, *, is_json: bool) -> str:
        if not self._policy.restores_text:
            return text
        return self._restorer.json(text) if is_json else self._restorer.text(text)


class AnswerFilter(Protocol):
    """Looks at an answer in its canonical form, and may change it."""

    def restored(self, answer: ModelAnswer, *, is_json: bool) -> ModelAnswer:
        """A whole answer as it may go on. Raises AttemptFailed: it may not."""
        ...

    def wrap(self, decoder: StreamDecoder, *, is_json: bool) -> StreamDecoder:
        """A decoder whose events are as they may go on, and which raises AttemptFailed where they may not."""
        ...


class ScreenedBridge:
    """Implements `dialects.Bridge` on top of another, or of none: the answer as its filters leave it.

    Arguments:
        filters: the first one sees the answer first.
        fields: the caller's own, which a response repeats.
        inner: translates the upstream's dialect into the caller's.
        is_json: whether the answer's text is a JSON document.
    """

    def __init__(
        self,
        filters: Sequence[AnswerFilter],
        endpoint: Endpoint,
        fields: Fields,
        inner: Bridge | None,
        *,
        is_json: bool,
    ) -> None:
        self._filters = filters
        self._endpoint = endpoint
        self._asked = ASKED[endpoint](fields)
        self._inner = inner
        self._is_json = is_json

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens") -> bytes:
        """What the bridge beneath makes of it; see `dialects.Bridge`."""
        return body if self._inner is None else self._inner.request(body, model, limit_name=limit_name)

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The body to answer with; see `dialects.Bridge`."""
        if self._inner is not None:
            body, _ = self._inner.answer(body)
        answer = read_answer(self._endpoint, body)
        if not isinstance(answer, ModelAnswer):
            raise AttemptFailed(failure_of(answer), answer.usage)
        for each in self._filters:
            answer = each.restored(answer, is_json=self._is_json)
        return self._asked.answer(answer), summary_of_answer(self._endpoint, answer)

    def error(self, body: bytes, status: int) -> bytes:
        """The error in the caller's words; see `dialects.Bridge`."""
        return body if self._inner is None else self._inner.error(body, status)

    def stream(self) -> "ScreenedStream":
        """Fresh steps for a stream; see `dialects.Bridge`."""
        decoder = _DECODERS[self._endpoint]()
        for each in self._filters:
            decoder = each.wrap(decoder, is_json=self._is_json)
        told = TranslatedStream(self._endpoint, decoder, self._asked.encoder(), lambda: secrets.token_hex(16))
        return ScreenedStream(None if self._inner is None else self._inner.stream(), told)


class ScreenedStream:
    """Implements `dialects.BridgeStream`: a stream that is translated beneath, if it has to be, and then read again for
    its tokens."""

    def __init__(self, below: BridgeStream | None, told: TranslatedStream) -> None:
        self._below = below
        self._told = told

    @property
    def is_complete(self) -> bool:
        """Whether all of it has come."""
        return self._told.is_complete

    @property
    def has_content(self) -> bool:
        """See `TranslatedStream`."""
        return self._told.has_content

    def feed(self, data: bytes) -> bytes:
        """See `TranslatedStream`."""
        return self._told.feed(data if self._below is None else self._below.feed(data))

    def broken(self, code: str, message: str) -> bytes:
        """See `TranslatedStream`."""
        return self._told.broken(code, message)

    def summary(self) -> AnswerSummary:
        """See `TranslatedStream`."""
        return self._told.summary()


class RestoringDecoder:
    """Implements `events.StreamDecoder`: what may still become a token is held back, and comes before the end at the
    latest. State: one restoring stream for the text, one for each call's arguments."""

    def __init__(
        self,
        decoder: StreamDecoder,
        screen: AnswerScreen,
        restorer: Restorer,
        *,
        restores_text: bool,
        restores_arguments: bool,
        is_json: bool,
    ) -> None:
        self._decoder = decoder
        self._screen = screen.stream()
        self._restorer = restorer
        self._text = restorer.stream(in_json=is_json) if restores_text else None
        self._restores_arguments = restores_arguments
        self._calls: dict[int, tuple[RestoringStream, Called]] = {}

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events in these bytes.

        Raises:
            AttemptFailed: the answer holds what the contract blocks.
        """
        events: list[StreamEvent] = []
        try:
            for event in self._decoder.feed(chunk):
                self._take(event, events)
        except Refusal:
            raise _blocked() from None
        return events

    def _take(self, event: StreamEvent, events: list[StreamEvent]) -> None:
        match event:
            case Text():
                self._say(self._screen.feed(event.text), events)
            case Called() if self._restores_arguments:
                self._call(event, events)
            case Ended():
                self._say(self._screen.end(), events)
                self._say("", events, is_last=True)
                for stream, first in self._calls.values():
                    rest = stream.end()
                    if rest:
                        events.append(Called(first.index, rest, first.kind))
                events.append(event)
            case _:
                events.append(event)

    def _say(self, text: str, events: list[StreamEvent], *, is_last: bool = False) -> None:
        if self._text is not None:
            text = self._text.end() if is_last else self._text.feed(text)
        if text:
            events.append(Text(text))

    def _call(self, event: Called, events: list[StreamEvent]) -> None:
        known = self._calls.get(event.index)
        if known is None:
            known = self._restorer.stream(in_json=event.kind == "function"), event
            self._calls[event.index] = known
        text = known[0].feed(event.text)
        if text or event.name:
            events.append(msgspec.structs.replace(event, text=text))


def _blocked() -> AttemptFailed:
    return AttemptFailed(Failure(FailureKind.BLOCKED, "the answer holds personal data that the contract blocks"))
