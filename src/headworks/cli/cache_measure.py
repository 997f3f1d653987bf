"""`headworks cache measure`: how often a workload's semantic cache would give a wrong answer, on its golden set."""

import argparse
import asyncio
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from headworks.cli.eval_scoring import Scoring
from headworks.cli.lines import json_line, note
from headworks.cli.lock_file import write_lock
from headworks.cli.prompt_release import registry_of
from headworks.cli.tables import Cell, Table, has_colours
from headworks.cli.workloads import find_workload
from headworks.compiled import Published
from headworks.config import LOCK_FILE, Locked, Project, SemanticEvidence, Workload, load, read_lock
from headworks.config.contract import SemanticCache
from headworks.config.semantic import basis_of, needed_hits, needed_text
from headworks.embedding import load_local_model
from headworks.errors import CommandError
from headworks.evals.answer_cache import AnswerCache
from headworks.evals.false_hits import (
    Pair,
    Probe,
    Rate,
    false_pairs,
    find_pairs,
    rate_at,
    recommend,
)
from headworks.evals.golden import GoldenCase, GoldenFile, indexes_of, part_of
from headworks.evals.scorers import Answer, Combined, ScoringFailed
from headworks.response_cache import LIKENESS, MOST_CHARACTERS, may_stand, wording_of
from headworks.semantic_caches import over_fault, prompt_in_use

_LOWEST = 0.75
"""Pairs that are less alike are not looked at, unless the contract wants them."""

_MOST_CASES = 20_000
"""Each is compared with each: so many take some minutes."""

_SHOWN_FALSE = 5


