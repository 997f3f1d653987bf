"""A project: its `headworks.yaml`, read and judged, and the folder that its relative paths start from."""

import functools
from collections.abc import Mapping as ReadOnly
from pathlib import Path

import msgspec
from msgspec import inspect

from headworks.config import document
from headworks.config.document import Fault, Mapping, Mark
from headworks.config.rules import Rules, inherit_timeouts
from headworks.config.shape import Config
from headworks.config.walk import WRONG, Findings, Walker, shown
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
    def storage(self) -> Path:
        """The folder for all state."""
        return self.path(self.config.storage.path)

    def path(self, text: str) -> Path:
        """A path of the file as one that can be opened."""
        return self.folder / text

    def problem(self, place: Place, message: str) -> Problem:
        """A problem with the value at `place`, or with the nearest thing around it that the file sets."""
        named = shown(place)
        while place and place not in self.places:
            place = place[:-1]
        mark = self.places.get(place, Mark(1, 1))
        return Problem(str(self.file), mark.line, mark.column, f"{named}: {message}")


def load(path: Path) -> Project:
    """The project of a `headworks.yaml`, or of a folder that holds one.

    Nothing but this file is opened: `examine` looks at what it refers to.

    Raises:
        ConfigError: not readable, not YAML, or not a valid configuration; carries every problem found.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            content = opened.read(document.MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "there is no such file; `headworks init` writes a starter project"
        raise ConfigError(Problem(str(file), 0, 0, hint)) from None
    except OSError as error:
        raise ConfigError(Problem(str(file), 0, 0, f"cannot be read: {error.strerror}")) from None
    if len(content) > document.MAX_BYTES:
        raise ConfigError(Problem(str(file), 0, 0, f"is larger than {document.MAX_BYTES} bytes"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ConfigError(Problem(str(file), line, column, "is not UTF-8 from here on")) from None
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
    try:
        read = document.read(text)
    except Fault as fault:
        mark = fault.mark or Mark(0, 0)
        raise ConfigError(Problem(file, mark.line, mark.column, fault.message)) from None
    findings = Findings()
    findings.problems.extend(read.faults)
    providers = read.root.get("providers") if isinstance(read.root, Mapping) else None
    names = [key.text for key, _ in providers.entries] if isinstance(providers, Mapping) else []
    config = Walker(findings, Rules(findings, names).judge).read(read.root, _config_type())
    if findings.problems:
        ordered = sorted(dict.fromkeys(findings.problems), key=lambda found: (found[0].line, found[0].column))
        raise ConfigError(*(Problem(file, mark.line, mark.column, message) for mark, message in ordered))
    if config is WRONG:
        raise AssertionError("what could not be read has left no problem")
    return Project(base, Path(file), inherit_timeouts(config, findings), findings.places)


@functools.cache
def _config_type() -> inspect.Type:
    return inspect.type_info(Config)
