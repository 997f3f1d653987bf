"""Roles: what somebody may do, at the gateway and at the admin API. One table; what is not in it is denied.

Who decides approvals does not call models with the same token, and whoever calls models does not decide. The command
line knows no roles: who can write the state folder can do everything.
"""

import enum
from collections.abc import Iterable

import msgspec

from headworks.calls import Endpoint


class Role(enum.StrEnum):
    """What somebody is, as a key, an identity provider or the configuration says."""

    ADMIN = "admin"
    OPERATOR = "operator"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    CALLER = "caller"


ROLE_NAMES = frozenset(role.value for role in Role)


class Right(enum.StrEnum):
    """What may be done at the admin API. The value is what its errors and the reference name."""

    READ_KEYS = "keys.read"
    WRITE_KEYS = "keys.write"
    REVOKE_KEYS = "keys.revoke"
    READ_TEAMS = "teams.read"
    READ_BUDGETS = "budgets.read"
    WRITE_BUDGETS = "budgets.write"
    READ_LIMITS = "limits.read"
    READ_STATUS = "status.read"
    READ_CALLS = "calls.read"
    READ_CONTENT = "content.read"
    READ_AUDIT = "audit.read"
    READ_APPROVALS = "approvals.read"
    DECIDE_APPROVALS = "approvals.decide"
    READ_MODELS = "models.read"
    READ_CONFIG = "config.read"
    RELOAD_CONFIG = "config.reload"
    READ_PROVIDERS = "providers.read"
    ROTATE_PROVIDERS = "providers.rotate"

    @property
    def meaning(self) -> str:
        """In words, for the reference."""
        return _MEANINGS[self]


_MEANINGS: dict[Right, str] = {
    Right.READ_KEYS: "list and show virtual keys",
    Right.WRITE_KEYS: "create, limit and rotate virtual keys",
    Right.REVOKE_KEYS: "revoke virtual keys",
    Right.READ_TEAMS: "list organisations and teams, and show what roles may do",
    Right.READ_BUDGETS: "show what budgets have left",
    Right.WRITE_BUDGETS: "change the budgets of keys, release what dead workers hold",
    Right.READ_LIMITS: "show use against limits, with the forecast",
    Right.READ_STATUS: "show how the running gateway stands",
    Right.READ_CALLS: "search, show and sum up calls, without content",
    Right.READ_CONTENT: "read what is kept of a call's content",
    Right.READ_AUDIT: "search and verify the audit log",
    Right.READ_APPROVALS: "list and show tool calls that wait for a person, with their arguments",
    Right.DECIDE_APPROVALS: "approve and deny them",
    Right.READ_MODELS: "list the models that can be called",
    Right.READ_CONFIG: "show the configuration and check its file",
    Right.RELOAD_CONFIG: "have the running gateway take the file",
    Right.READ_PROVIDERS: "show how providers' keys stand",
    Right.ROTATE_PROVIDERS: "have providers' keys looked at now",
}

FOR_ALL_ONLY = frozenset(
    {
        Right.READ_STATUS,
        Right.READ_AUDIT,
        Right.READ_CONFIG,
        Right.RELOAD_CONFIG,
        Right.READ_PROVIDERS,
        Right.ROTATE_PROVIDERS,
    }
)
"""What concerns the whole installation: a role that somebody has in one organisation does not bring it along."""


class Powers(msgspec.Struct, frozen=True):
    """What one role may do.

    `endpoints` is the scope of a token with this role at the gateway: none named means all but approvals; None: it
    opens nothing there. `rights` are those at the admin API.
    """

    endpoints: tuple[Endpoint, ...] | None
    rights: frozenset[Right]


_LOOKS = frozenset(
    {
        Right.READ_TEAMS,
        Right.READ_BUDGETS,
        Right.READ_LIMITS,
        Right.READ_CALLS,
        Right.READ_MODELS,
    }
)

ROLES: dict[Role, Powers] = {
    # Everything but the audit log, which is about what admins do.
    Role.ADMIN: Powers((Endpoint.APPROVALS,), frozenset(Right) - {Right.READ_AUDIT}),
    # Keeps it running. Makes no keys, and reads nothing that people wrote but what waits for approval.
    Role.OPERATOR: Powers(
        (Endpoint.APPROVALS,),
        _LOOKS
        | {
            Right.READ_KEYS,
            Right.REVOKE_KEYS,
            Right.WRITE_BUDGETS,
            Right.READ_STATUS,
            Right.READ_APPROVALS,
            Right.DECIDE_APPROVALS,
            Right.READ_CONFIG,
            Right.RELOAD_CONFIG,
            Right.READ_PROVIDERS,
            Right.ROTATE_PROVIDERS,
        },
    ),
    Role.ANALYST: Powers(None, _LOOKS),
    # Sees all of it and changes nothing.
    Role.AUDITOR: Powers(
        None,
        _LOOKS
        | {
            Right.READ_KEYS,
            Right.READ_STATUS,
            Right.READ_CONTENT,
            Right.READ_AUDIT,
            Right.READ_APPROVALS,
            Right.READ_CONFIG,
            Right.READ_PROVIDERS,
        },
    ),
    Role.CALLER: Powers((), frozenset()),
}


def endpoints_of(role: Role) -> tuple[Endpoint, ...] | None:
    """The scope of a role, as a grant has it: none named means all but approvals. None: it opens nothing here."""
    return ROLES[role].endpoints


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """What several roles may do together."""
    return frozenset[Right]().union(*(ROLES[role].rights for role in roles))
