"""The ladder end to end: `headworks select` itself, on a simulator whose tiers are right as often as a scenario says.

`python tests/cli/ladder_proof.py 200` prints the table of docs/explanation/evals-proof.md. Each run has a seed of its
own, for the simulator's luck and for the order of cases: whether a tier is right about a case is drawn anew each time.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from headworks.cli import main

BAR = 0.85
MARGIN = 0.1
CASES = 150

_CONFIG = """
providers: {{sim: {{kind: simulator, plan: plan.yaml, seed: {seed}, pace: 0}}}}
tiers: {{nano: sim/gpt-6-luna, mini: sim/gpt-6.1-terra, flagship: sim/gpt-6.1-sol}}
"""
_PLAN = """
rules:
  - say: "{{{{input}}}}"
    wrong: ["I do not know."]
    right_share: {{nano: {0}, mini: {1}, flagship: {2}}}
"""
_CONTRACT = "owner: proof\ndescription: Say it again.\nquality: {{bar: {0}}}\n"


class Scenario(NamedTuple):
    """How often each tier is right, and what is to be chosen: "" where no tier is good enough. Whether one tier is
    right about a case says nothing of the others: of models whose mistakes are alike, comparisons show more."""

    name: str
    shares: tuple[float, float, float]
    best: tuple[str, ...]
    bar: float = BAR
    words: tuple[str, ...] = ()


SCENARIOS = (
    Scenario("nano good", (0.97, 0.98, 0.98), ("nano",)),
    Scenario("nano bad, mini good", (0.70, 0.97, 0.98), ("mini",)),
    Scenario("all bad", (0.50, 0.60, 0.70), ("",)),
    Scenario("nano and mini exactly at the bar", (0.85, 0.85, 0.95), ("flagship",)),
    Scenario("nano and mini exactly worse by the margin", (0.88, 0.88, 0.98), ("flagship",), bar=0.6),
    Scenario("nano good, and worse by four points", (0.95, 0.97, 0.99), ("nano",)),
    Scenario("the same, by the bar alone", (0.95, 0.97, 0.99), ("nano",), words=("--reference", "none")),
)


class Played(NamedTuple):
    """What became of one run. `cost` is the part of what it costs to ask every tier every case."""

    chosen: str
    calls: int
    saved: int
    cost: float


def play(scenario: Scenario, seed: int) -> Played:
    """One run of `headworks select`, in a project of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload = folder / "workloads" / "again"
        workload.mkdir(parents=True)
        (folder / "headworks.yaml").write_text(_CONFIG.format(seed=seed))
        (folder / "plan.yaml").write_text(_PLAN.format(*scenario.shares))
        (workload / "workload.yaml").write_text(_CONTRACT.format(scenario.bar))
        cases = ({"id": f"case-{n}", "input": f"word {n}", "expected": f"word {n}"} for n in range(CASES))
        (workload / "golden.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
        words = ["select", "again", "--seed", str(seed), "--dry-run", "--json", *scenario.words]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            main([*words, "--config", str(folder / "headworks.yaml")])
        found: dict[str, Any] = json.loads(printed.getvalue())
    rungs = found["rungs"]
    spent = sum(one["cost_pico_usd"] * (one.get("asked", 0) + one.get("surplus", 0)) for one in rungs)
    cost = spent / sum(one["cost_pico_usd"] * CASES for one in rungs)
    return Played(found["chosen"], found["calls"], found["calls_saved"], cost)


def table(runs: int) -> list[str]:
    """The lines of the table, over so many runs of each scenario."""
    lines = [
        "| tiers right in | to be chosen | runs | wrong decisions | calls of a run | saved | of the cost |",
        "|---|---|---|---|---|---|---|",
    ]
    for scenario in SCENARIOS:
        played = [play(scenario, seed) for seed in range(1, runs + 1)]
        wrong = sum(one.chosen not in scenario.best for one in played)
        cost = sum(one.cost for one in played) / runs
        calls, saved = sum(one.calls for one in played), sum(one.saved for one in played)
        shares = " / ".join(f"{share:.0%}" for share in scenario.shares)
        best = scenario.best[0] or "none"
        lines.append(
            f"| {scenario.name}: {shares} | {best} | {runs} | {wrong} ({wrong / runs:.1%}) | {calls / runs:.0f} | "
            f"{saved / (calls + saved):.0%} | {cost:.0%} |"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(table(int(sys.argv[1]) if len(sys.argv) > 1 else 200)))
