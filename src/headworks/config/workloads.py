"""The workloads of a project: each folder's contract, read and judged, and the files that lie beside it.

Only `workload.yaml` is read here. What a prompt, a schema or a rule must be, those know who compile them:
`examine_workloads` takes their checks.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Mapping as ReadOnly
from pathlib import Path

import msgspec

from headworks.config.contract import WORKLOAD_NAME, Contract, Latency, OutputLimits
from headworks.config.data import data_faults
from headworks.config.document import Mark
from headworks.config.droppable import droppable_faults
from headworks.config.examine import Examination
from headworks.config.naming import DETERMINISTIC, model_of_rung, taken_names
from headworks.config.project import Project
from headworks.config.reading import read_struct, read_text, read_tree
from headworks.config.sections.models import TIER_ROLES
from headworks.config.sections.providers import Provider
from headworks.config.shape import Config
from headworks.config.walk import Findings, nearest_mark, shown, suggestion
from headworks.config.walk import Path as Place
from headworks.errors import ConfigError, Problem

CONTRACT_FILE = "workload.yaml"
FALLBACK_FILES = ("fallback.json", "fallback.md")
"""The answer when every model has failed, or its template: JSON, or a text."""

FALLBACK_CODE_FILE = "fallback.py"
"""The function that gives such an answer."""

FIRST_CODE_FILE = "first.py"
"""The function that is asked before any model."""

MOST_STOPS = 4
"""Stop sequences of one request (OpenAI API reference, 2026-10)."""

_TIER_ADVICE = "bind roles under `tiers` in headworks.yaml"

_USUAL_FILES = {
    "prompt": "prompt.md",
    "schema": "schema.json",
    "rules": "rules.py",
    "tools": "tools.json",
    "golden": "golden.jsonl",
}
"""What each file is called where the contract does not say."""


class WorkloadFiles(msgspec.Struct, frozen=True):
    """The files of a workload that exist; None for those that it does not have."""

    prompt: Path | None = None
    schema: Path | None = None
    rules: Path | None = None
    tools: Path | None = None
    golden: Path | None = None
    fallback: Path | None = None
    fallback_code: Path | None = None
    first_code: Path | None = None


class Workload(msgspec.Struct, frozen=True):
    """One workload: its contract and where everything of it lies.

    Attributes:
        name: what callers send as `model`.
        folder: where the contract lies; relative paths in it start here.
        file: the contract's file as problems name it.
        contract: what it says.
        files: what lies beside it.
        places: line and column of each value that the contract sets.
    """

    name: str
    folder: Path
    file: Path
    contract: Contract
    files: WorkloadFiles = WorkloadFiles()
    places: ReadOnly[Place, Mark] = {}

    def problem(self, place: Place, message: str) -> Problem:
        """A problem with the value at `place` of the contract, or with the nearest thing around it that it sets."""
        mark = nearest_mark(self.places, place)
        where = shown(place)
        return Problem(str(self.file), mark.line, mark.column, f"{where}: {message}" if where else message)


Check = Callable[[Workload], Sequence[Problem] | Examination]
"""Looks at one workload; gives what is wrong with it, where need be with warnings, and changes nothing."""


def load_workloads(project: Project) -> tuple[Workload, ...]:
    """Every workload of the project, by name. A project without the folder has none.

    Raises:
        ConfigError: carries every problem of every contract.
    """
    loaded: list[Workload] = []
    problems: list[Problem] = []
    for folder in _folders(project):
        try:
            loaded.append(_load(project, folder))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(*problems)
    return tuple(loaded)


def examine_workloads(workloads: Sequence[Workload], checks: Sequence[Check]) -> Examination:
    """What is wrong with what contracts refer to: every check's problems and warnings, workload by workload.

    Arguments:
        workloads: what `load_workloads` gave.
        checks: one for each kind of file; a check may also raise ConfigError.
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for workload in workloads:
        for check in checks:
            try:
                found = check(workload)
            except ConfigError as error:
                found = error.problems
            if isinstance(found, Examination):
                problems.extend(found.problems)
                warnings.extend(found.warnings)
            else:
                problems.extend(found)
    return Examination(tuple(problems), tuple(warnings))


def contract_problems(text: str, *, name: str, folder: Path, project: Project) -> tuple[Problem, ...]:
    """What would be wrong with a contract of this text; its files are looked for in `folder`."""
    try:
        _read(text, name=name, folder=folder, file=folder / CONTRACT_FILE, project=project)
    except ConfigError as error:
        return error.problems
    return ()


