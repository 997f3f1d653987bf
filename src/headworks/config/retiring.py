"""Which of the models that a project names are shut down soon, or are already, and where it names them."""

import datetime as dt
from collections.abc import Iterator, Sequence

import msgspec

from headworks.catalogue import PriceBook, Retirement, retirement_of
from headworks.config.lock import LOCK_FILE, read_lock
from headworks.config.naming import DETERMINISTIC, model_of_rung
from headworks.config.project import Project
from headworks.config.sections.models import TIER_ROLES
from headworks.config.shape import Config
from headworks.config.workloads import Workload
from headworks.errors import ConfigError, Problem


class Retiring(msgspec.Struct, frozen=True):
    """A model that goes.

    Attributes:
        target: `provider/model`.
        retirement: when, and what its provider recommends.
        workloads: names of those that may call it: as a rung, as a fallback, or because the lock says so.
        places: where it is named, as problems of the files that only say the place: the first is the one to change.
    """

    target: str
    retirement: Retirement
    workloads: tuple[str, ...]
    places: tuple[Problem, ...]


def find_retiring(
    project: Project, book: PriceBook, workloads: Sequence[Workload], today: dt.date
) -> tuple[Retiring, ...]:
    """The project's models that are shut down within `catalogue.WARNING_DAYS` days, the nearest first.

    Arguments:
        book: knows the models.
        today: the day in UTC.
    """
    places: dict[str, list[Problem]] = {}
    users: dict[str, list[str]] = {}
    for target, place, user in (*_of_config(project), *_of_workloads(project, workloads), *_of_lock(project)):
        places.setdefault(target, []).append(place)
        if user and user not in users.setdefault(target, []):
            users[target].append(user)
    found = []
    for target, named in places.items():
        provider, _, model = target.partition("/")
        known = book.for_target(provider, model).model
        retirement = None if known is None else retirement_of(known, today)
        if retirement is not None:
            found.append(Retiring(target, retirement, tuple(users.get(target, ())), tuple(named)))
    return tuple(sorted(found, key=lambda one: (one.retirement.days_left, one.target)))


def retiring_text(one: Retiring) -> str:
    """What is said of it, in one line."""
    life = one.retirement
    days = f"{abs(life.days_left)} day{'' if abs(life.days_left) == 1 else 's'}"
    when = f"was shut down on {life.shutdown_on}" if life.is_gone else f"is shut down on {life.shutdown_on}, in {days}"
    successor = f"; its provider recommends {life.successor}" if life.successor else ""
    if not one.workloads:
        return f"{one.target} {when}{successor}"
    named = f"{one.workloads[0]}" if len(one.workloads) == 1 else f"{len(one.workloads)} workloads"
    what = "what can take its place" if life.is_gone else "what can take its place, while it still answers"
    return f"{one.target} {when}{successor}. `headworks migrate` finds out for {named} {what}"


def retiring_warnings(found: Sequence[Retiring]) -> tuple[Problem, ...]:
    """A warning for each, at the place where the model is named first."""
    return tuple(
        msgspec.structs.replace(one.places[0], message=f"{one.places[0].message}{retiring_text(one)}") for one in found
    )


_Named = tuple[str, Problem, str]
"""A target, where it is named, and the workload that may call it."""


def _of_config(project: Project) -> Iterator[_Named]:
    config = project.config
    for name, model in config.models.items():
        for number, target in enumerate(model.targets):
            yield target.target, project.problem(("models", name, "targets", number), ""), ""
        if not model.targets:
            yield f"{model.provider}/{model.model}", project.problem(("models", name, "model"), ""), ""
        for number, after in enumerate(model.fallback):
            for target_name in _targets_of(config, after):
                yield target_name, project.problem(("models", name, "fallback", number), ""), ""
    for role in TIER_ROLES:
        if getattr(config.tiers, role) is not None:
            for target_name in _targets_of(config, role):
                yield target_name, project.problem(("tiers", role), ""), ""
    for name, provider in config.providers.items():
        for number, listed in enumerate(provider.models or ()):
            yield f"{name}/{listed}", project.problem(("providers", name, "models", number), ""), ""


def _of_workloads(project: Project, workloads: Sequence[Workload]) -> Iterator[_Named]:
    for workload in workloads:
        contract = workload.contract
        named: list[tuple[tuple[str | int, ...], str]] = [
            (("ladder", number), rung) for number, rung in enumerate(contract.ladder)
        ]
        named += [(("fallback", number), rung) for number, rung in enumerate(contract.fallback)]
        injection = contract.screening.injection
        if injection is not None and injection.check is not None:
            named.append((("screening", "injection", "check", "model"), injection.check.model))
        for place, rung in named:
            for target in () if rung == DETERMINISTIC else _targets_of(project.config, rung):
                yield target, workload.problem(place, ""), workload.name


def _of_lock(project: Project) -> Iterator[_Named]:
    file = project.folder / LOCK_FILE
    try:
        locked = read_lock(file).workloads
    except ConfigError:
        return  # the check of the lock tells
    for name, one in locked.items():
        for target in _targets_of(project.config, one.model) if one.model else ():
            yield target, Problem(str(file), 0, 0, ""), name


def _targets_of(config: Config, name: str) -> tuple[str, ...]:
    """Each `provider/model` that a name stands for; none where it means none."""
    model = model_of_rung(config, name)
    return () if model is None else tuple(f"{provider}/{upstream}" for provider, upstream in model.pairs)
