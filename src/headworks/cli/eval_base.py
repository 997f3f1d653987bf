"""What a change is held against: the project as a commit has it, or what headworks.lock says is in use."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from headworks.cli.eval_arms import ArmSpec
from headworks.cli.eval_preparing import ArmSource
from headworks.cli.prompt_gate import RELEASE
from headworks.cli.prompt_release import prompt_of, registry_of, schema_digest, schema_of
from headworks.config import (
    LOCK_FILE,
    Lock,
    Locked,
    Project,
    Workload,
    load,
    load_workloads,
    model_of_rung,
    read_lock,
    store_url,
)
from headworks.errors import CommandError, ConfigError

_NO_EVIDENCE = frozenset({"workload.yaml", "decision.md", "README.md", "fallback.json", "fallback.md", "fallback.py"})
"""Files of a workload's folder whose bytes no answer and no score depends on. Of the contract, what matters is looked
at field by field."""

_GIT_S = 60.0
_OF_HOOKS = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})
"""What Git sets for hooks (githooks(5))."""


class Base(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a workload was before.

    Attributes:
        label: what it is, for people.
        source: the arm that it makes; None where the workload was not there, or cannot be had any more.
        changed: what of the workload's files and of its golden set is no longer the same.
        missing: why there is no arm, where the workload was there.
        bar: the contract's, then; None where that is not known.
        snapshot: of the model, as the lock names it, where the provider serves another one now.
    """

    label: str
    source: ArmSource | None = None
    changed: tuple[str, ...] = ()
    missing: str = ""
    bar: float | None = None
    snapshot: str = ""


class Bases(Protocol):
    """Knows what workloads were before."""

    def base_of(self, workload: Workload) -> Base:
        """What a workload was."""
        ...


@contextmanager
def bases_of(project: Project, reference: str | None) -> Iterator[Bases]:
    """What the project's workloads are held against.

    Arguments:
        reference: a commit; None for headworks.lock, and for HEAD where the lock does not know a workload.

    Raises:
        CommandError: there is no such commit, or no repository.
        ConfigError: the project cannot be read as the commit has it, or the lock cannot.
    """
    with tempfile.TemporaryDirectory(prefix="headworks-base-") as folder:
        if reference is not None:
            yield _CommitBases(project, reference, Path(folder))
        else:
            yield _LockBases(project, _head_of(project, Path(folder)))


# -- a commit ---------------------------------------------------------------------------------------------------------


class _CommitBases:
    """The project as a commit has it, written out into a folder."""

    def __init__(self, project: Project, reference: str, folder: Path) -> None:
        commit = _git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
        if commit is None:
            raise CommandError(
                f"--base: `{reference[:80]}` is no commit of a Git repository that holds {project.file}; in CI, fetch "
                "the branch that is merged into first (fetch-depth: 0)"
            )
        self.label = f"{reference} ({commit[:7]})" if not commit.startswith(reference) else commit[:7]
        self._workloads: Mapping[str, Workload] = {}
        self._lock = Lock()
        prefix = _git(project, "rev-parse", "--show-prefix") or ""
        top = Path(_git(project, "rev-parse", "--show-toplevel") or project.folder)
        index = {"GIT_INDEX_FILE": str(folder / "index")}
        tree = f"{commit}:{prefix.rstrip('/')}"
        if _git(project, "cat-file", "-e", f"{commit}:{prefix}{project.file.name}") is None:
            return  # the project is younger than the commit: all of its workloads are new
        if (
            _git(project, "read-tree", tree, environment=index, folder=top) is None
            or _git(project, "checkout-index", "--all", f"--prefix={folder}/tree/", environment=index, folder=top)
            is None
        ):
            raise CommandError(f"--base: Git cannot write out {reference[:80]}")
        try:
            self._project = load(folder / "tree" / project.file.name)
            self._workloads = {one.name: one for one in load_workloads(self._project)}
            self._lock = read_lock(self._project.folder / LOCK_FILE)
        except ConfigError as error:
            said = str(error).replace(f"{folder}/tree/", "")
            raise CommandError(f"the project cannot be read as {self.label} has it: {said}") from None

    def base_of(self, workload: Workload) -> Base:
        """What a workload was in the commit."""
        before = self._workloads.get(workload.name)
        if before is None:
            return Base(label=self.label)
        locked = self._lock.workloads.get(workload.name, Locked())
        rung = before.contract.model or locked.model or before.contract.ladder[0]
        model = model_of_rung(self._project.config, rung)
        return Base(
            label=self.label,
            source=None
            if model is None
            else ArmSource(before, ArmSpec(f"{model.provider}/{model.model}", name="old"), is_earlier=True),
            changed=tuple(_changed_files(before, workload)),
            missing="" if model is not None else f"`{rung}` was bound to no model",
            bar=before.contract.quality.bar,
        )

    def prompt_hash(self, name: str) -> str:
        """The hash of a workload's prompt in the commit; "" where it has none that can be read."""
        before = self._workloads.get(name)
        try:
            return "" if before is None or before.files.prompt is None else prompt_of(before).hash
        except ConfigError:
            return ""


