"""Show how the running gateway of this project stands.

Reads what its workers publish once a second in the state folder: which of them run and take calls, whether their hot
path runs compiled, calls under way and waiting, each target's circuit breaker, latency and failures (of the last 20
seconds), each quota with what is used of it and what is left, who waits for room in it and with which priority, who
keeps the books of quotas, and what of the journals is not in the store yet, and how sinks of records stand. Opens no
connection.

What is used of a quota is what the workers of this machine have spent in its window since they started; headroom is the
limit less that. Of several workers a target's worst breaker is shown.

Exit code 0: all is well. 1: no gateway runs or it says nothing any more, a worker is gone, not ready, or refuses calls
because it has too much to do, a breaker is open (or holds back a target's streams), a provider refuses a key or says
that its project is out of credit, a provider's key cannot be looked at or its newest one is refused, who keeps the
books of quotas does not answer, a sink fails, or the journals are not drained. So it can be used as a probe.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.state import desk_of, load_project
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width, tokens

if TYPE_CHECKING:
    from headworks.doctoring.running import Running, SinkSeen
    from headworks.telemetry import QueueStanding, QuotaStanding, TargetStanding

_EVERY_S = 2.0

_CLEAR = "\x1b[H\x1b[2J"

_BREAKER_COLOURS = {"closed": GREEN, "half_open": YELLOW, "open": RED}

_TARGET_HEAD = ("TARGET", "BREAKER", "FOR", "PENDING", "HEAD", "CALLS", "FAILED", "RETRIES", "RESTS")
_QUOTA_HEAD = ("QUOTA OF", "KIND", "LIMIT", "USED", "HEADROOM", "HELD", "WAITING")
_NEARLY_USED = 0.1
"""Share of a limit below which its headroom is shown as small."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks status`."""
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--all", action="store_true", help="also targets and quotas that were not used of late")
    parser.add_argument("--watch", action="store_true", help="look again every two seconds, until Ctrl-C")


def run(options: argparse.Namespace) -> int:
    """Show it; returns the exit code."""
    from headworks.admin.status import gateway_status

    desk = desk_of(load_project(options.config, "status"), "status")

    def look() -> "Running":
        return gateway_status(desk)

    if options.watch:
        return watch(look, options, rest=time.sleep)
    return show(look(), options)


def watch(look: "Callable[[], Running]", options: argparse.Namespace, *, rest: Callable[[float], None]) -> int:
    """Show it again and again, until the user has seen enough and presses Ctrl-C (KeyboardInterrupt ends this)."""
    while True:
        found = look()
        if sys.stdout.isatty() and not options.json:
            print(_CLEAR, end="")
        show(found, options)
        rest(_EVERY_S)


def show(found: "Running", options: argparse.Namespace) -> int:
    """Print it; returns the exit code."""
    if options.json:
        import msgspec

        print(msgspec.json.encode({"ok": not found.problems, **msgspec.to_builtins(found)}).decode(), flush=True)
    else:
        print("\n".join(_lines(found, shows_all=options.all, coloured=has_colours())), flush=True)
    return 1 if found.problems else 0


def _lines(found: "Running", *, shows_all: bool, coloured: bool) -> list[str]:
    lines = [f"gateway   {_gateway(found)}"]
    if found.state == "running":
        lines.append(f"hot path  {_hot_path(found)}")
        lines.append(f"calls     {found.calls_in_flight:,} in flight, {found.calls_waiting:,} of them waiting for room")
        books = "Valkey" if found.books == "Valkey" else f"the {found.books}"
        lines.append(f"quotas    kept by {books}: {_books(found)}")
    lines.append(f"journals  {tokens(found.waiting_bytes)} bytes wait to be drained")
    lines += [_sink_line(one) for one in found.sinks]
    targets = [one for one in found.standing.targets if shows_all or _is_used(one)]
    if targets:
        table = Table(
            _TARGET_HEAD,
            right=frozenset(range(2, len(_TARGET_HEAD))),
            coloured=coloured,
            flexible=frozenset({0}),
            width=terminal_width(),
        )
        lines += ["", *table.lines([_target_row(one) for one in targets])]
    elif found.state == "running":
        lines += ["", "no target was used yet; --all shows them all"]
    lines += [_probe_line(one) for one in targets if one.probe and one.breaker != "closed"]
    quotas = [one for one in found.standing.quotas if shows_all or one.used or one.held]
    if quotas:
        waiting = {queue.of: queue.calls for queue in found.standing.queues}
        table = Table(
            _QUOTA_HEAD,
            right=frozenset(range(2, len(_QUOTA_HEAD))),
            coloured=coloured,
            flexible=frozenset({0}),
            width=terminal_width(),
        )
        lines += ["", *table.lines([_quota_row(one, waiting.get(one.of, 0)) for one in quotas])]
        lines += [f"{plain(queue.of)}: {_by_priority(queue)}" for queue in found.standing.queues if queue.calls]
    if found.standing.left_out:
        lines.append(f"{found.standing.left_out} more are not shown")
    if found.problems:
        mark = f"\x1b[{RED}mproblem\x1b[0m" if coloured else "problem"
        lines += ["", *(f"{mark}  {plain(problem)}" for problem in found.problems)]
        lines.append("-> `headworks doctor` looks further, and says how to mend it")
    return lines


