"""Answers of AWS's Converse API, whole and as a stream of events, and its errors."""

from collections.abc import Iterator

import msgspec

from headworks.simulator.answers import Answer
from headworks.simulator.chance import identifier
from headworks.simulator.event_frames import event, exception
from headworks.simulator.generation import FAILURE_MESSAGES
from headworks.simulator.messages_wire import signature
from headworks.simulator.plan import Failing
from headworks.simulator.rejection import Rejection
from headworks.simulator.rhythm import Rhythm
from headworks.simulator.script import Beat, Script, plain
from headworks.simulator.tokens import split
from headworks.simulator.usage import Tally

_HOUR_S = 3600.0
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "guardrail_intervened",
}
_FAILURES = {"server_error": "modelStreamErrorException", "rate_limit_exceeded": "throttlingException"}
_NAMES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_UNKNOWN_KEY = "UnrecognizedClientException"


class SimulatedConverse(msgspec.Struct, frozen=True):
    """One answer with everything about it. `thinking` is the text that is shown, None where there was none."""

    answer: Answer
    thinking: str | None
    tier: str
    tally: Tally
    rhythm: Rhythm
    seed: int
    unique: bytes

    def body(self) -> bytes:
        """The whole answer."""
        return msgspec.json.encode(
            {
                "output": {"message": {"role": "assistant", "content": self.blocks()}},
                "stopReason": self.stop_reason(),
                **self.metadata(),
            }
        )

    def stop_reason(self) -> str:
        """How it ends."""
        return "content_filtered" if self.answer.refusal else _STOP_REASONS[self.answer.finish]

    def blocks(self) -> list[dict[str, dict[str, object] | str]]:
        """The content."""
        blocks: list[dict[str, dict[str, object] | str]] = []
        if self.thinking is not None:
            thought = {"text": self.thinking, "signature": signature(self.seed, self.thinking)}
            blocks.append({"reasoningContent": {"reasoningText": thought}})
        text = self.answer.text or self.answer.refusal
        if text:
            blocks.append({"text": text})
        for index, call in enumerate(self.answer.tool_calls):
            made = identifier("tooluse_", self.seed, self.unique, b"%d" % index)[: len("tooluse_") + 22]
            use: dict[str, object] = {"toolUseId": made, "name": call.name, "input": _object(call.arguments)}
            blocks.append({"toolUse": use})
        return blocks

    def metadata(self) -> dict[str, object]:
        """What it cost; `inputTokens` leaves out what was read from the cache or written to it."""
        tally = self.tally
        usage: dict[str, object] = {
            "inputTokens": tally.input_tokens - tally.cached_tokens - tally.write_tokens,
            "outputTokens": tally.output_tokens,
            "totalTokens": tally.input_tokens + tally.output_tokens,
            "cacheReadInputTokens": tally.cached_tokens,
            "cacheWriteInputTokens": tally.write_tokens,
        }
        if tally.write_tokens:
            ttl = "1h" if tally.write_ttl_s >= _HOUR_S else "5m"
            usage["cacheDetails"] = [{"ttl": ttl, "inputTokens": tally.write_tokens}]
        latency_ms = int(self.rhythm.total_s(tally.output_tokens) * 1000)
        return {"usage": usage, "metrics": {"latencyMs": latency_ms}, "serviceTier": {"type": self.tier}}


def converse_beats(converse: SimulatedConverse, failure: Failing | None = None) -> Iterator[Beat]:
    """The stream of an answer, up to the planned failure, which ends it with an exception."""
    delays = converse.rhythm.delays()
    yield _beat("messageStart", {"role": "assistant"})
    seen = 0
    for index, block in enumerate(converse.blocks()):
        if failure is not None and seen >= failure.after_content:
            break
        use = block.get("toolUse")
        if isinstance(use, dict):
            start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            yield _beat("contentBlockStart", {"contentBlockIndex": index, "start": start})
        for delta, is_content in _pieces(block):
            if failure is not None and is_content and seen >= failure.after_content:
                break
            seen += is_content
            fields = {"contentBlockIndex": index, "delta": delta}
            yield _beat("contentBlockDelta", fields, next(delays) if is_content else 0.0, is_content=is_content)
        else:
            yield _beat("contentBlockStop", {"contentBlockIndex": index})
            continue
        break
    if failure is not None:
        message = msgspec.json.encode({"message": FAILURE_MESSAGES[failure.code]})
        yield Beat(exception(_FAILURES[failure.code], message), 0.0)
        return
    yield _beat("messageStop", {"stopReason": converse.stop_reason()})
    yield _beat("metadata", converse.metadata())


def converse_error(error: Rejection) -> Script:
    """A refusal in the words of this API: what kind it is stands in a header."""
    status, message = error.status, error.message
    name = error.code or ""
    if not name.endswith("Exception"):
        if status == 401:
            status, name = 403, _UNKNOWN_KEY
            message = "The security token included in the request is invalid."
        elif name == "model_not_found" and "deprecated" not in message:
            status, name, message = 400, "ValidationException", "The provided model identifier is invalid."
        elif name == "model_not_found":
            name, message = "ResourceNotFoundException", "This model version has reached the end of its life."
        elif name == "insufficient_quota":
            name, message = "ThrottlingException", "Too many tokens per day, please wait before trying again."
        else:
            name = _NAMES.get(status, "ValidationException" if status < 500 else "InternalServerException")
    headers = {**error.headers, b"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/".encode()}
    return plain(status, msgspec.json.encode({"message": message}), headers=headers)


def _pieces(block: dict[str, dict[str, object] | str]) -> Iterator[tuple[dict[str, object], bool]]:
    match block:
        case {"reasoningContent": {"reasoningText": {"text": str(text), "signature": str(signed)}}}:
            for piece in split(text):
                yield {"reasoningContent": {"text": piece}}, False
            yield {"reasoningContent": {"signature": signed}}, False
        case {"text": str(text)}:
            for piece in split(text):
                yield {"text": piece}, True
        case {"toolUse": {"input": arguments}}:
            for piece in split(msgspec.json.encode(arguments).decode()):
                yield {"toolUse": {"input": piece}}, True


def _object(arguments: str) -> msgspec.Raw:
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:  # cut at the limit
        return msgspec.Raw(b"{}")
    return msgspec.Raw(arguments.encode())


def _beat(kind: str, fields: dict[str, object], delay_s: float = 0.0, *, is_content: bool = False) -> Beat:
    return Beat(event(kind, msgspec.json.encode(fields)), delay_s, is_content=is_content)