def _head_of(project: Project, folder: Path) -> _CommitBases | None:
    try:
        return _CommitBases(project, "HEAD", folder)
    except (CommandError, ConfigError):
        return None  # no repository, no commit yet, or one that was broken: the lock has to do


def _changed_files(before: Workload, after: Workload) -> Iterator[str]:
    """The names of files that answers or scores depend on and that are no longer the same."""
    old, new = _hashes(before), _hashes(after)
    yield from sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _hashes(workload: Workload) -> dict[str, str]:
    found = {
        str(path.relative_to(workload.folder)): path
        for path in workload.folder.rglob("*")
        if path.is_file() and not any(part.startswith(("__pycache__", ".")) for part in path.parts[-2:])
    }
    files = workload.files
    for kind in ("prompt", "schema", "rules", "tools", "golden"):
        path = getattr(files, kind)
        if path is not None and not path.is_relative_to(workload.folder):
            found[kind] = path  # what lies elsewhere is known by what it is to the workload
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items() if name not in _NO_EVIDENCE
    }


def _git(
    project: Project, *words: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str | None:
    """What a command of Git prints; None where it fails, or where there is no Git.

    Arguments:
        folder: where it is run; the project's by default.
    """
    try:
        done = subprocess.run(  # noqa: S603 - words of ours, and a commit's name behind --end-of-options
            ["git", *words],  # noqa: S607
            cwd=folder or project.folder,
            # A hook is run with variables that say where its repository is, as seen from another folder.
            env={**{key: value for key, value in os.environ.items() if key not in _OF_HOOKS}, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


# -- the lock ---------------------------------------------------------------------------------------------------------


class _LockBases:
    """What headworks.lock names; the text of its prompt comes from the registry, else from the last commit."""

    def __init__(self, project: Project, head: _CommitBases | None) -> None:
        self._project = project
        self._head = head
        self._lock = read_lock(project.folder / LOCK_FILE)

    def base_of(self, workload: Workload) -> Base:
        """What the lock says of a workload."""
        locked = self._lock.workloads.get(workload.name)
        if locked is None:
            return Base(label=LOCK_FILE) if self._head is None else self._head.base_of(workload)
        label = f"{LOCK_FILE} ({locked.prompt_version or locked.model})"
        changed = tuple(self._changed(workload, locked))
        spec, snapshot = ArmSpec(locked.model, name="old"), self._snapshot(locked)
        if workload.files.prompt is None or not locked.prompt_hash:
            return Base(label=label, source=ArmSource(workload, spec), changed=changed, snapshot=snapshot)
        digest = locked.prompt_hash.removeprefix("sha256:")
        with registry_of(self._project) as registry:
            known = [] if registry is None else registry.list(workload.name)
        publication = next((one for one in known if one.hash == digest), None)
        if publication is not None:
            source = ArmSource(workload, spec, publication)
            return Base(label=label, source=source, changed=changed, snapshot=snapshot)
        if self._head is not None and self._head.prompt_hash(workload.name) == digest:
            found = self._head.base_of(workload)
            return msgspec.structs.replace(found, label=f"{label}, as {found.label} has it", snapshot=snapshot)
        missing = (
            "the text of the locked prompt is neither in the registry nor in the last commit: --base REF names a "
            "commit to compare with"
        )
        return Base(label=label, changed=changed, missing=missing)

    def _changed(self, workload: Workload, locked: Locked) -> Iterator[str]:
        files, evidence = workload.files, locked.evidence or {}
        if files.prompt is not None and locked.prompt_hash:
            if locked.prompt_hash != f"sha256:{prompt_of(workload).hash}":
                yield files.prompt.name
            schema = schema_of(workload)
            if locked.schema_hash != schema_digest("" if schema is None else schema.canonical.decode()):
                yield "schema.json" if files.schema is None else files.schema.name
        release = evidence.get(RELEASE)
        golden = (release if isinstance(release, dict) else evidence).get("golden_hash")
        if files.golden is not None and golden and golden != hashlib.sha256(files.golden.read_bytes()).hexdigest():
            yield files.golden.name

    def _snapshot(self, locked: Locked) -> str:
        served = newest_snapshot(self._project, locked.model)
        return locked.served_model if served and served != locked.served_model else ""


def newest_snapshot(project: Project, rung: str) -> str:
    """The snapshot that the provider has last named for a model, by the records; "" where none is."""
    from headworks.records import Selection, has_store, open_store

    bound = model_of_rung(project.config, rung) if rung else None
    url = store_url(project)
    if bound is None or not has_store(project.storage, url):
        return ""
    store = open_store(project.storage, url)
    try:
        wanted = Selection(provider=bound.provider, model=bound.model, outcomes=("answered",), limit=1)
        newest = store.select(wanted)
    finally:
        store.close()
    return newest[0].served_model if newest and newest[0].model == bound.model else ""
