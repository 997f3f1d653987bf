"""List, report and sum up outcomes: what became of calls, as applications and people report it.

Without an action it lists the last reports. Applications report with POST /v1/outcomes; `report` does it by hand. A
report may come before its call is recorded, or weeks later. Times are UTC.
"""

import argparse
import secrets
import time
from typing import TYPE_CHECKING, Any, get_args

from headworks.calls import OutcomeKind
from headworks.catalogue.money import mean_pico
from headworks.cli.amounts import cost, usd
from headworks.cli.call_filters import common_arguments, count, microseconds, time_arguments, words
from headworks.cli.lines import json_line, note
from headworks.cli.moments import clock, duration, iso
from headworks.cli.tables import GREEN, GREY, YELLOW, Cell, Table, has_colours, tokens
from headworks.errors import CommandError, Refusal

if TYPE_CHECKING:
    from headworks.calls import OutcomeReport
    from headworks.config import Project
    from headworks.records import Reported, Store
    from headworks.records.outcomes import Rate

_KINDS: tuple[str, ...] = get_args(OutcomeKind)
_DIMENSIONS = {"workload": "workload", "prompt-version": "prompt_version", "model": "model"}
_SHOWN = 20
_SHOWN_VALUE = 60
_UNMATCHED_AFTER_US = 24 * 3_600_000_000
"""A report that joins no call is waiting for that long, as its call may not be recorded yet; then it is unmatched."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    # `headworks outcomes --json` is `headworks outcomes list --json`, as with calls.
    _list_arguments(parser, has_defaults=True)
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    listing = commands.add_parser(
        "list",
        help="List reports, the last ones first (the default action)",
        description="List reports, the last ones first, with the calls that they are about.",
        argument_default=argparse.SUPPRESS,
    )
    _list_arguments(listing, has_defaults=False)
    report = commands.add_parser(
        "report",
        help="Report what became of a call",
        description="Report what became of a call. true, false and numbers are what they are, other values are labels "
        "unless --kind says otherwise. Reporting a name again replaces what this source has said before.",
        argument_default=argparse.SUPPRESS,
    )
    report.add_argument("id", metavar="CALL_ID", help="the beginning is enough if it is unique")
    report.add_argument("values", metavar="NAME=VALUE", nargs="+", type=_named_value, help="accepted=true, say")
    report.add_argument("--kind", choices=_KINDS, help="what the values are. Default: as they look")
    report.add_argument("--source", metavar="NAME", help="who has judged. Default: cli")
    common_arguments(report, has_defaults=False)
    rates = commands.add_parser(
        "rates",
        help="Sum up reports by prompt version, model, workload",
        description="Sum up reports with intervals of 95 % confidence, beside what the calls came to.",
        argument_default=argparse.SUPPRESS,
    )
    rates.add_argument(
        "--by", type=_dimensions, metavar="NAME,...", help=f"of {', '.join(_DIMENSIONS)}. Default: prompt-version"
    )
    rates.add_argument("--workload", metavar="NAME", help="of calls of this workload")
    rates.add_argument("--name", metavar="NAME", help="only what is reported under this name")
    time_arguments(rates, has_defaults=False)
    common_arguments(rates, has_defaults=False)
    parser.set_defaults(kind=None, by=_dimensions("prompt-version"), workload="")


def _list_arguments(parser: argparse.ArgumentParser, *, has_defaults: bool) -> None:
    def add(flag: str, default: object, text: str, **details: Any) -> None:
        if has_defaults:
            details["default"] = default
        parser.add_argument(flag, help=text, **details)

    times = (("--since", "reported then or later"), ("--until", "reported before then"))
    time_arguments(parser, has_defaults=has_defaults, flags=times)
    add("--name", "", "reported under this name", metavar="NAME")
    add("--source", "", "of this source", metavar="NAME")
    add("--unmatched", False, "that are about no call that is known, 24 hours later", action="store_true")
    add("--limit", _SHOWN, f"at most so many. Default: {_SHOWN}", type=count, metavar="N")
    common_arguments(parser, has_defaults=has_defaults)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.config import load, store_url
    from headworks.records import catch_up, may_have_records, open_store

    project = load(options.config)
    url = store_url(project)
    if not may_have_records(project.storage, url):
        _say(f"nothing is recorded yet: there is no {project.storage}")
        return 0
    if not catch_up(project.storage, url, report=_say):
        _say("the gateway's control plane is behind: the last calls and reports may be missing")
    store = open_store(project.storage, url)
    try:
        if options.action == "report":
            _report(store, project, options)
        elif options.action == "rates":
            _rates(store, options)
        else:
            _list(store, options)
    finally:
        store.close()
    return 0


def _list(store: "Store", options: argparse.Namespace) -> None:
    from headworks.records import OutcomeSelection

    now = time.time()
    long_ago_us = round(now * 1e6) - _UNMATCHED_AFTER_US
    selection = OutcomeSelection(
        since_us=microseconds(options.since),
        until_us=microseconds(options.until),
        name=options.name,
        source=options.source,
        unmatched_before_us=long_ago_us if options.unmatched else None,
        limit=options.limit,
    )
    found = store.outcomes(selection)
    if options.json:
        for one in found:
            print(json_line(_as_json(one, long_ago_us)))
        return
    if not found:
        _say("no report matches")
        return
    table = Table(("TIME", "NAME", "VALUE", "KIND", "SOURCE", "CALLS", "ABOUT"), coloured=has_colours())
    print("\n".join(table.lines([_row(one, now, long_ago_us) for one in found])))


def _row(one: "Reported", now: float, long_ago_us: int) -> list[Cell]:
    report = one.report
    state = _state(one, long_ago_us)
    colour = {"waiting": YELLOW, "unmatched": GREY}.get(state, GREEN)
    about, name = _about(report)
    return [
        Cell(clock(report.reported_us / 1e6, now=now)),
        Cell(report.name),
        Cell(report.value if len(report.value) <= _SHOWN_VALUE else f"{report.value[:_SHOWN_VALUE]}..."),
        Cell(report.kind),
        Cell(report.source),
        Cell(str(one.calls) if one.calls else state, colour),
        Cell(name if about == "call_id" else f"{about} {name}", GREY),
    ]


def _about(report: "OutcomeReport") -> tuple[str, str]:
    """Which of the three names a report has, and that name."""
    if report.call_id:
        return "call_id", report.call_id
    return ("trace_id", report.trace_id) if report.trace_id else ("caller_key", report.caller_key)


def _state(one: "Reported", long_ago_us: int) -> str:
    if one.calls:
        return "matched"
    return "unmatched" if one.report.reported_us < long_ago_us else "waiting"


def _as_json(one: "Reported", long_ago_us: int) -> dict[str, object]:
    import msgspec

    shown = msgspec.structs.asdict(one.report)
    shown["value"] = msgspec.Raw(one.report.value.encode())
    reported_at = {"reported_at": iso(one.report.reported_us / 1e6)}
    return reported_at | shown | {"calls": one.calls, "state": _state(one, long_ago_us)}


def _report(store: "Store", project: "Project", options: argparse.Namespace) -> None:
    import msgspec

    from headworks.config import store_url
    from headworks.records import catch_up, find_call, read_outcomes, report_outcomes

    call_id = find_call(store, options.id).call_id
    given = [
        {
            "call_id": call_id,
            "name": name,
            "value": _value(text, options.kind),
            "kind": options.kind,
            "source": options.source or "cli",
        }
        for name, text in options.values
    ]
    try:
        reports = read_outcomes(
            msgspec.json.encode({"outcomes": given}),
            now_us=time.time_ns() // 1000,
            key_id="",
            make_id=lambda: f"out_{secrets.token_hex(12)}",
        )
    except Refusal as refusal:
        raise CommandError(refusal.message) from None
    report_outcomes(project.storage, reports, limit_bytes=project.config.storage.journal_bytes)
    is_recorded = catch_up(project.storage, store_url(project), report=_say)
    if options.json:
        for report in reports:
            print(json_line({"outcome_id": report.outcome_id, "call_id": call_id, "name": report.name}))
        return
    for report in reports:
        print(f"{report.name} = {report.value} ({report.kind}) of {call_id}")
    if not is_recorded:
        _say("reported; it is recorded as soon as the control plane has caught up")


def _named_value(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE, such as accepted=true")
    return name, value


def _value(text: str, kind: str | None) -> object:
    """What was meant: JSON where that is a value of the kind, otherwise the text."""
    import msgspec

    if kind in ("label", "text"):
        return text
    try:
        decoded: object = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    if kind == "demonstration":
        return decoded if isinstance(decoded, dict | list) else text
    return decoded if isinstance(decoded, bool | int | float) else text


def _rates(store: "Store", options: argparse.Namespace) -> None:
    from headworks.records import Span
    from headworks.records.outcomes import rates

    fields: Any = [_DIMENSIONS[name] for name in options.by]  # each a records.OutcomeDimension
    span = Span(microseconds(options.since), microseconds(options.until), options.workload or None)
    tallies = [tally for tally in store.tallies(fields, span) if options.name in ("", tally.name)]
    found = rates(tallies, store.figures(fields, span))
    if options.json:
        for rate in found:
            print(json_line(_rate_as_json(rate, fields)))
        return
    if not found:
        _say("no outcome is reported of calls in that time")
        return
    head = [*(name.upper() for name in options.by), "OUTCOME", "SOURCE", "REPORTS", "RATE", "95 %", "CALLS", "MEDIAN"]
    width = len(options.by)
    table = Table([*head, "IN", "OUT", "COST"], right=frozenset(range(width + 2, width + 10)), coloured=has_colours())
    print("\n".join(table.lines([_rate_row(rate) for rate in found])))


def _rate_row(rate: "Rate") -> list[Cell]:
    form = ".1%" if rate.measure == "share" else ",.4g"
    bounds = "-" if rate.low is None or rate.high is None else f"{rate.low:{form}} to {rate.high:{form}}"
    return [
        *(Cell(group or "-") for group in rate.group),
        Cell(f"{rate.name}={rate.label}" if rate.kind == "label" else rate.name),
        Cell(rate.source),
        Cell(f"{rate.reports:,}"),
        Cell("-" if rate.measure == "count" else f"{rate.value:{form}}"),
        Cell(bounds),
        Cell(f"{rate.calls:,}"),
        Cell(duration(rate.median_us)),
        Cell(tokens(round(rate.input_tokens))),
        Cell(tokens(round(rate.output_tokens))),
        Cell(cost(mean_pico(rate.cost_pico, known) if (known := rate.calls - rate.unknown_costs) else None)),
    ]


def _rate_as_json(rate: "Rate", fields: list[str]) -> dict[str, object]:
    import msgspec

    shown = msgspec.structs.asdict(rate)
    cost_pico = shown.pop("cost_pico")
    shown["cost_usd"] = usd(cost_pico if rate.unknown_costs < rate.calls else None)
    groups = dict(zip(fields, shown.pop("group"), strict=True))
    return groups | shown


def _dimensions(text: str) -> tuple[str, ...]:
    by = words(text, tuple(_DIMENSIONS), "something to sum up by")
    # A version is a version of some workload's prompt: 1.0.0 of one has nothing to do with 1.0.0 of another.
    return ("workload", *by) if "prompt-version" in by and "workload" not in by else by


def _say(text: str) -> None:
    note(text, "outcomes")