def _folders(project: Project) -> list[Path]:
    """Folders below the project's `workloads` that hold a contract, by name."""
    top = project.workloads
    try:
        return sorted(entry for entry in top.iterdir() if (entry / CONTRACT_FILE).exists())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(project.problem(("workloads",), f"{top} cannot be read: {error.strerror}")) from None


def _load(project: Project, folder: Path) -> Workload:
    # Problems name the file as the project's own was named: from where the reader is.
    file = project.file.parent / project.config.workloads / folder.name / CONTRACT_FILE
    text = read_text(folder / CONTRACT_FILE, shown=str(file))
    return _read(text, name=folder.name, folder=folder, file=file, project=project)


def _read(text: str, *, name: str, folder: Path, file: Path, project: Project) -> Workload:
    findings = Findings()
    if not re.fullmatch(WORKLOAD_NAME, name):
        message = (
            "its folder's name is no workload's: use lower-case letters, digits and `-`, a letter first, at most 63"
        )
        findings.add((), message)
    elif name in taken_names(project.config):
        findings.add(
            (), f"the name `{name}` means a model already: callers could not tell them apart; rename the folder"
        )
    root = read_tree(text, file=str(file), findings=findings)
    rules = _ContractRules(findings, folder, project.config)
    contract = read_struct(root, Contract, file=str(file), findings=findings, judge=rules.judge)
    return Workload(name, folder, file, contract, files_of(folder, contract), findings.places)


def files_of(folder: Path, contract: Contract) -> WorkloadFiles:
    """The files that the contract names, and those of the usual names that are there."""
    return WorkloadFiles(
        **{
            field: folder / (getattr(contract, field) or usual)
            for field, usual in _USUAL_FILES.items()
            if getattr(contract, field) is not None or (folder / usual).is_file()
        },
        fallback=next((folder / name for name in FALLBACK_FILES if (folder / name).is_file()), None),
        fallback_code=folder / FALLBACK_CODE_FILE if (folder / FALLBACK_CODE_FILE).is_file() else None,
        first_code=folder / FIRST_CODE_FILE if (folder / FIRST_CODE_FILE).is_file() else None,
    )


