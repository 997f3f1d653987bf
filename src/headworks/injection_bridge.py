"""Steps 5 and 8 for a workload whose contract looks for instructions in data.

What goes up is read in the caller's dialect: who says what is known there. Untrusted text is looked at, cleaned and
fenced, and becomes the call's taint, which lies on the tool calls of its answer (`judging`). The answer is looked at in
its canonical form, whole or piece by piece: for the canary, for addresses, for tools that were not offered.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from headworks.calls import Endpoint
from headworks.config.injection import ModelCheck
from headworks.dialects.reading import Fields
from headworks.errors import Refusal
from headworks.injection_answers import AnswerTerms, InjectionFilter, mapped, read_json
from headworks.screening import ActionPolicy
from headworks.screening.injection import (
    CanaryWatch,
    Fence,
    InjectionPolicy,
    Signal,
    Source,
    Taint,
    TaintBy,
    canary_note,
    canary_of,
    leaves,
    summed_up,
)
from headworks.settlement import Work
from headworks.slicing import Slices

_CONTENT = {Endpoint.RESPONSES: "input", Endpoint.CHAT: "messages"}
_INSTRUCTING = ("system", "developer")
_TOOL_ROLES = ("tool", "function")
_OWN_ITEMS = frozenset({"function_call", "custom_tool_call", "reasoning", "item_reference"})
"""Items of a Responses conversation that the model has written, or that hold no text of others."""

_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_TEXTS = frozenset({"text", "content"})
"""Names in parts of a message whose values are what is said."""

_LONG = 8192
"""Bytes of a request that are looked at at once: it takes a slice of a turn, about."""

_encode = msgspec.json.Encoder().encode


class InputBlocked(Refusal):
    """A layer that may refuse has found something; says which and in whose words, not what."""

    def __init__(self, signal: Signal) -> None:
        whose = {"tool": "a tool's result", "variable": "a variable"}.get(signal.source, "the input")
        found = ", ".join(signal.names)
        super().__init__(
            400,
            "input_blocked",
            f"The call was not sent: the layer `{signal.layer}` of this workload has found {found} in {whose}. "
            "Leave it out, or have the workload's owner look at `screening.injection`.",
        )


class CallInjection:
    """One call's layers. State: what was found, and what is random for this call.

    Arguments:
        policy: the contract's.
        record: of the call; what is found goes there, as counts.
        random: 32 random bytes.

    Attributes:
        taint: what untrusted text may have brought about; set by `screen`.
        signals: what was found so far.
        to_check: the texts that another model is asked about, each with whose it is; empty where none is.
    """

    def __init__(self, policy: InjectionPolicy, record: Work, random: bytes) -> None:
        self._policy = policy
        self._record = record
        self._settings = settings = policy.settings
        self._fence = None if settings.fence == "off" else Fence(random[:16], marks=settings.fence == "datamark")
        self._canary = "" if settings.canary == "off" else canary_of(random[16:])
        self._watch: CanaryWatch | None = None
        self._is_fenced = False
        self._offered: Collection[str] = ()
        self._looked: dict[tuple[str, Source], tuple[str, list[Signal]]] = {}
        self.taint = Taint((), (), settings.taint_by)
        self.signals: list[Signal] = []
        self.to_check: list[tuple[Source, str]] = []

    @property
    def check(self) -> ModelCheck | None:
        """How another model is asked; None where none is."""
        return self._settings.check

    @property
    def screens_output(self) -> bool:
        """Whether answers are looked at."""
        return self._policy.screens_output

    async def screen(
        self,
        values: dict[str, object],
        trusted: Mapping[str, bool],
        fields: Fields,
        endpoint: Endpoint,
        slices: Slices,
    ) -> tuple[dict[str, object], Fields]:
        """The values and the caller's fields as they may go up.

        Arguments:
            values: of the prompt's variables.
            trusted: by the variable, whether who gives its values may instruct the model.
            slices: in which long ones are looked at.

        Raises:
            InputBlocked: a layer that may refuse has found something.
        """
        if sum(map(len, fields.values())) + len(str(values)) > _LONG:
            await self._look_ahead(values, fields, endpoint, slices)
        reading = _Reading(self)
        values = {
            name: value if trusted.get(name, False) else mapped(value, reading.variable)
            for name, value in values.items()
        }
        fields = reading.fields(fields, endpoint)
        self._offered, has_hosted = _offered(fields)
        unseen = has_hosted or any(name in fields for name in ("previous_response_id", "conversation"))
        # What a hosted tool finds, or the provider has stored, is not seen here: it can hold anything.
        untrusted = [*reading.untrusted, "unseen"] if unseen else reading.untrusted
        self.taint = Taint(untrusted, reading.trusted, self._unseen_by(is_unseen=unseen))
        if self.signals:
            self._record.note_attempt("input")
            self._record.note_end(summed_up(self.signals))
        for signal in self.signals:
            if signal.verdict == "block":
                raise InputBlocked(signal)
        return values, fields

    async def _look_ahead(
        self, values: Mapping[str, object], fields: Fields, endpoint: Endpoint, slices: Slices
    ) -> None:
        """Look at all texts before they are read for good: that is quick then."""
        texts = _Texts()
        reading = _Reading(texts)
        for value in values.values():
            mapped(value, reading.variable)
        reading.fields(fields, endpoint)
        for text, source in texts.found:
            self._looked[text, source] = await slices.of(self._policy.steps(text, source))

    def _unseen_by(self, *, is_unseen: bool) -> TaintBy:
        return "context" if is_unseen else self._settings.taint_by

    def look_at(self, text: str, source: Source) -> str:
        """A text as it may go up; what is found in it is noted."""
        known = self._looked.get((text, source))
        cleaned, signals = self._policy.screen(text, source) if known is None else known
        self.signals += signals
        return cleaned

    def have_checked(self, text: str, source: Source) -> None:
        """Another model is asked about this text, too, if the contract has one, and for such texts."""
        check = self._settings.check
        if check is not None and source in check.sources and text and not text.isspace():
            self.to_check.append((source, text))

    def note_input(self, signals: Sequence[Signal]) -> None:
        """Note what was found in the input after it was screened."""
        self.signals += signals
        self._record.course += f" [input {summed_up(signals)}]"

    def fenced(self, text: str) -> str:
        """Untrusted text in its fence."""
        if self._fence is None:
            return text
        self._is_fenced = True
        return self._fence.around(text)

    def is_untrusted(self, source: Source, tool: str = "") -> bool:
        """Whether these words are data, and no instructions."""
        return source in self._settings.untrusted and (source != "tool" or tool not in self._settings.trusted_tools)

    def instruct(self, fields: Fields, endpoint: Endpoint) -> Fields:
        """The fields whose instructions tell of the fence, and have the canary. Where there are no instructions, there
        is nothing to give away, and no canary."""
        notes = []
        if self._fence is not None and self._is_fenced:
            notes.append(self._fence.note)
        made, has_instructions = _with_note(fields, endpoint, "\n\n".join(notes))
        if self._canary and has_instructions:
            notes.append(canary_note(self._canary))
            self._watch = CanaryWatch(self._canary)
            made, _ = _with_note(fields, endpoint, "\n\n".join(notes))
        return made if notes else fields

    def headers(self) -> bytes:
        """A header block with what was found."""
        found = summed_up(self.signals)
        return b"x-headworks-screening: %b\r\n" % found.encode("ascii") if found else b""

    def filter(self, actions: ActionPolicy) -> "InjectionFilter":
        """What looks at the answer.

        Arguments:
            actions: the policy for this call.
        """
        terms = AnswerTerms(self._policy, self._watch, self._offered, actions, self.taint, self._note_output)
        return InjectionFilter(terms)

    def _note_output(self, signals: Sequence[Signal]) -> None:
        """Note what was found in an answer."""
        if signals:
            self.signals += signals
            self._record.course += f" [output {summed_up(signals)}]"


class _Looker(Protocol):
    """What a reading shows its texts to: `CallInjection` is one."""

    def look_at(self, text: str, source: Source) -> str: ...

    def have_checked(self, text: str, source: Source) -> None: ...

    def is_untrusted(self, source: Source, tool: str = "") -> bool: ...

    def fenced(self, text: str) -> str: ...


class _Texts:
    """Implements `_Looker`: only takes down what there is. State: that."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, Source], None] = {}

    def look_at(self, text: str, source: Source) -> str:
        self.found[text, source] = None
        return text

    def have_checked(self, text: str, source: Source) -> None:
        """Nothing: that comes when it is read for good."""

    def is_untrusted(self, source: Source, tool: str = "") -> bool:  # noqa: ARG002
        return False

    def fenced(self, text: str) -> str:
        return text


