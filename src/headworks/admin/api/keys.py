"""Virtual keys over the admin API."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from headworks.access import Change, KeyRecord, Right, Role, parse_network
from headworks.admin.api.operation import (
    Cursor,
    Moment,
    Operation,
    PageSize,
    Question,
    Visit,
    malformed,
    operation,
    utc,
)
from headworks.admin.api.operation import seconds as seconds_of
from headworks.admin.keys import (
    NewKey,
    change_key,
    get_key,
    key_state,
    list_keys,
    make_key,
    priority_owner,
    revoke_key,
    rotate_key,
    secret_name,
    team_of,
)
from headworks.calls import NO_BUDGET, NO_LIMITS, PRIORITIES, Budget, Endpoint, Limits
from headworks.catalogue.money import decimal_usd, pico_usd, usd_text

_MOST_LIMIT = 1_000_000_000_000

Name = Annotated[str, Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pattern = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x20\x7f]+$")]
Network = Annotated[str, Meta(max_length=64, description="As 10.0.0.0/8 or 2001:db8::/32.")]
Most = Annotated[int, Meta(ge=1, le=_MOST_LIMIT)]
Usd = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,12})?$", description="Dollars, exact, as text.")]
KeyId = Annotated[str, Meta(max_length=64)]


class LimitsShape(Question, frozen=True):
    """How much may be asked for; null: no limit."""

    requests_per_minute: Most | None = None
    tokens_per_minute: Most | None = None
    requests_per_day: Most | None = None
    tokens_per_day: Most | None = None
    input_tokens_per_minute: Most | None = None
    output_tokens_per_minute: Most | None = None


class BudgetShape(Question, frozen=True):
    """How much may be spent in a calendar day and month (UTC); null: no bound."""

    day_usd: Usd | None = None
    month_usd: Usd | None = None
    mode: Annotated[
        Literal["refuse", "tell"], Meta(description="`refuse`: calls that could exceed it are not made.")
    ] = "refuse"
    alert_at: Annotated[tuple[Annotated[int, Meta(ge=1, le=1000)], ...], Meta(max_length=10)] = (80, 100)


class KeyAnswer(msgspec.Struct, frozen=True):
    """What is known of a key; the key itself is not."""

    key_id: str
    state: Literal["good", "expired", "revoked", "other secret"]
    name: str
    owner: str
    team: str
    organisation: str | None
    role: Role
    models: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    networks: tuple[str, ...]
    limits: LimitsShape
    budget: BudgetShape | None
    priority: int
    priority_of: Literal["key", "team", "default"]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    replaces: str | None
    revision: int


class KeyPage(msgspec.Struct, frozen=True):
    """Keys, the oldest first."""

    items: tuple[KeyAnswer, ...]
    next: str | None


class MadeKey(msgspec.Struct, frozen=True):
    """A key that was made. `key` is shown this once; null where the answer is repeated."""

    key: str | None
    record: KeyAnswer
    old_key_good_until: datetime | None = None


class ListKeys(Question, frozen=True):
    """Which keys."""

    all: Annotated[bool, Meta(description="Also those that were revoked or have expired.")] = False
    team: Name = ""
    limit: PageSize = 50
    after: Cursor = ""


class OneKey(Question, frozen=True):
    """Which key."""

    key_id: KeyId


class CreateKey(Question, frozen=True):
    """What the key may do. Without models, endpoints or networks: all of them, but for approvals."""

    name: Name = ""
    owner: Name = ""
    team: Name = ""
    role: Role = Role.CALLER
    models: Annotated[tuple[Pattern, ...], Meta(max_length=100)] = ()
    endpoints: tuple[Endpoint, ...] = ()
    networks: Annotated[tuple[Network, ...], Meta(max_length=100)] = ()
    limits: LimitsShape = LimitsShape()
    budget: BudgetShape | None = None
    priority: Annotated[int, Meta(ge=0, lt=PRIORITIES)] | None = None
    expires_at: Moment | None = None


class ChangeKey(Question, frozen=True):
    """What is changed; what is left out stays. `priority` null: its team's; `budget` null: none."""

    key_id: KeyId
    limits: LimitsShape | UnsetType = UNSET
    budget: BudgetShape | UnsetType | None = UNSET
    priority: Annotated[int, Meta(ge=0, lt=PRIORITIES)] | UnsetType | None = UNSET
    networks: Annotated[tuple[Network, ...], Meta(max_length=100)] | UnsetType = UNSET


class RotateKey(Question, frozen=True):
    """How long the old key stays good."""

    key_id: KeyId
    overlap_s: Annotated[int, Meta(ge=0, le=31_536_000)] = 3600
    expires_at: Moment | None = None


def _list(visit: Visit, asked: ListKeys) -> KeyPage:
    desk = visit.desk
    under, now = secret_name(desk), desk.now()
    found = [
        record
        for record in list_keys(desk)
        if (asked.all or key_state(record, now=now, under=under) == "good") and asked.team in ("", record.team)
    ]
    start = 0
    if asked.after:
        place = next((index for index, record in enumerate(found) if record.key_id == asked.after), None)
        if place is None:
            raise malformed("`after` names no key of this list: begin again without it")
        start = place + 1
    shown = found[start : start + asked.limit]
    more = len(found) > start + len(shown)
    return KeyPage(tuple(_answer(visit, record) for record in shown), shown[-1].key_id if more else None)


