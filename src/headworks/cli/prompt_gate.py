"""The gate of a release: what `headworks eval --changed` has found of a version decides whether it may become active.

A version that is shown to be worse is refused, unless somebody says why it must go out all the same; the reason stands
in headworks.lock, which reviewers read, and in the log of verdicts. Where nothing was found, or the evidence is too
thin, nothing is refused, and that is said.
"""

import argparse
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.cli.moments import iso
from headworks.cli.parsing import UsageError
from headworks.cli.tables import plain
from headworks.errors import CommandError
from headworks.evals.verdict_log import Verdict, find_verdict, keep_verdict, verdicts_of

if TYPE_CHECKING:
    from headworks.config import Project

RELEASE = "release"
"""The key in a lock's evidence."""

_MOST_NAMED = 5


class Candidate(msgspec.Struct, frozen=True):
    """What is to become active.

    Attributes:
        release: see `release_digest`.
        model: the rung in use; evidence of another one does not count. "" for any.
        golden: today's golden set, where it is known.
        active: the release that it takes the place of; "" where there is none.
    """

    workload: str
    version: str
    release: str
    model: str = ""
    golden: Path | None = None
    active: str = ""


class Gate(msgspec.Struct, frozen=True):
    """What is known of a version that is to become active.

    Attributes:
        verdict: what was found last; None where nothing was.
        is_stale: the golden set has changed since.
        is_elsewhere: it was held against something else than what is active.
        why: the reason for which it goes out although it is worse; "" where none is needed.
    """

    verdict: Verdict | None = None
    is_stale: bool = False
    is_elsewhere: bool = False
    why: str = ""

    @property
    def counts(self) -> bool:
        """Whether what was found is evidence for going from what is active to this version."""
        return self.verdict is not None and not self.is_stale and not self.is_elsewhere


def pass_gate(
    project: "Project",
    options: argparse.Namespace,
    candidate: Candidate,
) -> Gate:
    """What is known of a version, which may go out.

    Raises:
        CommandError: it is shown to be worse, and is not forced; or it is forced without a reason.
        StorageError: the verdicts cannot be read.
    """
    if options.force and not options.why:
        raise UsageError("--force needs --why REASON: it is kept beside the version, for who reads the lock")
    if options.why and not options.force:
        raise UsageError("--why belongs to --force: a version that may go out needs no reason")
    verdict = find_verdict(project.storage / "evals", candidate.workload, candidate.release)
    if verdict is None or (candidate.model and verdict.model != candidate.model):
        return Gate()
    if verdict.word == "worse" and not options.force:
        raise CommandError(_refusal(candidate, verdict))
    golden = candidate.golden
    is_stale = golden is not None and hashlib.sha256(golden.read_bytes()).hexdigest() != verdict.golden_hash
    is_elsewhere = bool(candidate.active) and candidate.active not in (candidate.release, verdict.base_release)
    return Gate(verdict, is_stale, is_elsewhere, options.why if verdict.word == "worse" else "")


def keep_reason(project: "Project", candidate: Candidate, gate: Gate) -> None:
    """Write down that a version went out although it is worse, and why; nothing where it is not."""
    if gate.why and gate.verdict is not None:
        now = {"at_us": time.time_ns() // 1000, "prompt_version": candidate.version}
        forced = msgspec.structs.replace(gate.verdict, **now, forced_why=gate.why)
        keep_verdict(project.storage / "evals", forced)


def with_release(evidence: Mapping[str, object] | None, gate: Gate) -> dict[str, object] | None:
    """A lock's evidence with what is known of the version that is active from now on."""
    kept = {key: value for key, value in (evidence or {}).items() if key != RELEASE}
    verdict = gate.verdict
    if verdict is None or not (gate.counts or gate.why):
        return kept or None
    found: dict[str, object] = {
        "verdict": verdict.word,
        "reasons": list(verdict.reasons),
        "base": verdict.base,
        "run": verdict.run,
        "golden_hash": verdict.golden_hash,
        "cases": verdict.cases,
        "lost": verdict.lost,
        "won": verdict.won,
    }
    if verdict.broken:
        found["broken"] = list(verdict.broken)
    if gate.why:
        found["forced_because"] = gate.why
    return {**kept, RELEASE: found}


def said_of(gate: Gate, name: str) -> str:
    """What is known, in a line for a person; "" where nothing is."""
    verdict = gate.verdict
    if verdict is None:
        return ""
    if gate.is_stale:
        return f"Its evidence is of another golden set: `headworks eval --changed {name}` finds it anew."
    if gate.is_elsewhere and not gate.why:
        return (
            f"Its evidence is against {verdict.base}, which is not what was active: before a version is published, "
            f"`headworks eval --changed {name}` holds it against that."
        )
    counted = f" ({verdict.cases:,} cases, {verdict.lost:,} lost, {verdict.won:,} won)" if verdict.cases else ""
    if gate.why:
        return f"It is worse than {verdict.base}{counted}, and goes out because: {gate.why}"
    if verdict.word == "too thin":
        return f"Its evidence is too thin: {'; '.join(verdict.reasons)}."
    return f"Evidence: {verdict.word} than {verdict.base}{counted}, run {verdict.run}."


def forced_lines(project: "Project", name: str) -> list[str]:
    """What went out of a workload although it was worse, and why, the oldest first."""
    return [
        f"{one.prompt_version} went out although it is worse ({iso(one.at_us / 1e6)}): {one.forced_why}"
        for one in verdicts_of(project.storage / "evals", name)
        if one.forced_why
    ]


def _refusal(candidate: Candidate, verdict: Verdict) -> str:
    named = ", ".join(verdict.broken[:_MOST_NAMED])
    more = f" and {len(verdict.broken) - _MOST_NAMED} more" if len(verdict.broken) > _MOST_NAMED else ""
    broken = f"; broken: {named}{more}" if named else ""
    look = f"; `headworks eval compare {verdict.run}` shows it" if verdict.run else ""
    what = f"{candidate.workload} {candidate.version} is worse than {verdict.base}: {'; '.join(verdict.reasons)}"
    return plain(f"{what}{broken}{look}. Mend it, or let it go out all the same with --force --why REASON")
