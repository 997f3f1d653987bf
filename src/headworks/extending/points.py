"""Finding what other packages offer by entry points (Python Packaging User Guide, "Entry points specification")."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

import msgspec

from headworks.errors import HeadworksError

Group = Literal[
    "headworks.providers",
    "headworks.hooks",
    "headworks.recognisers",
    "headworks.scorers",
    "headworks.record_sinks",
]

PROVIDERS: Group = "headworks.providers"
"""Each of its entries is called with a `providers.ProviderSettings` and returns a `providers.Provider`."""

HOOKS: Group = "headworks.hooks"
"""Each is called with its settings and returns a `hooks.BeforeHook`, a `hooks.AfterHook`, or both in one."""

RECOGNISERS: Group = "headworks.recognisers"
"""Layers of screening. Each is called without arguments and returns a `screening.privacy.Recogniser`, or a
`screening.privacy.Judge`."""

SCORERS: Group = "headworks.scorers"
"""Each is called with its settings and returns an `evals.scorers.PluggedScorer`."""

SINKS: Group = "headworks.record_sinks"
"""Each is called with its settings and returns a `records.sinks.RecordSink`."""

GROUPS: tuple[Group, ...] = (PROVIDERS, HOOKS, RECOGNISERS, SCORERS, SINKS)


OWN: dict[tuple[Group, str], str] = {
    (SINKS, "opentelemetry"): "headworks.console.open_telemetry:OpenTelemetrySink",
}
"""What is offered by Headworks itself, and loaded by who names it. An installed package of the same name goes first."""


class Offer(msgspec.Struct, frozen=True):
    """What an installed package offers. `location` is the folder that it lies in; `problem` says why it cannot be had;
    "" where it can, or nobody has tried."""

    group: Group
    name: str
    value: str
    package: str
    version: str
    location: str
    problem: str = ""


class ExtensionError(HeadworksError):
    """An extension that cannot be had; says which, and what to do."""


def installed(group: Group) -> tuple[str, ...]:
    """The names that installed packages offer in a group, sorted. Loads none of them."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def offers(*, loads: bool) -> list[Offer]:
    """All that installed packages offer to Headworks, by group and name.

    Arguments:
        loads: whether to try each, which runs its package's code.
    """
    found = []
    for group in GROUPS:
        for entry in sorted(_distinct(entry_points(group=group)), key=lambda one: (one.name, _package(one))):
            problem = ""
            if loads:
                try:
                    load_extension(group, entry.name)
                except ExtensionError as error:
                    problem = str(error)
            dist = entry.dist
            version, folder = ("", "") if dist is None else (dist.version, str(dist.locate_file("")))
            found.append(Offer(group, entry.name, entry.value, _package(entry), version, folder, problem))
    return found


def find_extension(group: Group, name: str) -> EntryPoint:
    """The one entry of this name. Runs nothing of its package.

    Raises:
        ExtensionError: there is none, or there are several.
    """
    found = _distinct(entry_points(group=group, name=name))
    if not found and (group, name) in OWN:
        return EntryPoint(name=name, value=OWN[group, name], group=group)
    if not found:
        there = ", ".join(sorted({*installed(group), *(own for of, own in OWN if of == group)})) or "none"
        raise ExtensionError(
            f"no installed package offers `{name}` in the entry points `{group}` (there: {there}); install the one "
            "that does into the environment that Headworks runs in"
        )
    if len(found) > 1:
        whose = ", ".join(sorted(_package(entry) for entry in found))
        raise ExtensionError(f"several packages offer `{name}` in `{group}` ({whose}); uninstall all but one")
    return found[0]


def load_extension(group: Group, name: str) -> object:
    """What an installed package offers under this name. It runs that package's code: with the gateway's own rights.

    Raises:
        ExtensionError: there is none, there are several, or it cannot be loaded.
    """
    entry = find_extension(group, name)
    try:
        loaded: object = entry.load()
    except Exception as error:
        # Whatever it is, it is not ours. Its text may hold anything, so the name of its kind has to do.
        raise ExtensionError(
            f"`{name}` of {_package(entry)} cannot be loaded: {type(error).__name__} while `{entry.value}` was imported"
        ) from error
    return loaded


def _distinct(entries: Iterable[EntryPoint]) -> list[EntryPoint]:
    """The same package may be found twice on the path."""
    return list({(entry.value, _package(entry)): entry for entry in entries}.values())


def _package(entry: EntryPoint) -> str:
    return "an unknown package" if entry.dist is None else entry.dist.name
