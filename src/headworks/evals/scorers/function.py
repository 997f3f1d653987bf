"""The user's own Python function: `def score(case, answer): return True`, in one bounded process of its own."""

import hashlib
from pathlib import Path

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.function_process import FunctionProcess
from headworks.evals.scorers.scoring import Answer, Score
from headworks.evals.scorers.verdicts import score_of


class Function:
    """Scores one answer at a time. The function gets case and answer as dicts, and gives what `verdicts` takes.

    Arguments:
        path: the file.
        function: its name there.
        timeout_s: seconds for one answer.
    """

    name = "function"
    may_gate = True

    def __init__(self, path: Path, function: str, *, timeout_s: float) -> None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.identity = {"scorer": "function", "function": f"{path.name}:{function}", "file": digest}
        self._process = FunctionProcess(path, function, timeout_s=timeout_s, gives="score")

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is.

        Raises:
            ScoringFailed: the function cannot be loaded, raises, takes too long, or says no score.
        """
        return score_of(await self._process.call({"case": case, "answer": answer}), self._process.who)

    async def close(self) -> None:
        """End the process. Harmless to call twice; a later answer starts another."""
        await self._process.close()
