"""The run: every case asked of every arm, answers scored, within bounds of time, concurrency and money.

How a case is asked is passed in. What goes wrong is an error with a name, counted, and never a missing number: a
failure of infrastructure is tried again and then invalid, everything else that is no answer is wrong.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from decimal import Decimal
from typing import Literal

import msgspec

from headworks.catalogue.money import pico_usd, usd_text
from headworks.errors import CommandError, HeadworksError
from headworks.evals.answer_cache import AnswerCache, cache_key
from headworks.evals.golden import GoldenCase
from headworks.evals.runs import Answered, Arm, CallError, Reply, RunFolder, Scored, Unit
from headworks.evals.scorers import Scorer, ScoringFailed

AskCase = Callable[[Arm, GoldenCase], Awaitable[Reply]]
"""Asks a case of an arm. Raises nothing of its own: what goes wrong is in the reply."""

HashRequest = Callable[[Arm, GoldenCase], str]
"""What tells apart the requests that are made of arms and cases: where it is equal, one answer will do for both."""

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
"""Between attempts: doubled each time, or as long as the provider says (as the OpenAI SDK, 2026-11, but for longer)."""

TIMEOUTS = frozenset({"timeout", "upstream_timeout"})
"""Codes of answers that did not come in time: the run's own, and the contract's `latency.total_s`. They are wrong;
another time they may come."""

LONGEST_SLOWDOWN_S = 900.0
"""Who is told to come back later does so, for as long as this in all: that is no failure, but a limit that is kept."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a run.

    Attributes:
        concurrency: questions under way at once.
        timeout_s: seconds for one attempt, and for the scoring of one answer.
        attempts: how often a question is asked where infrastructure fails; to be told to come back later is none of
            these.
        cap_usd: what the whole run may cost, what earlier parts of it cost included; None for no bound.
    """

    concurrency: int = 8
    timeout_s: float = 120.0
    attempts: int = 4
    cap_usd: Decimal | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a run is. `right` and `decided` are by arm; an invalid answer is not decided."""

    done: int
    units: int
    right: tuple[int, ...]
    decided: tuple[int, ...]
    invalid: int
    cached: int
    spent_pico_usd: int


End = Literal["complete", "capped", "stopped"]


