"""What the model answers: the line of a rule, tool calls, JSON for a schema, or a short text about the input.

The same seed, model and input give the same answer, streamed or not, through either API.
"""

import random
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from headworks.simulator.asking import EFFORT_TOKENS, Ask, Tool
from headworks.simulator.chance import digest
from headworks.simulator.invention import Inventor
from headworks.simulator.rejection import Rejection
from headworks.simulator.rules import Line, RuleBook
from headworks.simulator.schema import SchemaRefused
from headworks.simulator.tokens import count, split

Finish = Literal["stop", "length", "tool_calls", "content_filter"]


class ToolCall(msgspec.Struct, frozen=True):
    """One call of a function; `arguments` is JSON as the model wrote it."""

    name: str
    arguments: str


class Answer(msgspec.Struct, frozen=True):
    """What the model produced. `reasoning_tokens` came before it and are part of the output; `summary` is the
    text about them, empty where none was made."""

    text: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    reasoning_tokens: int = 0
    summary: str = ""

    @property
    def visible_tokens(self) -> int:
        """The tokens of everything but the reasoning."""
        calls = sum(count(call.name) + count(call.arguments) for call in self.tool_calls)
        return count(self.text) + count(self.refusal) + calls

    @property
    def output_tokens(self) -> int:
        """What is billed as output; an answer is never free."""
        return max(1, self.visible_tokens + self.reasoning_tokens)


class Author:
    """Writes the answers of one plan.

    Arguments:
        book: the scripted answers.
        seed: what all chance derives from.
        answer_tokens: about how long an unscripted text is.
    """

    def __init__(self, book: RuleBook, seed: int, answer_tokens: int) -> None:
        self._book = book
        self._seed = seed
        self._answer_tokens = answer_tokens

    def answer(self, ask: Ask, choice: int = 0) -> Answer:
        """The answer to a request; `choice` counts the alternatives of `n`. Raises Rejection for a schema that no
        value can satisfy."""
        key = digest(self._seed, ask.model_id, ask.last_user_text, *ask.tool_outputs, b"%d" % choice)
        chance = random.Random(key)  # noqa: S311
        line = self._book.line(ask)
        whole = self._scripted(ask, line, chance) if line else self._unscripted(ask, chance)
        if ask.effort:
            tokens = int(EFFORT_TOKENS[ask.effort] * (0.5 + chance.random()))
            whole = msgspec.structs.replace(whole, reasoning_tokens=tokens, summary=_summary(ask, tokens))
        return _limited(_stopped(whole, ask.stop), ask.max_tokens)

    def scripted_line(self, ask: Ask) -> Line | None:
        """What a rule says to a request; None if none fits."""
        return self._book.line(ask)

    def _scripted(self, ask: Ask, line: Line, chance: random.Random) -> Answer:
        say = line.say
        if say.refusal is not None:
            return Answer(refusal=line.filled(say.refusal))
        if say.tool_calls:
            by_name = {tool.name: tool for tool in ask.tools}
            calls = tuple(
                ToolCall(call.name, _json(line.filled_value(call.arguments)))
                if call.arguments is not None
                else _call(by_name.get(call.name, Tool(call.name)), ask, chance)
                for call in say.tool_calls
            )
            return Answer(tool_calls=calls, finish="tool_calls")
        text = line.filled(say.text) if say.text is not None else _json(line.filled_value(say.json))
        return Answer(text=text, finish="content_filter" if say.is_filtered else "stop")

    def _unscripted(self, ask: Ask, chance: random.Random) -> Answer:
        tools = called_tools(ask)
        if tools:
            return Answer(tool_calls=tuple(_call(tool, ask, chance) for tool in tools), finish="tool_calls")
        if ask.format.schema is not None:
            try:
                value = Inventor(ask.format.schema, chance, _vocabulary(ask.last_user_text)).value()
            except SchemaRefused as problem:
                raise Rejection(
                    400, f"Invalid schema for response_format: {problem}", code="invalid_schema"
                ) from problem
            return Answer(text=_json(value))
        if ask.format.kind == "json_object":
            return Answer(text=_json({"answer": _said(ask), "words": len(ask.last_user_text.split())}))
        return Answer(text=self._text(ask, chance))

    def _text(self, ask: Ask, chance: random.Random) -> str:
        """An echo of the input, then sentences about its words until the text is long enough."""
        sentences = [_said(ask)]
        words = _vocabulary(ask.last_user_text) or ("nothing",)
        length = count(sentences[0])
        while length < self._answer_tokens:
            sentence = " " + chance.choice(_SENTENCES).format(chance.choice(words), chance.choice(words))
            sentences.append(sentence)
            length += count(sentence)
        return "".join(sentences)


