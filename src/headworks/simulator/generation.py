"""One generated response of the Responses API: a value from which its object at any moment, its events and
their times follow."""

import base64
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from headworks.simulator.answers import Answer
from headworks.simulator.asking import Ask
from headworks.simulator.chance import digest, identifier
from headworks.simulator.decoding import ABSENT, repeated
from headworks.simulator.logprobs import TokenLogprob, logprobs_of
from headworks.simulator.plan import Failing
from headworks.simulator.responses_asking import ResponsesBody
from headworks.simulator.rhythm import Rhythm
from headworks.simulator.usage import Tally

Status: TypeAlias = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]

HEAD_SHARE = 0.2
"""The part of the time to the first token after which `response.created` comes."""

FAILURE_MESSAGES = {
    "server_error": "The server had an error while processing your request. Sorry about that!",
    "rate_limit_exceeded": "Rate limit reached while generating the response.",
}


class ReasoningItem(msgspec.Struct, frozen=True):
    """The reasoning that came first; `summary` is empty where none was asked for."""

    id: str
    summary: str
    tokens: int
    encrypted: str | None

    def value(self, *, is_done: bool) -> dict[str, object]:
        """The item of the API, before or after it is filled."""
        summary = [{"type": "summary_text", "text": self.summary}] if self.summary and is_done else []
        value: dict[str, object] = {"id": self.id, "type": "reasoning", "summary": summary}
        return value | {"encrypted_content": self.encrypted} if self.encrypted else value


class MessageItem(msgspec.Struct, frozen=True):
    """The message with the text, or with the refusal; `logprobs` are those of the text, where they were asked for."""

    id: str
    text: str
    refusal: str
    is_complete: bool
    logprobs: tuple[TokenLogprob, ...] = ()

    def value(self, *, is_done: bool) -> dict[str, object]:
        """The item of the API, before or after it is filled."""
        return {
            "id": self.id,
            "type": "message",
            "status": ("completed" if self.is_complete else "incomplete") if is_done else "in_progress",
            "content": [self.part(is_done=True)] if is_done else [],
            "role": "assistant",
        }

    def part(self, *, is_done: bool) -> dict[str, object]:
        """Its one piece of content."""
        if self.refusal:
            return {"type": "refusal", "refusal": self.refusal if is_done else ""}
        logprobs = self.logprobs if is_done else ()
        return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": self.text if is_done else ""}


class CallItem(msgspec.Struct, frozen=True):
    """A call of a function."""

    id: str
    call_id: str
    name: str
    arguments: str
    is_complete: bool

    def value(self, *, is_done: bool) -> dict[str, object]:
        """The item of the API, before or after it is filled."""
        return {
            "id": self.id,
            "type": "function_call",
            "status": ("completed" if self.is_complete else "incomplete") if is_done else "in_progress",
            "arguments": self.arguments if is_done else "",
            "call_id": self.call_id,
            "name": self.name,
        }


OutputItem: TypeAlias = ReasoningItem | MessageItem | CallItem


class Generation(msgspec.Struct, frozen=True):
    """A response with everything that ever happens to it.

    `created_at` is Unix time; `echo` are the fields that repeat the request; `failure` where it is planned to
    fail. The generation of a background response starts when it is created.
    """

    id: str
    created_at: float
    echo: Mapping[str, object]
    output: tuple[OutputItem, ...]
    answer: Answer
    tally: Tally
    rhythm: Rhythm
    is_background: bool = False
    failure: Failing | None = None

    @property
    def final_status(self) -> Status:
        if self.failure is not None:
            return "failed"
        return "incomplete" if self.answer.finish in {"length", "content_filter"} else "completed"

    @property
    def total_s(self) -> float:
        """From the request to the end."""
        return self.rhythm.total_s(self.answer.output_tokens)

    def status_after(self, elapsed_s: float) -> Status:
        """How far it is, so long after its creation."""
        if elapsed_s >= self.total_s:
            return self.final_status
        is_queued = self.is_background and elapsed_s < HEAD_SHARE * self.rhythm.first_token_s
        return "queued" if is_queued else "in_progress"

    def value(self, status: Status) -> dict[str, object]:
        """The response object of the API in this state, complete in all fields."""
        is_final = status in {"completed", "incomplete", "failed"}
        has_output = status in {"completed", "incomplete"}
        return {
            "id": self.id,
            "object": "response",
            "created_at": int(self.created_at),
            "status": status,
            "completed_at": int(self.created_at + self.total_s) if status == "completed" else None,
            "error": self.error() if status == "failed" else None,
            "incomplete_details": {"reason": self._reason()} if status == "incomplete" else None,
            **self.echo,
            "output": [item.value(is_done=True) for item in self.output] if has_output else [],
            "usage": self.tally.for_responses() if is_final and self.failure is None else None,
        }

    def error(self) -> dict[str, str] | None:
        """The error object of a failed response."""
        if self.failure is None:
            return None
        return {"code": self.failure.code, "message": FAILURE_MESSAGES[self.failure.code]}

    def _reason(self) -> str:
        return "content_filter" if self.answer.finish == "content_filter" else "max_output_tokens"


