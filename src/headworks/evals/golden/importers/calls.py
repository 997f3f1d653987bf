"""Cases from recorded calls that turned out well: as candidates that a person must look at first.

What is kept of a call is redacted by the workload's contract; a call whose content is not is refused, and so is one in
which personal data is found all the same: a golden set lies in a repository, for good, and with many readers.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from headworks.errors import CommandError, ConfigError, Problem
from headworks.evals.golden.cases import GoldenCase, case_line
from headworks.evals.golden.importers.imported import Imported, raw, read_source, text_or_json
from headworks.evals.golden.likeness import asked_text
from headworks.evals.golden.reading import CaseReader

REVIEWED = "reviewed"
"""The field of a candidate that a person sets to true."""


class KeptCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call with a good outcome.

    Attributes:
        is_redacted: its content was redacted before it was kept.
        input: the caller's messages, as the Responses API has them.
        answer: the text that was answered.
        demonstration: what the answer should have been, as JSON, where somebody said so; "" otherwise.
    """

    call_id: str
    is_redacted: bool
    variables: Mapping[str, object]
    input: msgspec.Raw
    answer: str
    demonstration: str = ""
    tags: tuple[str, ...] = ()


def candidates_of(calls: Iterable[KeptCall], *, finds_personal: Callable[[str], bool]) -> tuple[Imported, bytes]:
    """Candidates, and the lines to write for a person to review. Expected is the demonstration, else the answer.

    Arguments:
        finds_personal: whether a text holds personal data or secrets.

    Raises:
        CommandError: the content of a call is not redacted.
    """
    cases, lines, personal, empty = list[GoldenCase](), list[bytes](), 0, 0
    for call in calls:
        if not call.is_redacted:
            raise CommandError(
                f"the content of {call.call_id} was kept as it was: a golden set may hold no personal data. Set "
                "`retention.content: redacted` in the workload's contract, and import calls that were made since"
            )
        expected = msgspec.json.decode(call.demonstration) if call.demonstration else text_or_json(call.answer)
        if expected == "":
            empty += 1
            continue
        case = GoldenCase(
            call.call_id, call.variables, call.input, raw(expected), (*call.tags, "from-traffic"), cluster=""
        )
        if finds_personal(asked_text(case)) or finds_personal(call.demonstration or call.answer):
            personal += 1
            continue
        cases.append(case)
        lines.append(case_line(case)[:-2] + b',"%b":false}\n' % REVIEWED.encode())
    notes = []
    if personal:
        notes.append(f"{personal} calls were left out: personal data was found in what is kept of them")
    if empty:
        notes.append(f"{empty} calls were left out: their answer is empty")
    return Imported(tuple(cases), tuple(notes)), b"".join(lines)


def reviewed_cases(path: Path) -> Imported:
    """The candidates that a person has set to `"reviewed": true`.

    Raises:
        ConfigError: no file of candidates, or none is reviewed.
    """
    reader = CaseReader(path)
    cases, waiting = list[GoldenCase](), 0
    lines = read_source(path).split("\n")
    for found in reader:
        fields = msgspec.json.decode(lines[found.line - 1], type=dict[str, msgspec.Raw])
        if bytes(fields.get(REVIEWED, b"false")) == b"true":
            cases.append(found.case)
        else:
            waiting += 1
    if reader.problems:
        raise ConfigError(*reader.problems)
    if not cases:
        message = f'no candidate is reviewed yet: read each, mend what is `expected`, and set `"{REVIEWED}": true`'
        raise ConfigError(Problem(str(path), 0, 0, message))
    notes = (f"{waiting} candidates are not reviewed and were left out",) if waiting else ()
    return Imported(tuple(cases), notes)
