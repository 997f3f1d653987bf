"""A project: its `headworks.yaml`, read and judged, and the folder that its relative paths start from."""

from collections.abc import Mapping as ReadOnly
from pathlib import Path

import msgspec

from headworks.config.document import Mapping, Mark
from headworks.config.reading import read_struct, read_text, read_tree
from headworks.config.rules import Rules, inherit_timeouts
from headworks.config.shape import Config
from headworks.config.walk import Findings, nearest_mark, shown
from headworks.config.walk import Path as Place
from headworks.errors import Problem

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
    file = path / FILE_NAME if path.is_dir() else path
    text = read_text(file, missing="there is no such file; `headworks init` writes a starter project")
    return parse(text, file=str(file), base=file.absolute().parent)


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
