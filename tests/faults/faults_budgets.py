"""Scenarios in which a hard budget is spent while those who spend it, who keep its books, or who are asked, fail.

Each request that is answered costs the same, so that what was spent is known from the provider's own count of what it
has answered, and not from what the gateways know of it. There is load for more than twice the budget.
"""

from collections.abc import Callable, Sequence

from e2e_processes import Gateway
from faults_load import Load, Wish, drive
from faults_providers import Bar
from faults_result import Result, Size, settle
from faults_sharing import Killer
from faults_stage import Provider, Stage

from postgres_process import PASSWORD, PostgresProcess

A_CALL_USD = 0.00001
PRICES = "prices: {models: {first/gpt-6-luna: {input: 0, output: 0, request: 0.00001}}}"

SHARE = 0.4
"""Of the calls, those that the budget has room for."""


def _room(size: Size) -> int:
    return int(SHARE * size.calls)


def _gateways(stage: Stage, provider: Provider, size: Size, *more: str, count: int = 1) -> list[Gateway]:
    """Gateways whose keys are a team's that has the budget."""
    access = f"access: {{teams: {{desk: {{budget: {{per_day: {A_CALL_USD * _room(size):.5f}}}}}}}}}"
    lines = ("fast: first/gpt-6-luna",)
    found = [
        stage.gateway([provider.configured()], [*lines], PRICES, access, *more, password=PASSWORD + "\n")
        for _ in range(count)
    ]
    for gateway in found:
        gateway.key = gateway.new_key("desk", team="desk")
    return found


def _spend(gateways: Sequence[Gateway], size: Size, acts: Sequence[tuple[float, Callable[[], object]]]) -> Load:
    seconds = size.calls / size.a_second
    wish = Wish(calls=size.calls, a_second=size.a_second, stream=3, deadline_ms=1500)
    return drive(gateways, wish, [(share * seconds, act) for share, act in acts])


def _result(
    stage: Stage,
    provider: Provider,
    name: str,
    load: Load,
    size: Size,
    remark: str = "",
    allowed: frozenset[str] = frozenset(),
) -> Result:
    answered = sum(one["status"] == 200 for one in provider.requests())
    room = _room(size)
    share = f"{100 * answered / room:.0f} % of the budget spent"
    broken_off = {"0 RemoteProtocolError", "0 ReadError", "0 ConnectError"}
    others = set(load.by_failure()) - {"429 budget_exceeded"} - broken_off - allowed
    if others:
        share += f"; not as it should be: {sorted(others)}"
    return settle(stage, name, load, excess=max(0, answered - room), remark=f"{share}; {remark}" if remark else share)


def budget_killed(stage: Stage, size: Size) -> Result:
    """Workers that spend it and the control plane that keeps its books are killed in turn."""
    provider = stage.provider("first")
    gateways = _gateways(stage, provider, size)
    worker, books = Killer(gateways[0], "keys.db", 2), Killer(gateways[0], "drain.lock", 1)
    acts = [(0.05 + 0.1 * number, books if number % 2 else worker) for number in range(6)]
    load = _spend(gateways, size, acts)
    return _result(
        stage, provider, "a budget; processes killed", load, size, f"killed {worker.kills + books.kills} times"
    )


def budget_in_postgres(stage: Stage, size: Size) -> Result:
    """Two gateways spend it, and the PostgreSQL that has its books is stopped, crashes and stands still."""
    provider = stage.provider("first")
    server = stage.keep(PostgresProcess())
    records = f"records: {{store: '{server.url()}', store_password: 'file:password'}}"
    gateways = _gateways(stage, provider, size, records, count=2)
    acts = [
        (0.05, server.stop),
        (0.15, server.start),
        (0.25, server.crash),
        (0.30, server.start),
        (0.40, server.pause),
        (0.50, server.resume),
    ]
    try:
        load = _spend(gateways, size, acts)
    finally:
        server.resume()
    return _result(stage, provider, "a budget; PostgreSQL fails", load, size)


def budget_in_brown_out(stage: Stage, size: Size) -> Result:
    """A third of answers are errors: what failed is asked again, and set aside meanwhile."""
    provider = stage.provider("first")
    gateways = _gateways(stage, provider, size)
    provider.fault(kind="error", status=500, share=0.33)
    load = _spend(gateways, size, [])
    return _result(stage, provider, "a budget; a third are 500", load, size, allowed=frozenset({"500 "}))


BARS = (
    Bar(budget_killed, answered=0.0, is_quick=False),
    Bar(budget_in_postgres, answered=0.0, is_quick=False),
    Bar(budget_in_brown_out, answered=0.0, is_quick=False),
)
