"""The contexts of a run's arms: found before the first question, and put into the cases that are asked."""

from collections.abc import Mapping
from typing import Self

import msgspec

from headworks.cli.eval_preparing import EvalArms
from headworks.cli.lines import note
from headworks.evals.golden import GoldenCase
from headworks.evals.retrieval import Contexts, RetrievalFailed
from headworks.evals.running import AskCase
from headworks.evals.runs import Arm, CallError, Reply, RunFolder
from headworks.evals.scorers import RetrievalSettings


class Retrieval:
    """What the ways of a run's arms find; an asynchronous context manager. Without such arms it does nothing."""

    def __init__(self, arms: EvalArms, folder: RunFolder) -> None:
        self._arms = arms
        self._folder = folder
        self._by_way: dict[str, Contexts] = {}
        self._by_arm: Mapping[str, Contexts] = {}

    async def __aenter__(self) -> Self:
        for name, way in self._arms.ways.values():
            if name not in self._by_way:
                self._by_way[name] = Contexts(self._folder.path / f"contexts-{name}.jsonl", way)
        self._by_arm = {arm: self._by_way[name] for arm, (name, _) in self._arms.ways.items()}
        return self

    async def __aexit__(self, *_: object) -> None:
        for contexts in self._by_way.values():
            await contexts.close()

    async def gather(self, settings: RetrievalSettings | None, concurrency: int) -> None:
        """Find what the run still lacks, way after way."""
        for name, contexts in self._by_way.items():
            assert settings is not None, "a way is of these settings"
            cases = (self._folder.cases[index] for index in self._folder.order)
            failed = await contexts.gather(cases, concurrency=concurrency, most_s=settings.most_s)
            if failed:
                note(f"{name}: nothing was found for {failed:,} cases: they are not asked, and invalid", "eval")

    def asking(self, ask: AskCase) -> AskCase:
        """Asks each case with what its arm's way has found for it."""

        async def asked(arm: Arm, case: GoldenCase) -> Reply:
            try:
                case = self._with_context(arm, case)
            except RetrievalFailed as error:
                why = CallError("retrieval_failed", str(error), is_infrastructure=True, may_retry=False)
                return Reply(error=why, cost_pico_usd=0)
            return await ask(arm, case)

        return asked if self._by_arm else ask

    def request_hash(self, arm: Arm, case: GoldenCase) -> str:
        """What tells one request from another: what was found is part of it."""
        try:
            return self._arms.request_hash(arm, self._with_context(arm, case))
        except RetrievalFailed:
            return arm.identity  # it is not asked

    def _with_context(self, arm: Arm, case: GoldenCase) -> GoldenCase:
        contexts = self._by_arm.get(arm.name)
        if contexts is None:
            return case
        variables = {**case.variables, self._arms.variable: contexts.context_of(case)}
        return msgspec.structs.replace(case, variables=variables)
