"""Step 8 for a workload whose contract looks for instructions in data: what is looked for in an answer.

The canary, addresses, tools that were not offered, and the taint of tool calls; in the canonical form of answers, whole
or piece by piece.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from headworks.calls import AttemptFailed, Failure, FailureKind
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerItem,
    AnswerMessage,
    AnswerReasoning,
    AnswerRefusal,
    AnswerText,
    ModelAnswer,
)
from headworks.dialects.events import Called, Ended, Refused, StreamDecoder, StreamEvent, Text, Thought
from headworks.screening import ActionPolicy
from headworks.screening.injection import (
    AddressKind,
    CanaryWatch,
    InjectionPolicy,
    InjectionVerdict,
    Signal,
    Taint,
    leaves,
)

_DECIDED: dict[str, InjectionVerdict] = {"deny": "block", "hold": "hold", "allow": "flag"}
_encode = msgspec.json.Encoder().encode


class AnswerTerms(msgspec.Struct, frozen=True):
    """What the answers to one call are looked at by.

    Attributes:
        watch: for the canary; None where there is none.
        offered: the names of the request's tools.
        actions: the policy of tools with side effects, for this call.
        taint: what untrusted text of the call may have brought about.
        note: takes what was found in an answer.
    """

    policy: InjectionPolicy
    watch: CanaryWatch | None
    offered: Collection[str]
    actions: ActionPolicy
    taint: Taint
    note: Callable[[Sequence[Signal]], None]


class InjectionFilter:
    """Implements `privacy_bridge.AnswerFilter`."""

    def __init__(self, terms: AnswerTerms) -> None:
        self._terms = terms

    def restored(self, answer: ModelAnswer, *, is_json: bool) -> ModelAnswer:
        """A whole answer as it may go on.

        Raises:
            AttemptFailed: it may not.
        """
        look = AnswerLook(self._terms)
        output = tuple([look.item(item, is_json=is_json) for item in answer.output])
        look.conclude()
        return msgspec.structs.replace(answer, output=output)

    def wrap(self, decoder: StreamDecoder, *, is_json: bool) -> "InjectionDecoder":
        """A decoder whose events are as they may go on."""
        return InjectionDecoder(AnswerLook(self._terms), decoder, is_json=is_json)


class AnswerLook:
    """Looks at one answer. State: what was found in it.

    Each method raises AttemptFailed where a layer that may block has found something.
    """

    def __init__(self, terms: AnswerTerms) -> None:
        self.policy = terms.policy
        self.watch = terms.watch
        self._terms = terms
        self._signals: list[Signal] = []

    @property
    def may_block_canary(self) -> bool:
        """Whether nothing of the canary may get out."""
        return self.watch is not None and self.policy.settings.canary == "block"

    def conclude(self) -> None:
        """The answer has come to its end: what was found in it is noted."""
        self._terms.note(self._signals)
        self._signals = []

    def item(self, item: AnswerItem, *, is_json: bool) -> AnswerItem:
        """An item of a whole answer as it may go on."""
        match item:
            case AnswerMessage():
                parts = [self._part(part, is_json=is_json) for part in item.parts]
                return msgspec.structs.replace(item, parts=tuple(parts))
            case AnswerReasoning():
                return msgspec.structs.replace(item, text=self.text(item.text, is_json=False))
            case AnswerCall():
                self.name(item.name)
                self.call(item.name, item.text)
                return item

    def name(self, name: str) -> None:
        """Judge a tool call by its name."""
        signal = self.policy.unexpected(name, self._terms.offered)
        if signal is not None:
            self._add(signal)

    def call(self, name: str, arguments: str) -> None:
        """Look at a whole tool call. Its taint is noted; what becomes of it, `judging` decides."""
        self.leak(arguments)
        mode, terms = self.policy.settings.taint, self._terms
        if mode != "off" and terms.actions.names(name) and terms.taint.is_on(arguments):
            decided = "allow" if mode == "monitor" else terms.actions.decide_call(name, arguments)
            self._signals.append(Signal("taint", _DECIDED[decided], "output", (terms.taint.by,)))

    def leak(self, text: str) -> None:
        """Look for the canary in a whole text."""
        if self.watch is not None and self.watch.leaks(text):
            self.leaked()

    def leaked(self) -> None:
        """The canary was found."""
        self._add(self.policy.leaked())

    def text(self, text: str, *, is_json: bool) -> str:
        """A whole text of the answer as it may go on."""
        self.leak(text)
        value = read_json(text) if is_json else None
        if isinstance(value, dict | list):
            made = mapped(value, self._pointing)
            return text if made == value else _encode(made).decode()
        return self._pointing(text)

    def emitted_json(self, text: str) -> None:
        """Look at a JSON document that was looked at in pieces: its escapes may hide addresses."""
        for leaf in leaves(read_json(text)):
            for kind, count in self.policy.egress.judge(leaf).found.items():
                signal = self.policy.pointed(kind, count)
                if signal.verdict != "flag":  # it is out, and cannot be cleaned any more
                    self._add(msgspec.structs.replace(signal, verdict="block"))

    def pointed(self, found: Mapping[AddressKind, int]) -> None:
        """Addresses were found."""
        for kind, count in found.items():
            self._add(self.policy.pointed(kind, count))

    def _pointing(self, text: str) -> str:
        judged = self.policy.egress.judge(text)
        self.pointed(judged.found)
        return judged.text

    def _part(self, part: AnswerText | AnswerRefusal, *, is_json: bool) -> AnswerText | AnswerRefusal:
        if isinstance(part, AnswerRefusal):
            return AnswerRefusal(self.text(part.refusal, is_json=False))
        return msgspec.structs.replace(part, text=self.text(part.text, is_json=is_json))

    def _add(self, signal: Signal) -> None:
        self._signals.append(signal)
        if signal.verdict == "block":
            self.conclude()
            what = {"canary": "its instructions' canary", "tools": "a call of a tool that was not offered"}
            detail = f"the answer holds {what.get(signal.layer, 'an address of a host that is not listed')}"
            raise AttemptFailed(Failure(FailureKind.BLOCKED, detail))


class _Channel:
    """One text of a streamed answer: held back where it may become what must not get out. State: what is held."""

    def __init__(self, look: AnswerLook, *, has_addresses: bool) -> None:
        self._look = look
        self._canary = look.watch.stream() if look.watch is not None and look.may_block_canary else None
        self._egress = look.policy.egress.stream() if has_addresses and look.policy.egress.is_on else None
        self._came: list[str] = []
        self.out: list[str] = []

    def feed(self, text: str) -> str:
        """What may go on."""
        self._came.append(text)
        if self._canary is not None:
            text = self._canary.feed(text)
            if self._canary.has_leaked:
                self._look.leaked()
        return self._on(text if self._egress is None else self._egress.feed(text))

    def pause(self) -> str:
        """What was held back, where something else comes between: it belongs before that."""
        rest = "" if self._canary is None else self._canary.pause()
        if self._egress is not None:
            rest = self._egress.feed(rest) + self._egress.pause()
        return self._on(rest)

    def end(self) -> str:
        """What was held back, at the text's end."""
        rest = "" if self._canary is None else self._canary.end()
        if self._egress is not None:
            rest = self._egress.feed(rest) + self._egress.end()
        out = self._on(rest)
        if self._egress is not None:
            self._look.pointed(self._egress.found)
        self._look.leak(self.whole)
        return out

    @property
    def holds(self) -> bool:
        """Whether anything is held back."""
        return (self._canary is not None and self._canary.holds) or (self._egress is not None and self._egress.holds)

    @property
    def whole(self) -> str:
        """All that has come."""
        return "".join(self._came)

    def _on(self, text: str) -> str:
        if self._egress is not None and self._egress.is_blocked:
            self._look.pointed(self._egress.found)
        self.out.append(text)
        return text


