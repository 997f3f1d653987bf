"""The configuration: shown without what is secret in it, its file checked, and taken by the running gateway."""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

import msgspec

from headworks.access import Right
from headworks.admin.desk import Desk
from headworks.config import Examination, Project, load
from headworks.errors import CommandError, ConfigError

MASK = "***"

_IN_A_URL = re.compile(r"(?<=://)[^/@\s]*@")
"""A user and a password before a host."""


class LookOver(Protocol):
    """Finds all that is wrong in what a project refers to."""

    def __call__(self, project: Project, /) -> Examination: ...


class NotTaken(CommandError):
    """The running gateway keeps its configuration; says why."""


Take = Callable[[], str]
"""Has the running gateway take the file; returns the fingerprint of what it goes by then. Raises `NotTaken`."""


def fingerprint(project: Project) -> str:
    """What names a configuration in the audit log."""
    return sha256(msgspec.json.encode(project.config)).hexdigest()


def shown_config(desk: Desk) -> dict[str, object]:
    """The configuration in force. Secrets stand in it as references anyway; what else may be one is masked: the values
    of providers' headers, and users and passwords in addresses.

    Raises:
        Forbidden: whoever asks may not know.
    """
    desk.demand_everywhere(Right.READ_CONFIG)
    shown: dict[str, object] = msgspec.to_builtins(desk.project.config, str_keys=True)
    masked = _masked(shown, ())
    assert isinstance(masked, dict), "a mapping stays one"
    return masked


def check_file(desk: Desk, look_over: LookOver) -> Examination:
    """All that is wrong with the file as it is now, whether the gateway has taken it or not.

    Raises:
        Forbidden: whoever asks may not know.
    """
    desk.demand_everywhere(Right.READ_CONFIG)
    return _check(desk, look_over)


def reload_config(desk: Desk, look_over: LookOver, take: Take) -> tuple[str, Examination]:
    """Have the running gateway take the file, if nothing is wrong with it; returns what names the configuration, and
    what was found in the file.

    Raises:
        Forbidden: whoever asks may not.
        ConfigError: the file is not good; carries every problem.
        NotTaken: the gateway keeps what it has.
    """
    desk.demand_everywhere(Right.RELOAD_CONFIG)
    found = _check(desk, look_over)
    if found.problems:
        raise ConfigError(*found.problems)
    taken = take()
    desk.tell("config.reload_asked", desk.project.file.name, {"configuration": taken})
    return taken, found


def _check(desk: Desk, look_over: LookOver) -> Examination:
    try:
        return look_over(load(desk.project.file))
    except ConfigError as error:
        return Examination(problems=error.problems)


def _masked(value: object, place: tuple[str, ...]) -> object:
    if isinstance(value, dict):
        return {str(name): _masked(one, (*place, str(name))) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(one, place) for one in value]
    if isinstance(value, str):
        if "headers" in place:
            return MASK
        return _IN_A_URL.sub(f"{MASK}@", value)
    return value
