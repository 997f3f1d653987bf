"""The sinks that a project has its records given to, with what is secret in their settings read."""

import os
from collections.abc import Mapping

import msgspec

from headworks.config import Project


class SinkTerms(msgspec.Struct, frozen=True):
    """One sink of a project, its settings read. Nothing of its package has been run."""

    name: str
    use: str
    begins_at_end: bool
    batch: int
    settings: Mapping[str, str]

    def __repr__(self) -> str:
        return f"SinkTerms({self.name!r})"  # the settings may hold secrets


def sink_terms(project: Project, environment: Mapping[str, str] = os.environ) -> tuple[SinkTerms, ...]:
    """The sinks of a project.

    Raises:
        ConfigError: one is not installed, or a secret cannot be read.
    """
    sinks = project.config.records.sinks
    if not sinks:
        return ()
    from headworks.extending import SINKS  # only who has sinks loads what finds packages
    from headworks.extension_uses import check_extension
    from headworks.hook_plans import read_extension_settings

    for name, sink in sinks.items():
        check_extension(project, SINKS, sink.use, ("records", "sinks", name, "use"))
    return tuple(
        SinkTerms(
            name,
            sink.use,
            sink.since == "now",
            sink.batch,
            read_extension_settings(project, ("records", "sinks", name), sink.settings, environment),
        )
        for name, sink in sinks.items()
    )
