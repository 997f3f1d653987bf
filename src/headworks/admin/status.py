"""How the running gateway stands, and what teams and organisations there are."""

from collections import Counter

import msgspec

from headworks.access import ROLES, Right, Role
from headworks.admin.desk import Desk
from headworks.calls import Limits
from headworks.config.budgets import team_budgets
from headworks.doctoring.running import Running, look_at_running


class TeamStanding(msgspec.Struct, frozen=True):
    """A team: of an organisation (None: of none), with what its keys may ask for together. Budgets are pico-dollars."""

    name: str
    organisation: str | None
    keys: int
    limits: Limits
    weight: int
    priority: int | None
    day_pico: int | None = None
    month_pico: int | None = None


class RoleStanding(msgspec.Struct, frozen=True):
    """A role, and what it may do at the admin API."""

    name: Role
    rights: tuple[Right, ...]


def gateway_status(desk: Desk) -> Running:
    """How the gateway stands.

    Raises:
        Forbidden: whoever asks may not know: quotas and queues show who else there is.
        StorageError: its state folder cannot be read.
    """
    desk.demand_everywhere(Right.READ_STATUS)
    return look_at_running(desk.project, now_s=desk.now())


def list_teams(desk: Desk) -> list[TeamStanding]:
    """Teams that the configuration or a key names, of those that whoever asks reaches.

    Raises:
        Forbidden: they reach none.
    """
    reached = desk.teams(Right.READ_TEAMS)
    config = desk.project.config.access
    of_key = desk.teams_of_keys()
    counts = Counter(of_key.values())
    named = desk.organisations.teams(desk.organisations.names)
    names = dict.fromkeys([*named, *config.teams, *sorted(counts)])
    budgets = team_budgets(desk.project.config)
    found = []
    for name in names:
        if not name or (reached is not None and name not in reached):
            continue
        team, budget = config.teams.get(name), budgets.get(name)
        limits = Limits() if team is None else team.limits
        found.append(
            TeamStanding(
                name,
                desk.organisations.of(name) or None,
                counts[name],
                Limits(*(getattr(limits, field) for field in Limits.__struct_fields__)),
                1 if team is None else team.weight,
                None if team is None else team.priority,
                None if budget is None else budget.day_pico,
                None if budget is None else budget.month_pico,
            )
        )
    return found


def list_roles() -> list[RoleStanding]:
    """Every role, with its rights in the order of the table."""
    return [RoleStanding(role, tuple(right for right in Right if right in ROLES[role].rights)) for role in Role]
