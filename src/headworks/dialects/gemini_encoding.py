"""Answers of Google's generateContent, whole and streamed, written from the canonical form.

Calls of functions come whole in this API: their pieces are kept until the end. A seal stands on the part that comes
after it, or by itself where none does.
"""

import base64
from typing import assert_never

import msgspec

from headworks.calls import NO_USAGE, UnreadableAnswer, Usage
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerMessage,
    AnswerReasoning,
    AnswerRefusal,
    AnswerText,
    EndReason,
    Logprob,
    ModelAnswer,
    Reasoning,
    SummaryText,
    TopLogprob,
    UpstreamError,
    UrlCitation,
)
from headworks.dialects.endings import google_error
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.sealing import sealed_reasoning

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

_Part = dict[str, object]


def finish_reason_of(end_reason: EndReason, *, has_refused: bool) -> str:
    """The finish reason for an answer that ended so."""
    if has_refused or end_reason == "content_filter":
        return "SAFETY"
    return "MAX_TOKENS" if end_reason == "max_output_tokens" else "STOP"


def encode_gemini_answer(answer: ModelAnswer) -> bytes:
    """The answer that says what `answer` says.

    Raises:
        UnreadableAnswer: a call whose arguments are not a JSON object, which this API cannot say.
    """
    parts: list[_Part] = []
    signature: _Part = {}
    said: list[str] = []
    logprobs: list[Logprob] = []
    cited: list[UrlCitation] = []
    has_refused = False
    for item in answer.output:
        match item:
            case AnswerReasoning():
                if item.text:
                    parts.append({"text": item.text, "thought": True})
                if item.encrypted_content is not None:
                    signature = _signature(item.encrypted_content, item.id, item.text)
            case AnswerMessage():
                for part in item.parts:
                    has_refused = has_refused or isinstance(part, AnswerRefusal)
                    text = part.text if isinstance(part, AnswerText) else part.refusal
                    if isinstance(part, AnswerText):
                        start = sum(map(len, said))
                        logprobs += part.logprobs
                        cited += [_shifted(one, start) for one in part.citations]
                    said.append(text)
                    if text:
                        parts.append({"text": text} | signature)
                        signature = {}
            case AnswerCall():
                parts.append(_call_part(item, is_cut=answer.end_reason != "") | signature)
                signature = {}
    if signature:
        parts.append({"text": ""} | signature)
    reason = finish_reason_of(answer.end_reason, has_refused=has_refused)
    more = _logprobs(tuple(logprobs)) | _citations(cited, "".join(said))
    return _encode(_chunk(answer.id, answer.model, parts, reason, answer.usage, more))


class GeminiEncoder:
    """Implements `events.StreamEncoder` for generateContent."""

    __slots__ = ("_calls", "_cited", "_has_refused", "_id", "_model", "_said", "_signature", "_thoughts")

    def __init__(self) -> None:
        self._id = self._model = ""
        self._signature: _Part = {}
        self._thoughts: list[str] = []
        self._calls: list[tuple[Called, list[str], _Part]] = []
        self._cited: list[UrlCitation] = []
        self._said: list[str] = []
        self._has_refused = False

    def encode(self, event: StreamEvent) -> bytes:
        """The events for `event`; see `StreamEncoder`."""
        match event:
            case Text():
                return self._say(event.text, _logprobs(event.logprobs))
            case Refused():
                self._has_refused = True
                return self._say(event.text)
            case Called():
                if event.index == len(self._calls):
                    self._calls.append((event, [], self._signature))
                    self._signature = {}
                self._calls[event.index][1].append(event.text)
                return b""
            case Thought():
                self._thoughts.append(event.text)
                return self._send([{"text": event.text, "thought": True}])
            case Sealed():
                self._signature = _signature(event.encrypted_content, event.id, "".join(self._thoughts))
                self._thoughts = []
                return b""
            case Cited():
                self._cited.append(event.citation)
                return b""
            case Started():
                self._id, self._model = event.id, event.model
                return b""
            case Ended():
                return self._end(event)
            case UpstreamError():
                return google_error(event.code, event.message)
            case _:
                assert_never(event)

    def _say(self, text: str, more: _Part | None = None) -> bytes:
        signature, self._signature = self._signature, {}
        self._said.append(text)
        return self._send([{"text": text} | signature], more=more)

    def _end(self, event: Ended) -> bytes:
        is_cut = event.end_reason != ""
        parts = [
            _call_part(AnswerCall("function", call.call_id, call.name, "".join(pieces)), is_cut=is_cut) | signature
            for call, pieces, signature in self._calls
        ]
        if self._signature:
            parts.append({"text": ""} | self._signature)
        reason = finish_reason_of(event.end_reason, has_refused=self._has_refused)
        return self._send(parts, reason, event.usage, _citations(self._cited, "".join(self._said)))

    def _send(
        self,
        parts: list[_Part],
        finish: str | None = None,
        usage: Usage | None = None,
        more: _Part | None = None,
    ) -> bytes:
        return b"data: %b\r\n\r\n" % _encode(_chunk(self._id, self._model, parts, finish, usage, more))


