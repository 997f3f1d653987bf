"""Check an installation from outside, and say of each finding how to mend it.

Looks at the configuration and its secrets, this machine, the store and its journals, every provider (reached, key
accepted, models there, clocks) and the gateway: the one that runs here, or with --url any other, as its callers see it.
Whether streams pass unbuffered through what stands in front of it is measured: the gateway sends a stream of known
pacing, and the times at which its pieces arrive are compared with it. That needs a virtual key (--key).

Changes nothing. Costs nothing, unless --paid says that it may: then each model gets one call of a few tokens, and the
limits that the provider states with the answers are compared with those in headworks.yaml.

Exit code 0: no problem (there may be warnings). 1: at least one problem. 2: wrong usage.

  headworks doctor                                                the gateway on this machine
  headworks doctor --url https://llm.example.org --key env:KEY    through its proxy, as callers reach it
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.parsing import UsageError
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, has_colours, plain
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.config import Secret
    from headworks.doctoring import Check, Examined, Situation

_COLOURS = {"ok": GREEN, "warning": YELLOW, "problem": RED, "skipped": GREY}
_LEAST_QUIET_S, _MOST_QUIET_S = 5.0, 300.0
_LONG_QUIET_S = 75.0
"""Longer than the 60 seconds after which nginx (`proxy_read_timeout`) and AWS's load balancer (`idle_timeout`) cut what
is silent unless told otherwise (their documentation, 2026)."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="default: headworks.yaml; with --url it need not be there"
    )
    parser.add_argument(
        "--url", metavar="URL", help="the gateway to look at, as callers reach it; default: the one here"
    )
    parser.add_argument("--key", metavar="REFERENCE", help="a virtual key of it: `env:NAME` or `file:PATH`")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="PEM file with the authorities to trust for --url")
    parser.add_argument("--paid", action="store_true", help="allow one call of a few tokens to each model")
    parser.add_argument(
        "--long",
        nargs="?",
        const=_LONG_QUIET_S,
        default=0.0,
        type=_seconds,
        metavar="SECONDS",
        help="also see whether a stream that is silent for so long is cut; 75 if none are given",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(options: argparse.Namespace) -> int:
    """Look; returns the exit code."""
    from headworks.doctoring import Verdict, checks_of

    situation = _situation(options)
    # Not `asyncio.run`, which waits for threads: one may hang in a name server or a dead disk beyond its check's time.
    loop = asyncio.new_event_loop()
    try:
        examined = _until_done(loop, _examine(checks_of(situation)))
    finally:
        loop.close()
    findings = [finding for one in examined for finding in one.findings]
    is_well = not any(finding.verdict is Verdict.PROBLEM for finding in findings)
    if options.json:
        import msgspec

        print(msgspec.json.encode({"ok": is_well, "checks": examined}).decode())
    else:
        for line in report(examined, coloured=has_colours()):
            print(line)
    sys.stdout.flush()
    return 0 if is_well else 1


def _until_done(loop: asyncio.AbstractEventLoop, work: "Coroutine[None, None, list[Examined]]") -> "list[Examined]":
    """What it finds. Ctrl-C cancels it: raised wherever the program stands, it would end in a check of many."""
    looking = loop.create_task(work)
    loop.add_signal_handler(signal.SIGINT, looking.cancel)
    try:
        return loop.run_until_complete(looking)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def report(examined: "Sequence[Examined]", *, coloured: bool) -> list[str]:
    """The findings as text, each with its way out below it, and a line that sums them up."""
    lines = []
    width = max((len(finding.about) for one in examined for finding in one.findings), default=0)
    width = min(width, 20)
    counts = dict.fromkeys(("problem", "warning", "ok", "skipped"), 0)

    def shown(text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if coloured else text

    for one in examined:
        if not one.findings:
            continue
        lines.append(shown(plain(one.name), 1))
        for finding in one.findings:
            verdict = finding.verdict.value
            counts[verdict] += 1
            mark = shown(f"{verdict:<8}", _COLOURS[verdict])
            lines.append(f"  {mark} {plain(finding.about):<{width}}  {plain(finding.says)}")
            if finding.way_out:
                lines.append(f"  {'':8} {'':{width}}  {shown('->', GREY)} {plain(finding.way_out)}")
    words = {"problem": "problems", "warning": "warnings", "ok": "ok", "skipped": "skipped"}
    summary = ", ".join(
        f"{count} {name if count == 1 else words[name]}" for name, count in counts.items() if count or name == "problem"
    )
    return [*lines, "", summary]


async def _examine(checks: "Sequence[Check]") -> "list[Examined]":
    """Run them; on a terminal, say which are still under way."""
    from headworks.doctoring import run_checks

    waiting = [check.name for check in checks]
    is_shown = sys.stderr.isatty()

    def show() -> None:
        if is_shown:
            text = f"looking at {', '.join(waiting)}"[:76] if waiting else ""
            print(f"\r\x1b[K{plain(text)}", end="", file=sys.stderr, flush=True)

    def done(one: "Examined") -> None:
        waiting.remove(one.name)
        show()

    show()
    return await run_checks(checks, done=done)


def _situation(options: argparse.Namespace) -> "Situation":
    """What is to be looked at. Raises UsageError for flags that cannot be meant, CommandError for what is not there."""
    from headworks.cli.check import look_over
    from headworks.config import FILE_NAME, load
    from headworks.doctoring import Situation, Target, target_of
    from headworks.doctoring.running import find_running
    from headworks.errors import ConfigError

    file = options.config or Path(FILE_NAME)
    project = unusable = target = None
    ca_file = None if options.ca_file is None else str(options.ca_file)
    if ca_file is not None and not options.ca_file.is_file():
        raise CommandError(f"--ca-file: there is no file {ca_file}")
    if options.url is not None:
        try:
            target = Target.from_url(options.url, ca_file=ca_file)
        except ValueError as error:
            raise UsageError(f"--url: {error}") from None
    key = _key(options.key) if options.key else None
    if options.config is not None or options.url is None or file.exists():
        try:
            project = load(file)
        except ConfigError as error:
            unusable = error
    if target is None and project is not None:
        try:
            running = find_running(project, now_s=time.time())
        except OSError:
            running = None  # that the state folder cannot be read is a finding of the store's check
        target = target_of(project, running)
    return Situation(
        environment=os.environ,
        now=time.time,
        project=project,
        unusable=unusable,
        examine=lambda one: look_over(one)[1],
        target=target,
        is_elsewhere=options.url is not None,
        key=key,
        is_paid=options.paid,
        quiet_s=options.long,
    )


def _key(reference: str) -> "Secret":
    """The key that a reference leads to. Whatever was given instead of a reference is not repeated: it may be a key."""
    from headworks.config import is_reference, read_secret
    from headworks.errors import SecretError

    if not is_reference(reference):
        raise UsageError(
            "--key takes a reference, `env:NAME` or `file:PATH`: keys on a command line are seen by everyone"
        )
    try:
        return read_secret(reference, base=Path(), environment=os.environ)
    except SecretError as error:
        raise CommandError(f"--key: {error}") from None


def _seconds(text: str) -> float:
    value = float(text)
    if not _LEAST_QUIET_S <= value <= _MOST_QUIET_S:
        raise argparse.ArgumentTypeError(f"takes a number of seconds from {_LEAST_QUIET_S:g} to {_MOST_QUIET_S:g}")
    return value
