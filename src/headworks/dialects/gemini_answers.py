"""Answers of Google's generateContent, whole ones and the chunks of a stream, decoded.

A stream's chunks are of one shape with a whole answer, so that both are read by the same steps (`AnswerReader`), into
canonical events; a whole answer is these events put together.
"""

import secrets
from collections.abc import Callable

import msgspec

from headworks.calls import UnreadableAnswer
from headworks.dialects.canonical import (
    ABSENT,
    AnswerCall,
    AnswerItem,
    AnswerMessage,
    AnswerReasoning,
    AnswerRefusal,
    AnswerText,
    EndReason,
    Logprob,
    ModelAnswer,
    TopLogprob,
    UpstreamError,
    UrlCitation,
    is_given,
)
from headworks.dialects.errors import GOOGLE_CODES
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.sealing import GeminiSeal, sealed_signature
from headworks.dialects.usage import read_gemini_usage


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Fields that are not read here may be there."""


class _Call(_Wire, frozen=True):
    name: str = ""
    args: msgspec.Raw = msgspec.Raw(b"{}")
    id: str | None = None
    partial_args: msgspec.Raw = ABSENT
    will_continue: bool | None = None


class _Part(_Wire, frozen=True):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None


class _Content(_Wire, frozen=True):
    parts: tuple[_Part, ...] | None = None


class _Token(_Wire, frozen=True):
    token: str = ""
    log_probability: float = 0.0


class _TopTokens(_Wire, frozen=True):
    candidates: tuple[_Token, ...] = ()


class _Logprobs(_Wire, frozen=True):
    chosen_candidates: tuple[_Token, ...] = ()
    top_candidates: tuple[_TopTokens, ...] = ()


class _Source(_Wire, frozen=True):
    """Where a passage comes from; indices count bytes of the text in UTF-8 (Google, "CitationSource", 2026-11)."""

    uri: str | None = None
    title: str | None = None
    start_index: int = 0
    end_index: int = 0


class _Citations(_Wire, frozen=True):
    citation_sources: tuple[_Source, ...] = ()


class _Candidate(_Wire, frozen=True):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: _Logprobs | None = None
    citation_metadata: _Citations | None = None


class _Feedback(_Wire, frozen=True):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Error(_Wire, frozen=True):
    code: int | None = None
    status: str | None = None
    message: str | None = None


class _Answer(_Wire, frozen=True):
    candidates: tuple[_Candidate, ...] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw(b"null")
    model_version: str | None = None
    response_id: str | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Answer).decode

_FILTERS = (
    *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
)
_END_REASONS: dict[str, EndReason] = {
    "STOP": "",
    "MAX_TOKENS": "max_output_tokens",
    **dict.fromkeys(_FILTERS, "content_filter"),
}
_FAILURES = {
    "MALFORMED_FUNCTION_CALL": "server_error",
    "MALFORMED_RESPONSE": "server_error",
    "UNEXPECTED_TOOL_CALL": "server_error",
    "TOO_MANY_TOOL_CALLS": "server_error",
    "OTHER": "server_error",
    "MISSING_THOUGHT_SIGNATURE": "invalid_request_error",
}
"""Finish reasons that say that there is no answer: never passed on as an empty one."""

_BLOCKS = frozenset({"SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"})


def _made_token() -> str:
    return secrets.token_hex(8)


class AnswerReader:
    """Reads an answer, chunk by chunk, into canonical events.

    Arguments:
        new_token: makes what ids of calls begin with where the answer itself has no id.
    """

    __slots__ = ("_calls", "_new_token", "_said", "_sources", "_token", "_usage", "is_ended", "is_started")

    def __init__(self, new_token: Callable[[], str] = _made_token) -> None:
        self.is_started = False
        self.is_ended = False
        self._new_token = new_token
        self._token = ""
        self._calls = 0
        self._said: list[str] = []
        self._sources: list[_Source] = []
        self._usage = msgspec.Raw(b"null")

    def take(self, body: bytes) -> list[StreamEvent]:
        """The events that a chunk (or a whole answer) stands for. After the last nothing follows.

        Raises:
            UnreadableAnswer: it is not what generateContent answers, or says things that are not known here.
        """
        answer = _read(body)
        if is_given(answer.usage_metadata):
            self._usage = answer.usage_metadata  # each chunk has the figures up to it
        if answer.error is not None:
            self.is_ended = True
            return [_error(answer.error, self._usage)]
        events: list[StreamEvent] = []
        if not self.is_started:
            self.is_started = True
            self._token = answer.response_id or self._new_token()
            events.append(Started(answer.response_id or "", answer.model_version or "", 0))
        candidates = answer.candidates or ()
        if len(candidates) > 1:
            raise UnreadableAnswer(f"the answer has {len(candidates)} candidates where one was asked for")
        if candidates:
            self._candidate(candidates[0], events)
        elif answer.prompt_feedback is not None and answer.prompt_feedback.block_reason is not None:
            self._blocked(answer.prompt_feedback, events)
        return events

    def _candidate(self, candidate: _Candidate, events: list[StreamEvent]) -> None:
        logprobs = _logprobs(candidate.logprobs_result)
        for part in (candidate.content.parts or ()) if candidate.content is not None else ():
            logprobs = self._part(part, logprobs, events)
        if candidate.citation_metadata is not None:
            self._sources += candidate.citation_metadata.citation_sources
        if candidate.finish_reason is not None:
            self._end(candidate.finish_reason, candidate.finish_message, events)

    def _part(self, part: _Part, logprobs: tuple[Logprob, ...], events: list[StreamEvent]) -> tuple[Logprob, ...]:
        """Read a part; returns the log probabilities that are not told yet."""
        signature = part.thought_signature
        if part.function_call is not None:
            if signature:
                events.append(Sealed(sealed_signature(GeminiSeal(signature, "call"))))
            self._call(part.function_call, events)
            return logprobs
        if part.text is None and not signature:
            raise UnreadableAnswer("the answer has a part that is not known here")
        if part.text:
            if part.thought:
                events.append(Thought(part.text))
            else:
                self._said.append(part.text)
                events.append(Text(part.text, logprobs))
                logprobs = ()
        if signature:
            events.append(Sealed(sealed_signature(GeminiSeal(signature, "text"))))
        return logprobs

    def _call(self, call: _Call, events: list[StreamEvent]) -> None:
        if not call.name:
            raise UnreadableAnswer("the answer calls a function without a name")
        if is_given(call.partial_args) or call.will_continue:
            raise UnreadableAnswer("the answer calls a function piece by piece, which was not asked for")
        raw = bytes(call.args) if is_given(call.args) else b"{}"
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise UnreadableAnswer("the answer calls a function with arguments that are not UTF-8") from None
        if not raw.startswith(b"{"):
            raise UnreadableAnswer("the answer calls a function with arguments that are not a JSON object")
        call_id = call.id or f"call_{self._token}_{self._calls}"
        events.append(Called(self._calls, text, "function", call_id, call.name))
        self._calls += 1

    def _blocked(self, feedback: _Feedback, events: list[StreamEvent]) -> None:
        """The prompt itself was refused: there is no candidate at all."""
        self.is_ended = True
        reason = feedback.block_reason if feedback.block_reason in _BLOCKS else "no reason that is known here"
        events.append(Refused(feedback.block_reason_message or f"Google's filters blocked the prompt ({reason})."))
        events.append(Ended("content_filter", read_gemini_usage(self._usage)))

    def _end(self, finish_reason: str, message: str | None, events: list[StreamEvent]) -> None:
        self.is_ended = True
        usage = read_gemini_usage(self._usage)
        failure = _FAILURES.get(finish_reason)
        if failure is not None:
            words = message or f"The model's answer cannot be used ({finish_reason})."
            events.append(UpstreamError(failure, words, usage=usage))
            return
        reason = _END_REASONS.get(finish_reason)
        if reason is None:
            raise UnreadableAnswer("the answer has a finish reason that is not known here")
        events.extend(self._citations())
        if reason == "content_filter":
            events.append(Refused(message or f"Google's filters ended the answer ({finish_reason})."))
        events.append(Ended(reason, usage))

    def _citations(self) -> list[Cited]:
        if not self._sources:
            return []
        text = "".join(self._said).encode("utf-8", "replace")
        # A source without an address is a licence notice: the other dialects have no words for it, and no place.
        return [
            Cited(
                UrlCitation(
                    one.uri,
                    one.title or "",
                    len(text[: max(0, one.start_index)].decode("utf-8", "ignore")),
                    len(text[: max(0, one.end_index)].decode("utf-8", "ignore")),
                )
            )
            for one in self._sources
            if one.uri
        ]


def decode_gemini_answer(body: bytes) -> ModelAnswer | UpstreamError:
    """The answer in a whole one.

    Raises:
        UnreadableAnswer: the body is not one, or says things that are not known here.
    """
    reader = AnswerReader()
    events = reader.take(body)
    if not reader.is_ended:
        raise UnreadableAnswer("the answer has no finish reason")
    return _together(events)


def _together(events: list[StreamEvent]) -> ModelAnswer | UpstreamError:
    started = Started("", "", 0)
    items: list[AnswerItem] = []
    cited: list[UrlCitation] = []
    for event in events:
        match event:
            case UpstreamError():
                return msgspec.structs.replace(event, id=started.id, model=started.model)
            case Started():
                started = event
            case Ended():
                output = _with_citations(items, cited) or (AnswerMessage((AnswerText(""),)),)
                return ModelAnswer(started.id, started.model, 0, output, event.end_reason, event.usage)
            case Cited():
                cited.append(event.citation)
            case Text() | Refused():
                _say(event, items)
            case Thought():
                _think(event.text, items)
            case Sealed():
                _seal(event.encrypted_content, items)
            case Called():
                items.append(AnswerCall(event.kind, event.call_id, event.name, event.text))
    raise AssertionError("an answer that has ended has an end")


def _say(event: Text | Refused, items: list[AnswerItem]) -> None:
    part = AnswerText(event.text, (), event.logprobs) if isinstance(event, Text) else AnswerRefusal(event.text)
    last = items[-1] if items else None
    if not isinstance(last, AnswerMessage):
        items.append(AnswerMessage((part,)))
        return
    before = last.parts[-1]
    if isinstance(before, AnswerText) and isinstance(part, AnswerText):
        joined = AnswerText(before.text + part.text, (), before.logprobs + part.logprobs)
        items[-1] = AnswerMessage((*last.parts[:-1], joined))
    else:
        items[-1] = AnswerMessage((*last.parts, part))


def _think(text: str, items: list[AnswerItem]) -> None:
    last = items[-1] if items else None
    if isinstance(last, AnswerReasoning) and last.encrypted_content is None:
        items[-1] = AnswerReasoning(last.text + text)
    else:
        items.append(AnswerReasoning(text))


def _seal(seal: str, items: list[AnswerItem]) -> None:
    last = items[-1] if items else None
    if isinstance(last, AnswerReasoning) and last.encrypted_content is None:
        items[-1] = AnswerReasoning(last.text, seal)
    else:
        items.append(AnswerReasoning("", seal))


def _with_citations(items: list[AnswerItem], cited: list[UrlCitation]) -> tuple[AnswerItem, ...]:
    """The items, with each citation at the text in which it begins. The indices count from the answer's first
    character, those of a text from its own."""
    if not cited:
        return tuple(items)
    found: list[AnswerItem] = []
    start = 0
    for item in items:
        if not isinstance(item, AnswerMessage):
            found.append(item)
            continue
        parts: list[AnswerText | AnswerRefusal] = []
        for part in item.parts:
            if isinstance(part, AnswerText):
                end = start + len(part.text)
                here = tuple(
                    UrlCitation(one.url, one.title, one.start_index - start, min(one.end_index, end) - start)
                    for one in cited
                    if start <= one.start_index < end
                )
                parts.append(AnswerText(part.text, here, part.logprobs))
                start = end
            else:
                parts.append(part)
        found.append(AnswerMessage(tuple(parts)))
    return tuple(found)


def _logprobs(result: _Logprobs | None) -> tuple[Logprob, ...]:
    if result is None:
        return ()
    tops = [
        tuple(TopLogprob(one.token, one.log_probability, _bytes(one.token)) for one in top.candidates)
        for top in result.top_candidates
    ]
    return tuple(
        Logprob(one.token, one.log_probability, _bytes(one.token), tops[place] if place < len(tops) else ())
        for place, one in enumerate(result.chosen_candidates)
    )


def _bytes(token: str) -> tuple[int, ...]:
    return tuple(token.encode("utf-8", "replace"))


def _error(error: _Error, usage: msgspec.Raw) -> UpstreamError:
    code = GOOGLE_CODES.get(error.status or "") or str(error.code or "server_error")
    return UpstreamError(
        code, error.message or "The upstream failed and did not say why.", usage=read_gemini_usage(usage)
    )


def _read(body: bytes) -> _Answer:
    try:
        answer = _decode(body)
    except msgspec.ValidationError:
        raise UnreadableAnswer("the answer is not one of generateContent: it has another shape") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("the answer is not one of generateContent: it is not JSON") from None
    said = (answer.candidates, answer.prompt_feedback, answer.error)
    if said == (None, None, None) and not is_given(answer.usage_metadata):
        raise UnreadableAnswer("the answer is not one of generateContent: it has no candidates")
    return answer
