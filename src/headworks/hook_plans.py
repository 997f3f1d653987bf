"""From the `hooks` of `headworks.yaml` to what can be asked: the packages' code loaded, their settings read."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import msgspec

from headworks.config import Project, is_local_reference, is_reference, read_secret
from headworks.config.sections.extensions import Hook
from headworks.errors import ConfigError, SecretError
from headworks.extending import HOOKS, ExtensionError, load_extension

Place = tuple[str, ...]


class MadeHook(msgspec.Struct, frozen=True, eq=False):
    """What a package's factory has made: what is asked before a call and told after it, None where it has no such
    thing."""

    before: Callable[[Any], Any] | None
    after: Callable[[Any], Any] | None


class HookPlan(msgspec.Struct, frozen=True, eq=False):
    """One hook. `make` makes it: anew in each process that asks it, for what it holds (a connection, a thread) may not
    outlive the fork by which workers begin. Raises ConfigError."""

    name: str
    make: Callable[[], MadeHook]
    is_closed: bool
    timeout_s: float
    models: tuple[str, ...]
    teams: tuple[str, ...]
    targets: tuple[str, ...]


def plan_hooks(project: Project, environment: Mapping[str, str] = os.environ) -> tuple[HookPlan, ...]:
    """The hooks of a project, in their order. Runs their packages' code.

    Raises:
        ConfigError: one cannot be had or made, with its place in the file.
    """
    return tuple(_plan(project, name, hook, environment) for name, hook in project.config.hooks.items())


def read_extension_settings(
    project: Project, place: Place, settings: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """The settings of an extension, with what their references lead to.

    Raises:
        ConfigError: a reference cannot be read.
    """
    read: dict[str, str] = {}
    for name, value in settings.items():
        if not is_reference(value):
            read[name] = value
            continue
        where = (*place, "settings", name)
        if not is_local_reference(value):
            raise ConfigError(project.problem(where, "only references of this machine can stand here: `env:`, `file:`"))
        try:
            read[name] = read_secret(value, base=project.folder, environment=environment).reveal()
        except SecretError as error:
            raise ConfigError(project.problem(where, str(error))) from None
    return read


def _plan(project: Project, name: str, hook: Hook, environment: Mapping[str, str]) -> HookPlan:
    place = ("hooks", name)
    settings = read_extension_settings(project, place, hook.settings, environment)
    try:
        make = cast("Callable[[Mapping[str, str]], object]", load_extension(HOOKS, hook.use))
    except ExtensionError as error:
        raise ConfigError(project.problem((*place, "use"), str(error))) from None
    plan = HookPlan(
        name,
        partial(_made, project, name, make, settings),
        hook.on_failure == "closed",
        hook.timeout_s,
        hook.models,
        hook.teams,
        hook.targets,
    )
    plan.make()  # to see that it is one
    return plan


def _made(
    project: Project, name: str, make: Callable[[Mapping[str, str]], object], settings: Mapping[str, str]
) -> MadeHook:
    use, place = project.config.hooks[name].use, ("hooks", name, "use")
    try:
        made = make(settings)
    except Exception as error:  # noqa: BLE001 - whatever it raises is not ours; its text may quote a secret
        says = f"`{use}` fails with {type(error).__name__} when a hook is made of its settings"
        raise ConfigError(project.problem(place, says)) from None
    before, after = getattr(made, "before", None), getattr(made, "after", None)
    if not callable(before) and not callable(after):
        says = f"`{use}` makes something that is no hook: it has neither `before` nor `after`"
        raise ConfigError(project.problem(place, says))
    return MadeHook(before if callable(before) else None, after if callable(after) else None)
