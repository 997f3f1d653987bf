"""List, make and explain workloads.

A workload is one job that an application gives to a model: a folder with its contract (workload.yaml), prompt, output
schema, rules and golden set. Its folder's name is what callers send as `model`.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from headworks.cli.lines import json_line
from headworks.cli.parsing import UsageError
from headworks.cli.tables import GREY, Cell, Table, has_colours, plain
from headworks.config.contract import WORKLOAD_NAME
from headworks.config.sections.base import Sensitivity
from headworks.errors import CommandError, ConfigError

if TYPE_CHECKING:
    from headworks.config import Project, Workload
    from headworks.workloads import Answers

_SENSITIVITIES: tuple[str, ...] = get_args(Sensitivity)
_FILES = ("prompt", "schema", "rules", "tools", "golden", "fallback", "fallback_code", "first_code")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands and their flags."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    listing = _action(commands, "list", "List the project's workloads")
    listing.add_argument("--json", action="store_true", help="print one JSON object a line")

    new = _action(commands, "new", "Make a workload: asks what was not given, on a terminal")
    new.add_argument("name", type=_name, metavar="NAME", help="what callers will send as `model`")
    new.add_argument("--owner", type=_line, help="the team that answers for it")
    new.add_argument("--description", type=_line, help="the job, in a sentence")
    new.add_argument("--calls-per-day", type=_count, metavar="N", help="how many calls are expected. Default: 1000")
    new.add_argument(
        "--deferred",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="nobody waits: within a day is soon enough. Default: somebody waits",
    )
    new.add_argument("--sensitivity", choices=_SENSITIVITIES, help="how harmful it is when the data leaks")
    new.add_argument(
        "--json-output",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="answers are JSON for a program: writes a schema.json to start from. Default: text",
    )
    new.add_argument("--json", action="store_true", help="print one JSON object, and ask nothing")

    explain = _action(commands, "explain", "Show the steps that its calls go through, why, and what they cost")
    explain.add_argument("name", metavar="WORKLOAD", help="the workload")
    explain.add_argument("--json", action="store_true", help="print one JSON object")

    again = _action(commands, "reproduce", "Prove that its code (first.py) says the same each time")
    again.description = (
        "Ask the function in first.py about every case of the golden set, each time in processes of its own and in "
        "another order. What depends on the clock, on chance, on a set's order or on the call before shows. Ends with "
        "1 where an answer differs, fails or breaks the schema. No model is asked."
    )
    again.add_argument("name", metavar="WORKLOAD", help="the workload")
    again.add_argument("--times", type=_times, default=3, metavar="N", help="how often. Default: %(default)s")
    again.add_argument("--json", action="store_true", help="print one JSON object a case")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.config import load  # not for `headworks workloads --help`

    project = load(options.config)
    match options.action:
        case "list":
            _list(project, is_json=options.json)
        case "new":
            _new(project, options)
        case "reproduce":
            from headworks.cli.workload_reproduce import run_reproduce  # what judges answers: not for the others

            return run_reproduce(find_workload(project, options.name), times=options.times, is_json=options.json)
        case _:
            _explain(project, options.name, is_json=options.json)
    return 0


def find_workload(project: "Project", name: str) -> "Workload":
    """The workload of this name.

    Raises:
        CommandError: there is none; names those that there are.
        ConfigError: a contract of the project is not good.
    """
    from headworks.config import load_workloads

    workloads = load_workloads(project)
    found = next((workload for workload in workloads if workload.name == name), None)
    if found is None:
        names = ", ".join(workload.name for workload in workloads)
        hint = f"there are: {names}" if names else "there is none yet; `headworks workloads new NAME` makes one"
        raise CommandError(f"no workload is called `{plain(name)}`; {hint}")
    return found


def _list(project: "Project", *, is_json: bool) -> None:
    import msgspec

    from headworks.config import load_workloads

    workloads = load_workloads(project)
    if is_json:
        for workload in workloads:
            contract = msgspec.to_builtins(workload.contract)
            files = {name: str(path) for name in _FILES if (path := getattr(workload.files, name)) is not None}
            shown = {"name": workload.name, "file": str(workload.file), "files": files, "contract": contract}
            print(msgspec.json.encode(shown).decode())
        return
    if not workloads:
        print(f"no workload in {project.workloads}; `headworks workloads new NAME` makes one", file=sys.stderr)
        return
    table = Table(("NAME", "OWNER", "MODEL", "CALLS/DAY", "FILES", "JOB"), right=frozenset({3}), coloured=has_colours())
    print("\n".join(table.lines([_row(workload) for workload in workloads])))


def _row(workload: "Workload") -> list[Cell]:
    contract = workload.contract
    files = ", ".join(name for name in _FILES if getattr(workload.files, name) is not None)
    return [
        Cell(workload.name),
        Cell(contract.owner),
        Cell(contract.model or " -> ".join(contract.ladder)),
        Cell(f"{contract.volume.calls_per_day:,}"),
        Cell(files or "-", GREY),
        Cell(contract.description if len(contract.description) <= 60 else contract.description[:59] + "…"),
    ]


def _explain(project: "Project", name: str, *, is_json: bool) -> None:
    import msgspec

    from headworks.workloads import read_facts, steps_of

    workload = find_workload(project, name)
    steps = steps_of(workload, read_facts(project, workload))
    if is_json:
        print(msgspec.json.encode({"workload": workload.name, "steps": steps}).decode())
        return
    table = Table(("STEP", "COST", "WHY"), right=frozenset({1}), coloured=has_colours())
    rows = [[Cell(step.name), Cell(f"{step.cost_us:.1f} us"), Cell(step.reason)] for step in steps]
    print("\n".join(table.lines(rows)))
    always = sum(step.cost_us for step in steps if not step.is_occasional)
    print(f"\nabout {always:.0f} us of the gateway's own time a call, where nothing has to be repaired or held")


def _new(project: "Project", options: argparse.Namespace) -> None:
    from headworks.config.workloads import contract_problems
    from headworks.workloads import first_files

    folder = project.workloads / options.name
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else (folder,)):
        raise CommandError(f"{folder} is there already, and is left as it is; nothing was written")
    files = first_files(_answers(project, options))
    problems = contract_problems(files["workload.yaml"], name=options.name, folder=folder, project=project)
    if problems:
        raise ConfigError(*problems)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
            if not options.json:
                print(f"wrote {folder / name}")
    except OSError as error:
        raise CommandError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    if options.json:
        print(json_line({"workload": options.name, "wrote": [str(folder / name) for name in files]}))
        return
    print(f"\nNext: edit {folder / 'prompt.md'}, then: headworks check && headworks plan {options.name}")


def _answers(project: "Project", options: argparse.Namespace) -> "Answers":
    """What was given as flags, and on a terminal what is asked.

    Raises:
        CommandError: what is needed was not given, and nobody is there to be asked.
    """
    from headworks.config import TIER_ROLES, model_of_rung
    from headworks.workloads import Answers

    asks = _Asker(is_terminal=sys.stdin.isatty() and sys.stdout.isatty() and not options.json)
    asks.need(owner=options.owner, description=options.description)
    bound = tuple(role for role in TIER_ROLES if model_of_rung(project.config, role) is not None)
    return Answers(
        owner=asks.text(options.owner, "Which team answers for it?"),
        description=asks.text(options.description, "What is the job, in a sentence?"),
        calls_per_day=asks.count(options.calls_per_day, "How many calls a day?", 1000),
        does_wait=not asks.flag(options.deferred, "Is within a day soon enough?"),
        sensitivity=asks.choice(options.sensitivity, "How harmful is it when the data leaks?", "internal"),
        is_json=asks.flag(options.json_output, "Are the answers JSON for a program?"),
        ladder=() if bound == TIER_ROLES else bound or _any_model(project),
    )


def _any_model(project: "Project") -> tuple[str, ...]:
    """A ladder for a project without tiers: its first public model."""
    names = tuple(project.config.models)[:1]
    if not names:
        raise CommandError("no model has a name yet: bind `tiers` in headworks.yaml, or name one under `models`")
    return names


class _Asker:
    """Takes what was given, asks for the rest on a terminal, and falls back to the default elsewhere."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal

    def need(self, **given: str | None) -> None:
        """Refuse, naming all that is missing, where nobody can be asked for it."""
        missing = [f"--{flag}" for flag, value in given.items() if value is None]
        if missing and not self._is_terminal:
            raise UsageError(f"give {' and '.join(missing)}: nobody is here to be asked")

    def text(self, given: str | None, question: str) -> str:
        if given is not None:
            return given
        while True:
            try:
                return _line(input(f"{question} "))
            except argparse.ArgumentTypeError as error:
                print(error)

    def count(self, given: int | None, question: str, default: int) -> int:
        if given is not None or not self._is_terminal:
            return default if given is None else given
        while True:
            answer = input(f"{question} [{default}] ").strip()
            try:
                return _count(answer) if answer else default
            except argparse.ArgumentTypeError as error:
                print(error)

    def flag(self, given: bool | None, question: str) -> bool:
        if given is not None or not self._is_terminal:
            return bool(given)
        words = {"y": True, "yes": True, "n": False, "no": False, "": False}
        while True:
            answer = input(f"{question} [y/N] ").strip().lower()
            if answer in words:
                return words[answer]
            print("y or n, please")

    def choice(self, given: Sensitivity | None, question: str, default: Sensitivity) -> Sensitivity:
        if given is not None or not self._is_terminal:
            return given or default
        while True:
            answer = input(f"{question} {', '.join(_SENSITIVITIES)} [{default}] ").strip() or default
            for choice in get_args(Sensitivity):
                if choice == answer:
                    found: Sensitivity = choice
                    return found
            print("one of these words, please")


def _action(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary}.")
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(WORKLOAD_NAME, text):
        raise argparse.ArgumentTypeError("a workload's name has lower-case letters, digits and `-`, a letter first")
    return text


def _line(text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable() or len(text) > 1000:
        raise argparse.ArgumentTypeError("expected a line of text, at most 1000 characters")
    return text


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise argparse.ArgumentTypeError("expected a whole number")
    return int(text)


def _times(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) < 2:
        raise argparse.ArgumentTypeError("expected a whole number from 2 to 999: once is no proof")
    return int(text)