def _get(visit: Visit, asked: OneKey) -> KeyAnswer:
    return _answer(visit, get_key(visit.desk, asked.key_id))


def _create(visit: Visit, asked: CreateKey) -> MadeKey:
    expires_at = seconds_of(asked.expires_at)
    if expires_at is not None and expires_at <= visit.desk.now():
        raise malformed("`expires_at` has passed already")
    new = NewKey(
        name=asked.name,
        owner=asked.owner,
        team=asked.team,
        models=asked.models,
        endpoints=asked.endpoints,
        expires_at=expires_at,
        limits=_limits(asked.limits),
        priority=asked.priority,
        budget=_budget(asked.budget),
        networks=_networks(asked.networks),
        role=asked.role,
    )
    record, key = make_key(visit.desk, new)
    return MadeKey(key, _answer(visit, record))


def _change(visit: Visit, asked: ChangeKey) -> KeyAnswer:
    change = Change(
        limits=UNSET if asked.limits is UNSET else _limits(asked.limits),
        budget=UNSET if asked.budget is UNSET else _budget(asked.budget),
        priority=asked.priority,
        networks=UNSET if asked.networks is UNSET else _networks(asked.networks),
    )
    return _answer(visit, change_key(visit.desk, asked.key_id, change, revision=visit.revision))


def _revoke(visit: Visit, asked: OneKey) -> KeyAnswer:
    return _answer(visit, revoke_key(visit.desk, asked.key_id))


def _rotate(visit: Visit, asked: RotateKey) -> MadeKey:
    expires_at = seconds_of(asked.expires_at)
    if expires_at is not None and expires_at <= visit.desk.now():
        raise malformed("`expires_at` has passed already")
    record, key, ends_at = rotate_key(visit.desk, asked.key_id, overlap_s=asked.overlap_s, expires_at=expires_at)
    return MadeKey(key, _answer(visit, record), utc(ends_at))


def _answer(visit: Visit, record: KeyRecord) -> KeyAnswer:
    desk = visit.desk
    team = team_of(desk, record)
    return msgspec.convert(
        {
            "key_id": record.key_id,
            "state": key_state(record, now=desk.now(), under=secret_name(desk)),
            "name": record.name,
            "owner": record.owner,
            "team": record.team,
            "organisation": desk.organisations.of(record.team) or None,
            "role": record.role,
            "models": record.models,
            "endpoints": record.endpoints,
            "networks": record.networks,
            "limits": LimitsShape(*(getattr(record.limits, name) for name in Limits.__struct_fields__)),
            "budget": shown_budget(record.budget),
            "priority": team.priority_of(record.priority),
            "priority_of": priority_owner(record, team),
            "created_at": utc(record.created_at),
            "expires_at": utc(record.expires_at),
            "revoked_at": utc(record.revoked_at),
            "replaces": record.replaces or None,
            "revision": record.revision,
        },
        KeyAnswer,
    )


def shown_budget(budget: Budget) -> BudgetShape | None:
    """A budget as it stands in answers."""
    if budget == NO_BUDGET:
        return None
    return BudgetShape(
        None if budget.day_pico is None else usd_text(budget.day_pico),
        None if budget.month_pico is None else usd_text(budget.month_pico),
        "refuse" if budget.is_hard else "tell",
        budget.alert_at,
    )


def _budget(shape: BudgetShape | None) -> Budget:
    if shape is None or (shape.day_usd is None and shape.month_usd is None):
        return NO_BUDGET
    return Budget(
        None if shape.day_usd is None else pico_usd(decimal_usd(shape.day_usd)),
        None if shape.month_usd is None else pico_usd(decimal_usd(shape.month_usd)),
        shape.mode == "refuse",
        tuple(sorted(shape.alert_at)),
    )


def _limits(shape: LimitsShape) -> Limits:
    limits = Limits(*(getattr(shape, name) for name in Limits.__struct_fields__))
    return NO_LIMITS if limits == NO_LIMITS else limits


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(str(parse_network(text.strip())) for text in texts))
    except ValueError as error:
        raise malformed(f"{error} - at `$.networks`") from None


KEYS: tuple[Operation, ...] = (
    operation("GET", "/keys", "keys.list", "List virtual keys", Right.READ_KEYS, _list, ListKeys, KeyPage),
    operation(
        "POST",
        "/keys",
        "keys.create",
        "Make a virtual key; it is shown once",
        Right.WRITE_KEYS,
        _create,
        CreateKey,
        MadeKey,
        status=201,
        is_repeatable=True,
    ),
    operation("GET", "/keys/{key_id}", "keys.show", "Show a virtual key", Right.READ_KEYS, _get, OneKey, KeyAnswer),
    operation(
        "PATCH",
        "/keys/{key_id}",
        "keys.change",
        "Change limits, budget, priority or networks of a key",
        Right.READ_KEYS,
        _change,
        ChangeKey,
        KeyAnswer,
    ),
    operation(
        "DELETE",
        "/keys/{key_id}",
        "keys.revoke",
        "Make a key useless, for good; it stays in lists",
        Right.REVOKE_KEYS,
        _revoke,
        OneKey,
        KeyAnswer,
    ),
    operation(
        "POST",
        "/keys/{key_id}/rotate",
        "keys.rotate",
        "Make a new key with the same grant; it is shown once",
        Right.WRITE_KEYS,
        _rotate,
        RotateKey,
        MadeKey,
        status=201,
        is_repeatable=True,
    ),
)