class InjectionDecoder:
    """Implements `events.StreamDecoder`. State: a channel for each text, and the calls as they come."""

    def __init__(self, look: AnswerLook, decoder: StreamDecoder, *, is_json: bool) -> None:
        self._look = look
        self._decoder = decoder
        self._is_json = is_json
        self._text = _Channel(look, has_addresses=True)
        self._refused = _Channel(look, has_addresses=True)
        self._thought = _Channel(look, has_addresses=True)
        self._said: tuple[tuple[_Channel, type[Text | Refused | Thought]], ...] = (
            (self._thought, Thought),
            (self._text, Text),
            (self._refused, Refused),
        )
        self._calls: dict[int, tuple[_Channel, Called]] = {}

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events in these bytes.

        Raises:
            AttemptFailed: the answer may not go on.
        """
        events: list[StreamEvent] = []
        for event in self._decoder.feed(chunk):
            self._take(event, events)
        return events

    def _take(self, event: StreamEvent, events: list[StreamEvent]) -> None:
        match event:
            case Text():
                self._pause(events, but=Text)
                text = self._text.feed(event.text)
                if text:
                    events.append(event if text == event.text else Text(text))
            case Refused():
                self._pause(events, but=Refused)
                text = self._refused.feed(event.text)
                if text:
                    events.append(Refused(text))
            case Thought():
                self._pause(events, but=Thought)
                text = self._thought.feed(event.text)
                if text:
                    events.append(Thought(text))
            case Called():
                self._pause(events)
                self._call(event, events)
            case Ended():
                self._end(events)
                events.append(event)
            case _:
                events.append(event)

    def _call(self, event: Called, events: list[StreamEvent]) -> None:
        known = self._calls.get(event.index)
        if known is None:
            known = self._calls[event.index] = _Channel(self._look, has_addresses=False), event
            self._look.name(event.name)
        text = known[0].feed(event.text)
        if text or event.name:
            events.append(msgspec.structs.replace(event, text=text))

    def _pause(self, events: list[StreamEvent], but: type[Text | Refused | Thought] | None = None) -> None:
        """What is held back of texts that the model has left goes on before what it says next."""
        for channel, kind in self._said:
            if kind is not but and channel.holds:
                rest = channel.pause()
                if rest:
                    events.append(kind(rest))

    def _end(self, events: list[StreamEvent]) -> None:
        for channel, kind in self._said:
            rest = channel.end()
            if rest:
                events.append(kind(rest))
        for channel, first in self._calls.values():
            rest = channel.end()
            if rest:
                events.append(Called(first.index, rest, first.kind))
            self._look.call(first.name, channel.whole)
        if self._is_json:
            self._look.emitted_json("".join(self._text.out))
        self._look.conclude()


def mapped(value: object, change: Callable[[str], str], only: Collection[str] | None = None) -> object:
    """A JSON value with its strings changed.

    Arguments:
        only: the names in objects whose values are; None for all.
    """
    match value:
        case str():
            return change(value)
        case list():
            return [mapped(one, change, only) for one in value]
        case dict():
            return {
                name: mapped(one, change, only) if only is None or name in only else one for name, one in value.items()
            }
        case _:
            return value


def read_json(text: str) -> object:
    """The value of a JSON text; None where it is none."""
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return value
