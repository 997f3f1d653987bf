"""A YAML file as a frozen struct: the bounds, the decoding and the order of problems that all our files share."""

import functools
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import TypeVar

import msgspec
from msgspec import inspect

from headworks.config import document
from headworks.config.document import Fault, Mark, Node
from headworks.config.walk import WRONG, Findings, Path, Walker
from headworks.errors import ConfigError, Problem

T = TypeVar("T", bound=msgspec.Struct)

Judge = Callable[[msgspec.Struct, Path], None]
"""Notes what is wrong between the fields of a struct that has just been read."""


def read_text(path: FilePath, *, shown: str = "", missing: str = "there is no such file") -> str:
    """The text of a configuration file.

    Arguments:
        path: the file.
        shown: how problems name it; as `path` says if empty.
        missing: what to say when it is not there.

    Raises:
        ConfigError: not there, not readable, larger than `document.MAX_BYTES`, or not UTF-8.
    """
    name = shown or str(path)
    try:
        with path.open("rb") as opened:
            content = opened.read(document.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(Problem(name, 0, 0, missing)) from None
    except OSError as error:
        raise ConfigError(Problem(name, 0, 0, f"cannot be read: {error.strerror}")) from None
    if len(content) > document.MAX_BYTES:
        raise ConfigError(Problem(name, 0, 0, f"is larger than {document.MAX_BYTES} bytes"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ConfigError(Problem(name, line, column, "is not UTF-8 from here on")) from None


def read_tree(text: str, *, file: str, findings: Findings) -> Node:
    """The nodes of a YAML text; what was wrong without keeping the rest from being read goes to the findings.

    Raises:
        ConfigError: not YAML, or beyond the bounds of `document`.
    """
    try:
        read = document.read(text)
    except Fault as fault:
        mark = fault.mark or Mark(0, 0)
        raise ConfigError(Problem(file, mark.line, mark.column, fault.message)) from None
    findings.problems.extend(read.faults)
    return read.root


def read_struct(root: Node, kind: type[T], *, file: str, findings: Findings, judge: Judge) -> T:
    """The nodes as a struct of this kind.

    Raises:
        ConfigError: carries every problem found, in the order of the file.
    """
    value = Walker(findings, judge).read(root, _type_of(kind))
    if findings.problems:
        ordered = sorted(dict.fromkeys(findings.problems), key=lambda found: (found[0].line, found[0].column))
        raise ConfigError(*(Problem(file, mark.line, mark.column, message) for mark, message in ordered))
    if value is WRONG:
        raise AssertionError("what could not be read has left no problem")
    assert isinstance(value, kind)
    return value


@functools.cache
def _type_of(kind: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(kind)
