"""What there is and how it stands, over the admin API: budgets, limits, teams, models, the gateway, its file."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headworks.access import Right, Role
from headworks.admin.api.keys import BudgetShape, LimitsShape, shown_budget
from headworks.admin.api.operation import Nothing, Operation, Question, Visit, operation, utc
from headworks.admin.budgets import budget_states, release_budgets, used_up_s
from headworks.admin.configuration import check_file, fingerprint, reload_config, shown_config
from headworks.admin.limits import Row, limit_rows
from headworks.admin.models import CallableModel, list_models
from headworks.admin.provider_keys import KeyState, ProviderKey, look_at_provider_keys, provider_keys
from headworks.admin.status import gateway_status, list_roles, list_teams
from headworks.calls import Limits
from headworks.catalogue.money import usd_text
from headworks.config import Examination
from headworks.doctoring.running import Running
from headworks.errors import Problem
from headworks.limits.budgets import AccountState


class BudgetAnswer(msgspec.Struct, frozen=True):
    """A budget in one of its periods. Amounts are dollars, exact, as text. `aside` is what calls under way could still
    cost, and what workers hold for the next ones."""

    of: Literal["key", "team", "workload"]
    name: str
    kind: Literal["day", "month"]
    period: str
    mode: Literal["refuse", "tell"]
    budget_usd: str
    spent_usd: str
    aside_usd: str
    left_usd: str
    ends_at: datetime
    used_up_at: Annotated[datetime | None, Meta(description="At the present pace; null: not before its end.")]


class Budgets(msgspec.Struct, frozen=True):
    """Budgets that calls of this day or month were under. A key's is changed with the key; those of teams and workloads
    stand in files: change them there and reload."""

    items: tuple[BudgetAnswer, ...]


class Released(msgspec.Struct, frozen=True):
    """Of how many workers that are not heard of any more something was let go."""

    holders: int


class LimitAnswer(msgspec.Struct, frozen=True):
    """A limit, and recorded use against it."""

    of: str
    kind: str
    limit: int | None
    peak: float
    peak_at: datetime | None
    headroom: float | None
    says: str


class LimitsAnswer(msgspec.Struct, frozen=True):
    """Limits of targets, keys and teams."""

    items: tuple[LimitAnswer, ...]


class ShowLimits(Question, frozen=True):
    """How far back is looked."""

    days: Annotated[int, Meta(ge=1, le=400)] = 28


class TeamAnswer(msgspec.Struct, frozen=True):
    """A team: of an organisation (null: of none), with what holds for its keys together."""

    name: str
    organisation: str | None
    keys: int
    limits: LimitsShape
    budget: BudgetShape | None
    weight: int
    priority: int | None


class Teams(msgspec.Struct, frozen=True):
    """Teams that the configuration or a key names."""

    items: tuple[TeamAnswer, ...]


class RoleAnswer(msgspec.Struct, frozen=True):
    """A role, and what it may do here."""

    name: Role
    rights: tuple[Right, ...]


class Roles(msgspec.Struct, frozen=True):
    """The table of roles."""

    items: tuple[RoleAnswer, ...]


class Models(msgspec.Struct, frozen=True):
    """Names that callers may send as `model`."""

    items: tuple[CallableModel, ...]


class ConfigAnswer(msgspec.Struct, frozen=True):
    """The configuration in force, without what may be secret in it. `fingerprint` names it in the audit log."""

    fingerprint: str
    config: dict[str, object]


class Checked(msgspec.Struct, frozen=True):
    """What was found in the file as it is now."""

    ok: bool
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


class Reloaded(msgspec.Struct, frozen=True):
    """What the gateway goes by from now on."""

    fingerprint: str
    warnings: tuple[Problem, ...]


class ProviderKeyAnswer(msgspec.Struct, frozen=True):
    """A key of a provider: where it is from, and which version is in use. Its value is never shown."""

    provider: str
    reference: str
    state: KeyState
    version: str
    since: datetime | None
    looked_at: datetime | None
    older: int
    problem: str


class ProviderKeys(msgspec.Struct, frozen=True):
    """The keys of all providers."""

    items: tuple[ProviderKeyAnswer, ...]


def _budgets(visit: Visit, _: Nothing) -> Budgets:
    return Budgets(tuple(_budget(state, visit.desk.now()) for state in budget_states(visit.desk)))


def _budget(state: AccountState, now_s: float) -> BudgetAnswer:
    scope, _, rest = state.name.partition("/")
    name, kind, period = rest.rsplit("/", 2)
    return msgspec.convert(
        {
            "of": scope,
            "name": name,
            "kind": kind,
            "period": period,
            "mode": "refuse" if state.is_hard else "tell",
            "budget_usd": usd_text(state.cap),
            "spent_usd": usd_text(state.spent),
            "aside_usd": usd_text(state.reserved + state.held),
            "left_usd": usd_text(state.cap - state.spent),
            "ends_at": utc(state.ends_us / 1e6),
            "used_up_at": utc(used_up_s(state, now_s)),
        },
        BudgetAnswer,
    )


def _release(visit: Visit, _: Nothing) -> Released:
    return Released(release_budgets(visit.desk))


def _limits(visit: Visit, asked: ShowLimits) -> LimitsAnswer:
    return LimitsAnswer(tuple(_limit(row) for row in limit_rows(visit.desk, days=asked.days)))


def _limit(row: Row) -> LimitAnswer:
    headroom = row.headroom
    return LimitAnswer(
        row.of,
        headroom.kind,
        headroom.limit,
        round(headroom.peak, 3),
        utc(headroom.peak_hour_s) if headroom.peak else None,
        None if headroom.left is None else round(headroom.left, 3),
        str(headroom),
    )


def _teams(visit: Visit, _: Nothing) -> Teams:
    found = []
    for team in list_teams(visit.desk):
        limits = LimitsShape(*(getattr(team.limits, name) for name in Limits.__struct_fields__))
        budget = shown_budget(team.budget)
        found.append(TeamAnswer(team.name, team.organisation, team.keys, limits, budget, team.weight, team.priority))
    return Teams(tuple(found))


def _roles(_: Visit, __: Nothing) -> Roles:
    return Roles(tuple(RoleAnswer(role.name, role.rights) for role in list_roles()))


def _models(visit: Visit, _: Nothing) -> Models:
    return Models(tuple(list_models(visit.desk)))


def _status(visit: Visit, _: Nothing) -> Running:
    return gateway_status(visit.desk)


def _show_config(visit: Visit, _: Nothing) -> ConfigAnswer:
    shown = shown_config(visit.desk)
    return ConfigAnswer(fingerprint(visit.desk.project), shown)


def _check_config(visit: Visit, _: Nothing) -> Checked:
    found: Examination = check_file(visit.desk, visit.levers.look_over)
    return Checked(not found.problems, found.problems, found.warnings)


def _reload(visit: Visit, _: Nothing) -> Reloaded:
    taken, found = reload_config(visit.desk, visit.levers.look_over, visit.levers.take)
    return Reloaded(taken, found.warnings)


def _provider_keys(visit: Visit, _: Nothing) -> ProviderKeys:
    return ProviderKeys(tuple(map(_provider_key, provider_keys(visit.desk))))


def _look_at_keys(visit: Visit, _: Nothing) -> ProviderKeys:
    return ProviderKeys(tuple(map(_provider_key, look_at_provider_keys(visit.desk))))


def _provider_key(one: ProviderKey) -> ProviderKeyAnswer:
    return ProviderKeyAnswer(
        one.provider,
        one.reference,
        one.state,
        one.version,
        utc(one.since_s),
        utc(one.looked_s),
        one.older,
        one.problem,
    )


INSTALLATION: tuple[Operation, ...] = (
    operation("GET", "/teams", "teams.list", "List teams", Right.READ_TEAMS, _teams, Nothing, Teams),
    operation("GET", "/roles", "roles.list", "List roles and what they may do", None, _roles, Nothing, Roles),
    operation(
        "GET", "/budgets", "budgets.show", "Show what budgets have left", Right.READ_BUDGETS, _budgets, Nothing, Budgets
    ),
    operation(
        "POST",
        "/budgets/release",
        "budgets.release",
        "Let go what workers hold that were killed",
        Right.WRITE_BUDGETS,
        _release,
        Nothing,
        Released,
    ),
    operation(
        "GET",
        "/limits",
        "limits.show",
        "Show use against limits, with the forecast",
        Right.READ_LIMITS,
        _limits,
        ShowLimits,
        LimitsAnswer,
    ),
    operation("GET", "/models", "models.list", "List models", Right.READ_MODELS, _models, Nothing, Models),
    operation(
        "GET",
        "/status",
        "status.show",
        "Show how the gateway stands: pools, breakers, quotas, queues",
        Right.READ_STATUS,
        _status,
        Nothing,
        Running,
    ),
    operation(
        "GET",
        "/config",
        "config.show",
        "Show the configuration in force, masked",
        Right.READ_CONFIG,
        _show_config,
        Nothing,
        ConfigAnswer,
    ),
    operation(
        "POST",
        "/config/check",
        "config.check",
        "Check the configuration's file",
        Right.READ_CONFIG,
        _check_config,
        Nothing,
        Checked,
    ),
    operation(
        "POST",
        "/config/reload",
        "config.reload",
        "Have the gateway take the file, if it is good",
        Right.RELOAD_CONFIG,
        _reload,
        Nothing,
        Reloaded,
    ),
    operation(
        "GET",
        "/provider-keys",
        "provider_keys.show",
        "Show how providers' keys stand",
        Right.READ_PROVIDERS,
        _provider_keys,
        Nothing,
        ProviderKeys,
    ),
    operation(
        "POST",
        "/provider-keys/rotate",
        "provider_keys.rotate",
        "Have providers' keys looked at now",
        Right.ROTATE_PROVIDERS,
        _look_at_keys,
        Nothing,
        ProviderKeys,
    ),
)
