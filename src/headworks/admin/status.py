"""How the running gateway stands, and what teams and organisations there are."""

from collections import Counter
from typing import Literal

import msgspec

from headworks.access import ROLES, Right, Role
from headworks.admin.desk import Desk
from headworks.calls import NO_BUDGET, Budget, Limits
from headworks.config.budgets import team_budgets
from headworks.doctoring.running import Running, look_at_running


class TeamStanding(msgspec.Struct, frozen=True):
    """A team: of an organisation (None: of none), with what its keys may ask for and spend together."""

    name: str
    organisation: str | None
    keys: int
    limits: Limits
    weight: int
    priority: int | None
    budget: Budget = NO_BUDGET


class RoleStanding(msgspec.Struct, frozen=True):
    """A role, and what it may do at the admin API."""

    name: Role
    rights: tuple[Right, ...]


class RoleHolder(msgspec.Struct, frozen=True):
    """Who has a role: a key, a user of the configuration, or whoever comes with a claim.

    `how` is `key`, `user` or `claim`; `who` a key's id and name, a subject or an address, or a claim and its value.
    """

    role: str
    organisation: str | None
    how: Literal["key", "user", "claim"]
    who: str
    issuer: str


def role_holders(desk: Desk, *, now_s: float) -> list[RoleHolder]:
    """Who has a role, of what whoever asks reaches: keys that are good, then users, then claims.

    Raises:
        Forbidden: they may not see keys, or not everywhere.
    """
    desk.demand_everywhere(Right.READ_KEYS)
    found = []
    with desk.keys() as store:
        for record in store.list():
            grant = desk.organisations.grant_of_key(record.role, record.team, record.organisation)
            if record.role is Role.CALLER or grant is None or not record.is_good(now_s):
                continue
            who = f"{record.key_id} {record.name}".rstrip()
            found.append(RoleHolder(grant.role.value, grant.organisation, "key", who, ""))
    access = desk.project.config.access
    for user in access.users:
        who = user.subject or user.email or ""
        found += [RoleHolder(role, user.organisation, "user", who, user.issuer or "") for role in user.roles]
    return found + [
        RoleHolder(one.role, one.organisation, "claim", f"{one.claim} = {one.value}", one.issuer or "")
        for one in access.roles
    ]


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
        team = config.teams.get(name)
        limits = Limits() if team is None else team.limits
        found.append(
            TeamStanding(
                name,
                desk.organisations.of(name) or None,
                counts[name],
                Limits(*(getattr(limits, field) for field in Limits.__struct_fields__)),
                1 if team is None else team.weight,
                None if team is None else team.priority,
                budgets.get(name, NO_BUDGET),
            )
        )
    return found


def list_roles() -> list[RoleStanding]:
    """Every role, with its rights in the order of the table."""
    return [RoleStanding(role, tuple(right for right in Right if right in ROLES[role].rights)) for role in Role]