class Measured(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        cases: that were compared with one another.
        rate: at the contract's threshold; `recommended` is the lowest at which hits are good enough, None for none.
        examples: ids of cases that are alike and expect something else, the most alike first.
    """

    cases: int
    rate: Rate
    recommended: float | None
    examples: tuple[tuple[str, str, float], ...]


def run_measure(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    project = load(options.config)
    workload = find_workload(project, options.workload)
    cache = workload.contract.cache
    if cache is None or cache.semantic is None:
        raise CommandError(
            f"`{workload.name}` has no semantic cache to measure: write `cache: {{semantic: {{at_least: 0.95}}}}` into "
            "its contract first"
        )
    semantic, golden = cache.semantic, workload.files.golden
    assert golden is not None, "the contract was checked"
    with registry_of(project) as registry:
        publications = () if registry is None else tuple(registry.list(workload.name))
        active = None if registry is None else registry.active(workload.name)
    prompt = prompt_in_use(workload, Published(publications, active))
    fault = over_fault(workload, prompt)
    if fault:
        raise CommandError(f"cache.semantic.over: {fault}")
    cases = _cases_of(golden)
    found = asyncio.run(_measured(workload, semantic, cases))
    is_good = found.rate.upper < semantic.most_false
    is_written = False
    if is_good and not options.dry_run:
        basis = basis_of(
            workload,
            prompt_hash="" if prompt is None else prompt.hash,
            model=load_local_model().identity,
            likeness=LIKENESS,
        )
        is_written = _write(project, workload, found, basis)
    _print(workload, semantic, found, options, is_written=is_written)
    return 0 if is_good else 1


def _cases_of(golden: Path) -> list[GoldenCase]:
    """The cases that decide, and say what is right."""
    with GoldenFile(golden) as opened:
        deciding = indexes_of(opened, part_of(opened, "deciding"))
        cases = [case for index in deciding if (case := opened[index]).has_expected]
    if not cases:
        raise CommandError("no case of the golden set says what is `expected`: nobody can tell a wrong answer from it")
    if len(cases) > _MOST_CASES:
        raise CommandError(f"the golden set has more than {_MOST_CASES:,} cases to compare with one another")
    return cases


async def _measured(workload: Workload, semantic: SemanticCache, cases: Sequence[GoldenCase]) -> Measured:
    model, key = load_local_model(), secrets.token_bytes(32)
    probes = [_probe(case, semantic.over) for case in cases]
    wordings = [wording_of(probe.text, key) for probe in probes]
    pairs = find_pairs(
        probes,
        min(_LOWEST, semantic.at_least),
        model.cosines,
        lambda one, other: may_stand(wordings[one], wordings[other]),
    )
    with (
        tempfile.TemporaryDirectory(prefix="headworks-measure-") as folder,
        closing(AnswerCache(Path(folder))) as nothing,
    ):
        async with Scoring(workload, nothing, call=None, embed=None) as scoring:
            false = await false_pairs(pairs, _Judging(cases, scoring.scorer).is_right)
    rate = rate_at(semantic.at_least, probes, pairs, false)
    wrong = sorted(
        (pair for pair in pairs if (pair.one, pair.other) in false and pair.similarity >= semantic.at_least),
        key=lambda pair: -pair.similarity,
    )
    return Measured(
        sum(bool(probe.vector) for probe in probes),
        rate,
        recommend(semantic.most_false, probes, pairs, false),
        tuple(_example(cases, pair) for pair in wrong[:_SHOWN_FALSE]),
    )


def _example(cases: Sequence[GoldenCase], pair: Pair) -> tuple[str, str, float]:
    return cases[pair.one].id, cases[pair.other].id, round(pair.similarity, 3)


class _Judging:
    """Whether what one case expects is right for another, by the workload's own scorers. What has to ask a model cannot
    tell here, and so it is wrong. State: what was found of what is written differently."""

    def __init__(self, cases: Sequence[GoldenCase], scorer: Combined) -> None:
        self._cases = cases
        self._scorer = scorer
        self._written = [msgspec.json.encode(case.expected_value(), order="deterministic") for case in cases]

    async def is_right(self, one: int, other: int) -> bool:
        """Whether the answer to `one` is right for `other`."""
        if self._written[one] == self._written[other]:
            return True
        expected = self._cases[one].expected_value()
        text = expected if isinstance(expected, str) else self._written[one].decode()
        try:
            score = await self._scorer.score(self._cases[other], Answer(text))
        except ScoringFailed:
            return False
        return score.is_acceptable


def _probe(case: GoldenCase, over: str) -> Probe:
    """A case as calls of the workload have it."""
    given, variables = case.input_value(), dict(case.variables)
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given) if given else []  # type: ignore[call-overload]
    text: object = variables.pop(over, None) if over else _text_of(items.pop()) if items else None
    words = text if isinstance(text, str) and len(text) <= MOST_CHARACTERS else ""
    context = msgspec.json.encode([variables, items], order="deterministic")
    return Probe(context, words, load_local_model().packed(words) if words else b"")


def _text_of(item: object) -> object:
    """The text of a message of the user's that is nothing but text; None for anything else."""
    if not isinstance(item, dict) or item.get("role") != "user" or not item.keys() <= {"role", "content", "type"}:
        return None
    content = item.get("content")
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        return content[0].get("text") if content[0].keys() == {"type", "text"} else None
    return content


def _write(project: Project, workload: Workload, found: Measured, basis: dict[str, object]) -> bool:
    rate = found.rate
    figures = {
        "cases": found.cases,
        "hits": rate.hits,
        "false_hits": rate.false_hits,
        "upper": rate.upper,
    }
    evidence = msgspec.convert(basis | figures, SemanticEvidence)
    lock = read_lock(project.folder / LOCK_FILE)
    locked = msgspec.structs.replace(lock.workloads.get(workload.name, Locked()), semantic_cache=evidence)
    return write_lock(project, lock, workload.name, locked)


def _print(
    workload: Workload, semantic: SemanticCache, found: Measured, options: argparse.Namespace, *, is_written: bool
) -> None:
    rate = found.rate
    is_good = rate.upper < semantic.most_false
    if options.json:
        figures = {"workload": workload.name, "cases": found.cases, **msgspec.to_builtins(rate), "share": rate.share}
        more = {"most_false": semantic.most_false, "recommended": found.recommended, "is_good": is_good}
        print(json_line({**figures, **more, "locked": is_written, "examples": found.examples}))
    else:
        _print_table(semantic, found)
    if is_written:
        note("the evidence is in headworks.lock: commit it; gateways reload by SIGHUP", "cache")
    if not is_good:
        note(_advice(semantic, found), "cache")


def _print_table(semantic: SemanticCache, found: Measured) -> None:
    rate = found.rate
    rows = [
        ("cases compared", f"{found.cases:,}"),
        (f"pairs that are alike ({rate.threshold:.2f})", f"{rate.pairs:,}"),
        ("  that expect something else", f"{rate.false_pairs:,}"),
        ("independent hits", f"{rate.hits:,}"),
        ("  false ones", f"{rate.false_hits:,}" + ("" if rate.share is None else f" ({rate.share:.1%})")),
        ("  at most, at 95 %", f"{rate.upper:.1%} (`most_false`: {semantic.most_false:.1%})"),
        ("recommended threshold", "none" if found.recommended is None else f"{found.recommended:.2f}"),
    ]
    table = Table(("", ""), coloured=has_colours())
    print("\n".join(table.lines([[Cell(name), Cell(value)] for name, value in rows])[1:]))
    for one, other, similarity in found.examples:
        print(f"false: {one} and {other} ({similarity:.3f})")


def _advice(semantic: SemanticCache, found: Measured) -> str:
    """What to do where it is not shown."""
    rate = found.rate
    if not rate.false_hits:
        missing = needed_hits(semantic.most_false) - rate.hits
        return (
            f"{rate.hits} hits of {found.cases:,} cases are too few to show it: {needed_text(semantic.most_false)}, in "
            f"other words. Give the golden set at least {missing} more, best taken from what users ask"
        )
    if found.recommended is not None:
        return f"with `at_least: {found.recommended:.2f}` it is shown"
    return "false hits are too frequent, or hits too few, at every threshold: leave `semantic` out"
