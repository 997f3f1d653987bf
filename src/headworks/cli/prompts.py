"""Compare, render, lint, publish and roll back prompts.

A workload's prompt lies in its folder (prompt.md). Publishing keeps a version for good and makes it the active one,
which calls are made with; until the first is published, they are made with the folder's. VERSION is a published one by
`1`, `1.2` or `1.2.3`.
"""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.lines import json_line, note
from headworks.cli.moments import day, iso
from headworks.cli.tables import GREEN, GREY, YELLOW, Cell, Table, has_colours, plain, tokens
from headworks.config import CONTRACT_FILE
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.config import Project, Workload
    from headworks.prompts import Prompt, PromptRegistry

_SHOWN = 5
_LEVELS = ("major", "minor", "patch")
_LENIENT = ("log", "rollback")
"""Actions that must work while the workloads' files do not: they look into the registry alone."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands and their flags."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    _action(commands, "list", "List prompts: their versions in the folder, active and published", is_of_one=False)

    show = _action(commands, "show", "Show a prompt's variables and sections")
    show.add_argument("--version", metavar="VERSION", help="a published one. Default: the folder's")
    show.add_argument("--source", action="store_true", help="print the text of prompt.md instead, and nothing else")

    diff = _action(commands, "diff", "Compare two versions, and say what step the change needs")
    diff.add_argument("old", nargs="?", metavar="A", help="a version, `active` or `folder`. Default: active")
    diff.add_argument("new", nargs="?", metavar="B", help="likewise. Default: folder")

    _action(commands, "log", "Show what was published and activated when")

    render = _action(commands, "render", "Show the messages as the model gets them")
    render.add_argument(
        "--var",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME=VALUE",
        help="a variable's value: text as it is, of other types as JSON. Can be repeated",
    )
    render.add_argument("--vars", type=Path, metavar="FILE", help="a JSON object with values; --var goes before it")
    render.add_argument("--case", metavar="ID", help="the values and messages of this case of the golden set")
    render.add_argument("--version", metavar="VERSION", help="a published one. Default: the folder's")

    lint = _action(
        commands,
        "lint",
        "Say what keeps text out of the provider's cache, and what else could be better",
        more=" Exit code 1 where a finding is a problem and not a remark: fixed text of at least 128 tokens that a "
        "provider would cache and cannot, a breakpoint that is paid for and never read, tools or keys without one "
        "order, an untrusted value that instructs the model.",
        is_optional=True,
    )
    lint.add_argument("--version", metavar="VERSION", help="a published one. Default: the folder's")

    bump = _action(commands, "bump", "Raise the version in prompt.md to what the change needs")
    bump.add_argument("--level", choices=_LEVELS, help="raise it by this step; refused where more is needed")

    gate = " A version that `headworks eval --changed` has found to be worse is refused, unless forced with a reason."
    publish = _action(
        commands, "publish", "Publish the folder's version for good, and make it the active one", more=gate
    )
    rollback = _action(commands, "rollback", "Make an earlier version the active one", more=gate)
    rollback.add_argument("version", nargs="?", metavar="VERSION", help="Default: the one that was active before")
    for action in (publish, rollback):
        action.add_argument("--force", action="store_true", help="although it is worse; needs --why")
        action.add_argument("--why", default="", metavar="REASON", help="of --force: stands in headworks.lock")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.cli.prompt_release import registry_of
    from headworks.cli.state import load_project
    from headworks.config import load

    project = load_project(options.config, "prompts") if options.action in _LENIENT else load(options.config)
    with registry_of(project, is_made=options.action == "publish") as registry:
        match options.action:
            case "list":
                return _list(project, registry, is_json=options.json)
            case "log":
                _log(project, registry, options.workload, is_json=options.json)
                return 0
            case "show" | "render":
                from headworks.cli import prompt_show

                return prompt_show.run(project, registry, options)
            case "lint":
                from headworks.cli import prompt_lint

                return prompt_lint.run(project, registry, options)
            case _:
                from headworks.cli import prompt_change

                return prompt_change.run(project, registry, options)


def _list(project: "Project", registry: "PromptRegistry | None", *, is_json: bool) -> int:
    from headworks.cli.prompt_release import named_from_here
    from headworks.compiled import Published, own_prompt
    from headworks.config import load_workloads
    from headworks.errors import ConfigError

    code, rows = 0, []
    for workload in load_workloads(project):
        if workload.files.prompt is None:
            continue
        prompt: Prompt | None = None
        try:
            with named_from_here(workload):
                prompt = own_prompt(workload, Published())
        except ConfigError as error:
            code = 1
            for problem in error.problems:
                note(str(problem), "prompts")
        if is_json:
            print(json_line(_listed(project, workload, prompt, registry)))
        else:
            rows.append(_row(project, workload, prompt, registry))
    if rows:
        table = Table(
            ("WORKLOAD", "FOLDER", "ACTIVE", "PUBLISHED", "STATIC"), right=frozenset({4}), coloured=has_colours()
        )
        print("\n".join(table.lines(rows)))
    elif not is_json:
        note(f"no workload in {project.workloads} has a prompt.md", "prompts")
    return code


def _row(
    project: "Project", workload: "Workload", prompt: "Prompt | None", registry: "PromptRegistry | None"
) -> list[Cell]:
    shown = _listed(project, workload, prompt, registry)
    versions = [] if registry is None else [one.version for one in registry.list(workload.name)]
    last = ", ".join(versions[-_SHOWN:]) + (f" and {len(versions) - _SHOWN} more" if len(versions) > _SHOWN else "")
    active = shown["active"]
    is_active = prompt is not None and prompt.version == active
    static = shown["static_tokens"]
    return [
        Cell(workload.name),
        Cell(prompt.version if prompt is not None else "broken", GREEN if is_active else YELLOW),
        Cell(str(active or "-"), 0 if active else GREY),
        Cell(last or "-", 0 if last else GREY),
        Cell(tokens(static) if isinstance(static, int) else "-"),
    ]


def _listed(
    project: "Project", workload: "Workload", prompt: "Prompt | None", registry: "PromptRegistry | None"
) -> dict[str, object]:
    from headworks.cli.prompt_model import tokenizer_of

    active = None if registry is None else registry.active(workload.name)
    return {
        "workload": workload.name,
        "folder": None if prompt is None else prompt.version,
        "hash": None if prompt is None else prompt.hash,
        "active": None if active is None else active.version,
        "published": [] if registry is None else [one.version for one in registry.list(workload.name)],
        "static_tokens": None if prompt is None else tokenizer_of(project, workload).count(prompt.static_prefix),
    }


def _log(project: "Project", registry: "PromptRegistry | None", name: str, *, is_json: bool) -> None:
    from headworks.cli.prompt_gate import forced_lines

    entries = [] if registry is None else registry.log(name)
    if not entries and not (project.workloads / name / CONTRACT_FILE).exists():
        raise CommandError(f"no workload is called `{plain(name)}`, and none was")
    if is_json:
        for entry in entries:
            print(json_line({"at": iso(entry.at), "what": entry.what, "version": entry.version, "hash": entry.hash}))
        return
    if not entries:
        note(f"no prompt of {name} is published; `headworks prompts publish {name}` does it", "prompts")
        return
    last = max((at for at, entry in enumerate(entries) if entry.what == "activated"), default=-1)
    table = Table(("TIME", "WHAT", "VERSION", "HASH"), coloured=has_colours())
    rows = [
        [
            Cell(day(entry.at)),
            Cell(entry.what + (" (in use)" if at == last else ""), GREEN if at == last else 0),
            Cell(entry.version),
            Cell(entry.hash[:12], GREY),
        ]
        for at, entry in enumerate(entries)
    ]
    print("\n".join(table.lines(rows)))
    for line in forced_lines(project, name):
        print(plain(line))


def _action(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    *,
    more: str = "",
    is_of_one: bool = True,
    is_optional: bool = False,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary}.{more}")
    if is_of_one:
        text = "the workload" + ("; all of them without it" if is_optional else "")
        parser.add_argument("workload", metavar="WORKLOAD", nargs="?" if is_optional else None, help=text)
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch("[a-z][a-z0-9_]{0,62}", name):
        raise argparse.ArgumentTypeError("expected NAME=VALUE, such as ticket='The site is down.'")
    return name, value
