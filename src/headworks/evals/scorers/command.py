"""The user's own command: case and answer as JSON on its standard input, the score as JSON on its standard output."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.processes import run_once
from headworks.evals.scorers.scoring import Answer, Score
from headworks.evals.scorers.verdicts import question, score_of


class Command:
    """Runs the command once for each answer, in the workload's folder (see `verdicts` for what goes in and out).

    Arguments:
        command: the program and its arguments; no shell reads it.
        folder: where it runs. Arguments that are files there are part of the scorer's identity.
        timeout_s: seconds for one answer.
    """

    name = "command"
    may_gate = True

    def __init__(self, command: Sequence[str], folder: Path, *, timeout_s: float) -> None:
        files = {
            word: hashlib.sha256((folder / word).read_bytes()).hexdigest()
            for word in command
            if len(word) < 256 and (folder / word).is_file()
        }
        self.identity = {"scorer": "command", "command": list(command), "files": files}
        self._command = tuple(command)
        self._folder = folder
        self._timeout_s = timeout_s

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is.

        Raises:
            ScoringFailed: the command fails, takes too long, or says no score.
        """
        data = question(case, answer)
        said = await run_once(self._command, data, folder=self._folder, timeout_s=self._timeout_s)
        return score_of(said, f"the command {Path(self._command[0]).name}")

    async def close(self) -> None:
        """Each process ends with its answer."""
