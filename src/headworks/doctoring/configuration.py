"""headworks.yaml and what it refers to: valid, readable for the gateway, and for nobody whom it does not concern."""

import stat
from collections.abc import Iterable
from pathlib import Path

from headworks.config import Project
from headworks.doctoring.findings import Check, Finding, in_thread, ok, problem, warning
from headworks.doctoring.situation import Situation
from headworks.errors import Problem

_SEE_CHECK = "see to it in the file; `headworks check` says the same, and its place for editors"


def checks(situation: Situation) -> list[Check]:
    """One, where there is a configuration."""
    if situation.project is None and situation.unusable is None:
        return []
    return [Check("configuration", in_thread(lambda: look(situation)))]


def look(situation: Situation) -> list[Finding]:
    """The file, what it refers to, and the modes of both."""
    if situation.unusable is not None:
        return [problem("valid", str(one), _SEE_CHECK) for one in situation.unusable.problems]
    project = situation.project
    assert project is not None, "one of the two is there"
    findings: list[Finding] = []
    if situation.examine is not None:
        found = situation.examine(project)
        findings += [problem("valid", str(one), _SEE_CHECK) for one in found.problems]
        findings += [warning("valid", str(one), _SEE_CHECK) for one in _unique(found.warnings)]
    if not findings:
        findings.append(ok("valid", f"{project.file} and what it refers to"))
    return [*findings, *judge_modes(project)]


def judge_modes(project: Project) -> list[Finding]:
    """Who may change the file, and read the state."""
    findings = []
    if _mode(project.file) & (stat.S_IWGRP | stat.S_IWOTH):
        says = f"{project.file} can be changed by others: they choose where keys are sent"
        findings.append(warning("modes", says, f"`chmod go-w {project.file}`"))
    storage = project.storage
    if _mode(storage) & (stat.S_IRWXG | stat.S_IRWXO):
        open_files = [one.name for one in sorted(storage.glob("*.db")) if _mode(one) & (stat.S_IRWXG | stat.S_IRWXO)]
        says = f"others may look into {storage}"
        if open_files:
            says += f", and read {', '.join(open_files)}"
        findings.append(warning("modes", says, f"`chmod -R go= {storage}`"))
    return findings or [ok("modes", "only their owner may change the file, and read the state")]


def _unique(problems: Iterable[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0  # not there yet: it is made with the right one
