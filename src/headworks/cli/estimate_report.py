"""What `headworks estimate` prints: the money, what it rests on, what to look out for."""

import datetime as dt
import math
from fractions import Fraction

import msgspec

from headworks.catalogue import STANDARD, Machine, retirement_of
from headworks.catalogue.money import dollars, mean_pico, usd_text
from headworks.cli.estimate_tuned import Tuned
from headworks.cli.model_offers import Offer
from headworks.cli.tables import GREEN, GREY, YELLOW, Cell, Table, plain
from headworks.errors import CommandError
from headworks.workloads import Assumption, BreakEven, Estimate, Load, break_even, estimate

_PARTS = {
    "fresh_input": "input, fresh",
    "cached_input": "input, from the cache",
    "cache_write": "input, written to the cache",
    "output": "output",
    "reasoning": "reasoning",
    "request": "requests",
}
_SHOWN = {"prefix_tokens": "static_tokens"}
"""Figures that are called otherwise where people give them."""

_Row = tuple[str, ...]


class Answer(msgspec.Struct, frozen=True):
    """One model's month. `estimate` is None where it has no price. `remarks` are what to look out for."""

    offer: Offer
    estimate: Estimate | None
    remarks: tuple[str, ...]


class Meeting(msgspec.Struct, frozen=True):
    """A machine of one's own beside the model."""

    name: str
    even: BreakEven
    per_call: int
    month: int


class Recorded(msgspec.Struct, frozen=True):
    """What recorded calls of one model have cost, exactly: `calls` of known cost, `cost_pico` together."""

    name: str
    calls: int
    cost_pico: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is printed. `version` is of the price table. `recorded` is what calls have cost until now, of the
    most frequent model first, and `unknown` of how many it is not known."""

    title: str
    load: Load
    chosen: Answer
    others: tuple[Answer, ...]
    machines: tuple[Meeting, ...]
    version: str
    tuned: Tuned | None = None
    recorded: tuple[Recorded, ...] = ()
    unknown: int = 0


def answer(offer: Offer, load: Load, *, at_us: int, today: dt.date) -> Answer:
    """A model's month, with what to look out for."""
    found = estimate(offer.price, load, at_us=at_us)
    return Answer(offer, found, tuple(_remarks(offer, load, found, today)))


def meeting(name: str, machine: Machine, chosen: Answer, load: Load) -> Meeting:
    """A machine beside the model.

    Raises:
        CommandError: calls would take the machine no time.
    """
    assert chosen.estimate is not None
    found = chosen.estimate
    long = load.long_share.value
    try:
        even = break_even(
            machine,
            per_call=found.total / found.calls if found.calls else Fraction(0),
            calls=found.calls,
            input_tokens=load.input_tokens.value * (1 - long) + load.long_input_tokens.value * long,
            output_tokens=load.output_tokens.value,
        )
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from None
    return Meeting(name, even, found.per_call, found.total)


def _remarks(offer: Offer, load: Load, found: Estimate | None, today: dt.date) -> list[str]:
    if found is None:
        return ["no price is known; `prices.models` in headworks.yaml can state one"]
    remarks = []
    model = offer.model
    gone = None if model is None else retirement_of(model, today)
    if gone is not None:
        after = f"; its successor: {gone.successor}" if gone.successor else ""
        when = "is shut down since" if gone.is_gone else f"is shut down in {gone.days_left} days, on"
        remarks.append(f"{when} {gone.shutdown_on}{after}")
    if load.tier != found.applied_tier and load.tier not in ("default", "auto"):
        remarks.append(f"has no price for {load.tier}: charged as {found.applied_tier}")
    if load.batch_share.high and not found.has_batch:
        remarks.append("has no price for batch: charged as standard")
    longest = max(load.input_tokens.high, load.long_input_tokens.high)
    if found.surcharge:
        remarks.append(
            f"long context: above {found.above:,} tokens of input a whole call is dearer; {dollars(found.surcharge)} "
            "a month of it is surcharge"
        )
    elif found.above and longest > found.above:
        remarks.append(f"long context: at its upper bound, the input is above {found.above:,} tokens, and dearer")
    context = None if model is None else model.context_tokens
    if context is not None and longest + load.output_tokens.high > context:
        remarks.append(f"may not fit: its context is {context:,} tokens")
    remarks += _cache_remarks(load, found)
    ttl_s = 0 if model is None or model.cache is None else model.cache.ttl_s
    if found.cache.usable_tokens and ttl_s and load.cache_share.source == "default":
        # Arrivals at random: the prefix is still there if another call came within its time to live, as in the plan.
        found_by = Fraction(-math.expm1(-float(load.calls_per_day.value) / 86_400 * ttl_s))
        if found_by < load.cache_share.value:
            remarks.append(
                f"so few calls find the cache less often than is assumed: {_share(found_by)} of them, arriving at "
                f"random, within its {ttl_s / 60:g} minutes; say it with --cache-share"
            )
    return remarks


