"""`headworks keys provider`: how the keys of providers stand, and a look at their managers now.

Talks to the running gateway through its run folder; sees and shows no value.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.cli.moments import day, iso
from headworks.cli.state import desk_of, load_project
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width

if TYPE_CHECKING:
    from headworks.admin.provider_keys import ProviderKey

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
    from headworks.admin.provider_keys import is_running, look_at_provider_keys, provider_keys

    desk = desk_of(load_project(options.config, "keys"), "keys")
    if options.provider_action == "rotate":
        return _show(look_at_provider_keys(desk), is_json=options.json)
    if not is_running(desk):
        _note("the gateway is not running: nothing is known but where the keys are")
    return _show(provider_keys(desk), is_json=options.json)


def _show(found: "list[ProviderKey]", *, is_json: bool) -> int:
    if is_json:
        for one in found:
            sys.stdout.buffer.write(msgspec.json.encode(_as_json(one)) + b"\n")
        sys.stdout.flush()
    elif not found:
        _note("no provider has a key: headworks.yaml names one with `api_key: env:NAME`, or in a secret manager")
    else:
        table = Table(_HEAD, coloured=has_colours(), flexible=frozenset({0, 1, 3}), width=terminal_width())
        print("\n".join(table.lines([_row(one) for one in found])))
    problems = dict.fromkeys(one.problem for one in found if one.problem)
    for problem in problems if not is_json else ():
        _note(plain(problem))
    return 1 if problems or any(one.state == "not known" for one in found) else 0


_COLOURS = {"good": GREEN, "stale": RED, "expired": RED, "not known": YELLOW, "as started": GREY}


def _row(one: "ProviderKey") -> list[Cell]:
    return [
        Cell(one.provider),
        Cell(plain(one.reference)),
        Cell(one.state, _COLOURS[one.state]),
        Cell(plain(one.version) or "-"),
        Cell(day(one.since_s)),
        Cell(day(one.looked_s)),
        Cell("-" if one.looked_s is None else str(one.older)),
    ]


def _as_json(one: "ProviderKey") -> dict[str, object]:
    return {
        "provider": one.provider,
        "reference": one.reference,
        "state": one.state,
        "version": one.version,
        "since": iso(one.since_s),
        "looked_at": iso(one.looked_s),
        "older": one.older,
        "problem": one.problem,
    }


def _note(text: str) -> None:
    print(f"headworks keys: {text}", file=sys.stderr)