class _Reading:
    """Reads one request's conversation. State: whose words it has met."""

    def __init__(self, call: _Looker) -> None:
        self._call = call
        self._tools: dict[str, str] = {}
        self.trusted: list[str] = []
        self.untrusted: list[str] = []

    def variable(self, text: str) -> str:
        return self._said(text, "variable")

    def fields(self, fields: Fields, endpoint: Endpoint) -> Fields:
        name = _CONTENT.get(endpoint, "")
        raw = fields.get(name)
        if raw is None:
            return fields
        try:
            content: object = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Refusal(400, "invalid_type", f"Invalid '{name}': it cannot be read.", param=name) from None
        if isinstance(content, str):
            made: object = self._said(content, "user")
        elif isinstance(content, list):
            made = [self._item(item) if isinstance(item, dict) else item for item in content]
        else:
            return fields
        return {**fields, name: msgspec.Raw(_encode(made))}

    def _item(self, item: dict[str, object]) -> dict[str, object]:
        role, kind = item.get("role"), item.get("type")
        self._note_tools(item)
        if role in _TOOL_ROLES or kind in _OUTPUTS:
            tool = self._tools.get(str(item.get("tool_call_id") or item.get("call_id")), str(item.get("name") or ""))
            place = "output" if kind in _OUTPUTS else "content"
            return _changed(item, place, lambda text: self._result(text, tool))
        if role in _INSTRUCTING:
            self.trusted += leaves(item.get("content"))
            return item
        if role == "assistant" or kind in _OWN_ITEMS:
            return item
        if role is not None:
            return _changed(item, "content", lambda text: self._said(text, "user"))
        # An item of a kind of its own: what a hosted tool has found, say. It is read, and goes up as it is.
        for text in leaves({name: value for name, value in item.items() if name not in ("type", "id", "status")}):
            self._call.look_at(text, "tool")
            self._call.have_checked(text, "tool")
            self.untrusted.append(text)
        return item

    def _note_tools(self, item: dict[str, object]) -> None:
        calls = item.get("tool_calls")
        for call in calls if isinstance(calls, list) else (item,):
            if isinstance(call, dict):
                below = call.get("function", call)
                name = below.get("name") if isinstance(below, dict) else None
                call_id = call.get("call_id") or call.get("id")
                if isinstance(name, str) and isinstance(call_id, str) and "output" not in call:
                    self._tools[call_id] = name

    def _said(self, text: str, source: Source) -> str:
        (self.untrusted if self._call.is_untrusted(source) else self.trusted).append(text)
        self._call.have_checked(text, source)
        return self._call.look_at(text, source)

    def _result(self, text: str, tool: str) -> str:
        cleaned = self._call.look_at(text, "tool")
        if not self._call.is_untrusted("tool", tool):
            self.trusted.append(text)
            return cleaned
        self.untrusted.append(text)
        self._call.have_checked(text, "tool")
        return self._call.fenced(cleaned)


