"""Who administrates: a principal, the roles that it has and where, and what follows from that. Pure.

An *organisation* has teams; what belongs to a team (keys, calls, budgets) is its organisation's. Somebody has a role
either everywhere or in one organisation. What is in no organisation is seen only by who has a role everywhere.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from headworks.access.networks import Networks
from headworks.access.roles import FOR_ALL_ONLY, ROLES, Right, Role

EVERYWHERE = None
"""Where a role holds that is not of one organisation."""

Way = Literal["key", "token", "session", "command"]
"""How somebody has shown who they are: a virtual key, a bearer token, the browser's sign-in; or by being at the shell,
which nobody comes to over the network."""


class RoleGrant(msgspec.Struct, frozen=True):
    """A role, and the organisation in which it holds; None for everywhere."""

    role: Role
    organisation: str | None = EVERYWHERE

    def has(self, right: Right) -> bool:
        """Whether the role brings this right along where it holds."""
        return right in ROLES[self.role].rights and (self.organisation is EVERYWHERE or right not in FOR_ALL_ONLY)


class Organisations:
    """Which team is whose.

    Arguments:
        teams: the teams of each organisation. A team is in one organisation at most.
    """

    def __init__(self, teams: Mapping[str, Iterable[str]]) -> None:
        self._teams = {name: tuple(dict.fromkeys(of)) for name, of in teams.items()}
        self._of = {team: name for name, of in self._teams.items() for team in of}

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(self._teams)

    def of(self, team: str) -> str:
        """The organisation of a team; "" where it is in none."""
        return self._of.get(team, "")

    def teams(self, names: Iterable[str]) -> tuple[str, ...]:
        """The teams of several organisations."""
        return tuple(team for name in names for team in self._teams.get(name, ()))

    def grant_of_key(self, role: Role, team: str, given_in: str = "") -> RoleGrant | None:
        """Where a key has its role: everywhere if it has no team, else in its team's organisation. None is nowhere: its
        team is in none (any more), or in another than that in which the role was given. What is taken out of the file,
        or moved in it, must not open anything to anybody.

        Arguments:
            given_in: the organisation in which it was given; "" where that is not known.
        """
        if not team:
            return RoleGrant(role)
        organisation = self._of.get(team)
        return (
            None
            if organisation is None or organisation != (given_in or organisation)
            else RoleGrant(role, organisation)
        )


class Principal(msgspec.Struct, frozen=True):
    """Somebody who has shown who they are.

    Attributes:
        who: a key's id, or a subject's (`token_...`): the audit log names it.
        name: for people to read.
        way: how they have shown it.
        grants: their roles.
        ends_s: when the key that they came with expires, in Unix seconds; None: it does not.
        networks: those that it may be used from; none means anywhere.
    """

    who: str
    name: str
    way: Way
    grants: tuple[RoleGrant, ...] = ()
    ends_s: float | None = None
    networks: tuple[str, ...] = ()

    def may(self, right: Right, organisation: str) -> bool:
        """Whether they may do it to what belongs to this organisation; "" for what belongs to none."""
        return any(
            grant.has(right) and (grant.organisation is EVERYWHERE or grant.organisation == organisation != "")
            for grant in self.grants
        )

    def may_somewhere(self, right: Right) -> bool:
        """Whether there is anything that they may do it to."""
        return any(grant.has(right) for grant in self.grants)

    def may_everywhere(self, right: Right) -> bool:
        """Whether there is nothing that they may not do it to."""
        return any(grant.has(right) and grant.organisation is EVERYWHERE for grant in self.grants)

    def reach(self, right: Right) -> frozenset[str] | None:
        """The organisations where they may do it; None for everywhere."""
        if self.may_everywhere(right):
            return None
        return frozenset(grant.organisation for grant in self.grants if grant.has(right) and grant.organisation)

    def may_give(self, role: Role, organisation: str) -> bool:
        """Whether they may let somebody else have a role there: only what they may do themselves. `organisation` is ""
        for a role that holds everywhere."""
        return all(
            self.may_everywhere(right) if organisation == "" else self.may(right, organisation) or right in FOR_ALL_ONLY
            for right in ROLES[role].rights
        )

    def may_give_until(self, ends_s: float | None) -> bool:
        """Whether a role that they give may hold so long: not when what they came with has ended. None is for ever."""
        return self.ends_s is None or (ends_s is not None and ends_s <= self.ends_s)

    def may_give_in(self, networks: Iterable[str]) -> bool:
        """Whether a role that they give may be used from there: where they may be themselves. None is anywhere."""
        return not self.networks or Networks(self.networks).covers(networks)


AT_THE_SHELL = Principal("", "", "command", (RoleGrant(Role.ADMIN), RoleGrant(Role.AUDITOR)))
"""Whoever gives commands: they can write the state folder, so nothing is kept from them."""
