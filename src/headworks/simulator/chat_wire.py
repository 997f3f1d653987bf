"""Chat completions, whole and as a stream of chunks."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headworks.simulator.answers import Answer
from headworks.simulator.chance import identifier
from headworks.simulator.generation import FAILURE_MESSAGES, call_id
from headworks.simulator.logprobs import logprobs_of
from headworks.simulator.plan import Failing
from headworks.simulator.rhythm import Rhythm
from headworks.simulator.script import Beat
from headworks.simulator.tokens import split
from headworks.simulator.usage import Tally

_DONE = Beat(b"data: [DONE]\n\n")


class Completion(msgspec.Struct, frozen=True):
    """One completion with everything about it; `unique` makes the ids of its calls differ from all others.
    `top_logprobs` alternatives are told with each token; None where no log probabilities are."""

    id: str
    created: int
    model: str
    service_tier: str
    answers: tuple[Answer, ...]
    tally: Tally
    rhythm: Rhythm
    seed: int
    unique: bytes
    top_logprobs: int | None = None

    def head(self, kind: str) -> dict[str, object]:
        """The fields that a completion and each of its chunks share."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": self.service_tier,
            "system_fingerprint": identifier("fp_", self.seed, self.model)[:13],
        }

    def body(self) -> bytes:
        """The whole completion."""
        choices = [
            {
                "index": index,
                "message": self._message(answer, index),
                "logprobs": self.logprobs(text=answer.text, refusal=answer.refusal),
                "finish_reason": answer.finish,
            }
            for index, answer in enumerate(self.answers)
        ]
        return msgspec.json.encode({**self.head("chat.completion"), "choices": choices, "usage": self.tally.for_chat()})

    def logprobs(self, *, text: str = "", refusal: str = "") -> dict[str, object] | None:
        """Those of a choice, or of a piece of it; None where none are to be told, or there are none."""
        if self.top_logprobs is None or not (text or refusal):
            return None
        told = {"content": text, "refusal": refusal}
        return {name: logprobs_of(said, self.top_logprobs, self.seed) if said else None for name, said in told.items()}

    def call_ids(self, choice: int, answer: Answer) -> list[str]:
        """The ids of a choice's tool calls."""
        return [call_id(self.seed, self.unique + b"/%d" % choice, number) for number in range(len(answer.tool_calls))]

    def _message(self, answer: Answer, index: int) -> dict[str, object]:
        message: dict[str, object] = {
            "role": "assistant",
            "content": None if answer.refusal or (answer.tool_calls and not answer.text) else answer.text,
            "refusal": answer.refusal or None,
            "annotations": [],
        }
        if answer.tool_calls:
            message["tool_calls"] = [
                {"id": name, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for name, call in zip(self.call_ids(index, answer), answer.tool_calls, strict=True)
            ]
        return message


def chat_beats(completion: Completion, *, with_usage: bool, failure: Failing | None = None) -> Iterator[Beat]:
    """The stream of a completion: one beat a chunk, the choices interleaved, then the usage where it is asked
    for, then `[DONE]`; or up to the planned failure, which ends it with an error object and no `[DONE]`."""
    head = completion.head("chat.completion.chunk")
    delays = completion.rhythm.delays()
    seen = 0
    for choice, delta, finish in _interleaved(completion):
        is_content = finish is None and "role" not in delta
        if failure is not None and seen == failure.after_content and (is_content or finish):
            break
        seen += is_content
        chunk = {
            **head,
            "choices": [
                {"index": choice, "delta": delta, "logprobs": _logprobs(completion, delta), "finish_reason": finish}
            ],
        }
        if with_usage:
            chunk["usage"] = None
        yield Beat(_line(chunk), next(delays) if is_content else 0.0, is_content=is_content)
    if failure is not None:
        error = {"message": FAILURE_MESSAGES[failure.code], "type": failure.code, "param": None, "code": failure.code}
        yield Beat(_line({"error": error}))
        return
    if with_usage:
        yield Beat(_line({**head, "choices": [], "usage": completion.tally.for_chat()}))
    yield _DONE


def _logprobs(completion: Completion, delta: Mapping[str, object]) -> dict[str, object] | None:
    said = {name: value for name in ("content", "refusal") if isinstance(value := delta.get(name), str) and value}
    return completion.logprobs(text=said.get("content", ""), refusal=said.get("refusal", ""))


_Delta = tuple[int, dict[str, object], str | None]


def _interleaved(completion: Completion) -> Iterator[_Delta]:
    """The deltas of all choices in turn: (choice, delta, finish reason)."""
    streams: list[Iterator[_Delta]] = [
        _deltas(index, answer, completion.call_ids(index, answer)) for index, answer in enumerate(completion.answers)
    ]
    while streams:
        alive: list[Iterator[_Delta]] = []
        for stream in streams:
            delta = next(stream, None)
            if delta is not None:
                yield delta
                alive.append(stream)
        streams = alive


def _deltas(choice: int, answer: Answer, call_ids: Sequence[str]) -> Iterator[_Delta]:
    has_text = not answer.tool_calls or bool(answer.text)
    content = "" if has_text and not answer.refusal else None
    yield choice, {"role": "assistant", "content": content, "refusal": None}, None
    for piece in split(answer.text):
        yield choice, {"content": piece}, None
    for piece in split(answer.refusal):
        yield choice, {"refusal": piece}, None
    for index, call in enumerate(answer.tool_calls):
        opening = {
            "index": index,
            "id": call_ids[index],
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        yield choice, {"tool_calls": [opening]}, None
        for piece in split(call.arguments):
            yield choice, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None
    yield choice, {}, answer.finish


def _line(value: object) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(value)
