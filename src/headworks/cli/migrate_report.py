"""What a migration found out, on the terminal and as JSON."""

import msgspec

from headworks.cli.eval_paired import Flipped
from headworks.cli.migrate_workload import Migrated, Tried
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width
from headworks.evals.gate import Word
from headworks.evals.rendering import latency, money, percent

_COLOURS: dict[Word, int] = {"not worse": GREEN, "worse": RED, "too thin": YELLOW}
_MOST_BROKEN = 10


def print_migrated(found: Migrated, *, captures: bool) -> None:
    """For a person.

    Arguments:
        captures: nothing else was asked for.
    """
    print(f"{found.workload}: {_leaving(found)}")
    captured = found.captured
    if captured.is_whole:
        often = f", each {captured.repeats} times" if captured.repeats > 1 else ""
        right = captured.right / captured.decided if captured.decided else None
        other = ", with another prompt or contract than today's" if captured.is_of_another_prompt else ""
        now = f", cost {money(captured.spent_pico_usd)}" if captured.spent_pico_usd else ""
        print(f"captured: {captured.cases:,} cases{often}, {percent(right)} right{other}{now}; run {captured.run}")
    if found.why_not:
        print(plain(found.why_not))
        return
    if captures:
        return
    print()
    _print_tried(found)
    for one in found.tried:
        _print_broken(one)
    print()
    _print_choice(found)


def as_json(found: Migrated) -> dict[str, object]:
    """JSON values, for programs; amounts in pico-dollars."""
    retirement = found.retirement
    return {
        "workload": found.workload,
        "incumbent": {
            "name": found.incumbent,
            "target": found.target,
            "shutdown_on": None if retirement is None else retirement.shutdown_on,
            "days_left": None if retirement is None else retirement.days_left,
        },
        "captured": msgspec.to_builtins(found.captured),
        "successors": [
            {
                "name": one.successor.name,
                "target": one.successor.target,
                "why": one.successor.why,
                "served_model": one.served_model or None,
                "cost_per_month_pico_usd": found.per_month(one.cost_pico_usd),
                **one.compared.as_json(),
            }
            for one in found.tried
        ],
        "chosen": None if found.chosen is None else found.chosen.name,
        "why_not": found.why_not or None,
        "lock_change": found.lock_change or None,
        "written": found.is_written,
        "named_at": list(found.named_at),
        "exit_code": found.code,
    }


def _leaving(found: Migrated) -> str:
    named = found.target if found.incumbent == found.target else f"{found.incumbent} ({found.target})"
    retirement = found.retirement
    if retirement is None:
        return f"{named}, of which no end is known"
    if retirement.is_gone:
        return f"{named} was shut down on {retirement.shutdown_on}"
    days = f"{retirement.days_left} day{'' if retirement.days_left == 1 else 's'}"
    return f"{named} is shut down on {retirement.shutdown_on}, in {days}"


def _print_tried(found: Migrated) -> None:
    head = ("SUCCESSOR", "MODEL", "WHY", "VERDICT", "SCORE", "CHANGE", "LOST", "WON", "$/CALL", "$/MONTH", "P50", "P95")
    table = Table(
        head, right=frozenset(range(4, 12)), coloured=has_colours(), flexible=frozenset({1}), width=terminal_width()
    )
    print("\n".join(table.lines([_incumbent_row(found), *(_row(found, one) for one in found.tried)])))


def _incumbent_row(found: Migrated) -> list[Cell]:
    old = next((one.compared.old for one in found.tried if one.compared.old is not None), None)
    whole = next((one.compared.parts[0] for one in found.tried if one.compared.parts), None)
    bill = None if old is None else old.bill
    cost = None if bill is None else bill.cost_pico_usd
    return [
        Cell(found.incumbent),
        Cell(found.target, GREY),
        Cell("goes", GREY),
        Cell(""),
        Cell("-" if whole is None else percent(whole.old)),
        *(Cell("") for _ in range(3)),
        Cell(money(cost)),
        Cell(money(found.per_month(cost))),
        Cell(latency(None if bill is None else bill.p50_ms)),
        Cell(latency(None if bill is None else bill.p95_ms)),
    ]


def _row(found: Migrated, one: Tried) -> list[Cell]:
    compared = one.compared
    whole = compared.parts[0] if compared.parts else None
    bill = None if compared.new is None else compared.new.bill
    word = compared.judgement.word
    below = whole is not None and whole.new < found.bar
    return [
        Cell(one.successor.name),
        Cell(one.successor.target, GREY),
        Cell(one.successor.why, GREY),
        Cell(word, _COLOURS[word]),
        Cell("-" if whole is None else percent(whole.new), YELLOW if below else 0),
        Cell("" if whole is None else f"{100 * (whole.new - whole.old):+.1f}"),
        Cell(f"{len(compared.lost):,}"),
        Cell(f"{len(compared.won):,}"),
        Cell(money(one.cost_pico_usd)),
        Cell(money(found.per_month(one.cost_pico_usd))),
        Cell(latency(None if bill is None else bill.p50_ms)),
        Cell(latency(None if bill is None else bill.p95_ms)),
    ]


def _print_broken(one: Tried) -> None:
    """What breaks with a successor: why it is not taken for as good, and the cases that are wrong with it only."""
    compared = one.compared
    print()
    print(f"{plain(one.successor.name)} is {compared.judgement.word}: {plain('; '.join(compared.judgement.reasons))}")
    contract = next((part for part in compared.parts if part.name == "contract kept"), None)
    if contract is not None:
        print(f"  the contract is kept in {percent(contract.new)} of answers, for {percent(contract.old)}")
    for flipped in compared.lost[:_MOST_BROKEN]:
        print(f"  breaks {_case(flipped)}")
    if len(compared.lost) > _MOST_BROKEN:
        print(f"  and {len(compared.lost) - _MOST_BROKEN:,} more; --json names them all")


def _case(flipped: Flipped) -> str:
    must = " (must pass)" if flipped.must_pass else ""
    return plain(f"{flipped.id}{must}{f': {flipped.reason}' if flipped.reason else ''}")


def _print_choice(found: Migrated) -> None:
    spent = found.captured.spent_pico_usd
    if found.tried:
        spent += found.tried[0].compared.spent_pico_usd
    if found.chosen is None:
        print(f"None of them can be taken yet. Cost so far: {money(spent)}.")
        return
    taken = next(one for one in found.tried if one.successor == found.chosen)
    old = None if taken.compared.old is None else taken.compared.old.bill.cost_pico_usd
    month, before = found.per_month(taken.cost_pico_usd), found.per_month(old)
    calls = f"{found.calls_per_day:,} calls a day"
    print(f"Take {plain(found.chosen.name)}: {money(month)} a month for {money(before)}, at {calls}.")
    print(f"Cost so far: {money(spent)}.")
    if found.lock_change:
        print()
        print("\n".join(plain(line) for line in found.lock_change.splitlines()))
    print()
    if found.is_written:
        print("headworks.lock is written: commit it; gateways take it over by SIGHUP.")
    elif found.lock_change:
        print(f"--write makes this change: headworks migrate {found.workload} --write")
    if found.is_fixed:
        print("The contract names its `model`, which goes before headworks.lock: change it in workload.yaml")
    if found.named_at:
        print(f"{plain(found.target)} is also named at {plain(', '.join(found.named_at))}")
