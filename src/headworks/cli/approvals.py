"""List, show, approve and deny tool calls that wait for a person.

A workload's contract says which tools wait (`actions: {refund_order: {policy: hold}}`). The answer with such a call is
kept, sealed, until it is decided or its time is over; then whoever has asked gets it, or learns why not. What is
approved are the tool and the exact arguments, once. Without an action this lists what can be decided now. Another key
can decide over the API if its scope names `approvals`. Times are UTC.
"""

import argparse
import getpass
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headworks.cli.lines import json_line, note
from headworks.cli.moments import clock, day, duration
from headworks.cli.state import desk_of, load_project
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain

if TYPE_CHECKING:
    from headworks.admin import Desk
    from headworks.screening import Approval, ApprovalStep

_SHOWN = 50
_SHOWN_ARGUMENTS = 60
_COLOURS = {"pending": YELLOW, "approved": GREEN, "consumed": GREEN, "denied": RED, "expired": GREY}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    _list_arguments(parser, is_visible=False)
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    listing = commands.add_parser(
        "list",
        help="List what can be decided now, the oldest first (the default action)",
        description="List what can be decided now, the oldest first.",
        argument_default=argparse.SUPPRESS,
    )
    _list_arguments(listing, is_visible=True)
    for name, summary in (
        ("show", "Show a held call, its arguments and what has been done about it"),
        ("approve", "Approve a held call: it may run, once, with exactly these arguments"),
        ("deny", "Deny a held call: whoever has asked is told so"),
    ):
        command = commands.add_parser(name, help=summary, description=f"{summary}.", argument_default=argparse.SUPPRESS)
        command.add_argument("id", metavar="ID", help="the approval's; its beginning is enough if it is unique")
        if name != "show":
            command.add_argument("--by", metavar="NAME", help="who decides, for the audit. Default: your user name")
            command.add_argument("--reason", metavar="TEXT", help="why; the caller sees it if the call is denied")
        _common(command, is_visible=True)
    parser.set_defaults(by="", reason="")


def _list_arguments(parser: argparse.ArgumentParser, *, is_visible: bool) -> None:
    def add(flag: str, default: object, text: str, **details: Any) -> None:
        if not is_visible:
            details["default"] = default
        parser.add_argument(flag, help=text if is_visible else argparse.SUPPRESS, **details)

    add("--all", False, "also what has been decided or has expired, the newest first", action="store_true")
    add("--limit", _SHOWN, f"with --all: at most so many. Default: {_SHOWN}", type=int, metavar="N")
    _common(parser, is_visible=is_visible)


def _common(parser: argparse.ArgumentParser, *, is_visible: bool) -> None:
    options: dict[str, Any] = {} if is_visible else {"default": Path("headworks.yaml")}
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: headworks.yaml", **options)
    options = {} if is_visible else {"default": False}
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line", **options)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.admin.approvals import decide_approval, get_approval, held_answers

    desk = desk_of(load_project(options.config, "approvals"), "approvals")
    match options.action:
        case "approve" | "deny":
            by = options.by or getpass.getuser()
            approve = options.action == "approve"
            _print(decide_approval(desk, options.id, approve=approve, reason=options.reason, by=by), [], options)
        case "show":
            shown = get_approval(desk, options.id)
            _print(shown, held_answers(desk).steps(shown[0].approval_id), options)
        case _:
            _list(desk, options)
    return 0


def _list(desk: "Desk", options: argparse.Namespace) -> None:
    from headworks.admin.approvals import list_approvals

    found = list_approvals(desk, limit=max(0, options.limit) if options.all else None)
    now = time.time()
    if options.json:
        for approval, arguments_ in found:
            print(json_line(_object(approval, arguments_, now)))
        return
    if not found:
        note("nothing has been held" if options.all else "nothing waits for a decision", "approvals")
        return
    table = Table(("ID", "HELD", "EXPIRES", "WORKLOAD", "TOOL", "STATE", "ARGUMENTS"), coloured=has_colours())
    print("\n".join(table.lines([_row(approval, arguments_, now) for approval, arguments_ in found])))
    if not options.all and sys.stdout.isatty():
        note("decide with `headworks approvals approve ID` or `deny ID`", "approvals")


def _row(approval: "Approval", arguments_: str, now: float) -> list[Cell]:
    from headworks.holding import state_word

    state = state_word(approval, now)
    left_us = round((approval.expires_at - now) * 1e6)
    shown = arguments_ if len(arguments_) <= _SHOWN_ARGUMENTS else f"{arguments_[:_SHOWN_ARGUMENTS]}..."
    return [
        Cell(approval.approval_id[: len("appr_") + 12]),
        Cell(clock(approval.held_at, now=now)),
        Cell(f"in {duration(left_us)}" if left_us > 0 else day(approval.expires_at), 0 if left_us > 0 else GREY),
        Cell(approval.workload),
        Cell(approval.tool),
        Cell(state, _COLOURS[state]),
        Cell(shown or "(removed)", 0 if shown else GREY),
    ]


def _print(found: "tuple[Approval, str]", steps: "list[ApprovalStep]", options: argparse.Namespace) -> None:
    approval, arguments_ = found
    shown = _object(approval, arguments_, time.time())
    if options.json:
        import msgspec

        if options.action == "show":
            shown["steps"] = [msgspec.to_builtins(step) for step in steps]
        print(json_line(shown))
        return
    for name in ("id", "state", "workload", "call_id", "key_id", "tool"):
        print(f"{name:<12} {plain(str(shown[name]) or '-')}")
    print(f"{'arguments':<12} {plain(arguments_) or '(removed: their time is over)'}")
    print(f"{'held':<12} {day(approval.held_at)}")
    print(f"{'expires':<12} {day(approval.expires_at)}")
    if approval.decided_by:
        why = f": {approval.reason}" if approval.reason else ""
        print(f"{'decided':<12} {day(approval.decided_at)} by {plain(approval.decided_by)}{plain(why)}")
    for step in steps:
        detail = f" ({step.detail})" if step.detail else ""
        print(f"{'':<12} {day(step.at)} {step.what} by {plain(step.by or 'a caller without a key')}{plain(detail)}")


def _object(approval: "Approval", arguments_: str, now: float) -> dict[str, object]:
    from headworks.holding import approval_object

    return approval_object(approval, arguments_, now)
