"""The answer keeps to the workload's own contract: its schema, and its rules. Both are passed in."""

from collections.abc import Awaitable, Callable

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import RIGHT, Answer, Comparison, Score, wrong

RunRules = Callable[[GoldenCase, Answer], Awaitable[str]]
"""Asks the rules about an answer; "" if all hold, else which does not and why."""


class Schema(Comparison):
    """The answer satisfies the workload's schema.

    Arguments:
        check: what is wrong with a text; "" if nothing.
        digest: of the schema.
    """

    def __init__(self, check: Callable[[str], str], digest: str) -> None:
        super().__init__("schema", {"schema": digest})
        self._check = check

    def compare(self, case: GoldenCase, answer: Answer) -> Score:  # noqa: ARG002 - a schema is the same for all cases
        """How good the answer is."""
        fault = self._check(answer.text)
        return wrong(fault) if fault else RIGHT


class Rules:
    """The answer keeps the workload's rules.

    Arguments:
        run: asks them.
        digest: of the rules' file.
    """

    name = "rules"
    may_gate = True

    def __init__(self, run: RunRules, digest: str) -> None:
        self.identity = {"scorer": "rules", "rules": digest}
        self._run = run

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        fault = await self._run(case, answer)
        return wrong(fault) if fault else RIGHT

    async def close(self) -> None:
        """The rules' process is its owner's to end."""