class _ContractRules:
    """What must hold between the fields of a contract, and between it and what lies around it."""

    def __init__(self, findings: Findings, folder: Path, config: Config) -> None:
        self._findings = findings
        self._folder = folder
        self._config = config

    def judge(self, struct: msgspec.Struct, path: Place) -> None:
        match struct:
            case Latency():
                if struct.first_token_s is not None and struct.first_token_s > struct.total_s:
                    self._blame((*path, "first_token_s"), "must not be above `total_s`")
            case OutputLimits():
                if len(struct.stop) > MOST_STOPS:
                    self._blame((*path, "stop"), f"expected at most {MOST_STOPS} sequences")
            case Contract():
                self._names(struct)
                self._data(struct)
                self._files(struct)
                self._cache(struct)
                if struct.window is not None and struct.state != "window":
                    self._blame(("window",), f"is for `state: window`, and the state is `{struct.state}`")
                for index, message in droppable_faults(struct.droppable, fixes_stop=bool(struct.output.stop)):
                    self._blame(("droppable", index), message)
            case _:
                pass

    def _names(self, contract: Contract) -> None:
        if self._findings.is_set(("ladder",)):
            for index, name in enumerate(contract.ladder):
                self._model(("ladder", index), name)
        else:
            self._default_ladder(contract.ladder)
        if contract.model is not None and contract.model not in contract.ladder:
            self._blame(("model",), f"is not among `ladder`{suggestion(contract.model, contract.ladder)}")
        if contract.first == DETERMINISTIC and not (self._folder / FIRST_CODE_FILE).is_file():
            message = f"`{DETERMINISTIC}` needs a file `{FIRST_CODE_FILE}` with the function, beside this one"
            self._blame(("first",), message)
        for index, name in enumerate(contract.fallback):
            if name != DETERMINISTIC:
                self._model(("fallback", index), name)
            elif index != len(contract.fallback) - 1:
                self._blame(("fallback", index), f"`{DETERMINISTIC}` must stand last: it never fails")
            else:
                self._fallback_files(("fallback", index))

    def _fallback_files(self, place: Place) -> None:
        there = [name for name in (*FALLBACK_FILES, FALLBACK_CODE_FILE) if (self._folder / name).is_file()]
        if not there:
            named = "`fallback.json`, `fallback.md` or `fallback.py`"
            message = f"`{DETERMINISTIC}` needs a file {named} with the answer, beside this one"
            self._blame(place, message)
        elif all(name in there for name in FALLBACK_FILES):
            self._blame(place, f"there are `{'` and `'.join(FALLBACK_FILES)}`: keep one of them")

    def _default_ladder(self, ladder: Collection[str]) -> None:
        unbound = [name for name in ladder if model_of_rung(self._config, name) is None]
        if unbound:
            names = ", ".join(f"`{name}`" for name in unbound)
            self._blame(
                ("ladder",),
                f"left out, it includes {names}, bound to no model: {_TIER_ADVICE}, or name the rungs here",
            )

    def _model(self, place: Place, name: str) -> None:
        if model_of_rung(self._config, name) is not None:
            return
        if name in TIER_ROLES:
            self._blame(place, f"no model has the role `{name}`: {_TIER_ADVICE}")
            return
        known = suggestion(name, (*TIER_ROLES, *self._config.models))
        self._blame(place, f"names no model: expected a tier's role, a public name or `provider/model`{known}")

    def _data(self, contract: Contract) -> None:
        """Where data may go, and what must be agreed there."""
        for name, provider in self._providers(contract).items():
            for field, message in data_faults(contract.data, name, provider):
                self._findings.add(("data", field), message)

    def _providers(self, contract: Contract) -> dict[str, Provider]:
        """Those that a call may go to: of the ladder, which a decision may change, the chain, and what checks it."""
        injection = contract.screening.injection
        asked = () if injection is None or injection.check is None else (injection.check.model,)
        models = (model_of_rung(self._config, name) for name in (*contract.ladder, *contract.fallback, *asked))
        names = [name for model in models if model is not None for name, _ in model.pairs]
        return {name: self._config.providers[name] for name in names}

    def _files(self, contract: Contract) -> None:
        for field in self._missing(contract):
            self._blame((field,), "there is no such file beside this one")
        if contract.canary is not None and not self._has(contract, "prompt"):
            self._blame(("canary",), f"needs a prompt: a file `{_USUAL_FILES['prompt']}`, or one named by `prompt`")
        if contract.streaming.on_break == "continue" and self._has(contract, "schema"):
            message = "`continue` is for text: an answer that is held to a schema can only be written whole; use `end`"
            self._blame(("streaming", "on_break"), message)
        injection = contract.screening.injection
        if injection is not None and injection.check is not None:
            self._model(("screening", "injection", "check", "model"), injection.check.model)
        if contract.actions and not self._has(contract, "tools"):
            self._blame(("actions",), f"needs tools: a file `{_USUAL_FILES['tools']}`, or one named by `tools`")

    def _cache(self, contract: Contract) -> None:
        """What answers must not be given again of, and where they can lie."""
        if contract.cache is None:
            return
        if contract.screening.injection is not None:
            message = (
                "cannot be with `screening.injection`: its marks are other ones in each call; leave one of them out"
            )
            self._blame(("cache",), message)
        if contract.actions:
            self._blame(
                ("cache",), "cannot be with `actions`: what has side effects must not be answered twice; leave it out"
            )
        if contract.cache.store == "valkey" and self._config.quotas.valkey is None:
            message = "needs a server: name it under `quotas.valkey` in headworks.yaml, or use `sqlite`"
            self._blame(("cache", "store"), message)
        if contract.cache.semantic is not None:
            self._semantic(contract)

    def _semantic(self, contract: Contract) -> None:
        """With what an answer must not be given to a call that is only like another."""
        place = ("cache", "semantic")
        if contract.screening.privacy is not None:
            message = "cannot be with `screening.privacy`: texts with other values are others; leave one of them out"
            self._blame(place, message)
        if self._has(contract, "rules"):
            message = "cannot be with rules: they judged the answer by what another caller had asked; leave it out"
            self._blame(place, message)
        if self._has(contract, "tools"):
            self._blame(place, "cannot be with tools: what they find is another thing for another text; leave it out")
        if not self._has(contract, "golden"):
            message = f"needs a golden set to be measured on: a file `{_USUAL_FILES['golden']}`"
            self._blame(place, message)

    def _missing(self, contract: Contract) -> Iterator[str]:
        for field in _USUAL_FILES:
            name = getattr(contract, field)
            if name is not None and not (self._folder / name).is_file():
                yield field

    def _has(self, contract: Contract, field: str) -> bool:
        return getattr(contract, field) is not None or (self._folder / _USUAL_FILES[field]).is_file()

    def _blame(self, place: Place, message: str) -> None:
        self._findings.add_unless_faulty(place, message)
