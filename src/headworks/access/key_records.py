"""What is known of a virtual key, what can be changed of it, and both as they stand in the key store. Pure."""

import json
from collections.abc import Iterable

import msgspec

from headworks.access.roles import Role
from headworks.calls import NO_BUDGET, NO_LIMITS, Budget, Endpoint, Limits


class KeyRecord(msgspec.Struct, frozen=True):
    """What is known of a key; the key itself is not.

    `models` are patterns, `endpoints` values of `calls.Endpoint`; none means all. Times are Unix seconds. `replaces`
    is the id of the key that this one was rotated from. `secret_id` names the server secret it was hashed under.
    `limits` is what it may ask for, `budget` what it may spend, `priority` the class of its calls, where that is not
    its team's. `networks` are those that it may be used from, in CIDR form; none means anywhere. A key with another
    `role` than *caller* opens the admin API and nothing else; `organisation` is that in which it was given, "" for
    everywhere.
    """

    key_id: str
    digest: bytes
    secret_id: str
    name: str
    owner: str
    team: str
    models: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    replaces: str
    revision: int
    limits: Limits = NO_LIMITS
    priority: int | None = None
    budget: Budget = NO_BUDGET
    networks: tuple[str, ...] = ()
    role: Role = Role.CALLER
    organisation: str = ""

    def is_good(self, now: float) -> bool:
        """Whether it is neither revoked nor, at that time, expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Granted(msgspec.Struct, frozen=True):
    """What a key that is rotated hands on."""

    name: str
    owner: str
    team: str
    models: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    limits: Limits
    priority: int | None
    budget: Budget
    networks: tuple[str, ...]
    role: Role


class Change(msgspec.Struct, frozen=True):
    """What is changed of a key; what is UNSET stays. As in `KeyRecord`."""

    limits: Limits | msgspec.UnsetType = msgspec.UNSET
    budget: Budget | msgspec.UnsetType = msgspec.UNSET
    priority: int | msgspec.UnsetType | None = msgspec.UNSET
    networks: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET

    def columns(self) -> dict[str, str | int | None]:
        """The columns that change, by name."""
        found: dict[str, str | int | None] = {}
        if self.limits is not msgspec.UNSET:
            found["limits"] = limits_text(self.limits)
        if self.budget is not msgspec.UNSET:
            found["budget"] = budget_text(self.budget)
        if self.priority is not msgspec.UNSET:
            found["priority"] = self.priority
        if self.networks is not msgspec.UNSET:
            found["networks"] = json.dumps(list(self.networks))
        return found


class Version(msgspec.Struct, frozen=True):
    """Something that is equal as long as nothing has changed.

    `file` differs when another file stands in the store's place; then nothing that was read before holds.
    """

    file: int
    changes: tuple[int, int]


def limits_text(limits: Limits) -> str:
    """Limits as they stand in the store."""
    return json.dumps({name: value for name, value in msgspec.structs.asdict(limits).items() if value is not None})


def budget_text(budget: Budget) -> str:
    """A budget as it stands in the store."""
    return "{}" if budget == NO_BUDGET else msgspec.json.encode(budget).decode()


def record_of(row: Iterable[object]) -> KeyRecord:
    """A row of the store, its columns in the order of `KeyRecord`'s fields."""
    values = dict(zip(KeyRecord.__struct_fields__, row, strict=True))
    values["models"] = json.loads(str(values["models"]))
    values["endpoints"] = json.loads(str(values["endpoints"]))
    values["limits"] = json.loads(str(values["limits"]))
    values["budget"] = json.loads(str(values["budget"]))
    values["networks"] = json.loads(str(values["networks"]))
    return msgspec.convert(values, KeyRecord)
