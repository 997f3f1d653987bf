"""Scenarios in which the store fails: a PostgreSQL that two gateways share is stopped, crashes, or stands still.

Nobody who calls may notice before the journals are full, and every call must be in the store once when it is back.
"""

import time
from collections.abc import Callable

from e2e_processes import Gateway
from faults_load import Wish, drive
from faults_providers import Bar
from faults_result import Result, Size, settle
from faults_stage import Stage

from headworks.config import load, store_url
from headworks.records import open_store
from postgres_process import PASSWORD, PostgresProcess

LEAST_JOURNALS = "storage: {journal_bytes: 1048576, segment_bytes: 65536}"
"""The smallest bound that there is: about two thousand calls."""

DRAINED_S = 20.0
"""Longest until what has spooled is in the store: a control plane tries again at least every 10 s."""


def _gateways(stage: Stage, server: PostgresProcess, *more: str, count: int = 2) -> list[Gateway]:
    provider = stage.provider("first")
    records = f"records: {{store: '{server.url()}', store_password: 'file:password'}}"
    return [
        stage.gateway([provider.configured()], ["fast: first/gpt-6-luna"], records, *more, password=PASSWORD + "\n")
        for _ in range(count)
    ]


def _recorded(gateway: Gateway) -> int:
    """How many calls are in the store, by its sums."""
    project = load(gateway.folder)
    store = open_store(project.storage, store_url(project))
    try:
        return sum(total.calls for total in store.totals([], None, None))
    finally:
        store.close()


def _spooled(gateways: list[Gateway]) -> int:
    """How large the journals are, in bytes."""
    files = [file for gateway in gateways for file in (gateway.folder / ".headworks" / "journal").glob("*.journal")]
    return sum(file.stat().st_size for file in files)


def troubled(stage: Stage, size: Size, name: str, *acts: tuple[float, str | Callable[[], object]]) -> Result:
    """Two gateways share a database, to which this happens under load, each after so much of it."""
    server = stage.keep(PostgresProcess())
    gateways = _gateways(stage, server)
    wish = Wish(calls=size.calls, a_second=size.a_second)
    healthy = drive(gateways, wish)
    attempts = sum(len(provider.requests()) for provider in stage.providers)
    seconds = size.calls / size.a_second
    try:
        doing = [(share * seconds, getattr(server, act) if isinstance(act, str) else act) for share, act in acts]
        load = drive(gateways, wish, doing)
    finally:
        server.resume()
    began_s = time.monotonic()
    while (recorded := _recorded(gateways[0])) < 2 * size.calls and time.monotonic() < began_s + DRAINED_S:
        time.sleep(0.05)
    remark = f"all in the store {time.monotonic() - began_s:.1f} s after the last call"
    if recorded != 2 * size.calls:
        remark = f"not as it should be: {recorded} of {2 * size.calls} recorded while it runs"
    said = "".join(line for gateway in gateways for line in gateway.process.said)
    if PASSWORD in said + server.said():
        remark += "; not as it should be: the password was logged"
    return settle(stage, name, load, healthy=healthy, before=attempts, remark=remark)


def postgres_stopped(stage: Stage, size: Size) -> Result:
    """It is stopped for two thirds of the time."""
    return troubled(stage, size, "PostgreSQL stopped", (0.1, "stop"), (0.8, "start"))


def postgres_crashed(stage: Stage, size: Size) -> Result:
    """It crashes in the middle of what it does, twice, and is there again at once."""
    acts = ((0.2, "crash"), (0.25, "start"), (0.6, "crash"), (0.65, "start"))
    return troubled(stage, size, "PostgreSQL crashed, twice", *acts)


def postgres_paused(stage: Stage, size: Size) -> Result:
    """It takes connections and answers nobody."""
    return troubled(stage, size, "PostgreSQL paused", (0.1, "pause"), (0.8, "resume"))


def postgres_cut(stage: Stage, size: Size) -> Result:
    """All connections are cut, again and again."""
    return troubled(stage, size, "connections to PostgreSQL cut", *((0.1 * n, "cut") for n in range(1, 10)))


def journals_full(stage: Stage, size: Size) -> Result:
    """It is away until the journals have reached their bound and calls are refused; then it is back."""
    server = stage.keep(PostgresProcess())
    gateways = _gateways(stage, server, LEAST_JOURNALS, count=1)
    server.stop()
    loads, largest, wish = [], 0, Wish(calls=500, a_second=5 * size.a_second, stream=0)
    while len(loads) < 40 and not (loads and loads[-1].by_failure()):
        loads.append(drive(gateways, wish))
        largest = max(largest, _spooled(gateways))
    server.start()
    due_s = time.monotonic() + DRAINED_S
    while (last := drive(gateways, Wish(calls=20, a_second=size.a_second))).by_failure():
        loads.append(last)
        assert time.monotonic() < due_s, "calls are not taken again"
    loads.append(last)
    load = type(last)(tuple(call for one in loads for call in one.calls))
    remark = f"the journals grew to {largest / 1024:.0f} of 1024 KiB"
    if set(load.by_failure()) != {"503 journal_full"}:
        remark += "; not as it should be: calls failed otherwise, or were not refused"
    # What is under way when the bound is reached is still written.
    if largest > 1.5 * 1048576:
        remark += "; not as it should be: they grew beyond their bound"
    return settle(stage, "PostgreSQL away until the journals are full", load, remark=remark)


BARS = (
    Bar(postgres_stopped),
    Bar(postgres_crashed, is_quick=False),
    Bar(postgres_paused, is_quick=False),
    Bar(postgres_cut, is_quick=False),
    Bar(journals_full, answered=0.5),
)