def _changed(item: dict[str, object], place: str, change: Callable[[str], str]) -> dict[str, object]:
    """An item with what is said in it changed."""
    return {**item, place: mapped(item[place], change, only=_TEXTS)} if place in item else item


def _offered(fields: Fields) -> tuple[Collection[str], bool]:
    """The names of the request's tools, and whether there are some that the provider runs itself."""
    names, has_hosted = set[str](), False
    for place in ("tools", "functions"):
        raw = fields.get(place)
        tools = None if raw is None else read_json(bytes(raw).decode("utf-8", "replace"))
        for tool in tools if isinstance(tools, list) else ():
            if not isinstance(tool, dict):
                continue
            kind = tool.get("type", "function")
            has_hosted = has_hosted or kind not in ("function", "custom")
            below = tool.get(str(kind))
            name = below.get("name") if isinstance(below, dict) else tool.get("name")
            if isinstance(name, str):
                names.add(name)
    return names, has_hosted


def _with_note(fields: Fields, endpoint: Endpoint, note: str) -> tuple[Fields, bool]:
    """The fields with a note at the end of their instructions, and whether they have any; without any it becomes the
    first message."""
    spoken = _text(fields.get("instructions")) if endpoint is Endpoint.RESPONSES else None
    if spoken:
        return {**fields, "instructions": msgspec.Raw(_encode(f"{spoken}\n\n{note}"))}, True
    name = _CONTENT[endpoint]
    raw = fields.get(name)
    content: object = None if raw is None else msgspec.json.decode(raw)
    items: list[object] = content if isinstance(content, list) else [{"role": "user", "content": content or ""}]
    for at, item in enumerate(items):
        if isinstance(item, dict) and item.get("role") in _INSTRUCTING and isinstance(item.get("content"), str):
            items[at] = {**item, "content": f"{item['content']}\n\n{note}"}
            return {**fields, name: msgspec.Raw(_encode(items))}, True
    role = "developer" if endpoint is Endpoint.RESPONSES else "system"
    return {**fields, name: msgspec.Raw(_encode([{"role": role, "content": note}, *items]))}, False


def _text(raw: msgspec.Raw | None) -> str:
    value = None if raw is None else msgspec.json.decode(raw)
    return value if isinstance(value, str) else ""
