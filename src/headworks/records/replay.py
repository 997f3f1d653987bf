"""What a past call was, put together from its record, its content and what was reported of it. Pure."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headworks.calls import OutcomeReport
from headworks.records.answers import Answer, ToolCall, offered_tools, read_answer
from headworks.records.stores import ContentKind, Record

SHORT_TEXT_WORDS = 400
"""Texts of up to so many words are compared word by word; longer ones line by line."""

_CONTEXT_WORDS = 6
_MOST_VALUE = 200
_ONLY_SPACE = "(only white space differs)"


class Reconstruction(msgspec.Struct, frozen=True):
    """One call as it was. What was not kept is empty, and `has_content` says whether anything was.

    `variables` are the prompt's, each with its value as JSON. `tools` were offered to the model, `answer` is what it
    said and called. `judged` says how the output was judged, in words.
    """

    record: Record
    has_content: bool
    variables: tuple[tuple[str, str], ...]
    tools: tuple[str, ...]
    answer: Answer | None
    outcomes: tuple[OutcomeReport, ...]

    @property
    def judged(self) -> str:
        record = self.record
        if not record.verdict:
            return ""
        turns = f", {record.repairs} repair turn{'s' if record.repairs != 1 else ''}" if record.repairs else ""
        wasted = f", {record.wasted_tokens:,} output tokens thrown away" if record.wasted_tokens else ""
        return f"{record.verdict}{turns}{wasted}"

    def details(self) -> list[tuple[str, str]]:
        """Name and value of what is known beyond a plain call's record, in the order of the call."""
        record = self.record
        answer = self.answer or Answer("")
        called = ", ".join(_called(call) for call in answer.tool_calls)
        found = [
            ("workload", record.workload),
            ("prompt version", record.prompt_version),
            ("prompt hash", record.prompt_hash),
            ("schema hash", record.schema_hash),
            ("caller's key", record.caller_key),
            ("trace", record.trace_id),
            *((f"  {name}", _short(value)) for name, value in self.variables),
            ("tools offered", ", ".join(self.tools)),
            ("tools called", called),
            ("judged", self.judged),
            *(("attempt", one) for one in record.course.split("; ") if one),
            *((f"outcome {report.name}", f"{_short(report.value)} ({report.source})") for report in self.outcomes),
        ]
        return [(name, value) for name, value in found if value]


def reconstruct(
    record: Record, content: Mapping[ContentKind, bytes], outcomes: Sequence[OutcomeReport] = ()
) -> Reconstruction:
    """A call from what is stored of it.

    Arguments:
        content: opened (`content.open_content`); what was not kept is missing.
    """
    response = content.get("response")
    return Reconstruction(
        record,
        bool(content),
        tuple(_variables(content.get("values", b""))),
        offered_tools(content.get("request", b"")),
        read_answer(response) if response else None,
        tuple(outcomes),
    )


def diff_answers(old: str, new: str) -> str:
    """What is different in a new answer, for a person to read; empty if nothing is.

    JSON objects and lists are compared field by field (`path: old -> new`), short texts word by word (`[-old-]` and
    `{+new+}`), longer ones as a unified diff. Neither order of fields nor layout of JSON is a difference.
    """
    if old == new:
        return ""
    before, after = _structure(old), _structure(new)
    if before is not None and after is not None:
        return "\n".join(_fields(before, after, ""))
    if max(len(old.split()), len(new.split())) <= SHORT_TEXT_WORDS:
        return _words(old, new)
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "old", "new", lineterm="")
    # Texts that differ only in the ends of their lines have no line that differs.
    return "\n".join(lines) or _ONLY_SPACE


def _variables(values: bytes) -> Iterator[tuple[str, str]]:
    if not values:
        return
    try:
        decoded = msgspec.json.decode(values, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        yield "(values)", values.decode(errors="replace")
        return
    for name, value in decoded.items():
        yield name, bytes(value).decode(errors="replace")


def _called(call: ToolCall) -> str:
    return f"{call.name}({_short(call.arguments)})"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_VALUE else f"{text[:_MOST_VALUE]}... ({len(text):,} characters)"


def _structure(text: str) -> object | None:
    """The JSON object or list that a text is; None if it is something else."""
    try:
        decoded = msgspec.json.decode(text.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict | list) else None


def _fields(old: object, new: object, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            inner = f"{path}.{name}" if path else str(name)
            if name not in new:
                yield f"- {inner}: {_json(old[name])}"
            elif name not in old:
                yield f"+ {inner}: {_json(new[name])}"
            else:
                yield from _fields(old[name], new[name], inner)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            inner = f"{path}[{index}]"
            if index >= len(new):
                yield f"- {inner}: {_json(old[index])}"
            elif index >= len(old):
                yield f"+ {inner}: {_json(new[index])}"
            else:
                yield from _fields(old[index], new[index], inner)
    # True is not 1 here, though Python says so.
    elif _json(old) != _json(new):
        yield f"  {path or '(all)'}: {_json(old)} -> {_json(new)}"


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _words(old: str, new: str) -> str:
    """Both texts in one: what is gone as `[-...-]`, what has come as `{+...+}`; long stretches of the same left out."""
    # White space is shown with the word before it, and is no difference by itself.
    before, after = (re.findall(r"\S+\s*", text) for text in (old, new))
    old_words, new_words = [word.rstrip() for word in before], [word.rstrip() for word in after]
    blocks = difflib.SequenceMatcher(None, old_words, new_words, autojunk=False).get_opcodes()
    if all(what == "equal" for what, *_ in blocks):
        return _ONLY_SPACE
    pieces = []
    for place, (what, a, b, c, d) in enumerate(blocks):
        if what == "equal":
            same = _context(before[a:b], is_first=place == 0, is_last=place == len(blocks) - 1)
            pieces.append(same if same[-1:].isspace() else f"{same} ")
            continue
        if b > a:
            pieces.append(f"[-{''.join(before[a:b]).rstrip()}-] ")
        if d > c:
            pieces.append(f"{{+{''.join(after[c:d]).rstrip()}+}} ")
    return "".join(pieces).strip()


def _context(words: Sequence[str], *, is_first: bool, is_last: bool) -> str:
    head = 0 if is_first else _CONTEXT_WORDS
    tail = 0 if is_last else _CONTEXT_WORDS
    if len(words) <= head + tail + 1:
        return "".join(words)
    return "".join([*words[:head], "... ", *words[len(words) - tail :]])
