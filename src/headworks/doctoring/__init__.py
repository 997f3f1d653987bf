"""Looking at an installation from outside: each finding with its verdict, and a way out where one is needed.

`checks_of` says what is to be looked at, `run_checks` does it, all at the same time. What there is to check is a row of
`SOURCES`: a store or an authority over quotas adds its own with one line there. A check changes nothing, costs nothing
unless told that it may, and ends within its time.

May import everything below `assembly`: `provider_plans` and `settings` for how a configuration is read, and what
`transport` and `records` offer. Nothing imports this but the command line.
"""

from collections.abc import Callable

from headworks.doctoring import configuration, gateway, machine, providers, store, streams, valkey
from headworks.doctoring.findings import Check, Examined, Finding, Verdict, run_checks
from headworks.doctoring.situation import Situation, Target, target_of

SOURCES: tuple[Callable[[Situation], list[Check]], ...] = (
    configuration.checks,
    machine.checks,
    store.checks,
    valkey.checks,
    providers.checks,
    gateway.checks,
    streams.checks,
)
"""What there is to look at, in the order in which it is shown."""


def checks_of(situation: Situation) -> list[Check]:
    """All that is to be looked at here."""
    return [check for source in SOURCES for check in source(situation)]


__all__ = [
    "SOURCES",
    "Check",
    "Examined",
    "Finding",
    "Situation",
    "Target",
    "Verdict",
    "checks_of",
    "run_checks",
    "target_of",
]