def _cache_remarks(load: Load, found: Estimate) -> list[str]:
    cache, share = found.cache, load.cache_share
    if not load.prefix_tokens.value:
        return []
    if not cache.usable_tokens:
        least = f"its cache takes {cache.minimum_tokens:,} and more"
        return [f"nothing is cached: the static tokens are {_count(load.prefix_tokens.value)}, and {least}"]
    if cache.pays_from is None:
        return ["caching saves nothing: tokens from the cache have no price of their own"]
    if not cache.pays_from:
        return []
    pays = f"writes are billed, and it pays from a cache share of {_share(cache.pays_from)} on"
    if cache.saves < 0:
        return [f"caching loses {dollars(-cache.saves)} a month: {pays}; send these calls without it"]
    if share.low < cache.pays_from and load.write_share is None:
        return [f"caching saves {dollars(cache.saves)} a month, and may lose at its lower bound: {pays}"]
    return [f"caching saves {dollars(cache.saves)} a month: {pays}"]


# -- text and Markdown ------------------------------------------------------------------------------------------------


class _Section(msgspec.Struct, frozen=True):
    """A table or lines, as both forms print it. `colour` tells a row's."""

    title: str
    head: _Row = ()
    rows: tuple[tuple[_Row, int], ...] = ()
    right: frozenset[int] = frozenset()
    lines: tuple[str, ...] = ()


def as_text(report: Report, *, coloured: bool) -> str:
    """For a terminal."""
    lines = [_headline(report)]
    for section in _sections(report):
        lines += ["", f"\x1b[1m{section.title}\x1b[0m" if coloured else section.title]
        if section.head:
            table = Table(section.head, right=section.right, coloured=coloured)
            lines += table.lines([[Cell(text, colour) for text in row] for row, colour in section.rows])
        lines += [f"- {plain(line)}" for line in section.lines]
    return "\n".join(lines) + "\n"


def as_markdown(report: Report) -> str:
    """As a page."""
    lines = [f"# Estimate for {_cell(report.title)}", "", _cell(_headline(report))]
    for section in _sections(report):
        lines += ["", f"## {section.title}", ""]
        if section.head:
            lines += [
                _line(tuple(title.lower() for title in section.head)),
                "|" + "".join("---:|" if place in section.right else "---|" for place in range(len(section.head))),
                *(_line(row) for row, _ in section.rows),
            ]
        lines += [f"- {_cell(line)}" for line in section.lines]
    return "\n".join(lines) + "\n"


def _headline(report: Report) -> str:
    found = report.chosen.estimate
    about = (
        f"{report.title} on {report.chosen.offer.name}" if report.title != report.chosen.offer.name else report.title
    )
    if found is None:
        return f"{plain(about)}: no price is known"
    between = f"{dollars(found.low)} to {dollars(found.high)}"
    calls = f"{dollars(found.per_call)} a call, {_count(found.calls)} calls"
    return f"{plain(about)}: {dollars(found.total)} a month ({between}); {calls}"


def _sections(report: Report) -> list[_Section]:
    sections = []
    found = report.chosen.estimate
    if found is not None:
        sections += [_parts(found), _figures(report.load, found), _tiers(found)]
    if report.recorded:
        sections.append(_recorded(report))
    if report.chosen.remarks:
        sections.append(_Section("Look out", lines=report.chosen.remarks))
    if report.others:
        sections.append(_comparison(report))
    if report.machines:
        sections.append(_machines(report))
    if report.tuned is not None:
        sections.append(_tuned(report.tuned))
    return sections


def _parts(found: Estimate) -> _Section:
    amounts = {name: getattr(found.parts, name) for name in _PARTS}
    rows = [
        ((_PARTS[name], dollars(amount), _share(Fraction(amount, found.total) if found.total else Fraction(0))), 0)
        for name, amount in amounts.items()
        if amount
    ]
    return _Section("What is paid for", ("PART", "A MONTH", "SHARE"), tuple(rows), frozenset({1, 2}))


