"""Roles: what somebody may do at the gateway. One table; what is not in it is denied.

Who decides approvals does not call models with the same token, and whoever calls models does not decide. The command
line knows no roles: who can write the state folder can do everything.
"""

import enum

from headworks.calls import Endpoint


class Role(enum.StrEnum):
    """What an identity provider can say that somebody is."""

    ADMIN = "admin"
    OPERATOR = "operator"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    CALLER = "caller"


ROLE_NAMES = frozenset(role.value for role in Role)

_MAY_CALL: dict[Role, tuple[Endpoint, ...] | None] = {
    Role.ADMIN: (Endpoint.APPROVALS,),
    Role.OPERATOR: (Endpoint.APPROVALS,),
    # They read calls, figures and the audit log, for which the gateway has no endpoint.
    Role.ANALYST: None,
    Role.AUDITOR: None,
    Role.CALLER: (),
}


def endpoints_of(role: Role) -> tuple[Endpoint, ...] | None:
    """The scope of a role, as a grant has it: none named means all but approvals. None: it opens nothing here."""
    return _MAY_CALL[role]
