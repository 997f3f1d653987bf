"""Show what each role may do at the admin API, who has one, and which follow from a token's claims.

`show` (the default) prints the table of roles and rights. `who` lists the keys that have a role, the users that
headworks.yaml names and the rules by which claims bring one along. `of FILE` reads the claims of a token as JSON and
says which roles follow from them, before anybody signs in; `-` reads standard input. It does not verify a token: a
decoded one is what it wants.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.call_filters import common_arguments
from headworks.cli.lines import json_line, note
from headworks.cli.state import desk_of, load_project
from headworks.cli.tables import Cell, Table, has_colours, plain, terminal_width
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.admin.status import RoleHolder
    from headworks.config import Project

_MOST_BYTES = 65_536


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks roles`."""
    # `headworks roles --json` is `headworks roles show --json`: these flags are taken before an action, too.
    common_arguments(parser, has_defaults=True)
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    for name, summary in (
        ("show", "Show the table of roles and rights (the default action)"),
        ("who", "List the keys, users and rules that give somebody a role"),
        ("of", "Say which roles follow from a token's claims"),
    ):
        action = commands.add_parser(name, help=summary, description=f"{summary}.", argument_default=argparse.SUPPRESS)
        if name == "of":
            action.add_argument("file", metavar="FILE", help="a token's claims as JSON; - for standard input")
            action.add_argument("--issuer", default="", help="who has issued the token. Default: what its `iss` says")
        common_arguments(action, has_defaults=False)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code: 1 where no role follows from the claims."""
    if options.action in (None, "show"):
        _show(is_json=options.json)
        return 0
    project = load_project(options.config, "roles")
    if options.action == "who":
        from headworks.admin.status import role_holders

        _list(role_holders(desk_of(project, "roles"), now_s=time.time()), is_json=options.json)
        return 0
    return _of(project, options)


def _show(*, is_json: bool) -> None:
    from headworks.access import ROLES, Right, Role

    if is_json:
        for role in Role:
            rights = [right.value for right in Right if right in ROLES[role].rights]
            print(json_line({"role": role.value, "rights": rights}))
        return
    head = ("RIGHT", *(role.value.upper() for role in Role), "MEANING")
    meaning = len(head) - 1
    table = Table(
        head,
        coloured=has_colours(),
        flexible=frozenset({meaning}),
        width=terminal_width(),
        spare=(head.index(Role.CALLER.value.upper()), meaning),  # callers have no right at all
    )
    rows = [
        [
            Cell(right.value),
            *(Cell("yes" if right in ROLES[role].rights else "-") for role in Role),
            Cell(right.meaning),
        ]
        for right in Right
    ]
    print("\n".join(table.lines(rows)))


def _list(holders: "list[RoleHolder]", *, is_json: bool) -> None:
    if is_json:
        for one in holders:
            print(json_line({name: getattr(one, name) for name in one.__struct_fields__}))
        return
    if not holders:
        note("nobody has a role: headworks keys create NAME --role admin", "roles")
        return
    head = ("ROLE", "WHERE", "HOW", "WHO", "ISSUER")
    table = Table(head, coloured=has_colours(), flexible=frozenset({3, 4}), width=terminal_width())
    rows = [
        [Cell(one.role), Cell(one.organisation or "everywhere"), Cell(one.how), Cell(one.who), Cell(one.issuer or "-")]
        for one in holders
    ]
    print("\n".join(table.lines(rows)))


def _of(project: "Project", options: argparse.Namespace) -> int:
    import msgspec

    from headworks.admin.mapping import grants_of, rules_of, texts_for

    try:
        if options.file == "-":
            data = sys.stdin.buffer.read(_MOST_BYTES)
        else:
            with Path(options.file).open("rb") as file:
                data = file.read(_MOST_BYTES)
        claims = msgspec.json.decode(data, type=dict[str, object])
    except OSError as error:
        raise CommandError(f"{options.file} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError):
        raise CommandError("expected a token's claims: one JSON object, decoded and not as it is sent") from None
    issuer = options.issuer or str(claims.get("iss", ""))
    rules = rules_of(project.config.access)
    grants = grants_of(rules, issuer, texts_for(rules, issuer, claims))
    for grant in grants:
        shown: dict[str, object] = {"role": grant.role.value, "organisation": grant.organisation}
        print(json_line(shown) if options.json else f"{grant.role.value} {plain(grant.organisation or 'everywhere')}")
    if not grants:
        note("no role follows: `access.users` and `access.roles` in headworks.yaml say from what one does", "roles")
    return 0 if grants else 1
