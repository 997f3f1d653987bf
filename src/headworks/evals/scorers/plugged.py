"""A scorer that another package brings along: made once for a run, asked in threads or on the loop, bounded in time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import msgspec

from headworks.errors import CommandError
from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import Answer, Score, ScoringFailed
from headworks.evals.scorers.verdicts import score_of
from headworks.side_threads import SideThreads

MOST_THREADS = 8
"""Answers that one such scorer may be asked about at a time."""

Verdict = bool | float | Mapping[str, object]
"""What it says: yes or no, a number from 0 to 1 (acceptable from 1 on), or `value`, `is_acceptable` and `reason`."""


class PluggedScorer(Protocol):
    """What the factory of a package makes. A `close` without arguments is called at the end where there is one."""

    def score(self, case: GoldenCase, answer: Answer) -> Verdict | Awaitable[Verdict]:
        """How good the answer is. May block, unless it is `async`. Whatever it raises leaves the case without a
        score."""
        ...


ScorerFactory = Callable[[Mapping[str, str]], PluggedScorer]
"""What an entry point of the group `headworks.scorers` names: called with the settings of `evals.yaml`."""


class FoundScorer(msgspec.Struct, frozen=True, eq=False):
    """A package's scorer before it is made; `version` is the package's, by which scores of others are not its own."""

    make: ScorerFactory
    package: str
    version: str


class Plugged:
    """Implements `Scorer`.

    Arguments:
        use: what the package calls it.
        timeout_s: seconds for one answer.

    Raises:
        CommandError: it cannot be made.
    """

    name = "extension"
    may_gate = True

    def __init__(self, found: FoundScorer, use: str, settings: Mapping[str, str], *, timeout_s: float) -> None:
        self.identity = {
            "scorer": "extension",
            "extension": use,
            "package": found.package,
            "version": found.version,
            "settings": dict(settings),
        }
        self._use = use
        self._timeout_s = timeout_s
        self._threads = SideThreads(f"scorer {use}", MOST_THREADS)
        try:
            self._made: Any = found.make(settings)
            self._is_async = inspect.iscoroutinefunction(self._made.score)
        except Exception as error:
            # Whatever it is, it is not ours.
            raise CommandError(
                f"the scorer `{use}` of {found.package} cannot be made of its settings: {type(error).__name__}"
            ) from error

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is.

        Raises:
            ScoringFailed: it raises, takes too long, or says no score.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._is_async:
                    said = await self._made.score(case, answer)
                else:
                    loop = asyncio.get_running_loop()
                    said = await self._threads.run(loop, partial(self._made.score, case, answer))
            encoded = msgspec.json.encode(said)
        except TimeoutError:
            raise ScoringFailed(f"{self._use}: gave no score within {self._timeout_s:g} s") from None
        except Exception as error:  # noqa: BLE001 - another package's; its text may quote the answer
            raise ScoringFailed(f"{self._use}: {type(error).__name__}") from None
        return score_of(encoded, self._use)

    async def close(self) -> None:
        """Let it go."""
        close = getattr(self._made, "close", None)
        if callable(close):
            close()
        self._threads.close()
