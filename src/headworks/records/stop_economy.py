"""What a stop sequence would save: how much of recent answers lies behind the first place where it stands. Pure.

Only answers whose content is kept can say. What they cost is known exactly, and how it is spread over the text is
estimated (`catalogue.tokens`), so a share is right to within a few hundredths.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from headworks.catalogue.tokens import count_tokens
from headworks.records.answers import read_answer
from headworks.records.stores import ContentKind, Record

MOST_ANSWERS = 1000
"""As many answers are looked at, the newest: more would take longer and say the same."""

_STATIC = "degraded"
"""The finish reason of an answer that no model gave."""


class KeptAnswer(msgspec.Struct, frozen=True):
    """An answer whose content is kept: its text, the tools that it called behind it, and the output tokens.

    `tokens` are all that the call was charged for; `visible_tokens` those of them that became this text and these
    calls: no reasoning, and no earlier answer that was thrown away.
    """

    text: str
    calls: str
    tokens: int
    visible_tokens: float


class StopSaving(msgspec.Struct, frozen=True):
    """What stopping at `sequence` would save of `calls` answers: the share of their output tokens that stands behind
    its first place; `cut_calls` of them have any. Without answers nothing is known: all is zero."""

    sequence: str
    share: float
    cut_calls: int
    calls: int


def kept_answers(
    records: Iterable[Record], open_content: Callable[[Record], Mapping[ContentKind, bytes]]
) -> list[KeptAnswer]:
    """The answers that models gave to these calls, of those whose content is kept.

    Arguments:
        open_content: what is kept of a call; may raise what it likes.
    """
    found = []
    for record in records:
        if record.outcome != "answered" or record.finish_reason == _STATIC or record.output_tokens <= 0:
            continue
        body = open_content(record).get("response", b"")
        if body:
            answer = read_answer(body)
            last = max(0, record.output_tokens - record.wasted_tokens)
            visible = last * max(0.0, 1 - record.reasoning_tokens / record.output_tokens)
            calls = " ".join(f"{call.name} {call.arguments}" for call in answer.tool_calls)
            found.append(KeptAnswer(answer.text, calls, record.output_tokens, visible))
    return found


def stop_savings(answers: Sequence[KeptAnswer], sequences: Iterable[str]) -> tuple[StopSaving, ...]:
    """What each of these sequences would save by itself, in their order."""
    paid = sum(answer.tokens for answer in answers)
    savings = []
    for sequence in sequences:
        saved = [tokens for answer in answers if (tokens := _behind(answer, sequence)) > 0]
        savings.append(StopSaving(sequence, sum(saved) / max(1, paid), len(saved), len(answers)))
    return tuple(savings)


def _behind(answer: KeptAnswer, sequence: str) -> float:
    """How many output tokens stand behind the sequence, which itself has to be written before a provider stops."""
    before, found, after = answer.text.partition(sequence)
    if not found:
        return 0.0
    behind = count_tokens(after) + count_tokens(answer.calls)
    whole = count_tokens(before + found) + behind
    return answer.visible_tokens * behind / max(1, whole)
