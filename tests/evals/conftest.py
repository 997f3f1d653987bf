import asyncio
import hashlib
import json

import pytest

from headworks.calls import Usage
from headworks.evals.golden import GoldenFile
from headworks.evals.running import Limits, Runner
from headworks.evals.runs import Arm, Manifest, Reply, RunFolder
from headworks.evals.scorers import Answer, Combined, Weighted, scorer_hash
from headworks.evals.scorers.label import Label


@pytest.fixture
def golden(tmp_path):
    """Writes a golden set of these cases (or raw lines) and returns its path."""

    def do(*cases, name="golden.jsonl"):
        path = tmp_path / name
        path.write_text("".join((case if isinstance(case, str) else json.dumps(case)) + "\n" for case in cases))
        return path

    return do


def numbered(count, **fields):
    return [{"id": f"case-{n}", "input": f"question {n}", "expected": f"answer {n}", **fields} for n in range(count)]


def reply(text, **fields):
    made = {"usage": Usage(10, output_tokens=5, source="provider"), "cost_pico_usd": 1_000_000, "latency_ms": 5.0}
    return Reply(answer=Answer(text), **(made | fields))


class Model:
    """Answers each case by `says(arm, case)`: a text, a `Reply`, or something to raise. Remembers what it was asked."""

    def __init__(self, says=lambda arm, case: f"answer {case.id.removeprefix('case-')}"):
        self.says = says
        self.asked = []
        self.under_way = self.most_under_way = 0

    async def __call__(self, arm, case):
        self.asked.append((arm.name, case.id))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            said = self.says(arm, case)
            if isinstance(said, BaseException):
                raise said
            if asyncio.iscoroutine(said):
                said = await said
            return reply(said) if isinstance(said, str) else said
        finally:
            self.under_way -= 1


LABEL = Combined([Weighted(Label(), "label")])


class Bench:
    """Runs evals in a folder of its own."""

    def __init__(self, folder, golden):
        self.folder = folder / "evals"
        self.golden = golden
        self.waited = []

    def create(self, cases, *, arms=("nano",), repeats=1, seed=1, run="20261125-120000-abcd", scorer=LABEL, **fields):
        path = self.golden(*cases)
        with GoldenFile(path) as found:
            manifest = Manifest(
                run=run,
                workload="triage",
                created_us=1_764_072_000_000_000,
                arms=tuple(Arm(name, f"sim/{name}", hashlib.sha256(name.encode()).hexdigest()) for name in arms),
                cases=len(found) if "asked" not in fields else fields.pop("asked"),
                golden_hash=found.hash,
                scorer_hash=scorer_hash(scorer),
                scorer=scorer.identity,
                repeats=repeats,
                seed=seed,
                **fields,
            )
        return RunFolder.create(self.folder, manifest, path)

    def open(self, run="20261125-120000-abcd", **options):
        return RunFolder.open(self.folder / run, is_writing=True, **options)

    def run(self, folder, model, *, scorer=LABEL, cache=None, on_progress=lambda _: None, **limits):
        async def sleep(delay_s):
            self.waited.append(delay_s)

        async def do():
            runner = Runner(folder, scorer, model, Limits(**limits), cache=cache, on_progress=on_progress, sleep=sleep)
            return await runner.run()

        return asyncio.run(do())

    def verdicts(self, folder):
        return {(one.unit.arm, one.case.id, one.unit.repeat): one.verdict for one in folder.results()}


@pytest.fixture
def bench(tmp_path, golden):
    return Bench(tmp_path, golden)
