"""Steps 5 and 8 for a workload whose contract screens personal data: tokens go up, values come back.

What goes up is screened as a whole, prompt and history included. The answer is read in the caller's dialect, whichever
upstream gave it, its tokens are turned back, and it is written again; a stream piece by piece. So everything behind
this (schema, rules, approvals, the caller) sees values, and everything before it tokens.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from headworks.calls import AttemptFailed, Endpoint
from headworks.conversation_values import ConversationValues, goes_on_from, note_screened, report_unread
from headworks.dialects import AnswerSummary, Bridge
from headworks.dialects.bridging import ASKED, BridgeStream, TranslatedStream, failure_of, summary_of_answer
from headworks.dialects.canonical import (
    AnswerItem,
    AnswerMessage,
    AnswerReasoning,
    AnswerRefusal,
    AnswerText,
    ModelAnswer,
    UpstreamError,
)
from headworks.dialects.chat_streams import ChatDecoder
from headworks.dialects.events import (
    Called,
    Ended,
    Refused,
    Sealed,
    Started,
    StreamDecoder,
    StreamEvent,
    Text,
    Thought,
)
from headworks.dialects.reading import Fields, read_fields
from headworks.dialects.responses_streams import ResponsesDecoder
from headworks.dialects.whole import body_of_stream, read_answer
from headworks.errors import Refusal
from headworks.name_reading import NameReading
from headworks.screened_stream import blocked
from headworks.screening.privacy import (
    AnswerScreen,
    AnswerStream,
    Entities,
    PrivacyPolicy,
    Redactor,
    Restorer,
    RestoringStream,
    ScreeningFailed,
    TokenBook,
)
from headworks.settlement import OpenCall
from headworks.slicing import Slices
from headworks.telemetry import report

_DECODERS: dict[Endpoint, Callable[[], StreamDecoder]] = {
    Endpoint.RESPONSES: ResponsesDecoder,
    Endpoint.CHAT: ChatDecoder,
}
_encode = msgspec.json.Encoder().encode

AnswerPart: TypeAlias = "AnswerText | AnswerRefusal"

_LONG = 8192
"""Bytes that are redacted at once: it takes a slice of a turn, about."""

NOTHING_AHEAD: Mapping[bytes, bytes] = {}
"""Where nothing was redacted before it is kept."""


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a call's content: JSON, but for a streamed response, which is events. Empty is nothing."""

    request: bytes
    response: bytes
    values: bytes


