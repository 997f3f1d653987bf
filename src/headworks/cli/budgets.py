"""Show the budgets of this day and month: what is spent, what is left, and when it will be used up at the present pace.

A budget bounds what calls may cost: of a key (`headworks keys create --budget-day 10`), a team (`access.teams` in
headworks.yaml) or a workload (`budget` in its contract), in a calendar day or month (UTC). SPENT is what the books say,
or of a budget that no call was under yet, what the records do; calls whose cost nobody knows count with the most that
they could cost. ASIDE is what calls under way could still cost, and what workers hold for the next ones.

What workers held that were killed comes back by itself. `headworks budgets release` is for machines that are gone for
good: it lets go what their workers held, and counts what the records know that they had spent; run it where ASIDE stays
although nobody calls and no batch runs.

Exit code 0; with --within PERCENT 1 if a budget is used to so many percent, so that a timer can warn in time.
"""

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headworks.cli.call_filters import common_arguments
from headworks.cli.lines import json_line, note
from headworks.cli.moments import day, iso
from headworks.cli.state import desk_of
from headworks.cli.tables import GREY, RED, YELLOW, Cell, Table, has_colours, terminal_width

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.limits.budgets import AccountState

_HEAD = ("BUDGET OF", "PERIOD", "BUDGET", "SPENT", "ASIDE", "LEFT", "USED", "AT THIS PACE")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks budgets`."""
    # `headworks budgets --json` is `headworks budgets show --json`: the flags of `show` are taken here, too.
    _show_arguments(parser, has_defaults=True)
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    show = commands.add_parser(
        "show",
        help="Show what is spent, left, and used up when (the default action)",
        description="Show what is spent, left, and used up when at this pace.",
        argument_default=argparse.SUPPRESS,
    )
    _show_arguments(show, has_defaults=False)
    release = commands.add_parser(
        "release",
        help="Let go what workers hold that were not heard of for a minute",
        description="Let go what workers hold that were not heard of for a minute; what they are known to have spent "
        "counts.",
        argument_default=argparse.SUPPRESS,
    )
    common_arguments(release, has_defaults=False)


def _show_arguments(parser: argparse.ArgumentParser, *, has_defaults: bool) -> None:
    parser.add_argument(
        "--within", type=int, metavar="PERCENT", help="exit with 1 if a budget is used to so many percent"
    )
    common_arguments(parser, has_defaults=has_defaults)


def run(options: argparse.Namespace) -> int:
    """Show them; returns the exit code."""
    from headworks.admin.budgets import budget_states, release_budgets
    from headworks.config import load, store_url
    from headworks.records import may_have_records

    project = load(options.config)
    desk = desk_of(project, "budgets")
    if options.action == "release":
        if not may_have_records(project.storage, store_url(project)):
            note(f"nothing was spent yet: there is no {project.storage}", "budgets")
        else:
            _print_released(release_budgets(desk), is_json=options.json)
        return 0
    states = budget_states(desk)
    _print(states, _names(project), time.time(), is_json=options.json)
    is_near = options.within is not None and any(state.spent * 100 >= options.within * state.cap for state in states)
    return 1 if is_near else 0


def _print_released(count: int, *, is_json: bool) -> None:
    text = f"let go of what {count} {'holder' if count == 1 else 'holders'} held"
    print(json_line({"released": count}) if is_json else text)


def _names(project: "Project") -> dict[str, str]:
    """What keys are called, by their ids."""
    from headworks.access import KEYS_FILE, KeyStore

    if not (project.storage / KEYS_FILE).exists():
        return {}
    store = KeyStore(project.storage / KEYS_FILE)
    try:
        return {record.key_id: record.name for record in store.list() if record.name}
    finally:
        store.close()


def _print(states: "Sequence[AccountState]", names: dict[str, str], now_s: float, *, is_json: bool) -> None:
    if is_json:
        for state in states:
            print(json_line(_as_json(state, names, now_s)))
        return
    if not states:
        note("there is no budget: headworks keys create NAME --budget-day USD makes a key with one", "budgets")
        return
    table = Table(_HEAD, coloured=has_colours(), flexible=frozenset({0}), width=terminal_width())
    print("\n".join(table.lines([_row(state, names, now_s) for state in states])))


def _row(state: "AccountState", names: dict[str, str], now_s: float) -> list[Cell]:
    from headworks.admin.budgets import used_up_s
    from headworks.catalogue.money import dollars

    scope, _, rest = state.name.partition("/")
    name, kind, period = rest.rsplit("/", 2)
    percent = 100 * state.spent // state.cap if state.cap else 100
    colour = RED if percent >= 100 else YELLOW if percent >= 80 else 0
    over_s = used_up_s(state, now_s)
    return [
        Cell(f"{scope} {names.get(name, name)}"),
        Cell(f"{kind} {period}"),
        Cell(dollars(state.cap) + ("" if state.is_hard else " (told)")),
        Cell(dollars(state.spent)),
        Cell(dollars(state.reserved + state.held)),
        Cell(dollars(state.cap - state.spent)),
        Cell(f"{percent} %", colour),
        Cell("lasts", GREY) if over_s is None else Cell(f"used up {day(over_s)}", YELLOW),
    ]


def _as_json(state: "AccountState", names: dict[str, str], now_s: float) -> dict[str, object]:
    from headworks.admin.budgets import used_up_s
    from headworks.catalogue.money import usd_text

    scope, _, rest = state.name.partition("/")
    name, kind, period = rest.rsplit("/", 2)
    over_s = used_up_s(state, now_s)
    return {
        "of": scope,
        "id": name,
        "name": names.get(name, name),
        "kind": kind,
        "period": period,
        "mode": "refuse" if state.is_hard else "tell",
        "budget_usd": usd_text(state.cap),
        "spent_usd": usd_text(state.spent),
        "reserved_usd": usd_text(state.reserved),
        "held_usd": usd_text(state.held),
        "left_usd": usd_text(state.cap - state.spent),
        "alerted_percent": state.alerted,
        "ends_at": iso(state.ends_us / 1e6),
        "used_up_at": None if over_s is None else iso(over_s),
    }
