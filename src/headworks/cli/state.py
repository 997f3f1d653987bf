"""The project of a command that looks after keys or records: it works while the rest of the file is broken."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.tables import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headworks.admin import Desk
    from headworks.config import Project


def tell_audit(
    project: "Project",
    command: str,
    action: str,
    target: str,
    detail: "Mapping[str, str | int] | None" = None,
    *,
    outcome: str = "done",
) -> None:
    """Have the audit log know what this command has done. Where it cannot, that is said: what was done is done.

    Arguments:
        detail: names and figures; what is empty is left out.
    """
    from headworks.auditing import event, operator, record, terminal
    from headworks.errors import StorageError

    shown = {name: value for name, value in (detail or {}).items() if value != ""}
    try:
        done = event(action, actor=operator(), origin=terminal(), target=target, outcome=outcome, detail=shown)
        record(project, done)
    except StorageError as error:
        print(f"headworks {command}: it is done, but the audit log does not know: {plain(str(error))}", file=sys.stderr)


def load_project(file: Path, command: str) -> "Project":
    """The project, of whose `storage` and `access` the command may be sure; what else is wrong is a warning.

    Arguments:
        file: as given to `--config`.
        command: who warns.

    Raises:
        ConfigError: where state is cannot be learnt from this file.
    """
    from headworks.config import load_state

    project, problems = load_state(file)
    for problem in problems:
        print(f"headworks {command}: warning: {plain(str(problem))}", file=sys.stderr)
    if problems:
        which = "this problem" if len(problems) == 1 else "these problems"
        print(f"headworks {command}: going on in spite of {which}: `storage` and `access` are good", file=sys.stderr)
    return project


def desk_of(project: "Project", command: str) -> "Desk":
    """The desk of who gives a command: nothing is kept from them, and what they do is told with their name."""
    from headworks.access import AT_THE_SHELL
    from headworks.admin import Desk

    def tell(action: str, target: str, detail: "Mapping[str, str | int]", outcome: str) -> None:
        tell_audit(project, command, action, target, detail, outcome=outcome)

    def report(text: str) -> None:
        print(f"headworks {command}: {plain(text)}", file=sys.stderr)

    return Desk(project, AT_THE_SHELL, tell, report=report)