class Runner:
    """Runs what a run still lacks: questions without an answer, answers without a score.

    Arguments:
        folder: the run, open for writing.
        ask: asks a case; None to score what there is and ask nothing.
        cache: of answers; None for none. What two arms ask alike is asked once.
        request_hash: tells requests apart; by default an arm's identity does.
        on_progress: told after each question.
        sleep: waits between attempts.
    """

    def __init__(
        self,
        folder: RunFolder,
        scorer: Scorer,
        ask: AskCase | None,
        limits: Limits,
        *,
        cache: AnswerCache | None = None,
        request_hash: HashRequest = lambda arm, _: arm.identity,
        on_progress: Callable[[Progress], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._folder = folder
        self._scorer = scorer
        self._ask = ask
        self._limits = limits
        self._cache = cache
        self._request_hash = request_hash
        self._under_way: dict[bytes, asyncio.Event] = {}
        self._on_progress = on_progress
        self._sleep = sleep
        self._is_stopping = False
        self._purse = _Purse(folder, limits.cap_usd)
        arms = len(folder.manifest.arms)
        self._right, self._decided = [0] * arms, [0] * arms
        self._done = self._invalid = self._cached = 0

    def stop(self) -> None:
        """Begin no further question; those under way are finished."""
        self._is_stopping = True

    async def run(self, units: Iterable[Unit] | None = None) -> End:
        """Go on until all is answered and scored, or no more may be spent, or `stop` was called.

        Arguments:
            units: the questions to go on with; None for all of the run.

        Cancelled, it leaves what is under way unanswered: a run can be gone on with at any time.

        Raises:
            CommandError: there is a cap, and no price is known.
            StorageError: an answer cannot be kept.
        """
        waiting = self._folder.in_order() if units is None else iter(units)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._limits.concurrency):
                    group.create_task(self._work(waiting))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        if self._purse.is_empty:
            return "capped"
        return "stopped" if self._is_stopping else "complete"

    async def _work(self, waiting: Iterator[Unit]) -> None:
        for unit in waiting:
            if self._is_stopping or self._purse.is_empty:
                return
            answered = self._folder.answered(unit)
            if answered is None or (_is_invalid(answered.reply) and self._ask is not None):
                answered = await self._answer(unit)
            if answered is not None:
                await self._finish(unit, answered)

    async def _answer(self, unit: Unit) -> Answered | None:
        """The answer, from the cache or from the model; None where nothing may be asked any more."""
        if self._ask is None:
            return None
        arm, case = self._folder.manifest.arms[unit.arm], self._folder.cases[unit.case]
        if self._cache is None:
            return await self._asked(unit, arm, case)
        key = cache_key(self._request_hash(arm, case), case, unit.repeat)
        while (under_way := self._under_way.get(key)) is not None:
            await under_way.wait()
        known = self._cache.get(key)
        if known is not None:
            entry = Answered(unit, case.id, known, is_cached=True)
            await self._folder.note_answered(entry)
            return entry
        self._under_way[key] = asyncio.Event()
        try:
            asked = await self._asked(unit, arm, case)
            if asked is not None and _is_lasting(asked.reply):
                self._cache.put(key, asked.reply)
        finally:
            self._under_way.pop(key).set()
        return asked

    async def _asked(self, unit: Unit, arm: Arm, case: GoldenCase) -> Answered | None:
        """The answer of the model; None where nothing may be asked any more."""
        if not await self._purse.take():
            return None
        reply = Reply()
        try:
            self._folder.note_asked(unit)
            reply, attempts = await self._attempts(arm, case)
            entry = Answered(unit, case.id, reply, attempts)
            await self._folder.note_answered(entry)
        finally:
            await self._purse.give_back(reply)
        return entry

    async def _attempts(self, arm: Arm, case: GoldenCase) -> tuple[Reply, int]:
        """The reply to the last attempt, with what all of them cost, and how many there were."""
        cost, delay_s, slowdown_s = 0, FIRST_DELAY_S, 0.0
        attempts = failures = 0
        while True:
            reply = await self._attempt(arm, case)
            attempts += 1
            cost += reply.cost_pico_usd or 0
            asked_s = reply.error.retry_after_s if reply.error is not None else None
            failures += asked_s is None
            slowdown_s += 0.0 if asked_s is None else reply.latency_ms / 1000 + max(delay_s, asked_s)
            is_over = failures >= self._limits.attempts or slowdown_s > LONGEST_SLOWDOWN_S
            if not _may_retry(reply) or is_over or self._is_stopping:
                known = reply.cost_pico_usd is not None or cost
                return msgspec.structs.replace(reply, cost_pico_usd=cost if known else None), attempts
            await self._sleep(min(LONGEST_DELAY_S, max(delay_s, asked_s or 0.0)))
            delay_s = min(LONGEST_DELAY_S, delay_s * 2)

    async def _attempt(self, arm: Arm, case: GoldenCase) -> Reply:
        assert self._ask is not None, "who asks has looked"
        try:
            async with asyncio.timeout(self._limits.timeout_s) as due:
                return await self._ask(arm, case)
        except TimeoutError:
            if not due.expired():
                raise
            error = CallError("timeout", f"no answer within {self._limits.timeout_s:g} s")
            return Reply(error=error, latency_ms=self._limits.timeout_s * 1000)
        except HeadworksError as error:
            return Reply(error=CallError("failed", str(error), is_infrastructure=True))

    async def _finish(self, unit: Unit, answered: Answered) -> None:
        """Score what is not scored, and count."""
        folder = self._folder
        scored = folder.scored(unit)
        reply = answered.reply
        if reply.answer is not None and reply.error is None and (scored is None or scored.score is None):
            scored = await self._scored(unit, answered)
            folder.note_scored(scored)
        if reply.error is not None:
            is_right: bool | None = None if reply.error.is_infrastructure else False
        else:
            is_right = None if scored is None or scored.score is None else scored.score.is_acceptable
        self._done += 1
        self._cached += answered.is_cached
        self._invalid += is_right is None
        self._decided[unit.arm] += is_right is not None
        self._right[unit.arm] += is_right is True
        self._on_progress(
            Progress(
                self._done,
                folder.units,
                tuple(self._right),
                tuple(self._decided),
                self._invalid,
                self._cached,
                folder.spent_pico_usd,
            )
        )

    async def _scored(self, unit: Unit, answered: Answered) -> Scored:
        assert answered.reply.answer is not None, "who asks has looked"
        try:
            async with asyncio.timeout(self._limits.timeout_s) as due:
                return Scored(unit, await self._scorer.score(self._folder.cases[unit.case], answered.reply.answer))
        except ScoringFailed as error:
            return Scored(unit, failed=str(error))
        except TimeoutError:
            if not due.expired():
                raise
            return Scored(unit, failed=f"was not scored within {self._limits.timeout_s:g} s")


class _Purse:
    """Keeps a run within its cap: a question is only asked if the dearest so far, for each that is under way, still
    fits. The first is asked alone, for nobody knows yet what one costs. So a cap is exceeded only by questions that are
    dearer than every one before them, and by so much."""

    def __init__(self, folder: RunFolder, cap_usd: Decimal | None) -> None:
        self._folder = folder
        self._cap = None if cap_usd is None else pico_usd(cap_usd)
        self._under_way = 0
        self._changed = asyncio.Condition()
        self.is_empty = False

    async def take(self) -> bool:
        """Whether another question may be asked; waits while that depends on those under way."""
        if self._cap is None:
            return True
        async with self._changed:
            while not self.is_empty:
                dearest = self._folder.dearest_pico_usd
                if dearest is None:
                    fits = self._under_way == 0 and self._folder.spent_pico_usd < self._cap
                else:
                    fits = self._folder.spent_pico_usd + dearest * (self._under_way + 1) <= self._cap
                if fits:
                    self._under_way += 1
                    return True
                if not self._under_way:
                    self.is_empty = True
                    self._changed.notify_all()
                    return False
                await self._changed.wait()
        return False

    async def give_back(self, reply: Reply) -> None:
        """A question has ended.

        Raises:
            CommandError: nobody knows what it cost.
        """
        if self._cap is None:
            return
        async with self._changed:
            self._under_way -= 1
            is_unpriced = reply.answer is not None and reply.cost_pico_usd is None
            self.is_empty = self.is_empty or is_unpriced  # nobody else may go on
            self._changed.notify_all()
            if is_unpriced:
                raise CommandError(
                    f"the cap of ${usd_text(self._cap)} cannot be kept: no price is known of a model that is asked. "
                    "Give it one under `prices` in headworks.yaml, or run without --cap"
                )


def _is_invalid(reply: Reply) -> bool:
    return reply.error is not None and reply.error.is_infrastructure


def _may_retry(reply: Reply) -> bool:
    return reply.error is not None and reply.error.is_infrastructure and reply.error.may_retry


def _is_lasting(reply: Reply) -> bool:
    """Whether the same would come back another time: not a timeout, nor a failure of infrastructure."""
    return reply.error is None or (not reply.error.is_infrastructure and reply.error.code not in TIMEOUTS)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