class CallPrivacy:
    """One call's screening. State: its book of tokens, which ends with it unless a provider remembers the conversation.

    Arguments:
        policy: the contract's.
        values: where the books are.
        entities: names that were found in this call already.
        origin: what the call goes on from; "" if from nothing.
        book: of that; by default one that is empty.
        may_go_on: whether others can go on from its answers.

    Attributes:
        said: the last whole answer as the model gave it, with tokens.
    """

    def __init__(
        self,
        policy: PrivacyPolicy,
        values: ConversationValues,
        call: OpenCall,
        *,
        entities: Entities | None = None,
        origin: str = "",
        book: TokenBook | None = None,
        may_go_on: bool = False,
    ) -> None:
        self._policy = policy
        self._names = NameReading(policy, call, entities)
        self._redactor = Redactor(policy)
        self._call = call
        self._values = values
        self._may_go_on = may_go_on
        self._origin = origin
        self._book = book or values.passing_book(call)
        self._restorer = Restorer(self._book, policy.form)
        self._up: dict[str, int] = {}
        self._own: dict[str, int] = {}
        self._unread = 0
        self._has_failed = False
        self._has_unread_answer = False
        self._kept_id = ""
        self.said: ModelAnswer | None = None

    @classmethod
    async def of_call(
        cls, policy: PrivacyPolicy, values: ConversationValues, call: OpenCall, fields: Fields, endpoint: Endpoint
    ) -> "CallPrivacy":
        """That of a call that may go on from another, once what stands behind the tokens of that has been read.

        Arguments:
            fields: what the call is made of.
            endpoint: whose words they are.

        Raises:
            ScreeningFailed: it cannot be read.
        """
        if endpoint is not Endpoint.RESPONSES:
            return cls(policy, values, call)
        origin = goes_on_from(fields)
        return cls(policy, values, call, origin=origin, book=await values.book(call, origin), may_go_on=True)

    @property
    def has_failed(self) -> bool:
        """Whether the call went up unscreened, or with its names unread."""
        return self._has_failed or self._names.is_open

    @property
    def entities(self) -> Entities:
        """The names that were found."""
        return self._names.known

    async def read_names(self, fields: Fields) -> None:
        """Have the contract's model look for names, if it has one: before `redact`.

        Raises:
            ScreeningFailed: it cannot, and the contract does not let the call through.
        """
        await self._names.read(lambda: self._redactor.texts(_encode(fields)))

    async def redact(self, fields: Fields, slices: Slices) -> Fields:
        """The fields that may go up.

        Arguments:
            slices: in which long ones are screened.

        Raises:
            Refusal: they hold what the contract blocks, or could not be screened.
        """
        body = _encode(fields)
        try:
            redacted = await slices.of(self._redactor.steps(body, self._book, self._names.entities))
        except ScreeningFailed:
            if self._policy.fails_closed:
                raise
            self._has_failed = True
            self.note({})
            report(f"{self._call.call_id}: screening failed, and went up unscreened: `on_failure: open`")
            return fields
        self._up, self._unread = redacted.counts, redacted.opaque
        self.note({})
        return fields if redacted.body is body else read_fields(redacted.body)

    def note(self, own: Mapping[str, int], *, is_unread: bool = False) -> None:
        """Put what was found into the call's record.

        Arguments:
            own: what the model has brought up itself in one more answer.
            is_unread: whether something in it could not be screened, and goes out.
        """
        if is_unread and not self._has_unread_answer:
            self._has_unread_answer = True
            report_unread(self._call)
        for kind, count in own.items():
            self._own[kind] = self._own.get(kind, 0) + count
        note_screened(
            self._call,
            up=self._up,
            own=self._own,
            unread=self._unread,
            unknown=len(self._restorer.unknown),
            has_failed=self._has_failed,
            has_unread_names=self._names.is_open,
            has_unread_answer=self._has_unread_answer,
        )

    def keep(self, response_id: str) -> None:
        """The caller is about to learn the id of a response that it may go on from; each attempt has its own."""
        if self._may_go_on and response_id not in ("", self._kept_id) and self._book.has_entries:
            life_s = self._policy.settings.token_life_s
            self._values.save(self._call, self._origin, self._book, life_s=life_s, response_id=response_id)
            self._kept_id = response_id
            self._origin = self._origin or response_id

    @property
    def is_only_of_request(self) -> bool:
        """Whether no answer held personal data, or tokens, but those of the request."""
        return not (self.has_failed or self._has_unread_answer or self._own or self._restorer.unknown)

    def values_hash(self) -> str:
        """A word for what stands behind the tokens: the same only for the same values. It must not leave this process
        but within a hash that is keyed: values can be tried out on it."""
        return self._book.digest()

    def redact_text(self, text: str) -> str:
        """A text as it may go up again, with the tokens that its values have in this call.

        Raises:
            Refusal: as for `redact`, whatever the contract says of failures.
        """
        return self._redactor.redact_text(text, self._book, self._names.known)[0]

    async def redact_ahead(self, body: bytes, slices: Slices) -> dict[bytes, bytes]:
        """A long body as it may be kept, for `redact_kept`: that has no time to give way. Nothing for a short one, and
        where it cannot be screened."""
        if len(body) <= _LONG:
            return {}
        try:
            redacted = await slices.of(self._redactor.steps(body, self._book, self._names.known))
        except Refusal:
            return {}  # that is told when it comes to keeping it
        return {body: redacted.body}

    def redact_kept(
        self, kept: Kept, endpoint: Endpoint, *, is_streamed: bool, ahead: Mapping[bytes, bytes] = NOTHING_AHEAD
    ) -> Kept:
        """The same as it may be kept. What cannot be screened is not kept: that is told, and harms no call.

        A stream is kept as the whole answer that it was: values can lie across its pieces.

        Arguments:
            ahead: what was redacted already, of `redact_ahead`.
        """
        response = kept.response
        if is_streamed and response.startswith((b"data:", b"event:", b":")):
            try:
                response = body_of_stream(endpoint, response)
            except AttemptFailed:
                response = b""  # it did not come to a good end
        pieces = []
        for piece in (kept.request, response, kept.values):
            if piece in ahead:
                pieces.append(ahead[piece])
                continue
            try:
                pieces.append(self._redactor.redact(piece, self._book, self._names.known).body if piece else b"")
            except Refusal as refusal:
                name = self._call.call_id
                report(f"{name}: a part of its content is not kept, for it could not be redacted: {refusal.code}")
                pieces.append(b"")
        return Kept(*pieces)

    def restored(self, answer: ModelAnswer, *, is_json: bool) -> ModelAnswer:
        """A whole answer with its tokens turned back; what the model brought up itself is judged first.

        Raises:
            AttemptFailed: it holds what the contract blocks.
        """
        self.said = answer
        screen = AnswerScreen(self._policy, self._book)
        try:
            output = tuple([self._item(item, screen, is_json=is_json) for item in answer.output])
        except Refusal as refusal:
            raise blocked(refusal) from None
        finally:
            self.note(screen.counts, is_unread=screen.has_failed)
        self.keep(answer.id)
        return msgspec.structs.replace(answer, output=output)

    def wrap(self, decoder: StreamDecoder, *, is_json: bool) -> "RestoringDecoder":
        """A decoder whose events have values in the place of tokens."""
        return RestoringDecoder(
            decoder,
            self,
            AnswerScreen(self._policy, self._book),
            self._restorer,
            restores_text=self._policy.restores_text,
            restores_arguments=self._policy.restores_arguments,
            is_json=is_json,
        )

    def _item(self, item: AnswerItem, screen: AnswerScreen, *, is_json: bool) -> AnswerItem:
        if isinstance(item, AnswerMessage):
            return msgspec.structs.replace(
                item, parts=tuple([self._part(part, screen, is_json=is_json) for part in item.parts])
            )
        if isinstance(item, AnswerReasoning):
            return msgspec.structs.replace(item, text=self._text(screen.text(item.text), is_json=False))
        text = screen.arguments(item.text)
        if self._policy.restores_arguments:
            text = self._restorer.json(text) if item.kind == "function" else self._restorer.text(text)
        return msgspec.structs.replace(item, text=text)

    def _part(self, part: AnswerPart, screen: AnswerScreen, *, is_json: bool) -> AnswerPart:
        if isinstance(part, AnswerRefusal):
            return AnswerRefusal(self._text(screen.text(part.refusal), is_json=False))
        # Where something may be taken out of a text, its probabilities would tell it again, piece by piece.
        logprobs = part.logprobs if screen.only_reports else ()
        text = self._text(screen.text(part.text), is_json=is_json)
        return msgspec.structs.replace(part, text=text, logprobs=logprobs)

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

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens", stands_for: str = "") -> bytes:
        """What the bridge beneath makes of it; see `dialects.Bridge`."""
        if self._inner is None:
            return body
        return self._inner.request(body, model, limit_name=limit_name, stands_for=stands_for)

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
    latest. State: the steps of what is said (as a text, a refusal and reasoning), which of these it is said as now,
    and the steps of each call's arguments.

    What is held back of a text comes before a call that interrupts it. What follows the call is read with what was said
    before it: whoever shows the answer joins the two.
    """

    def __init__(
        self,
        decoder: StreamDecoder,
        privacy: CallPrivacy,
        screen: AnswerScreen,
        restorer: Restorer,
        *,
        restores_text: bool,
        restores_arguments: bool,
        is_json: bool,
    ) -> None:
        self._decoder = decoder
        self._privacy = privacy
        self._screen = screen
        self._restorer = restorer
        self._restores_text = restores_text
        self._restores_arguments = restores_arguments
        self._is_json = is_json
        self._said: dict[type[Text | Refused | Thought], _Steps] = {}
        self._saying: type[Text | Refused | Thought] | None = None
        self._calls: dict[int, tuple[_Steps, Called]] = {}

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events in these bytes.

        Raises:
            AttemptFailed: the answer holds what the contract blocks.
        """
        events: list[StreamEvent] = []
        try:
            for event in self._decoder.feed(chunk):
                self._take(event, events)
        except Refusal as refusal:
            self._privacy.note(self._screen.counts)
            raise blocked(refusal) from None
        return events

    def _take(self, event: StreamEvent, events: list[StreamEvent]) -> None:
        if isinstance(event, Text | Refused | Thought):
            self._say(event, events)
            return
        if isinstance(event, Sealed | Called | Ended | UpstreamError):
            # The end of a text belongs before what follows: behind a call it would be a text of its own.
            self._say_rest(events)
        match event:
            case Started():
                self._privacy.keep(event.id)
                events.append(event)
            case Called():
                self._call(event, events)
            case Ended():
                for steps, first in self._calls.values():
                    rest = steps.end()
                    if rest:
                        events.append(Called(first.index, rest, first.kind))
                events.append(event)
                self._privacy.note(self._screen.counts, is_unread=self._screen.has_failed)
            case _:
                events.append(event)

    def _say(self, event: Text | Refused | Thought, events: list[StreamEvent]) -> None:
        if not event.text:
            return
        kind = type(event)
        if kind is not self._saying:
            self._say_rest(events)
            self._saying = kind
        said = self._said.get(kind)
        if said is None:
            said = self._said[kind] = self._steps(is_json=self._is_json and kind is Text)
        _add(kind, said.feed(event.text), events)

    def _say_rest(self, events: list[StreamEvent]) -> None:
        if self._saying is not None:
            _add(self._saying, self._said[self._saying].end(), events)
            self._saying = None

    def _call(self, event: Called, events: list[StreamEvent]) -> None:
        known = self._calls.get(event.index)
        if known is None:
            known = self._steps(is_json=event.kind == "function", in_call=True), event
            self._calls[event.index] = known
        text = known[0].feed(event.text)
        if text or event.name:
            events.append(msgspec.structs.replace(event, text=text))

    def _steps(self, *, is_json: bool, in_call: bool = False) -> "_Steps":
        restores = self._restores_arguments if in_call else self._restores_text
        restoring = self._restorer.stream(in_json=is_json) if restores else None
        return _Steps(self._screen.stream(in_call=in_call), restoring)


class _Steps:
    """What one text of a stream goes through: what the model brings up itself is judged, then tokens turn back."""

    __slots__ = ("_restoring", "_screening")

    def __init__(self, screening: AnswerStream, restoring: RestoringStream | None) -> None:
        self._screening = screening
        self._restoring = restoring

    def feed(self, text: str) -> str:
        text = self._screening.feed(text)
        return text if self._restoring is None else self._restoring.feed(text)

    def end(self) -> str:
        text = self._screening.end()
        return text if self._restoring is None else self._restoring.feed(text) + self._restoring.end()


def _add(kind: type[Text | Refused | Thought], text: str, events: list[StreamEvent]) -> None:
    if text:
        events.append(kind(text))
