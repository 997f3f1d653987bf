"""Answers of Google's generateContent, whole and as a stream, and its errors."""

import base64
from collections.abc import Iterator

import msgspec

from headworks.simulator.answers import Answer
from headworks.simulator.chance import digest, identifier
from headworks.simulator.generation import FAILURE_MESSAGES
from headworks.simulator.plan import Failing
from headworks.simulator.rejection import Rejection
from headworks.simulator.rhythm import Rhythm
from headworks.simulator.script import Beat, Script, plain
from headworks.simulator.tokens import split
from headworks.simulator.usage import Tally

_FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_FAILURE_STATUSES = {"server_error": (500, "INTERNAL"), "rate_limit_exceeded": (429, "RESOURCE_EXHAUSTED")}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPES = "type.googleapis.com/google.rpc."


def signature(seed: int, subject: str) -> str:
    """What signs a part of an answer, so that its way back can be checked."""
    return base64.b64encode(digest(seed, "thought", subject) * 2).decode()


class SimulatedContent(msgspec.Struct, frozen=True):
    """One answer with everything about it. `thoughts` is the text about the thinking that is shown; `is_signed` says
    that the model signs its calls and its text."""

    id: str
    model: str
    answer: Answer
    thoughts: str
    is_signed: bool
    tally: Tally
    rhythm: Rhythm
    seed: int
    unique: bytes

    def body(self) -> bytes:
        """The whole answer."""
        parts = self.thought_parts()
        if self.answer.text:
            parts.append({"text": self.answer.text, **self._signed("")})
        return msgspec.json.encode(self.chunk([*parts, *self.call_parts()], is_last=True))

    def chunk(self, parts: list[dict[str, object]], *, is_last: bool = False) -> dict[str, object]:
        """An answer with these parts: the whole one, or a piece of a stream."""
        candidate: dict[str, object] = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if is_last:
            candidate["finishReason"] = "SAFETY" if self.answer.refusal else _FINISH_REASONS[self.answer.finish]
            if self.answer.refusal:
                candidate["finishMessage"] = self.answer.refusal
        return {
            "candidates": [candidate],
            "usageMetadata": self._usage(),
            "modelVersion": self.model,
            "responseId": self.id,
        }

    def thought_parts(self) -> list[dict[str, object]]:
        """What the thinking was about."""
        return [{"text": self.thoughts, "thought": True}] if self.thoughts else []

    def call_parts(self) -> list[dict[str, object]]:
        """The calls, of which the first is signed."""
        parts: list[dict[str, object]] = []
        for index, call in enumerate(self.answer.tool_calls):
            made = identifier("", self.seed, self.unique, b"%d" % index)[:8]
            part: dict[str, object] = {"functionCall": {"name": call.name, "args": _object(call.arguments), "id": made}}
            parts.append(part | (self._signed(call.name) if not parts else {}))
        return parts

    def last_parts(self) -> list[dict[str, object]]:
        """What the last chunk of a streamed text says: nothing but its signature."""
        return [{"text": "", **self._signed("")}] if self.answer.text and not self.answer.tool_calls else []

    def _signed(self, subject: str) -> dict[str, object]:
        return {"thoughtSignature": signature(self.seed, subject)} if self.is_signed else {}

    def _usage(self) -> dict[str, object]:
        """What it cost; the candidates leave out what was thought."""
        tally = self.tally
        usage: dict[str, object] = {
            "promptTokenCount": tally.input_tokens,
            "candidatesTokenCount": tally.output_tokens - tally.reasoning_tokens,
            "totalTokenCount": tally.input_tokens + tally.output_tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tally.input_tokens}],
        }
        if tally.cached_tokens:
            usage["cachedContentTokenCount"] = tally.cached_tokens
        if tally.reasoning_tokens:
            usage["thoughtsTokenCount"] = tally.reasoning_tokens
        return usage


def content_beats(content: SimulatedContent, failure: Failing | None = None) -> Iterator[Beat]:
    """The stream of an answer, up to the planned failure, which ends it with an error."""
    delays = content.rhythm.delays()
    for part in content.thought_parts():
        yield _beat(content.chunk([part]))
    said: list[dict[str, object]] = [{"text": piece} for piece in split(content.answer.text)]
    for seen, part in enumerate([*said, *content.call_parts()]):
        if failure is not None and seen >= failure.after_content:
            break
        yield _beat(content.chunk([part]), next(delays), is_content=True)
    if failure is None:
        yield _beat(content.chunk(content.last_parts(), is_last=True))
        return
    code, status = _FAILURE_STATUSES[failure.code]
    yield _beat({"error": {"code": code, "message": FAILURE_MESSAGES[failure.code], "status": status}})


def gemini_error(error: Rejection) -> Script:
    """A refusal in the words of this API, which takes a wrong key for a wrong argument."""
    details: list[dict[str, object]] = []
    status = error.status
    if error.code == "invalid_api_key":
        status = 400
        details.append({"@type": f"{_TYPES}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"})
    if error.kind == "insufficient_quota":
        violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel", "quotaMetric": "generate_requests"}
        details.append({"@type": f"{_TYPES}QuotaFailure", "violations": [violation]})
    wait = error.headers.get(b"retry-after")
    if wait is not None:
        details.append({"@type": f"{_TYPES}RetryInfo", "retryDelay": f"{wait.decode()}s"})
    name = _STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    told: dict[str, object] = {"code": status, "message": error.message, "status": name}
    if details:
        told["details"] = details
    return plain(status, msgspec.json.encode({"error": told}))


def _object(arguments: str) -> msgspec.Raw:
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:  # cut at the limit
        return msgspec.Raw(b"{}")
    return msgspec.Raw(arguments.encode())


def _beat(event: dict[str, object], delay_s: float = 0.0, *, is_content: bool = False) -> Beat:
    return Beat(b"data: %b\r\n\r\n" % msgspec.json.encode(event), delay_s, is_content=is_content)
