"""Budgets as the configuration has them, and as calls are held to them."""

from headworks.calls import NO_BUDGET, Budget
from headworks.catalogue.money import pico_usd
from headworks.config.sections.limits import Spending
from headworks.config.shape import Config


def budget_of(spending: Spending) -> Budget:
    """The budget that a section means; `NO_BUDGET` itself where it bounds nothing."""
    if spending.per_day is None and spending.per_month is None:
        return NO_BUDGET
    return Budget(
        None if spending.per_day is None else pico_usd(spending.per_day),
        None if spending.per_month is None else pico_usd(spending.per_month),
        spending.on_reach == "refuse",
        tuple(sorted(spending.alert_at)),
    )


def team_budgets(config: Config) -> dict[str, Budget]:
    """Those of teams, by name; teams without one are not in it."""
    found = {name: budget_of(team.budget) for name, team in config.access.teams.items()}
    return {name: budget for name, budget in found.items() if budget is not NO_BUDGET}
