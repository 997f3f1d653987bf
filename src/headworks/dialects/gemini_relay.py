"""Google's generateContent that is relayed as it is: what a record needs to know of a stream, and of a whole answer."""

import msgspec

from headworks.calls import Failure, FailureKind
from headworks.dialects.endings import google_error
from headworks.dialects.sse import MAX_EVENT_BYTES, EventSplitter, parse_event, split_blocks
from headworks.dialects.summary import AnswerSummary, Terminal
from headworks.dialects.tails import StreamText, leniently
from headworks.dialects.usage import read_gemini_usage


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _Part(_Wire, frozen=True):
    text: str | None = None


class _Content(_Wire, frozen=True):
    parts: tuple[_Part, ...] | None = None


class _Candidate(_Wire, frozen=True):
    content: _Content | None = None
    finish_reason: str | None = None


class _Feedback(_Wire, frozen=True):
    block_reason: str | None = None


class _Error(_Wire, frozen=True):
    status: str | None = None


class _Answer(_Wire, frozen=True):
    candidates: tuple[_Candidate, ...] = ()
    prompt_feedback: _Feedback | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw(b"null")
    model_version: str | None = None
    response_id: str | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class GeminiTail:
    """The tail of a stream of generateContent; it ends with a finish reason, a blocked prompt or an error. Implements
    `tails.StreamTail`.

    Arguments:
        max_event_bytes: the longest event that is waited for.
    """

    __slots__ = ("_error", "_finish", "_id", "_model", "_splitter", "_terminal", "_text", "_usage", "is_complete")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.is_complete = False
        self._splitter = EventSplitter(max_event_bytes)
        self._text = StreamText()
        self._usage = msgspec.Raw(b"null")
        self._id = self._model = self._finish = self._error = ""
        self._terminal: Terminal = "none"

    def feed(self, chunk: bytes) -> bytes:
        """What to send on for `chunk`; see `StreamTail`."""
        if self.is_complete:
            return b""
        complete = self._splitter.take(chunk)
        for block in split_blocks(complete):
            event = parse_event(block)
            if event is not None:
                self._look(leniently(event.data, _Answer, _decode))
        return complete

    @property
    def has_content(self) -> bool:
        """Whether anything that a model generated has been seen."""
        return bool(self._text) or self._finish != ""

    def broken(self, code: str, message: str) -> bytes:
        """The event that ends a broken stream; see `tails.StreamTail`."""
        return google_error(code, message)

    def summary(self) -> AnswerSummary:
        """What the stream has said so far."""
        return AnswerSummary(
            response_id=self._id,
            served_model=self._model,
            finish_reason=self._finish,
            usage=read_gemini_usage(self._usage) if self._terminal != "none" else None,
            terminal=self._terminal,
            error_code=self._error,
            text=self._text.whole(),
        )

    def _look(self, answer: _Answer) -> None:
        self._id = answer.response_id or self._id
        self._model = answer.model_version or self._model
        if bytes(answer.usage_metadata) != b"null":
            self._usage = answer.usage_metadata
        for text in _texts(answer):
            self._text.write(text)
        self._finish = _finish(answer) or self._finish
        if answer.error is not None:
            self._error, self._terminal = answer.error.status or "error", "error"
        elif self._finish:
            self._terminal = "done"
        self.is_complete = self._terminal != "none"


def read_gemini_answer(body: bytes) -> AnswerSummary | Failure:
    """An answer, summed up; a `Failure` of kind INVALID when the body is not one."""
    try:
        answer = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = "it has another shape" if isinstance(error, msgspec.ValidationError) else "it is not JSON"
        return Failure(FailureKind.INVALID, f"the answer is not one of generateContent: {reason}")
    finish = _finish(answer)
    if not finish:
        return Failure(FailureKind.INVALID, "the answer is not one of generateContent: it has no finish reason")
    usage = read_gemini_usage(answer.usage_metadata)
    return AnswerSummary(
        response_id=answer.response_id or "",
        served_model=answer.model_version or "",
        finish_reason=finish,
        usage=usage,
        terminal="done",
        text="" if usage is not None else "".join(_texts(answer)),
    )


def _finish(answer: _Answer) -> str:
    if answer.prompt_feedback is not None and answer.prompt_feedback.block_reason is not None:
        return answer.prompt_feedback.block_reason
    return next((one.finish_reason for one in answer.candidates if one.finish_reason is not None), "")


def _texts(answer: _Answer) -> list[str]:
    contents = [one.content for one in answer.candidates if one.content is not None]
    return [part.text for content in contents for part in content.parts or () if part.text]
