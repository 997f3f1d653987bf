"""`headworks workloads reproduce`: whether a workload's code says the same of the same each time."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.calls import Endpoint
from headworks.cli.lines import json_line, no_golden_set
from headworks.cli.tables import plain
from headworks.compiled import read_file
from headworks.composing import last_words
from headworks.errors import CommandError
from headworks.evals.golden import GoldenCase, read_cases
from headworks.judging import RulesContext
from headworks.plain_answer import DEGRADED
from headworks.screening import NO_ANSWER, AnswerRunner, OutputSchema, Said

if TYPE_CHECKING:
    from headworks.config import Workload

TIMES = 3
"""By default: the golden set's order, the reverse of it, and the order once more."""


class Reproduced(msgspec.Struct, frozen=True):
    """What came of one case.

    Attributes:
        said: the answers that differ, in the order that they came; one where all are the same, none where the code
            leaves the case to a model.
        faults: why there was no answer that could go out: what the function failed in, and where one breaks the schema.
    """

    case: str
    said: tuple[str, ...]
    faults: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether it is the same each time, an answer or none."""
        return len(self.said) < 2 and not self.faults


async def reproduce(
    code: Path,
    cases: Sequence[GoldenCase],
    *,
    workload: str,
    schema: OutputSchema | None,
    timeout_s: float,
    times: int = TIMES,
    on_case: Callable[[], None] = lambda: None,
) -> list[Reproduced]:
    """What the function in a `first.py` says of every case.

    Each time it runs in processes of its own, whose hashes of strings are others, and every second time in the reverse
    order: what depends on the order of a set, on the clock, on chance, or on the call before shows as a difference.

    Arguments:
        timeout_s: seconds for one answer.
        on_case: called after each answer.
    """
    answers: dict[str, list[str | None]] = {case.id: [] for case in cases}
    faults: dict[str, list[str]] = {case.id: [] for case in cases}
    for number in range(times):
        runner = AnswerRunner(code, timeout_s)
        try:
            for case in reversed(cases) if number % 2 else cases:
                said = await _ask(runner, case, workload, timeout_s)
                fault = "" if said.text is None or schema is None else _fault(schema, said.text)
                if fault or (said.text is None and said.reason != NO_ANSWER):
                    faults[case.id].append(fault or said.reason)
                else:
                    answers[case.id].append(said.text)
                on_case()
        finally:
            await runner.close()
    return [_summed_up(case.id, answers[case.id], faults[case.id]) for case in cases]


async def _ask(runner: AnswerRunner, case: GoldenCase, workload: str, timeout_s: float) -> Said:
    asked = last_words({"input": case.input}, Endpoint.RESPONSES)
    context = RulesContext("", workload, DEGRADED, "", case.variables, {})
    asking = asyncio.get_running_loop().create_task(
        runner.say(asked, msgspec.structs.asdict(context), within_s=timeout_s + _START_S)
    )
    return await asking


_START_S = 30.0
"""Seconds that a process may take to start, before the time of its answer begins."""


def _fault(schema: OutputSchema, text: str) -> str:
    found = schema.check(text)
    return "" if found is None else f"breaks the schema at {found.pointer or 'the answer'}"


def _summed_up(case: str, answers: Sequence[str | None], faults: Sequence[str]) -> Reproduced:
    texts = list(dict.fromkeys(answers))
    if texts in ([], [None]):
        return Reproduced(case, (), tuple(dict.fromkeys(faults)))
    return Reproduced(case, tuple("" if text is None else text for text in texts), tuple(dict.fromkeys(faults)))


def run_reproduce(workload: "Workload", *, times: int, is_json: bool) -> int:
    """Ask the code of a workload about every case of its golden set; the exit code.

    Raises:
        CommandError: it has no code, or no golden set.
        ConfigError: one of its files cannot be used.
    """
    files = workload.files
    if files.first_code is None:
        raise CommandError(f"{workload.name} has no first.py: there is no code of which to ask whether it is the same")
    if files.golden is None:
        raise no_golden_set(workload.name)
    schema = None
    if files.schema is not None:
        schema = OutputSchema.compile(read_file(files.schema), name=workload.name, file=str(files.schema))
    cases = read_cases(files.golden)
    timeout_s = workload.contract.validation.rules_timeout_s
    progress = _Progress(len(cases) * times)
    found = asyncio.run(
        reproduce(
            files.first_code,
            cases,
            workload=workload.name,
            schema=schema,
            timeout_s=timeout_s,
            times=times,
            on_case=progress.step,
        )
    )
    bad = [one for one in found if not one.is_same]
    if is_json:
        for one in found:
            print(json_line({"workload": workload.name, "same": one.is_same, **msgspec.structs.asdict(one)}))
        return 1 if bad else 0
    for one in bad:
        for fault in one.faults:
            print(f"{plain(one.case)}: {plain(fault)}")
        if len(one.said) > 1:
            print(f"{plain(one.case)}: {_difference(one.said)}")
    by_code = sum(1 for one in found if one.is_same and one.said)
    left = sum(1 for one in found if one.is_same and not one.said)
    print(
        f"{len(found)} cases, each {times} times: {by_code} answered by code and the same each time, "
        f"{left} left to the model, {len(bad)} not reproduced"
    )
    return 1 if bad else 0


class _Progress:
    """One line on a terminal's standard error, written anew ten times a second and taken away at the end."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._shown_s = 0.0
        self._is_terminal = sys.stderr.isatty()

    def step(self) -> None:
        """One more answer is there."""
        self._done += 1
        now_s = time.monotonic()
        is_last = self._done == self._count
        if self._is_terminal and (is_last or now_s - self._shown_s >= 0.1):
            self._shown_s = now_s
            line = "" if is_last else f"{self._done:,}/{self._count:,} answers"
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)


def _difference(said: Sequence[str]) -> str:
    first, other = said[:2]
    if not first or not other:
        return "answered one time, and left to the model another"
    at = next((at for at, (one, two) in enumerate(zip(first, other, strict=False)) if one != two), None)
    at = min(len(first), len(other)) if at is None else at
    begin = max(0, at - 20)
    return f"differs at character {at}: `{plain(first[begin : at + 20])}`, `{plain(other[begin : at + 20])}`"