def _figures(load: Load, found: Estimate) -> _Section:
    """What the estimate rests on, that of most weight first."""
    by_name = {one.name: one for one in load.assumptions}
    weights = {one.name: one for one in found.sensitivities}
    rows = []
    for name in (*weights, *(name for name in by_name if name not in weights)):
        one = by_name[name]
        if name not in weights and name in ("long_share", "long_input_tokens", "write_share"):
            continue
        tenth = _signed(weights[name].tenth) if name in weights else "-"
        is_from = "measured" if one.is_measured else f"assumed ({one.source})"
        row = (
            _SHOWN.get(name, name).replace("_", " "),
            _figure(one, one.value),
            _between(one),
            tenth,
            is_from,
            one.note,
        )
        rows.append((row, GREEN if one.is_measured else YELLOW if one.source == "default" else 0))
    head = ("FIGURE", "VALUE", "RANGE", "A TENTH MORE", "FROM", "BY")
    return _Section("What it rests on", head, tuple(rows), frozenset({1, 2, 3}))


def _recorded(report: Report) -> _Section:
    """What calls have really cost, and what a month of as many as are estimated would at that."""
    rows = []
    for one in report.recorded:
        month = "-" if (monthly := _month_at(report, one)) is None else dollars(monthly)
        is_chosen = one.name == report.chosen.offer.name
        call = dollars(mean_pico(one.cost_pico, one.calls))
        rows.append(((one.name, f"{one.calls:,}", dollars(one.cost_pico), call, month), GREEN if is_chosen else 0))
    lines = (f"what {report.unknown:,} more cost is not known",) if report.unknown else ()
    head = ("MODEL", "CALLS", "COST", "A CALL", "A MONTH AT THAT")
    return _Section("What recorded calls have cost", head, tuple(rows), frozenset(range(1, 5)), lines)


def _month_at(report: Report, one: Recorded) -> int | None:
    """The month's calls at the mean cost of those recorded."""
    found = report.chosen.estimate
    return None if found is None else round(Fraction(one.cost_pico, one.calls) * found.calls)


def _tiers(found: Estimate) -> _Section:
    standard = found.tiers[STANDARD]
    rows = tuple(
        ((name, dollars(total), f"{total / standard:.2f}" if standard else "-"), 0)
        for name, total in found.tiers.items()
    )
    return _Section("If every call went by one tier", ("TIER", "A MONTH", "TIMES"), rows, frozenset({1, 2}))


def _comparison(report: Report) -> _Section:
    rows = []
    answers = sorted(
        (report.chosen, *report.others),
        key=lambda one: (one.estimate is None, one.estimate.total if one.estimate else 0),
    )
    cheapest = next((one.estimate.total for one in answers if one.estimate is not None), 0)
    for one in answers:
        found, colour = one.estimate, GREEN if one is report.chosen else 0
        remark = "; ".join(one.remarks)
        if found is None:
            rows.append(((one.offer.name, *["-"] * 6, remark), GREY))
            continue
        batch = dollars(found.tiers["batch"]) if found.has_batch else "-"
        times = f"{found.total / cheapest:.2f}" if cheapest else "-"
        amounts = (dollars(found.total), dollars(found.low), dollars(found.high), dollars(found.per_call), batch, times)
        rows.append(((one.offer.name, *amounts, remark), colour))
    head = ("MODEL", "A MONTH", "LOW", "HIGH", "A CALL", "ALL BATCH", "TIMES", "LOOK OUT")
    lines = ("the same tokens on every model: another tokenizer counts otherwise, and another model thinks longer",)
    return _Section("Models", head, tuple(rows), frozenset(range(1, 7)), lines)


def _machines(report: Report) -> _Section:
    rows, lines = [], []
    for one in report.machines:
        even = one.even
        meets = "never" if even.calls is None else f"{even.calls:,}"
        amounts = (dollars(even.machine_month), f"{even.capacity:,}", meets, f"{even.machines:,}", dollars(even.month))
        rows.append(((one.name, *amounts), GREEN if even.month < one.month else 0))
        if report.chosen.offer.name.partition("/")[0] == one.name:
            lines.append(
                f"{one.name}: the model runs on it; the estimate is its busy time, and the bill is all of its hours: "
                f"{dollars(even.month)}"
            )
        elif even.calls is None:
            lines.append(
                f"{one.name}: even at full load a call costs {dollars(even.call_at_capacity)}, and "
                f"{dollars(one.per_call)} with the model"
            )
        elif even.month < one.month:
            lines.append(f"{one.name}: cheaper at this volume by {dollars(one.month - even.month)} a month")
        else:
            lines.append(f"{one.name}: dearer at this volume by {dollars(even.month - one.month)} a month")
    lines.append("a machine is counted by the month's volume, not by its busiest minute; people who run it are not")
    head = ("MACHINE", "A MONTH", "CALLS IT CAN DO", "PAYS FROM, CALLS", "NEEDED HERE", "ALL OF THEM")
    return _Section("Self-hosted", head, tuple(rows), frozenset(range(1, 6)), tuple(lines))