def _gateway(found: "Running") -> str:
    if found.state == "none":
        return "not running"
    if found.state == "stale":
        return f"silent for {_seconds(found.seen_s)}"
    workers = "1 worker" if found.workers == 1 else f"{found.workers} workers"
    return f"running with {workers}, {'ready' if found.is_ready else 'not ready'}"


def _hot_path(found: "Running") -> str:
    if found.workers_compiled == found.workers:
        return "compiled"
    if not found.workers_compiled:
        return "Python source"
    return f"compiled in {found.workers_compiled} of {found.workers} workers"


def _books(found: "Running") -> str:
    """Whether who keeps the books answers, as far as workers had to ask."""
    if found.are_books_away:
        return "DOES NOT ANSWER"
    if not found.standing.quotas:
        return "nothing is limited"
    return "answers" if any(quota.used or quota.held for quota in found.standing.quotas) else "not asked of late"


def _is_used(target: "TargetStanding") -> bool:
    return bool(
        target.breaker != "closed" or target.held or target.pending or target.calls or target.took_s or target.rests_s
    )


def _target_row(target: "TargetStanding") -> list[Cell]:
    failed = round(target.failures)
    return [
        Cell(target.target),
        _breaker_cell(target),
        Cell(_seconds(target.open_for_s)),
        Cell(f"{target.pending:,}"),
        Cell(_seconds(target.took_s)),
        Cell(f"{target.calls:,.0f}"),
        Cell(f"{failed:,}", RED if failed else GREY),
        Cell(f"{target.budget_used:.0%}", YELLOW if target.budget_used >= 1.0 else 0),
        Cell(_seconds(target.rests_s), YELLOW if target.rests_s else GREY),
    ]


def _breaker_cell(target: "TargetStanding") -> Cell:
    if target.breaker == "closed" and target.held:
        return Cell(f"no {target.held}", YELLOW)
    return Cell(target.breaker.replace("_", " "), _BREAKER_COLOURS[target.breaker])


def _by_priority(queue: "QueueStanding") -> str:
    classes = [f"{calls:,} of priority {priority}" for priority, calls in enumerate(queue.by_priority) if calls]
    return f"{', '.join(classes)} wait" if queue.calls > 1 else f"{classes[0]} waits"


def _probe_line(target: "TargetStanding") -> str:
    found = {"good": "was good", "failed": "has failed", "silent": "says nothing of its health"}[target.probe]
    return f"{plain(target.target)}: the last probe, {_seconds(target.probed_ago_s)} ago, {found}"


def _sink_line(sink: "SinkSeen") -> str:
    taken = "has taken none yet" if sink.taken_ago_s is None else f"last took some {_seconds(sink.taken_ago_s)} ago"
    failed = f", FAILED {sink.failures} TIMES" if sink.failures else ""
    return f"sink      {plain(sink.name)}: {sink.pending:,} records wait, {taken}{failed}"


def _quota_row(quota: "QuotaStanding", waiting: int) -> list[Cell]:
    is_small = quota.headroom < quota.limit * _NEARLY_USED
    return [
        Cell(quota.of),
        Cell(quota.kind),
        Cell(tokens(quota.limit)),
        Cell(tokens(round(quota.used))),
        Cell(tokens(round(quota.headroom)), YELLOW if is_small else 0),
        Cell(tokens(quota.held)),
        Cell(f"{waiting:,}" if waiting else "-", YELLOW if waiting else GREY),
    ]


def _seconds(seconds: float) -> str:
    from headworks.cli.moments import duration

    return duration(round(seconds * 1e6))
