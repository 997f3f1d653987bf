"""Who asks, over the admin API."""

from datetime import datetime

import msgspec

from headworks.access import Role
from headworks.access.principals import Way
from headworks.admin.api.operation import Nothing, Operation, Visit, operation, utc


class RoleOfMine(msgspec.Struct, frozen=True):
    """A role, and the organisation where it holds; null: everywhere."""

    role: Role
    organisation: str | None


class Me(msgspec.Struct, frozen=True):
    """Who asks. `csrf_token` and `session_ends_at` are of a browser's session, null for others."""

    who: str
    name: str
    way: Way
    roles: tuple[RoleOfMine, ...]
    csrf_token: str | None
    session_ends_at: datetime | None


def _me(visit: Visit, _: Nothing) -> Me:
    principal, session = visit.desk.principal, visit.session
    return Me(
        principal.who,
        principal.name,
        principal.way,
        tuple(RoleOfMine(grant.role, grant.organisation) for grant in principal.grants),
        None if session is None else session.csrf,
        None if session is None else utc(session.ends_s),
    )


ME: tuple[Operation, ...] = (operation("GET", "/me", "me.show", "Say who asks", None, _me, Nothing, Me),)
