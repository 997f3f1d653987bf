"""LiteLLM's money and keys: budgets of the whole proxy and of teams, and what new keys begin with.

What LiteLLM gives each new user or key becomes a command that makes such a key here. What all may spend together
becomes a team, in `access.teams`. Source: LiteLLM's documentation, "All settings" of the proxy, "Budgets, Rate Limits"
and "Provider Budget Routing", 2026-11.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from headworks.config.secrets import looks_like_secret
from headworks.importing.keys import variable_of
from headworks.importing.ledger import Ledger
from headworks.importing.result import Command
from headworks.importing.source import Place, Source, Value
from headworks.importing.texts import per_million, whole
from headworks.importing.writing import Sections

ALL_KEYS = "everyone"
"""The team of all keys, where the whole proxy has a budget."""

_PERIODS = {
    "per_day": frozenset({"1d", "24h", "1440m", "86400s", "daily"}),
    "per_month": frozenset({"1mo", "28d", "30d", "31d", "monthly"}),
}
"""LiteLLM's durations that are about a calendar day or month."""

_FLAGS = {"per_day": "--budget-day", "per_month": "--budget-month"}
_LIMITS = {"rpm_limit": ("--rpm", "requests_per_minute"), "tpm_limit": ("--tpm", "tokens_per_minute")}
_ROLES = {"proxy_admin": "admin", "proxy_admin_viewer": "auditor"}
_CALLERS = frozenset({"internal_user", "internal_user_viewer", "internal_user_view_only", "customer"})
_ALL_MODELS = frozenset({"all-proxy-models", "all-team-models", "*"})
_EXPIRY = r"[1-9][0-9]{0,5}[smhdw]"
_NEW_KEYS = ("default_key_generate_params", "upperbound_key_generate_params", "default_internal_user_params")
_IN_COMMAND = "in the command that makes a key, below: {flag}"
_PERIOD = (
    "a budget here is of a calendar day or month (UTC): choose one of `per_day` and `per_month` "
    "(docs/how-to/budgets.md)"
)
_PARALLEL = "what is under way is bounded by a provider's `connections: { limit: N }`, for each worker"


