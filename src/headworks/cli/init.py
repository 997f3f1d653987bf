"""Write a commented starter project.

It runs at once against the built-in simulator: no provider's key is needed. What exists already is never
overwritten: where there is a headworks.yaml, nothing is written at all.
"""

import argparse
import shlex
from pathlib import Path

from headworks.cli.lines import json_line
from headworks.config import FILE_NAME, SCHEMA_FILE, json_schema_text
from headworks.errors import ConfigError, HeadworksError, Problem

_STARTER = Path(__file__).parent / "starter"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks init`."""
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="created when missing; default: here"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(options: argparse.Namespace) -> int:
    """Write the starter project; returns the exit code."""
    folder: Path = options.folder
    written, kept = write_starter(folder)
    if options.json:
        print(json_line({"wrote": list(map(str, written)), "kept": list(map(str, kept))}))
        return 0
    for path in written:
        print(f"wrote {path}")
    for path in kept:
        print(f"kept  {path}, which was there already")
    if any(path.name == ".gitignore" and b".headworks" not in path.read_bytes() for path in kept):
        print("Add a line to .gitignore: .headworks/")
    go_there = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    print(f"\nNext: {go_there}headworks serve")
    return 0


def write_starter(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write the starter project into a folder; returns the files written, and those kept because they were there.

    Raises:
        ConfigError: there is a headworks.yaml already; nothing has been written.
        HeadworksError: the folder cannot be written to.
    """
    contents = {
        FILE_NAME: (_STARTER / "headworks.yaml").read_bytes(),
        SCHEMA_FILE: json_schema_text().encode(),
        "README.md": (_STARTER / "README.md").read_bytes(),
        ".gitignore": (_STARTER / "gitignore").read_bytes(),
    }
    written: list[Path] = []
    kept: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            path = folder / name
            try:
                with path.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                if name == FILE_NAME:
                    message = "is there already, and is left as it is; nothing was written"
                    raise ConfigError(Problem(str(path), 0, 0, message)) from None
                kept.append(path)
            else:
                written.append(path)
    except OSError as error:
        raise HeadworksError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    return written, kept