def _chunk(
    answer_id: str, model: str, parts: list[_Part], finish: str | None, usage: Usage | None, more: _Part | None
) -> _Part:
    """An answer, or a piece of one; `more` is what else its candidate has."""
    candidate: _Part = {"content": {"parts": parts, "role": "model"}, "index": 0} | (more or {})
    if finish is not None:
        candidate["finishReason"] = finish
    body: _Part = {"candidates": [candidate], "modelVersion": model, "responseId": answer_id}
    if finish is not None:
        body["usageMetadata"] = _usage(usage or NO_USAGE)
    return body


def _logprobs(logprobs: tuple[Logprob, ...]) -> _Part:
    if not logprobs:
        return {}
    tops = [{"candidates": [_token(one) for one in logprob.top_logprobs]} for logprob in logprobs]
    return {"logprobsResult": {"chosenCandidates": [_token(one) for one in logprobs], "topCandidates": tops}}


def _token(one: Logprob | TopLogprob) -> _Part:
    return {"token": one.token, "logProbability": one.logprob}


def _shifted(one: UrlCitation, start: int) -> UrlCitation:
    return UrlCitation(one.url, one.title, one.start_index + start, one.end_index + start)


def _citations(cited: list[UrlCitation], text: str) -> _Part:
    """The citations, whose indices count bytes here."""
    sources = [
        {
            "startIndex": len(text[: one.start_index].encode("utf-8", "replace")),
            "endIndex": len(text[: one.end_index].encode("utf-8", "replace")),
            "uri": one.url,
            "title": one.title,
        }
        for one in cited
    ]
    return {"citationMetadata": {"citationSources": sources}} if sources else {}


def _usage(usage: Usage) -> _Part:
    return _modalities(usage) | {
        "promptTokenCount": usage.input_tokens,
        "cachedContentTokenCount": usage.cached_tokens,
        "candidatesTokenCount": max(0, usage.output_tokens - usage.reasoning_tokens),
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }


def _modalities(usage: Usage) -> _Part:
    """How many tokens were of which kind, where not all were text."""
    extras = usage.extras
    if extras is None:
        return {}
    read = {
        "AUDIO": extras.audio_input_tokens,
        "IMAGE": extras.image_input_tokens,
        "VIDEO": extras.video_input_tokens,
    }
    cached = {"AUDIO": extras.cached_audio_tokens, "IMAGE": extras.cached_image_tokens}
    written = {
        "AUDIO": extras.audio_output_tokens,
        "IMAGE": extras.image_output_tokens,
        "VIDEO": extras.video_output_tokens,
    }
    found = {
        "promptTokensDetails": _counts(read, usage.input_tokens),
        "cacheTokensDetails": _counts(cached, usage.cached_tokens),
        "candidatesTokensDetails": _counts(written, usage.output_tokens - usage.reasoning_tokens),
    }
    return {name: counts for name, counts in found.items() if counts}


def _counts(kinds: dict[str, int], whole: int) -> list[_Part]:
    found = {kind: count for kind, count in kinds.items() if count}
    text = whole - sum(found.values())
    return (
        [{"modality": kind, "tokenCount": count} for kind, count in ({"TEXT": max(0, text)} | found).items()]
        if found
        else []
    )


def _signature(encrypted_content: str, item_id: str | None, text: str) -> _Part:
    """A seal as the bytes that this API has for it."""
    summary = (SummaryText(text),) if text else ()
    sealed = sealed_reasoning(Reasoning(item_id, summary, encrypted_content=encrypted_content))
    return {"thoughtSignature": base64.b64encode(sealed.encode()).decode("ascii")}


def _call_part(call: AnswerCall, *, is_cut: bool) -> _Part:
    text = call.text.strip() or "{}"
    try:
        _decode_object(text)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        if not is_cut:
            raise UnreadableAnswer("the answer calls a function with arguments that are not a JSON object") from None
        text = "{}"  # broken off; the finish reason says so
    part: _Part = {"name": call.name, "args": msgspec.Raw(text.encode())}
    return {"functionCall": part | ({"id": call.call_id} if call.call_id else {})}
