"""List what installed packages offer to Headworks, from where, whether it can be loaded, and where it is used.

To see whether an extension can be loaded, its package's code is run: with --names it is not, and nothing is said of it.

Exit code 0: everything that headworks.yaml names is there and can be loaded. 1: something is not. 2: wrong usage.

  headworks extensions                 all of them, and the project here if there is one
  headworks extensions --json          for a program
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.tables import GREEN, GREY, RED, Cell, Table, has_colours, plain, terminal_width

if TYPE_CHECKING:
    from headworks.extending import Offer
    from headworks.extension_uses import Use

_HEAD = ("GROUP", "NAME", "PACKAGE", "STATE", "USED AT", "FROM")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: headworks.yaml, if it is there")
    parser.add_argument("--names", action="store_true", help="load nothing: no code of a package is run")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(options: argparse.Namespace) -> int:
    """List them; returns the exit code."""
    import msgspec

    from headworks.config import FILE_NAME, load
    from headworks.extending import offers
    from headworks.extension_uses import uses_of

    file = options.config or Path(FILE_NAME)
    uses = list(uses_of(load(file))) if options.config is not None or file.exists() else []
    found = offers(loads=not options.names)
    good = {(one.group, one.name) for one in found if not one.problem}
    missing = [use for use in uses if (use.group, use.name) not in {(one.group, one.name) for one in found}]
    is_well = all((use.group, use.name) in good for use in uses)
    if options.json:
        shown = [
            {
                **msgspec.to_builtins(one),
                "loads": None if options.names else not one.problem,
                "used_at": _places(one, uses),
            }
            for one in found
        ]
        absent = [{"group": use.group, "name": use.name, "used_at": ".".join(use.place)} for use in missing]
        print(msgspec.json.encode({"ok": is_well, "extensions": shown, "missing": absent}).decode())
    else:
        print("\n".join(_lines(found, uses, missing, loads=not options.names)))
    return 0 if is_well else 1


def _lines(found: "list[Offer]", uses: "list[Use]", missing: "list[Use]", *, loads: bool) -> list[str]:
    if not found and not missing:
        return ["no installed package offers anything to Headworks"]
    table = Table(_HEAD, coloured=has_colours(), flexible=frozenset({4, 5}), width=terminal_width())
    rows = [
        (
            Cell(one.group.removeprefix("headworks.")),
            Cell(plain(one.name)),
            Cell(plain(f"{one.package} {one.version}".strip())),
            Cell("?", GREY) if not loads else Cell("fails", RED) if one.problem else Cell("loads", GREEN),
            Cell(", ".join(_places(one, uses)) or "-"),
            Cell(plain(one.location)),
        )
        for one in found
    ]
    rows += [
        (
            Cell(use.group.removeprefix("headworks.")),
            Cell(plain(use.name)),
            Cell("-"),
            Cell("missing", RED),
            Cell(".".join(use.place)),
            Cell("-"),
        )
        for use in missing
    ]
    return [*table.lines(rows), *(f"\n{plain(one.problem)}" for one in found if one.problem)]


def _places(offer: "Offer", uses: "list[Use]") -> list[str]:
    return [".".join(use.place) for use in uses if (use.group, use.name) == (offer.group, offer.name)]
