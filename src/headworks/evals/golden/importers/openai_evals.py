"""OpenAI Evals: `samples.jsonl` of the open-source framework (`input`, `ideal`), and the data of the hosted product
(`item`), whose dashboard and API end on 2026-11-30 (OpenAI deprecations page, 2026-11)."""

from pathlib import Path

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.evals.golden.cases import GoldenCase
from headworks.evals.golden.importers.imported import Ids, Imported, raw, read_source

_INSTRUCTING = ("system", "developer")
_SPEAKING = ("user", "assistant")


class _Sample(msgspec.Struct):
    input: object = None
    ideal: object = None
    item: dict[str, object] | None = None


_decode = msgspec.json.Decoder(_Sample).decode


class _Read(msgspec.Struct):
    line: int
    instructions: str
    messages: object
    expected: object
    variables: dict[str, object]


def read_openai_evals(path: Path, *, expected_field: str = "", prefix: str = "sample") -> Imported:
    """The cases of a file of samples. Where `ideal` is a list, each of its texts is right.

    A system message is the workload's own to say: one that all samples share is left out, and said; where they differ,
    it becomes the variable `instructions`.

    Arguments:
        expected_field: of a hosted `item`, the field that holds what is right.
        prefix: of ids.

    Raises:
        ConfigError: a line that is no sample.
    """
    read, problems = list[_Read](), list[Problem]()
    for number, line in enumerate(read_source(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = _sample(_decode(line), number, expected_field)
        except msgspec.DecodeError:
            found = "expected a JSON object"
        if isinstance(found, str):
            problems.append(Problem(str(path), number, 1, found))
            if len(problems) == 20:
                break
        else:
            read.append(found)
    if problems:
        raise ConfigError(*problems)
    if not read:
        raise ConfigError(Problem(str(path), 0, 0, "holds no sample"))
    return _imported(read, prefix)


def _imported(read: list[_Read], prefix: str) -> Imported:
    ids, notes = Ids(prefix), list[str]()
    instructions = {one.instructions for one in read}
    is_shared = len(instructions) == 1
    if instructions != {""}:
        notes.append(
            "every sample begins with the same system message, which was left out: the workload's prompt.md says it"
            if is_shared
            else "the samples' system messages differ: they are the variable `instructions`, for prompt.md to place"
        )
    cases = []
    for one in read:
        variables = one.variables if is_shared else {**one.variables, "instructions": one.instructions}
        expected = msgspec.UNSET if one.expected is None else raw(one.expected)
        cases.append(GoldenCase(ids.next(), variables, raw(one.messages), expected))
    without = sum(not case.has_expected for case in cases)
    if without:
        notes.append(f"{without} of {len(cases)} samples do not say what is right")
    return Imported(tuple(cases), tuple(notes))


def _sample(sample: _Sample, line: int, expected_field: str) -> _Read | str:
    """What a sample says, or what is wrong with it."""
    if sample.item is not None:
        if expected_field and expected_field not in sample.item:
            return "`item` has no such field as was named for what is right"
        variables = {name: value for name, value in sample.item.items() if name != expected_field}
        return _Read(line, "", [], sample.item.get(expected_field), variables)
    if isinstance(sample.input, str):
        return _Read(line, "", sample.input, sample.ideal, {})
    if not isinstance(sample.input, list):
        return "expected `input`: a text or a list of messages; or `item`: an object"
    instructions, messages = list[str](), list[dict[str, object]]()
    for message in sample.input:
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if role in _INSTRUCTING and isinstance(content, str):
            instructions.append(content)
        elif role in _SPEAKING and isinstance(content, str | list):
            messages.append({"role": role, "content": content})
        else:
            return "expected messages with `role` (system, developer, user or assistant) and `content`"
    return _Read(line, "\n\n".join(instructions), messages, sample.ideal, {})
