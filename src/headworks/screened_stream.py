"""A stream whose tokens are turned back and whose text is screened, event by event, in the caller's own dialect.

Nothing is translated: an event in which nothing changes goes on byte for byte. Of a text only what may still become a
token is held back; it comes with an event of its own, a copy of the last one of its lane, before that lane ends.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind, UnreadableAnswer
from headworks.delta_places import EVERY, PLACES, Lane, Piece, Tree
from headworks.dialects import AnswerSummary, EventSplitter, encode_event, parse_event
from headworks.dialects.bridging import BridgeStream
from headworks.dialects.sse import split_blocks
from headworks.errors import Refusal
from headworks.screening.privacy import (
    AnswerBody,
    AnswerScreen,
    AnswerStream,
    PrivacyPolicy,
    Restorer,
    RestoringStream,
    ScreeningFailed,
    may_hold_token,
)

_decode = msgspec.json.Decoder(dict[str, object], float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_OBJECT = re.compile(rb"\s*\{")

_ANSWERS = frozenset({"content", "response.output_text.delta"})
"""The fields that are a JSON document where one was asked for: what is thought before, and a refusal, are none."""

_NUMBER = "sequence_number"
"""By which the Responses API counts its events."""


def blocked(refusal: Refusal) -> AttemptFailed:
    """An answer that must not go out, for this reason."""
    if isinstance(refusal, ScreeningFailed):
        return AttemptFailed(Failure(FailureKind.BLOCKED, "the answer could not be screened for personal data"))
    return AttemptFailed(Failure(FailureKind.BLOCKED, "the answer holds personal data that is not allowed here"))


class _LaneState:
    """One text that comes in pieces. State: what its two steps hold back, and the last event that it came with."""

    __slots__ = ("event", "in_call", "name", "restoring", "screening")

    def __init__(self, screening: AnswerStream, restoring: RestoringStream | None, *, in_call: bool) -> None:
        self.screening = screening
        self.restoring = restoring
        self.in_call = in_call
        self.name: str | None = None
        self.event = b""

    def feed(self, text: str) -> str:
        text = self.screening.feed(text)
        return text if self.restoring is None else self.restoring.feed(text)

    def end(self) -> str:
        """The rest. Where the text goes on all the same, behind a call, what is said there is read with what was said
        before it: whoever shows the answer joins the two."""
        text = self.screening.end()
        return text if self.restoring is None else self.restoring.feed(text) + self.restoring.end()


class TreatedStream:
    """Implements `dialects.BridgeStream` on top of what reads or translates the upstream's stream.

    Arguments:
        is_json: whether the answer's text is a JSON document.
    """

    def __init__(
        self,
        below: BridgeStream,
        endpoint: Endpoint,
        policy: PrivacyPolicy,
        restorer: Restorer,
        screen: AnswerScreen,
        whole: AnswerBody,
        *,
        is_json: bool,
    ) -> None:
        self._below = below
        self._places = PLACES[endpoint]
        self._policy = policy
        self._restorer = restorer
        self._screen = screen
        self._whole = whole
        self._is_json = is_json
        self._splitter = EventSplitter()
        self._lanes: dict[Lane, _LaneState] = {}
        self._paused: dict[Lane, _LaneState] = {}
        """Texts that the model has left for something else, with nothing held back."""
        self._added = 0
        self._raw: list[bytes] | None = None

    def keep_raw(self, raw: list[bytes]) -> None:
        """Add what comes to this before it is treated: records hold no value."""
        self._raw = raw

    @property
    def is_complete(self) -> bool:
        """See `BridgeStream`."""
        return self._below.is_complete

    @property
    def has_content(self) -> bool:
        """See `BridgeStream`."""
        return self._below.has_content

    def feed(self, data: bytes) -> bytes:
        """What to send on for what came in; may be nothing.

        Raises:
            AttemptFailed: as what is beneath; and the answer holds what is not allowed, or could not be screened.
        """
        data = self._below.feed(data)
        if self._raw is not None:
            self._raw.append(data)
        try:
            complete = self._splitter.take(data) if data else b""
            out = self._events(complete) if complete else b""
            if self._below.is_complete:
                rest = self._splitter.release()
                out += (self._events(rest + b"\n\n") if rest.strip() else b"") + self._ended({EVERY})
        except Refusal as refusal:
            raise blocked(refusal) from None
        return out

    def broken(self, code: str, message: str) -> bytes:
        """What ends the stream when it cannot be gone on with. What was held back is not sent where it is screened."""
        held = b""
        if code != FailureKind.BLOCKED.value:
            try:
                held = self._ended({EVERY})
            except Refusal:
                held = b""  # the error that follows says that this is not all
        last = self._below.broken(code, message)
        if self._raw is not None:
            self._raw.append(last)
        return held + last

    def summary(self) -> AnswerSummary:
        """See `BridgeStream`."""
        return self._below.summary()

    def _events(self, complete: bytes) -> bytes:
        out: list[bytes] = []
        is_changed = False
        for block in split_blocks(complete):
            event = parse_event(block)
            if event is None or _OBJECT.match(event.data) is None:
                ended = b"" if event is None else self._ended({EVERY})
                is_changed |= ended != b""
                out += (ended, block, b"\n\n")
                continue
            before, data = self._event(event.name, event.data)
            if before or data is not event.data:
                is_changed = True
                out += (before, encode_event(event.name, data))
            else:
                out += (block, b"\n\n")
        return b"".join(out) if is_changed else complete

    def _event(self, name: str | None, data: bytes) -> tuple[bytes, bytes]:
        """What goes before an event, and what becomes of it."""
        try:
            tree = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UnreadableAnswer("an event of the stream is not JSON") from None
        pieces = list(self._places.pieces(tree))
        texts = [piece.text for piece in pieces]
        is_changed = False
        if may_hold_token(data) or not pieces or b"functionCall" in data or b"logprobs" in data:
            for piece in pieces:
                piece.holder[piece.name] = ""
            is_changed = self._whole.treat(tree)
        ends = self._places.ends(tree)
        over, calling = b"", self._places.interrupts(tree)
        if calling or not (len(pieces) == 1 and self._lanes.keys() <= {pieces[0].lane}):
            # Most events are one more piece of one text, and do not come here.
            told = zip(pieces, texts, strict=True)
            spoken = {piece.lane: piece.in_call for piece, text in told if text or piece.in_call}
            over = self._left(spoken, calling) if self._lanes else b""
            calling |= {lane[0] for lane, in_call in spoken.items() if in_call}
        for piece, text in zip(pieces, texts, strict=True):
            state = self._lanes.get(piece.lane) or self._begin(piece)
            becomes = state.feed(text)
            is_left = piece.lane[0] in calling and not piece.in_call
            if (is_left or piece.lane[0] in ends) and self._is_last(piece, pieces):
                becomes += state.end()
                del self._lanes[piece.lane]
                if piece.lane[0] not in ends:
                    self._paused[piece.lane] = state
            else:
                state.name, state.event = name, data
            piece.holder[piece.name] = becomes
            is_changed |= becomes != text
        before = over + (self._ended(ends) if ends and (self._lanes or self._paused) else b"")
        if self._added and isinstance(tree.get(_NUMBER), int):
            tree[_NUMBER] = int(str(tree[_NUMBER])) + self._added
            is_changed = True
        return before, _encode(tree) if is_changed else data

    def _is_last(self, piece: Piece, pieces: list[Piece]) -> bool:
        """Whether no further piece of the same lane stands in the same event."""
        return next(one for one in reversed(pieces) if one.lane == piece.lane) is piece

    def _begin(self, piece: Piece) -> _LaneState:
        if piece.lane in self._paused:
            state = self._lanes[piece.lane] = self._paused.pop(piece.lane)
            return state
        name = piece.lane[1]
        in_json = self._is_json and name in _ANSWERS if not piece.in_call else "input" not in name
        restores = self._policy.restores_arguments if piece.in_call else self._policy.restores_text
        restoring = self._restorer.stream(in_json=in_json) if restores else None
        state = _LaneState(self._screen.stream(in_call=piece.in_call), restoring, in_call=piece.in_call)
        self._lanes[piece.lane] = state
        return state

    def _left(self, spoken: Mapping[Lane, bool], calling: set[int]) -> bytes:
        """Events with what is held back of texts that the model has left for another, or for a call: their ends belong
        before what follows."""
        numbers = {lane[0] for lane in spoken} | calling
        left = {
            lane: state
            for lane, state in self._lanes.items()
            if lane[0] in numbers and lane not in spoken and not state.in_call
        }
        self._paused |= left
        return self._flushed(left)

    def _ended(self, ends: set[int]) -> bytes:
        """Events with what is held back of lanes that end."""
        for lane in [lane for lane in self._paused if EVERY in ends or lane[0] in ends]:
            del self._paused[lane]
        return self._flushed(lane for lane in self._lanes if EVERY in ends or lane[0] in ends)

    def _flushed(self, lanes: Iterable[Lane]) -> bytes:
        out = []
        for lane in list(lanes):
            state = self._lanes.pop(lane)
            rest = state.end()
            if not rest:
                continue
            tree = _decode(state.event)
            for piece in self._places.pieces(tree):
                piece.holder[piece.name] = rest if piece.lane == lane else ""
                rest = "" if piece.lane == lane else rest
            if isinstance(tree.get(_NUMBER), int):
                self._added += 1
                tree[_NUMBER] = int(str(tree[_NUMBER])) + self._added
            out.append(encode_event(state.name, _encode(_without_end(tree))))
        return b"".join(out)


def _without_end(tree: Tree) -> Tree:
    """A copy of an event is no second one that says how much was used."""
    for name in ("usage", "usageMetadata"):
        if isinstance(tree.get(name), dict):
            del tree[name]
    return tree
