"""Virtual keys made, listed, changed, rotated and revoked; for the command line and the admin API alike."""

from collections.abc import Sequence

import msgspec

from headworks.access import Change, KeyRecord, KeyStore, Right, Role, secret_id
from headworks.admin.desk import Desk, Forbidden, unknown_key
from headworks.calls import NO_BUDGET, NO_LIMITS, NO_TEAM, Budget, Endpoint, Limits, Team
from headworks.errors import CommandError


class NewKey(msgspec.Struct, frozen=True):
    """What a key that is to be made may do. As in `access.KeyRecord`."""

    name: str = ""
    owner: str = ""
    team: str = ""
    models: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    expires_at: float | None = None
    limits: Limits = NO_LIMITS
    priority: int | None = None
    budget: Budget = NO_BUDGET
    networks: tuple[str, ...] = ()
    role: Role = Role.CALLER


def make_key(desk: Desk, new: NewKey) -> tuple[KeyRecord, str]:
    """Make a key; returns its record, and the key itself, which is known nowhere else from then on.

    Raises:
        Forbidden: whoever asks may not make keys for this team, or not with this role, or not for so long.
        CommandError: the key could do nothing.
    """
    desk.demand(Right.WRITE_KEYS, new.team)
    _demand_giving(desk, new.role, new.team, new.endpoints)
    _demand_bounds(desk, new.role, new.expires_at, new.networks)
    if new.role is not Role.CALLER and new.endpoints:
        raise CommandError(
            f"a key with the role {new.role.value} opens the admin API and calls nothing: leave out the endpoints, or "
            "make another key"
        )
    secret = desk.secret()
    with desk.keys() as store:
        record, key = store.create(
            secret=secret,
            now=desk.now(),
            name=new.name,
            owner=new.owner,
            team=new.team,
            models=new.models,
            endpoints=new.endpoints,
            expires_at=new.expires_at,
            limits=new.limits,
            priority=new.priority,
            budget=new.budget,
            networks=new.networks,
            role=new.role,
            organisation=_given_in(desk, new.role, new.team),
        )
    _tell(desk, "key.created", record, role=record.role.value)
    return record, key


def list_keys(desk: Desk) -> Sequence[KeyRecord]:
    """Every key that whoever asks reaches, the oldest first.

    Raises:
        Forbidden: they reach none.
    """
    desk.teams(Right.READ_KEYS)
    with desk.keys() as store:
        return [record for record in store.list() if desk.reaches(Right.READ_KEYS, record.team)]


def get_key(desk: Desk, key_id: str) -> KeyRecord:
    """One key.

    Raises:
        UnknownName: there is none of this id within reach.
        Forbidden: they reach none.
    """
    desk.teams(Right.READ_KEYS)
    with desk.keys() as store:
        return _within_reach(desk, store, key_id)


def change_key(desk: Desk, key_id: str, change: Change, *, revision: int | None = None) -> KeyRecord:
    """Change what a key may ask for and spend, the class of its calls, and from where it may be used.

    Arguments:
        revision: the key must not have changed since; None: whatever has become of it.

    Raises:
        UnknownName: there is no such key within reach.
        Forbidden: they may see it and not change it.
        OutOfDate: it has changed since.
    """
    with desk.keys() as store:
        old = _within_reach(desk, store, key_id)
        if change.budget is not msgspec.UNSET:
            desk.demand(Right.WRITE_BUDGETS, old.team)
        if change.budget is msgspec.UNSET or change != Change(budget=change.budget):
            desk.demand(Right.WRITE_KEYS, old.team)
        if change.networks is not msgspec.UNSET:
            _demand_bounds(desk, old.role, desk.principal.ends_s, change.networks)
        record = store.change(key_id, change, revision=revision)
    _tell(desk, "key.limited", record, limits=limits_text(record.limits), networks=", ".join(record.networks))
    return record


def revoke_key(desk: Desk, key_id: str) -> KeyRecord:
    """Make a key useless, for good. One that was revoked before keeps its time.

    Raises:
        UnknownName: there is no such key within reach.
        Forbidden: they may see it and not revoke it.
    """
    with desk.keys() as store:
        desk.demand(Right.REVOKE_KEYS, _within_reach(desk, store, key_id).team)
        record = store.revoke(key_id, now=desk.now())
    _tell(desk, "key.revoked", record)
    return record


