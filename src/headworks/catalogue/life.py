"""How long a model lives: the days to its shutdown, and what comes after it."""

import datetime as dt

import msgspec

from headworks.catalogue.models import Model

WARNING_DAYS = 180
"""From how long before a shutdown on to warn: OpenAI's notice for a generally available model is six months
(deprecations page, 2026-11)."""


class Retirement(msgspec.Struct, frozen=True):
    """A shutdown that is near or past. `days_left` is negative once the model is gone, and 0 on the day."""

    shutdown_on: str
    days_left: int
    successor: str
    source: str

    @property
    def is_gone(self) -> bool:
        """Whether the model is shut down already: it is from the shutdown's day on (UTC)."""
        return self.days_left <= 0


def retirement_of(model: Model, today: dt.date, *, within_days: int | None = WARNING_DAYS) -> Retirement | None:
    """The shutdown of a model that is at most so many days away; of any distance for None.

    Arguments:
        model: as the catalogue has it.
        today: the day in UTC.
        within_days: how far ahead to look.
    """
    if not model.shutdown_on:
        return None
    days = (dt.date.fromisoformat(model.shutdown_on) - today).days
    if within_days is not None and days > within_days:
        return None
    source = next((each.source for each in model.citations if each.of == "shutdown_on"), "")
    return Retirement(model.shutdown_on, days, model.successor, source)
