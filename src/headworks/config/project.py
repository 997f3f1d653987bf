"""A project: its `headworks.yaml`, read and judged, and the folder that its relative paths start from."""

from collections.abc import Mapping as ReadOnly
from pathlib import Path

import msgspec

from headworks.config import document
from headworks.config.document import Fault, Mapping, Mark
from headworks.config.managers import Secrets
from headworks.config.reading import read_struct, read_text, read_tree
from headworks.config.rules import Rules, inherit_timeouts
from headworks.config.sections.access import Access
from headworks.config.sections.base import Section
from headworks.config.sections.records import Audit, Records, Storage
from headworks.config.shape import Config
from headworks.config.walk import Findings, nearest, nearest_mark, shown
from headworks.config.walk import Path as Place
from headworks.errors import ConfigError, Problem

FILE_NAME = "headworks.yaml"


class Project(msgspec.Struct, frozen=True):
    """A configuration and where it came from.

    Attributes:
        folder: what relative paths in the file are relative to.
        file: the file itself, as it was named; it stands in problems.
        config: what the file says.
        places: line and column of each value that the file sets.
    """

    folder: Path
    file: Path
    config: Config
    places: ReadOnly[Place, Mark] = {}

    @property
    def workloads(self) -> Path:
        """The folder of the workloads; it need not exist."""
        return self.path(self.config.workloads)

    @property
    def storage(self) -> Path:
        """The folder for all state."""
        return self.path(self.config.storage.path)

    def path(self, text: str) -> Path:
        """A path of the file as one that can be opened."""
        return self.folder / text

    def problem(self, place: Place, message: str) -> Problem:
        """A problem with the value at `place`, or with the nearest thing around it that the file sets."""
        mark = nearest_mark(self.places, place)
        return Problem(str(self.file), mark.line, mark.column, f"{shown(place)}: {message}")


def load(path: Path) -> Project:
    """The project of a `headworks.yaml`, or of a folder that holds one.

    Nothing but this file is opened: `examine` looks at what it refers to.

    Raises:
        ConfigError: not readable, not YAML, or not a valid configuration; carries every problem found.
    """
    return load_with_text(path)[0]


def load_with_text(path: Path) -> tuple[Project, str]:
    """As `load`; and the text that it was read from, for who passes it on. Raises ConfigError."""
    text, file = _read(path)
    return _parsed(text, file), text


def load_state(path: Path) -> tuple[Project, tuple[Problem, ...]]:
    """As `load`, for a command that looks after keys or records: what is wrong elsewhere must not keep it from that.

    Returns the project, and the problems of its file: where there are any, the project has the `storage`, `access`,
    `records`, `audit` and `secrets` that the file gives it and nothing more.

    Raises:
        ConfigError: not readable, not YAML, or wrong where it says (or may have meant to say) which state is meant.
    """
    text, file = _read(path)
    try:
        return _parsed(text, file), ()
    except ConfigError as error:
        config = _state_of(text)
        if config is None:
            raise
        return Project(file.absolute().parent, file, config), error.problems


def _parsed(text: str, file: Path) -> Project:
    return parse(text, file=str(file), base=file.absolute().parent)


class _State(Section, frozen=True):
    """What `load_state` reads of a file."""

    storage: Storage = Storage()
    access: Access = Access()
    records: Records = Records()
    audit: Audit = Audit()
    secrets: Secrets = Secrets()


def _state_of(text: str) -> Config | None:
    """The sections that say where state is; None where that is not certain."""
    try:
        read = document.read(text)
    except Fault:
        return None
    if not isinstance(read.root, Mapping):
        return None
    wanted = _State.__struct_fields__
    known = Config.__struct_fields__
    entries = []
    for index, (key, value) in enumerate(read.root.entries):
        if key.text in wanted:
            entries.append((key, value))
        elif key.text not in known and nearest(key.text, known) in wanted:
            return None
        if key.text in wanted and any(_is_below(mark, read.root, index) for mark, _ in read.faults):
            return None
    if any(mark.column == read.root.mark.column for mark, _ in read.faults):
        return None  # a section that stands there twice, it may be one of these
    findings = Findings()
    sections = Mapping(read.root.mark, tuple(entries))
    try:
        state = read_struct(sections, _State, file="", findings=findings, judge=Rules(findings, ()).judge)
    except ConfigError:
        return None
    return Config(
        storage=state.storage,
        access=state.access,
        records=state.records,
        audit=state.audit,
        secrets=state.secrets,
        providers={},
    )


def _is_below(mark: Mark, root: Mapping, index: int) -> bool:
    """Whether a place belongs to a mapping's entry: it comes after the entry's key and before every later one."""

    def order(one: Mark) -> tuple[int, int]:
        return one.line, one.column

    start = order(root.entries[index][0].mark)
    return start <= order(mark) and not any(start < order(key.mark) <= order(mark) for key, _ in root.entries)


def _read(path: Path) -> tuple[str, Path]:
    """The text of a configuration file, and the file. Raises ConfigError."""
    file = path / FILE_NAME if path.is_dir() else path
    text = read_text(file, missing="there is no such file; `headworks init` writes a starter project")
    return text, file


def parse(text: str, *, file: str, base: Path) -> Project:
    """The project of a configuration's text.

    Arguments:
        text: YAML.
        file: what problems name as the file.
        base: what relative paths are relative to.

    Raises:
        ConfigError: carries every problem found.
    """
    findings = Findings()
    root = read_tree(text, file=file, findings=findings)
    providers = root.get("providers") if isinstance(root, Mapping) else None
    names = [key.text for key, _ in providers.entries] if isinstance(providers, Mapping) else []
    config = read_struct(root, Config, file=file, findings=findings, judge=Rules(findings, names).judge)
    return Project(base, Path(file), inherit_timeouts(config, findings), findings.places)
