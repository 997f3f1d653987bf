"""`headworks.lock`: what each workload was found to run on, and the evidence for it. Made by commands, read by all.

The text is for people and for Git: one workload a block, one field a line, sorted, and equal locks are equal bytes, so
that two branches that change different workloads merge.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, field, to_builtins

from headworks.config.contract import WORKLOAD_NAME
from headworks.config.naming import model_of_rung
from headworks.config.reading import read_struct, read_text, read_tree
from headworks.config.sections.base import Section
from headworks.config.walk import Findings
from headworks.errors import ConfigError, Problem

if TYPE_CHECKING:
    from headworks.config.project import Project
    from headworks.config.workloads import Workload

LOCK_FILE = "headworks.lock"

_HEAD = """\
# What each workload runs on, and why. Written by `headworks`; commit it.
version: 1
"""
_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
_NOT_PLAIN = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON leaves as it is and YAML reads as a line's end, or not at all (YAML 1.2 §5.1, §5.4)."""


class SemanticEvidence(Section, frozen=True, kw_only=True):
    """How often a workload's semantic cache would give a wrong answer, as `headworks cache measure` has found.

    Attributes:
        golden_hash, evals_hash: SHA-256 of the golden set, and of `evals.yaml` ("" without one), in hexadecimal.
        prompt_hash: of the prompt's bytes; "" without one.
        over, at_least: as in the contract.
        model: what vectors depend on.
        likeness: what is compared beside them.
        cases: that were compared with one another.
        hits, false_hits: independent ones, and those of them whose answer would be wrong.
        upper: the share of false hits that is not exceeded, at 95 %, exact.
    """

    golden_hash: str
    evals_hash: str = ""
    prompt_hash: str = ""
    over: str = ""
    at_least: float
    model: str
    likeness: str
    cases: int
    hits: int
    false_hits: int
    upper: float


class Locked(Section, frozen=True, kw_only=True):
    """What is decided for one workload. A text is empty, and evidence None, where there is nothing to say.

    Attributes:
        prompt_version: the published version of the prompt.
        prompt_hash: of the prompt's bytes, with the algorithm's name before it.
        schema_hash: of the output schema's bytes, likewise.
        model: the rung in use, as the ladder names it.
        served_model: the snapshot, as the provider has named it in an answer; the model's name where it never did.
        evidence: what the decision rests on: JSON values only, texts as keys.
        semantic_cache: what its semantic cache rests on.
    """

    prompt_version: str = ""
    prompt_hash: str = ""
    schema_hash: str = ""
    model: str = ""
    served_model: str = ""
    evidence: dict[str, object] | None = None
    semantic_cache: SemanticEvidence | None = None


class Lock(Section, frozen=True, kw_only=True):
    """The whole of `headworks.lock`."""

    version: Literal[1] = 1
    workloads: dict[Annotated[str, Meta(pattern=WORKLOAD_NAME)], Locked] = field(default_factory=dict)


def read_lock(path: Path) -> Lock:
    """The lock in a file; an empty one where there is none.

    Raises:
        ConfigError: not readable, or not a lock; carries every problem with its line.
    """
    if not path.exists():
        return Lock()
    return parse_lock(read_text(path), file=str(path))


def locked_model_problem(project: "Project", workload: "Workload", model: str) -> Problem | None:
    """What is wrong with the model that the lock has decided on; None where it is there, or the contract names one.

    Arguments:
        model: the lock's; "" where it has none.
    """
    if workload.contract.model or not model or model_of_rung(project.config, model) is not None:
        return None
    message = (
        f"{workload.name} is locked to `{model}`, which is bound to no model: bind it in headworks.yaml, or name a "
        f"rung as `model` in {workload.file}"
    )
    return Problem(str(project.file.parent / LOCK_FILE), 0, 0, message)


def parse_lock(text: str, *, file: str) -> Lock:
    """The lock that a text is. `file` is what problems name. Raises ConfigError."""
    conflict = _CONFLICT.search(text)
    if conflict is not None:
        line = text.count("\n", 0, conflict.start()) + 1
        raise ConfigError(Problem(file, line, 1, "a merge was left unfinished here: keep one side of each conflict"))
    findings = Findings()
    root = read_tree(text, file=file, findings=findings)
    return read_struct(root, Lock, file=file, findings=findings, judge=lambda _struct, _path: None)


def lock_text(lock: Lock) -> str:
    """The lock as its file holds it. `parse_lock` reads the same lock from it.

    Raises:
        ValueError: evidence holds what JSON cannot, or a key that is too long for YAML.
    """
    lines = [] if lock.workloads else ["workloads: {}"]
    if lock.workloads:
        lines.append("workloads:")
    for name in sorted(lock.workloads):
        lines.append(f"  {_key(name)}:")
        lines.extend(_fields(lock.workloads[name]))
    return _HEAD + "\n".join(lines) + "\n"


def _fields(locked: Locked) -> Iterator[str]:
    for name in Locked.__struct_fields__[:-2]:
        yield f"    {name}: {_text(getattr(locked, name))}"
    if locked.evidence is not None:
        yield from _entry("evidence", locked.evidence, indent=4)
    if locked.semantic_cache is not None:
        yield from _entry("semantic_cache", to_builtins(locked.semantic_cache), indent=4)


def _entry(key: str, value: object, *, indent: int) -> Iterator[str]:
    """A key with its value: a mapping goes on below it, one key a line; everything else stands behind it."""
    head = f"{' ' * indent}{_key(key)}:"
    if isinstance(value, dict) and value:
        yield head
        for inner in sorted(value):
            yield from _entry(inner, value[inner], indent=indent + 2)
    else:
        yield f"{head} {_text(value)}"


def _key(key: str) -> str:
    if len(key) > 256:
        raise ValueError("a key of a lock is a text of at most 256 characters")
    return key if re.fullmatch("[a-z][a-z0-9_-]*", key) and key not in ("null", "true", "false") else _text(key)


def _text(value: object) -> str:
    """JSON in one line, which is YAML too once some characters are escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
