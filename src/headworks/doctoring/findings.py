"""The words of a diagnosis, and how its checks are run: side by side, each within its time."""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

import msgspec

from headworks.errors import HeadworksError


class Verdict(enum.StrEnum):
    """What a finding comes to. Only a problem makes `headworks doctor` end with 1."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at.

    Attributes:
        about: what was looked at, in a word or two; unique within its check where programs are to find it again.
        says: what was found, in a sentence without a full stop.
        way_out: what to do about it; "" where nothing is to be done.
        figures: what was measured, by name with its unit.
    """

    about: str
    verdict: Verdict
    says: str
    way_out: str = ""
    figures: dict[str, float] = {}


def ok(about: str, says: str, **figures: float) -> Finding:
    """All is well."""
    return Finding(about, Verdict.OK, says, figures=figures)


def warning(about: str, says: str, way_out: str, **figures: float) -> Finding:
    """It works, and should be otherwise."""
    return Finding(about, Verdict.WARNING, says, way_out, figures)


def problem(about: str, says: str, way_out: str, **figures: float) -> Finding:
    """It does not work, or will not when it matters."""
    return Finding(about, Verdict.PROBLEM, says, way_out, figures)


def skipped(about: str, says: str, way_out: str = "") -> Finding:
    """It could not be looked at, or need not be; the way out is how to have it looked at."""
    return Finding(about, Verdict.SKIPPED, says, way_out)


class Check(msgspec.Struct, frozen=True):
    """Something to look at.

    Attributes:
        name: the heading of its findings.
        look: looks; raises `HeadworksError` only where that error itself is what was found.
        limit_s: seconds that it may take; beyond them, that is the finding.
    """

    name: str
    look: Callable[[], Awaitable[Sequence[Finding]]]
    limit_s: float = 20.0


class Examined(msgspec.Struct, frozen=True):
    """A check that was made."""

    name: str
    findings: tuple[Finding, ...]
    took_s: float


async def run_checks(checks: Sequence[Check], *, done: Callable[[Examined], None]) -> list[Examined]:
    """Make all checks at the same time; returns them in their order.

    Arguments:
        done: told of each when it has been made, in whatever order that happens.
    """

    async def make(check: Check) -> Examined:
        began_s = perf_counter()
        try:
            async with asyncio.timeout(check.limit_s):
                findings = tuple(await check.look())
        except TimeoutError:
            findings = (
                problem(
                    "time",
                    f"it was not done within {check.limit_s:g} s",
                    "see what holds it up: the network, a name server, a slow disk, a database",
                ),
            )
        except HeadworksError as error:
            findings = (problem("error", str(error), "see to what it says"),)
        examined = Examined(check.name, findings, round(perf_counter() - began_s, 3))
        done(examined)
        return examined

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(make(check)) for check in checks]
    return [task.result() for task in tasks]


def in_thread(look: Callable[[], Sequence[Finding]]) -> Callable[[], Awaitable[Sequence[Finding]]]:
    """A look at files, made outside of the loop."""

    async def looked() -> Sequence[Finding]:
        return await asyncio.to_thread(look)

    return looked
