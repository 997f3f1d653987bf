"""`headworks keys provider`: how the keys of providers stand, and a look at their managers now.

Talks to the running gateway through its run folder; sees and shows no value.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.cli.moments import day, iso
from headworks.cli.state import load_project
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.secrets import SecretsStanding, SecretStanding

_POLL_S = 0.05
_WAIT_S = 30.0
_STALE_S = 5.0
"""A gateway's processes leave their figures once a second: one that has not for so long does not run."""

_HEAD = ("PROVIDER", "REFERENCE", "STATE", "VERSION", "SINCE", "LOOKED AT", "OLDER")


def arguments(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare `provider` among the actions of `headworks keys`."""
    summary = "The keys of providers: how they stand, and a look at their managers now"
    parser = commands.add_parser("provider", help=summary, description=f"{summary}.")
    actions = parser.add_subparsers(dest="provider_action", metavar="ACTION", title="actions", required=True)
    for name, text in (
        (
            "status",
            "Show where each provider's key is from, which version is in use, and what is wrong with it",
        ),
        ("rotate", "Have the running gateway look at every key now, and take those that are new"),
    ):
        one = actions.add_parser(name, help=text, description=f"{text}.")
        one.add_argument(
            "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
        )
        one.add_argument("--json", action="store_true", help="print one JSON object a line instead of text")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code: 1 where a key could not be looked at, or no gateway runs to do so."""
    project = load_project(options.config, "keys")
    if options.provider_action == "rotate":
        return _rotate(project, is_json=options.json)
    standing = _standing(project)
    if not _is_running(project):
        _note("the gateway is not running: nothing is known but where the keys are")
        standing = None
    return _show(project, standing, is_json=options.json)


def _rotate(project: "Project", *, is_json: bool) -> int:
    from headworks.secrets import ask_for_look, references_of
    from headworks.telemetry import RUN_FOLDER

    if not references_of(project):
        _note("no provider's key is in a file or a secret manager: a change in the environment takes a restart")
        return 1
    if not _is_running(project):
        _note("the gateway is not running: it looks at its keys when it starts")
        return 1
    asked_s = time.time()
    ask_for_look(project.storage / RUN_FOLDER, asked_s)
    due_s = time.monotonic() + _WAIT_S
    while True:
        standing = _standing(project)
        if standing is not None and standing.asked_s >= asked_s:
            return _show(project, standing, is_json=is_json)
        if time.monotonic() > due_s:
            _note(f"the gateway has not looked within {_WAIT_S:g} s; see its log")
            return 1
        time.sleep(_POLL_S)


def _standing(project: "Project") -> "SecretsStanding | None":
    from headworks.secrets import read_standing
    from headworks.telemetry import RUN_FOLDER

    return read_standing(project.storage / RUN_FOLDER)


def _is_running(project: "Project") -> bool:
    from headworks.telemetry import RUN_FOLDER, read_left

    folder = project.storage / RUN_FOLDER
    left = read_left(folder) if folder.is_dir() else []
    return any(one.standing is not None and time.time() - one.left_s < _STALE_S for one in left)


def _show(project: "Project", standing: "SecretsStanding | None", *, is_json: bool) -> int:
    from headworks.secrets import references_of_provider

    known = {} if standing is None else {one.reference: one for one in standing.secrets}
    named = [
        (name, reference)
        for name in project.config.providers
        for reference in dict.fromkeys(references_of_provider(project, name))
    ]
    if is_json:
        for name, reference in named:
            line = {"provider": name, **_as_json(reference, known.get(reference))}
            sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.flush()
    else:
        table = Table(_HEAD, coloured=has_colours(), flexible=frozenset({0, 1, 3}), width=terminal_width())
        print("\n".join(table.lines([_row(name, reference, known.get(reference)) for name, reference in named])))
    problems = [one.problem for one in known.values() if one.problem]
    for problem in problems if not is_json else ():
        _note(plain(problem))
    return 1 if problems or (standing is None and any(not one.startswith("env:") for _, one in named)) else 0


def _state(reference: str, found: "SecretStanding | None") -> str:
    if reference.startswith("env:"):
        return "as started"
    if found is None:
        return "not known"
    return "stale" if found.problem else "good"


_COLOURS = {"good": GREEN, "stale": RED, "not known": YELLOW, "as started": GREY}


def _row(name: str, reference: str, found: "SecretStanding | None") -> list[Cell]:
    state = _state(reference, found)
    return [
        Cell(name),
        Cell(plain(reference)),
        Cell(state, _COLOURS[state]),
        Cell(plain(found.version) or "-" if found else "-"),
        Cell(day(found.since_s) if found else "-"),
        Cell(day(found.looked_s) if found else "-"),
        Cell(str(found.older) if found else "-"),
    ]


def _as_json(reference: str, found: "SecretStanding | None") -> dict[str, object]:
    return {
        "reference": reference,
        "state": _state(reference, found),
        "version": found.version if found else "",
        "since": iso(found.since_s) if found else None,
        "looked_at": iso(found.looked_s) if found else None,
        "older": found.older if found else 0,
        "problem": found.problem if found else "",
    }


def _note(text: str) -> None:
    print(f"headworks keys: {text}", file=sys.stderr)
