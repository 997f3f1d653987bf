"""Rules over answers: plain functions in a user's rules.py, run in bounded processes of their own.

>>> def refund_within_order(output, context):
...     if output["refund"] <= output["order_total"]:
...         return Verdict.ok()
...     return Verdict.repair("the refund must not exceed the order's total")
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from headworks.errors import ConfigError
from headworks.screening.output.process import LOAD_TIMEOUT_S, BoundedProcess, check_file
from headworks.screening.output.reading import JsonValue
from headworks.screening.output.verdicts import RuleFinding, RulesCode, RulesOutcome, outcome_of

PROCESSES = 2
"""At most so many for one file: while a rule hangs in one, other answers are judged in the other."""

_TOO_LATE = "gave no verdict within"
_DIED = "ended the process that it ran in"

_ANSWER = msgspec.json.Decoder(tuple[RuleFinding, ...])


def has_not_judged(reason: str) -> bool:
    """Whether an answer was blocked for nothing that it says: rules that were too late, or whose process ended.

    Arguments:
        reason: of a `RulesOutcome`, or of the refusal that a caller is told.
    """
    return _TOO_LATE in reason or reason.endswith(_DIED)


def check_rules(path: Path, *, timeout_s: float = LOAD_TIMEOUT_S) -> tuple[str, ...]:
    """The names of a file's rules, in order. The file is loaded in a process of its own, which is gone afterwards.

    Arguments:
        path: the rules.py.
        timeout_s: how long loading may take, in seconds.

    Raises:
        ConfigError: it cannot be loaded or has no rules; with the line at fault.
    """
    return check_file(path, "main", timeout_s=timeout_s)


class RulesRunner:
    """Judges answers by the rules of one file, one answer at a time in each process; for one event loop.

    A process is started by the first answer, another for answers that come while the first is busy, and a new one after
    one that was killed. `close` ends them; so does the end of our own process, however it comes about.

    Arguments:
        path: the rules.py.
        timeout_s: seconds that all rules together may take over one answer. Waiting for answers before does not count:
            an answer that is good must not be blocked because of another.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(PROCESSES)
        self._idle: list[BoundedProcess] = []

    async def start(self) -> tuple[str, ...]:
        """Start a process ahead of the first answer; returns the rules' names.

        Raises:
            ConfigError: the file cannot be loaded; with the line at fault.
        """
        async with self._turns:
            worker = await self._ready()
            self._idle.append(worker)
            return worker.rules

    async def run(self, output: JsonValue, context: Mapping[str, object]) -> RulesOutcome:
        """What the rules say about an answer. Never raises for what a rule does: that blocks.

        Arguments:
            output: the answer, decoded.
            context: what rules get beside it: workload, prompt_version, model, call_id, variables, metadata.
        """
        question = msgspec.json.encode((self._timeout_s, output, context))
        async with self._turns:
            try:
                worker = await self._ready()
            except ConfigError as error:
                return _blocked("", "rules_failed", f"the rules cannot be loaded: {error}")
            is_whole = False
            try:
                async with asyncio.timeout(self._timeout_s):
                    findings = _ANSWER.decode(await worker.ask(question))
                is_whole = True
            except TimeoutError:
                within = f"{_TOO_LATE} {self._timeout_s:g} s"
                return _blocked(worker.rule_under_way, "rules_timeout", within)
            except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError):
                return _blocked(worker.rule_under_way, "rules_failed", _DIED)
            finally:
                # After a cancellation, too: the next answer must not be given the verdict on this one.
                if is_whole:
                    self._idle.append(worker)
                else:
                    await worker.end()
        return outcome_of(findings)

    async def close(self) -> None:
        """End the processes, each when it has judged what it is at. Harmless to call twice; a later answer starts
        another."""
        for _ in range(PROCESSES):
            await self._turns.acquire()
        try:
            while self._idle:
                await self._idle.pop().end()
        finally:
            for _ in range(PROCESSES):
                self._turns.release()

    async def _ready(self) -> BoundedProcess:
        while self._idle:
            worker = self._idle.pop()  # the last one used: what is seldom needed stays out of the caches
            if worker.is_alive:
                return worker
            await worker.end()
        return await BoundedProcess.start(self._path, "main")


def _blocked(rule: str, code: RulesCode, reason: str) -> RulesOutcome:
    return outcome_of((RuleFinding(rule, "block", reason, code),))