class Access:
    """Reads what the file says of money and keys. State: the commands that came of it.

    Arguments:
        models: the public names that were taken over.
    """

    def __init__(self, source: Source, ledger: Ledger, sections: Sections, models: Iterable[str]) -> None:
        self._source = source
        self._ledger = ledger
        self._sections = sections
        self._models = frozenset(models)
        self._commands: list[Command] = []

    def read(self) -> tuple[Command, ...]:
        """Say what becomes of each setting; returns what has to be run."""
        teams = self._teams()
        teams |= self._of_all(is_alone=not teams)
        if teams:
            line = min(line for _, line in teams.values())
            self._sections.set("access", "teams", {name: terms for name, (terms, _) in teams.items()}, line)
        for name in _NEW_KEYS:
            self._new_keys(("litellm_settings", name), teams)
        if ALL_KEYS in teams and not self._commands:
            self._command([f"--team={ALL_KEYS}"], "each key, so that the budget of all holds for it")
        self._new_teams(("litellm_settings", "default_team_params"))
        self._providers(("router_settings", "provider_budget_config"))
        return tuple(self._commands)

    def _of_all(self, *, is_alone: bool) -> dict[str, tuple[Mapping[str, object], int]]:
        """The budget of the whole proxy, as that of a team that every key is in."""
        place: Place = ("litellm_settings", "max_budget")
        value, duration = self._source.at(place), self._source.at(("litellm_settings", "budget_duration"))
        if value is None:
            if duration is not None:
                self._ledger.needless(("litellm_settings", "budget_duration"), "there is no budget that it is of")
            return {}
        budget = _budget(value, duration)
        if budget is None or not is_alone:
            text = "a key is in one team, and there are others: divide it among them, `access.teams`"
            self._ledger.missing(place, _PERIOD if budget is None else text)
            if duration is not None:
                self._ledger.missing(("litellm_settings", "budget_duration"), _PERIOD if budget is None else text)
            return {}
        ((period, _),) = budget.items()
        where = f"access.teams.{ALL_KEYS}.budget.{period}"
        self._ledger.mapped(place, f"{where}: it bounds what keys of this team cost: make all of them with --team")
        if duration is not None:
            self._ledger.mapped(("litellm_settings", "budget_duration"), f"{where}, of the calendar (UTC)")
        return {ALL_KEYS: ({"budget": budget}, value.line)}

    def _teams(self) -> dict[str, tuple[Mapping[str, object], int]]:
        found: dict[str, tuple[Mapping[str, object], int]] = {}
        for index, one in enumerate(
            (self._source.at(("litellm_settings", "default_team_settings")) or Value(0)).items or ()
        ):
            name = one.get("team_id")
            if name is None or not _is_plain(name):
                continue
            place: Place = ("litellm_settings", "default_team_settings", index, "team_id")
            self._ledger.mapped(place, f"access.teams.{name.text}: its keys are made with --team={name.text}")
            terms: dict[str, object] = {}
            budget = _budget(one.get("max_budget"), one.get("budget_duration"))
            if budget is not None:
                terms["budget"] = budget
                for field in ("max_budget", "budget_duration"):
                    if one.get(field) is not None:
                        self._ledger.mapped((*place[:-1], field), f"access.teams.{name.text}.budget")
            found[str(name.text)] = (terms, name.line)
        for place, text in self._rest(("litellm_settings", "default_team_settings")):
            self._ledger.missing(place, text)
        return found

    def _rest(self, above: Place) -> list[tuple[Place, str]]:
        """What teams say besides, each with what to do."""
        left: list[tuple[Place, str]] = []
        for index, one in enumerate((self._source.at(above) or Value(0)).items or ()):
            for field in one.fields or {}:
                place = (*above, index, field)
                if self._ledger.is_free(place):
                    left.append((place, _OF_TEAMS.get(field, _RECORDED)))
        return left

    def _new_keys(self, place: Place, teams: Mapping[str, object]) -> None:
        """What new keys, or their owners, begin with."""
        fields = (self._source.at(place) or Value(0)).fields or {}
        told = [*self._money(fields), *self._bounds(fields), *self._role_and_team(place, fields)]
        for name, flag in told:
            self._ledger.mapped((*place, name), _IN_COMMAND.format(flag=flag))
        flags = list(dict.fromkeys(flag for _, flag in told))
        flags += self._new_models(place, fields.get("models"))
        for name, value in fields.items():
            at = (*place, name)
            if not self._ledger.is_free(at):
                continue
            if value.is_leaf and value.text in (None, "", "false", "False"):
                self._ledger.needless(at, "it asks for nothing")
            else:
                self._ledger.missing(at, _OF_KEYS.get(name, _NO_FLAG))
        if flags:
            most = ", at most" if place[-1] == "upperbound_key_generate_params" else ""
            if ALL_KEYS in teams and not any(flag.startswith("--team=") for flag in flags):
                flags.append(f"--team={ALL_KEYS}")
            self._command(flags, f"a key, with what `{place[-1]}` gives it{most}")

    @staticmethod
    def _money(fields: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
        for period, dollars in (_budget(fields.get("max_budget"), fields.get("budget_duration")) or {}).items():
            yield "max_budget", f"{_FLAGS[period]}={dollars:f}"
            yield "budget_duration", f"{_FLAGS[period]}={dollars:f}"

    @staticmethod
    def _bounds(fields: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
        for name, (option, _) in _LIMITS.items():
            number = whole(fields.get(name), 1, 10**12)
            if number is not None:
                yield name, f"{option}={number}"
        duration = fields.get("duration")
        if duration is not None and re.fullmatch(_EXPIRY, duration.text or ""):
            yield "duration", f"--expires={duration.text}"

    def _role_and_team(self, place: Place, fields: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
        role = (fields.get("user_role") or Value(0)).text or ""
        if role in _ROLES:
            yield "user_role", f"--role={_ROLES[role]}"
        elif role in _CALLERS:
            self._ledger.needless((*place, "user_role"), "a key is its holder's, and calls")
        team = fields.get("team_id")
        if team is not None and _is_plain(team):
            yield "team_id", f"--team={team.text}"

    def _new_models(self, place: Place, value: Value | None) -> list[str]:
        if value is None or value.items is None:
            return []
        texts = [one.text or "" for one in value.items]
        if not texts or _ALL_MODELS & set(texts):
            self._ledger.needless((*place, "models"), "a key may ask for all models, unless it names some")
            return []
        known = [name for name in texts if name in self._models]
        for index, name in enumerate(texts):
            if name in self._models:
                self._ledger.mapped((*place, "models", index), _IN_COMMAND.format(flag="--models"))
            else:
                self._ledger.missing((*place, "models", index), "no model of this name was taken over")
        return [f"--models={','.join(known)}"] if known else []

    def _new_teams(self, place: Place) -> None:
        """What teams that are made later begin with: the file names none of them."""
        value = self._source.at(place)
        if value is None or value.is_leaf:
            return
        fields = value.fields or {}
        budget = _budget(fields.get("max_budget"), fields.get("budget_duration"))
        terms = [f"budget: {{ {period}: {dollars:f} }}" for period, dollars in (budget or {}).items()]
        limits = [
            f"{ours}: {number}"
            for name, (_, ours) in _LIMITS.items()
            if (number := whole(fields.get(name), 1, 10**12)) is not None
        ]
        terms += [f"limits: {{ {', '.join(limits)} }}"] if limits else []
        told = f"the file names no team: write each as `access.teams.NAME: {{ {', '.join(terms)} }}`"
        for name in fields:
            at = (*place, name)
            if name in ("max_budget", "budget_duration") and budget is None:
                self._ledger.missing(at, _PERIOD)
            elif name in ("max_budget", "budget_duration", *_LIMITS):
                self._ledger.missing(at, told)
            else:
                self._ledger.missing(at, _OF_TEAMS.get(name, _NO_FLAG))

    def _providers(self, place: Place) -> None:
        for name, one in ((self._source.at(place) or Value(0)).fields or {}).items():
            budget = _budget(
                one.get("budget_limit") or one.get("max_budget"), one.get("time_period") or one.get("budget_duration")
            )
            said = (
                "per_month: 100"
                if budget is None
                else ", ".join(f"{period}: {dollars:f}" for period, dollars in budget.items())
            )
            self._ledger.missing((*place, name), _NO_PROVIDERS.format(budget=said))

    def _command(self, flags: list[str], purpose: str) -> None:
        self._commands.append(Command(f"headworks keys create NAME {shlex.join(flags)}", purpose))


def money_of_deployment(value: Value | None, duration: Value | None) -> str:
    """What to do about a deployment's own budget."""
    budget = _budget(value, duration)
    said = (
        "per_month: 100"
        if budget is None
        else ", ".join(f"{period}: {dollars:f}" for period, dollars in budget.items())
    )
    return _NO_DEPLOYMENTS.format(budget=said)


_RECORDED = "calls of all teams are in the records (`headworks calls --team`), and go where `records.sinks` has them"
_NO_FLAG = "nothing of a key or a team is like it: `headworks keys create --help`, `access.teams`"
_NO_DEPLOYMENTS = (
    "a budget is a key's, a team's or a workload's: a workload that asks this model, with `budget: {{ {budget} }}` "
    "in its contract, is bounded for all of its callers (docs/how-to/budgets.md)"
)
_NO_PROVIDERS = (
    "a budget is a key's, a team's or a workload's, and no provider's: `budget: {{ {budget} }}` of teams or contracts "
    "bounds who asks, and the provider's own console bounds what it bills (docs/how-to/budgets.md)"
)
_OF_KEYS = {
    "max_budget": _PERIOD,
    "budget_duration": _PERIOD,
    "max_parallel_requests": _PARALLEL,
    "duration": "expected a time such as 30d: `headworks keys create --expires`",
    "rpm_limit": "expected a whole number above 0: `headworks keys create --rpm`",
    "tpm_limit": "expected a whole number above 0: `headworks keys create --tpm`",
    "user_role": "roles are caller, admin, operator, analyst and auditor: `headworks keys create --role`",
    "metadata": "calls say their own `metadata`; of a key, name and owner are kept",
    "models": "expected a list of public names: `headworks keys create --models`",
    "guardrails": "what is screened is the same for all calls (`screening`), or a workload's",
    "teams": "a key is in one team: `headworks keys create --team`",
}
_OF_TEAMS = {
    "max_budget": _PERIOD,
    "budget_duration": _PERIOD,
    "models": "models are a key's: `headworks keys create --team NAME --models ...`",
    "user_role": "roles are a person's or a key's: `access.roles` (docs/how-to/admin.md)",
    "team_id": "expected a plain name, which stands in no file as a secret does: `access.teams`",
}


def _budget(value: Value | None, duration: Value | None) -> dict[str, Decimal] | None:
    """The budget by our period; None where there is none, or none of a calendar day or month."""
    text = None if value is None or value.text is None else per_million(value.text, 1)
    if text is None or duration is None:
        return None
    period = next((ours for ours, theirs in _PERIODS.items() if (duration.text or "").strip().lower() in theirs), None)
    return None if period is None else {period: Decimal(text)}


def _is_plain(value: Value) -> bool:
    text = value.text or ""
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", text)) and not (
        looks_like_secret(text) or variable_of(text)
    )
