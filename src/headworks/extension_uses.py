"""Where a project names what other packages offer, and whether that is installed. Runs none of their code."""

from collections.abc import Iterator

import msgspec

from headworks.config import Project
from headworks.errors import ConfigError, Problem
from headworks.extending import HOOKS, PROVIDERS, RECOGNISERS, SINKS, ExtensionError, Group, find_extension


class Use(msgspec.Struct, frozen=True):
    """One place of `headworks.yaml` that names an extension."""

    group: Group
    name: str
    place: tuple[str, ...]


def uses_of(project: Project) -> Iterator[Use]:
    """Every place of `headworks.yaml`, in its order. Contracts and `evals.yaml` may name further ones."""
    config = project.config
    for name, sink in config.records.sinks.items():
        yield Use(SINKS, sink.use, ("records", "sinks", name, "use"))
    for name, provider in config.providers.items():
        if provider.extension is not None:
            yield Use(PROVIDERS, provider.extension, ("providers", name, "extension"))
    screened = {("screening", "privacy"): config.screening.privacy} | {
        ("screening", "teams", team): privacy for team, privacy in config.screening.teams.items()
    }
    for place, privacy in screened.items():
        for recogniser in () if privacy is None else privacy.recognisers:
            yield Use(RECOGNISERS, recogniser, (*place, "recognisers"))
    for name, hook in config.hooks.items():
        yield Use(HOOKS, hook.use, ("hooks", name, "use"))


def check_extension(project: Project, group: Group, name: str, place: tuple[str, ...]) -> None:
    """Raises ConfigError: what is named there is not installed."""
    try:
        find_extension(group, name)
    except ExtensionError as error:
        raise ConfigError(project.problem(place, str(error))) from None


def extension_problems(project: Project) -> Iterator[Problem]:
    """What is named and not installed."""
    for use in uses_of(project):
        if use.group == RECOGNISERS:
            continue  # the examination of the policy tells
        try:
            check_extension(project, use.group, use.name, use.place)
        except ConfigError as error:
            yield from error.problems
