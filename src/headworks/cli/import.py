"""Make another gateway's configuration into headworks.yaml, and say what became of each setting.

Reads a `config.yaml` of LiteLLM, a config of Portkey (JSON) or a `tensorzero.toml`, and writes headworks.yaml with
comments that say which line each part came from. Every setting of the source ends as one of three: mapped (where to),
needless here (why), or missing (what to do instead). Secrets that stand in the source in clear are never copied: an
environment variable is named in their place. What exists already is not overwritten, but with --force.

Exit code 0: everything is mapped or needless. 1: something is left to do, and the files are written all the same; or
the file cannot be read, and nothing is written.
"""

# ruff: noqa: N999 - the command's name is a keyword; modules of commands are loaded by name

import argparse
import os
import re
import shlex
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from headworks.cli.parsing import UsageError
from headworks.cli.tables import GREEN, GREY, YELLOW, Cell, Table, has_colours, plain, terminal_width
from headworks.errors import HeadworksError
from headworks.importing import GATEWAYS, PLAN_FILE, Fate, Imported, import_file

_COLOURS: dict[Fate, int] = {"mapped": GREEN, "needless": GREY, "missing": YELLOW}
_INDENT = " " * 6
_ORIGIN = r"https?://[A-Za-z0-9._\[\]:-]+"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks import`."""
    parser.add_argument("gateway", choices=GATEWAYS, help="whose file it is")
    parser.add_argument("file", type=Path, metavar="FILE", help="the file to read")
    parser.add_argument(
        "--into", type=Path, default=Path(), metavar="DIR", help="where to write; created when missing; default: here"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the files and the report, write nothing")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument(
        "--simulator",
        metavar="URL",
        help="for a trial without keys: let this origin (`headworks simulate`) stand in for every provider",
    )


def run(options: argparse.Namespace) -> int:
    """Import; returns the exit code."""
    simulator: str | None = options.simulator
    if simulator is not None and not re.fullmatch(_ORIGIN, simulator.rstrip("/")):
        raise UsageError("--simulator: expected an origin such as http://127.0.0.1:4010")
    made = import_file(
        options.gateway,
        options.file,
        environment=os.environ,
        simulator=None if simulator is None else simulator.rstrip("/"),
    )
    written = [] if options.dry_run else write_files(made, options.into, force=options.force)
    if options.json:
        print(_as_json(made, written, with_files=options.dry_run))
    else:
        _print(made, written, dry_run=options.dry_run)
        if written:
            print(f"\n{_next(made, options.into, simulator or '')}")
    return 1 if made.counts["missing"] else 0


def write_files(made: Imported, folder: Path, *, force: bool) -> list[Path]:
    """Write our files; returns their paths.

    Raises:
        HeadworksError: one is there already and `force` is not given, or cannot be written; in the first case nothing
            has been written.
    """
    paths = {folder / name: text for name, text in made.files.items()}
    there = [str(path) for path, text in paths.items() if path.exists() and path.read_bytes() != text.encode()]
    if there and not force:
        raise HeadworksError(f"{', '.join(there)}: is there already; nothing was written (--force overwrites it)")
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            if path.suffix == ".key":
                path.chmod(0o600)
    except OSError as error:
        raise HeadworksError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    return list(paths)


def _print(made: Imported, written: list[Path], *, dry_run: bool) -> None:
    if dry_run:
        for name, text in made.files.items():
            if name.endswith((".yaml", ".md")):
                print(f"# --- {name}\n{text}")
    rows = [
        [Cell(str(one.line)), Cell(one.fate, _COLOURS[one.fate]), Cell(plain(one.setting)), Cell(plain(one.text))]
        for one in made.findings
    ]
    for line in _lines(rows, terminal_width()):
        print(line)
    counts = made.counts
    print(
        f"\n{made.source}: {counts['mapped']} mapped, {counts['needless']} needless here, {counts['missing']} missing"
    )
    for path in written:
        print(f"wrote {path}")
    for one in made.variables:
        clear = ", whose value stands in the source in clear: withdraw that key" if one.was_clear else ""
        print(f"set   {one.name}: {plain(one.purpose)}{clear}")
    for command in made.commands:
        print(f"run   {plain(command.line)}: {plain(command.purpose)}")


def _lines(rows: list[list[Cell]], width: int | None) -> list[str]:
    """The report as a table; where it does not fit into `width` columns, each text below its setting."""
    titles, right = ("LINE", "FATE", "SETTING", "WHAT BECAME OF IT"), frozenset({0})
    if width is None or max(map(len, Table(titles, right=right, coloured=False).lines(rows))) <= width:
        return Table(titles, right=right, coloured=has_colours()).lines(rows)
    heads = Table(titles[:3], right=right, coloured=has_colours()).lines([row[:3] for row in rows])
    lines = heads[:1]
    for head, row in zip(heads[1:], rows, strict=True):
        lines += [head, *textwrap.wrap(row[3].text, max(width, 40), initial_indent=_INDENT, subsequent_indent=_INDENT)]
    return lines


def _next(made: Imported, folder: Path, simulator: str) -> str:
    """What to do with what was written."""
    there = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    if PLAN_FILE in made.files:
        port = urlsplit(simulator).port or 80
        return (
            f"Next: {there}headworks simulate --port {port} --plan {PLAN_FILE}\n"
            f"      {there}headworks serve, in another terminal; no variable has to be set\n"
            f"      {there}headworks keys create NAME, for a key to call it with"
        )
    first = "set these variables, then " if made.variables else ""
    return f"Next: {first}{there}headworks check && headworks serve"


def _as_json(made: Imported, written: list[Path], *, with_files: bool) -> str:
    answer = {
        "source": made.source,
        "gateway": made.gateway,
        "counts": made.counts,
        "findings": made.findings,
        "variables": made.variables,
        "commands": made.commands,
        "wrote": [str(path) for path in written],
    }
    if with_files:
        answer["files"] = made.files
    return msgspec.json.encode(answer).decode()