_SENTENCES = (
    "The word {0} matters here.",
    "It helps to look at {0} first, and then at {1}.",
    "There is more to say about {0}.",
    "In short, {0} comes before {1}.",
    "Whether {0} follows from {1} is left open.",
    "A closer look at {0} would take longer.",
)
_ECHOED_CHARACTERS = 200
_TELLING_LENGTH = 4
_SMALL_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "agent",
        "by",
        "call",
        "create",
        "do",
        "fetch",
        "find",
        "for",
        "from",
        "function",
        "get",
        "handoff",
        "in",
        "look",
        "lookup",
        "make",
        "of",
        "on",
        "or",
        "run",
        "set",
        "the",
        "to",
        "tool",
        "transfer",
        "up",
        "with",
    ]
)
"""Words of a tool's name that say nothing about its subject."""


def called_tools(ask: Ask) -> tuple[Tool, ...]:
    """The tools that an unscripted answer calls.

    Required or named: called. Left to the model: after tool outputs none, else those that the last user text
    mentions: every word of the tool's name (split on `_`, `-` and capitals) that is telling. One, unless
    parallel calls are allowed.
    """
    choice = ask.tool_choice
    offered = tuple(tool for tool in ask.tools if not choice.names or tool.name in choice.names)
    if choice.mode == "none" or not offered:
        return ()
    mentioned = tuple(tool for tool in offered if _is_mentioned(tool.name, ask.last_user_text))
    if choice.mode == "auto" and ask.tool_outputs:
        return ()
    chosen = mentioned if choice.mode == "auto" else mentioned or offered[:1]
    return chosen if ask.is_parallel else chosen[:1]


def _is_mentioned(name: str, text: str) -> bool:
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]
    telling = [word for word in words if word not in _SMALL_WORDS] or words
    heard = set(re.findall(r"[a-z]+|\d+", text.lower()))
    return bool(telling) and all(word in heard for word in telling)


def _call(tool: Tool, ask: Ask, chance: random.Random) -> ToolCall:
    if tool.schema is None:
        return ToolCall(tool.name, "{}")
    try:
        value = Inventor(tool.schema, chance, _vocabulary(ask.last_user_text)).value()
    except SchemaRefused as problem:
        raise Rejection(
            400, f"Invalid schema for function '{tool.name}': {problem}", code="invalid_function_parameters"
        ) from problem
    return ToolCall(tool.name, _json(value))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _said(ask: Ask) -> str:
    heard = ask.tool_outputs[-1] if ask.tool_outputs else ask.last_user_text
    shown = heard if len(heard) <= _ECHOED_CHARACTERS else heard[:_ECHOED_CHARACTERS] + "…"
    return f'The tool said: "{shown}".' if ask.tool_outputs else f'You said: "{shown}".'


def _vocabulary(text: str) -> Sequence[str]:
    """Names first: capitalised words beyond the first; else the longer words; in order of appearance."""
    words = re.findall(r"[^\W\d_]+", text[:2000])
    names = [word for word in words[1:] if word[0].isupper() and len(word) > 1]
    return tuple(dict.fromkeys(names or [word for word in words if len(word) >= _TELLING_LENGTH]))


def _summary(ask: Ask, tokens: int) -> str:
    if not tokens:
        return ""
    words = " ".join(ask.last_user_text.split()[:8])
    return f"**Considering the request**\n\nThe request is about “{words}”. A short and direct answer fits."


def _stopped(answer: Answer, stop: Sequence[str]) -> Answer:
    """The text up to the first stop sequence."""
    ends = [place for sequence in stop if sequence and (place := answer.text.find(sequence)) >= 0]
    return msgspec.structs.replace(answer, text=answer.text[: min(ends)], finish="stop") if ends else answer


def _limited(answer: Answer, limit: int | None) -> Answer:
    """The answer cut where the output limit is reached: reasoning first, then text, then calls in order."""
    if limit is None or answer.output_tokens <= limit:
        return answer
    reasoning = min(answer.reasoning_tokens, limit)
    left = limit - reasoning
    text, left = _taken(answer.text, left)
    refusal, left = _taken(answer.refusal, left)
    calls: list[ToolCall] = []
    for call in answer.tool_calls:
        left -= count(call.name)
        if left <= 0:
            break
        arguments, left = _taken(call.arguments, left)
        calls.append(ToolCall(call.name, arguments))
    return Answer(
        text=text,
        refusal=refusal,
        tool_calls=tuple(calls),
        finish="length",
        reasoning_tokens=reasoning,
        summary=answer.summary if reasoning == answer.reasoning_tokens else "",
    )


def _taken(text: str, limit: int) -> tuple[str, int]:
    pieces = split(text)[:limit] if limit > 0 else []
    return "".join(pieces), limit - len(pieces)