def rotate_key(
    desk: Desk, key_id: str, *, overlap_s: float, expires_at: float | None = None
) -> tuple[KeyRecord, str, float]:
    """Make a new key with the grant of an old one; returns its record, the key itself, and when the old one ends.

    Arguments:
        overlap_s: how long the old key stays good at most, in seconds.
        expires_at: when the new key expires; None means when the old one would have.

    Raises:
        UnknownName: there is no such key within reach.
        Forbidden: they may see it and not make one like it.
        CommandError: it is no longer good.
    """
    secret = desk.secret()
    with desk.keys() as store:
        old = _within_reach(desk, store, key_id)
        desk.demand(Right.WRITE_KEYS, old.team)
        _demand_giving(
            desk, old.role, old.team, old.endpoints
        )  # else a rotation would give what a new key may not have
        _demand_bounds(desk, old.role, expires_at or old.expires_at, old.networks)
        now = desk.now()
        given_in = _given_in(desk, old.role, old.team)  # that of today, which was asked about above
        record, key = store.rotate(
            key_id, secret=secret, now=now, overlap_s=overlap_s, expires_at=expires_at, organisation=given_in
        )
        ends_at = store.get(key_id).expires_at or now
    _tell(desk, "key.rotated", record, overlap_s=round(overlap_s), role=record.role.value)
    return record, key, ends_at


def key_state(record: KeyRecord, *, now: float, under: str) -> str:
    """`good`, `expired`, `revoked`, or `other secret`.

    Arguments:
        under: the id of the server secret in use.
    """
    if record.revoked_at is not None:
        return "revoked"
    if record.expires_at is not None and record.expires_at <= now:
        return "expired"
    return "good" if record.secret_id == under else "other secret"


def priority_owner(record: KeyRecord, team: Team) -> str:
    """Where a key has its priority from: `key`, `team` or `default`."""
    if record.priority is not None:
        return "key"
    return "default" if team.priority is None else "team"


def team_of(desk: Desk, record: KeyRecord) -> Team:
    """What holds for a key's team."""
    return desk.project.config.access.teams.get(record.team, NO_TEAM)


def secret_name(desk: Desk) -> str:
    """The id of the server secret in use."""
    return secret_id(desk.secret())


def limits_text(limits: Limits) -> str:
    """Limits in words; "" for none."""
    shown = [(name.replace("_", " "), getattr(limits, name)) for name in Limits.__struct_fields__]
    return ", ".join(f"{value:,} {name}" for name, value in shown if value is not None)


def _within_reach(desk: Desk, store: KeyStore, key_id: str) -> KeyRecord:
    record = store.get(key_id)
    if not desk.reaches(Right.READ_KEYS, record.team):
        raise unknown_key(key_id)
    return record


def _given_in(desk: Desk, role: Role, team: str) -> str:
    """The organisation in which a key is given its role; "" for everywhere, and for who has none."""
    return "" if role is Role.CALLER else desk.organisations.of(team)


def _demand_giving(desk: Desk, role: Role, team: str, endpoints: Sequence[Endpoint]) -> None:
    """Go on only if they may let somebody else have what such a key can do."""
    if Endpoint.APPROVALS in endpoints:
        desk.demand_everywhere(Right.DECIDE_APPROVALS)  # at the gateway, such a key decides about every team's
    grant = desk.organisations.grant_of_key(role, team)
    if grant is None:
        if role is Role.CALLER:
            return
        raise CommandError(
            f"team {team!r} is in no organisation, so a key of it would be {role.value} nowhere: add it to one in "
            "`access.organisations`, or leave out the team"
        )
    if role is not Role.CALLER and not desk.principal.may_give(role, grant.organisation or ""):
        raise Forbidden(
            f"a key with the role {role.value} could do what you may not; somebody who may has to make it, or "
            "`headworks keys create --role` on the gateway's machine"
        )


def _demand_bounds(desk: Desk, role: Role, ends_s: float | None, networks: Sequence[str]) -> None:
    """Go on only if a key with a role is bound as the one is that gives it: else a key that ends, or that is good in
    one network only, would make itself one that does not and is not."""
    if role is Role.CALLER:
        return
    if not desk.principal.may_give_until(ends_s):
        raise Forbidden("a key with a role ends no later than the key that makes it: say when, or use another key")
    if not desk.principal.may_give_in(networks):
        raise Forbidden(
            "a key with a role is good in no network that the key which makes it is not good in: name some of its "
            "networks, or use another key"
        )


def _tell(desk: Desk, action: str, record: KeyRecord, **detail: str | int) -> None:
    known: dict[str, str | int] = {
        "name": record.name,
        "owner": record.owner,
        "team": record.team,
        "replaces": record.replaces,
    }
    desk.tell(action, record.key_id, known | detail)