def output_items(answer: Answer, ask: Ask, body: ResponsesBody, seed: int, unique: bytes) -> tuple[OutputItem, ...]:
    """The output of an answer: reasoning, then the message, then the calls. `unique` makes their ids differ from
    those of every other response."""
    is_whole = answer.finish in {"stop", "tool_calls"}
    items: list[OutputItem] = []
    if ask.effort and answer.reasoning_tokens:
        wants_summary = body.reasoning is not None and (body.reasoning.summary or body.reasoning.generate_summary)
        wants_encrypted = "reasoning.encrypted_content" in (body.include or ())
        sealed = base64.urlsafe_b64encode(digest(seed, "sealed", unique) * 4).decode()
        items.append(
            ReasoningItem(
                id=identifier("rs_", seed, unique),
                summary=answer.summary if wants_summary else "",
                tokens=answer.reasoning_tokens,
                encrypted=f"gAAAA{sealed}" if wants_encrypted else None,
            )
        )
    if answer.text or answer.refusal or (is_whole and not answer.tool_calls):
        logprobs = logprobs_of(answer.text, body.top_logprobs or 0, seed) if body.wants_logprobs else ()
        items.append(MessageItem(identifier("msg_", seed, unique), answer.text, answer.refusal, is_whole, logprobs))
    for index, call in enumerate(answer.tool_calls):
        which = (unique, b"%d" % index)
        is_cut = not is_whole and index == len(answer.tool_calls) - 1
        items.append(
            CallItem(
                id=identifier("fc_", seed, *which),
                call_id=call_id(seed, unique, index),
                name=call.name,
                arguments=call.arguments,
                is_complete=not is_cut,
            )
        )
    return tuple(items)


def call_id(seed: int, unique: bytes, index: int) -> str:
    """The id by which a tool's output refers to its call; 24 digits, as the API's."""
    return identifier("call_", seed, unique, b"%d" % index)[: len("call_") + 24]


def echoed(body: ResponsesBody, ask: Ask) -> dict[str, object]:
    """The fields of a response that repeat the request, with the API's defaults for what was not given."""
    reasoning = body.reasoning
    options = body.prompt_cache_options
    return {
        "background": bool(body.background),
        "conversation": None if body.conversation_id is None else {"id": body.conversation_id},
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": body.metadata or {},
        "model": ask.served_model,
        "moderation": None,
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "prompt": None,
        "prompt_cache_key": body.prompt_cache_key,
        "prompt_cache_options": {"mode": options.mode or "implicit", "ttl": options.ttl or "30m"} if options else None,
        "prompt_cache_retention": body.prompt_cache_retention,
        "reasoning": {
            "effort": ask.effort or None,
            "summary": (reasoning.summary or reasoning.generate_summary) if reasoning else None,
        },
        "safety_identifier": body.safety_identifier,
        "service_tier": "default" if body.service_tier in {None, "auto"} else body.service_tier,
        "store": body.store is not False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {
            "format": repeated(body.text.format if body.text else ABSENT, b'{"type":"text"}'),
            "verbosity": (body.text.verbosity if body.text else None) or "medium",
        },
        "tool_choice": repeated(body.tool_choice, b'"auto"'),
        "tools": repeated(body.tools, b"[]"),
        "tool_usage": {
            "image_gen": {
                "input_tokens": 0,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
                "output_tokens": 0,
                "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
                "total_tokens": 0,
            },
            "web_search": {"num_requests": 0},
        },
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": body.truncation or "disabled",
        "user": body.user,
    }