def _tuned(one: Tuned) -> _Section:
    found = one.found
    pays = ("never", "never") if found.calls is None else (f"{found.calls:,}", f"{found.months:g}")
    row = (one.name, dollars(found.training), dollars(one.per_call), dollars(found.month), *pays)
    word, amount = ("cheaper", found.saves) if found.saves >= 0 else ("dearer", -found.saves)
    saved = f"{one.name}: {word} by {dollars(amount)} a month, once it is trained"
    lines = (f"{saved}; whether it is good enough, `headworks eval` finds out", *one.remarks)
    head = ("MODEL", "TRAINING", "A CALL", "A MONTH", "PAYS AFTER, CALLS", "MONTHS")
    return _Section("Fine-tuned", head, ((row, GREEN if found.saves > 0 else 0),), frozenset(range(1, 6)), lines)


def _signed(pico: int) -> str:
    return f"+{dollars(pico)}" if pico > 0 else dollars(pico) if pico else "0"


def _figure(one: Assumption, value: Fraction) -> str:
    return _share(value) if one.name.endswith("_share") else _count(value)


def _between(one: Assumption) -> str:
    return "-" if one.low == one.high else f"{_figure(one, one.low)}..{_figure(one, one.high)}"


def _share(value: Fraction) -> str:
    return f"{float(value) * 100:.1f}".removesuffix(".0") + " %"


def _count(value: Fraction) -> str:
    return f"{value.numerator:,}" if value.denominator == 1 else f"{float(value):,.1f}"


def _line(row: _Row) -> str:
    return "| " + " | ".join(_cell(text) for text in row) + " |"


def _cell(text: str) -> str:
    return plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


# -- JSON -------------------------------------------------------------------------------------------------------------


def as_json(report: Report) -> str:
    """For programs: amounts in whole pico-dollars, figures as numbers."""
    value = {
        "title": report.title,
        "price_version": report.version,
        "tier": report.load.tier,
        "figures": [
            {
                "name": _SHOWN.get(one.name, one.name),
                "value": _number(one.value),
                "low": _number(one.low),
                "high": _number(one.high),
                "source": one.source,
                "is_measured": one.is_measured,
                "note": one.note,
            }
            for one in report.load.assumptions
        ],
        "recorded": [
            {"name": one.name, "calls": one.calls, "cost": one.cost_pico, "cost_usd": usd_text(one.cost_pico)}
            | {"month": _month_at(report, one)}
            for one in report.recorded
        ],
        "recorded_unknown": report.unknown,
        "chosen": _model(report.chosen),
        "others": [_model(one) for one in report.others],
        "machines": [{"name": one.name, **msgspec.to_builtins(one.even)} for one in report.machines],
        "fine_tuned": None
        if report.tuned is None
        else {
            "name": report.tuned.name,
            **msgspec.to_builtins(report.tuned.found),
            "call": report.tuned.per_call,
            "remarks": report.tuned.remarks,
        },
    }
    return msgspec.json.encode(value).decode()


def _model(one: Answer) -> dict[str, object]:
    found = one.estimate
    if found is None:
        return {"name": one.offer.name, "month": None, "remarks": one.remarks}
    cache = found.cache
    return {
        "name": one.offer.name,
        "month": found.total,
        "low": found.low,
        "high": found.high,
        "call": found.per_call,
        "calls": _number(found.calls),
        "parts": msgspec.to_builtins(found.parts),
        "sensitivities": [
            {**msgspec.to_builtins(each), "name": _SHOWN.get(each.name, each.name)} for each in found.sensitivities
        ],
        "tiers": dict(found.tiers),
        "surcharge": found.surcharge,
        "long_context_above": found.above,
        "cache": {
            "usable_tokens": _number(cache.usable_tokens),
            "minimum_tokens": cache.minimum_tokens,
            "pays_from": None if cache.pays_from is None else _number(cache.pays_from),
            "saves": cache.saves,
        },
        "remarks": one.remarks,
    }


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else round(float(value), 6)
