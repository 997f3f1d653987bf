"""Which core does what: the gateway has one for itself, everything else shares another."""

import contextlib
import os
from collections.abc import Iterator

import msgspec


class Cores(msgspec.Struct, frozen=True):
    """The cores of a run; the same number twice on a machine with one core, which the report says."""

    gateway: int
    load: int


def choose() -> Cores:
    """The last core that this process may use for the gateway, the first for the rest.

    Interrupts of virtual machines mostly land on core 0, which therefore goes to the load.
    """
    usable = sorted(os.sched_getaffinity(0))
    return Cores(gateway=usable[-1], load=usable[0])


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run this process, and start its children, on one core; children stay there for good."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
