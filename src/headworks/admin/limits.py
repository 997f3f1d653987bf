"""Recorded use against limits, with the forecast; for the command line and the admin API alike."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headworks.access import KEYS_FILE, Right
from headworks.admin.desk import Desk
from headworks.calls import Limits
from headworks.config.limits import limits_of_target, listed_targets
from headworks.limits.headroom import Headroom, HourUse, headroom_of
from headworks.records import Store, Total


class Row(NamedTuple):
    """One line: whose limit it is (`target/...`, `key/...`, `team/...`), and use against it."""

    of: str
    headroom: Headroom


def limit_rows(desk: Desk, *, days: int) -> list[Row]:
    """Every limit that whoever asks reaches; for who reaches everything, also those of targets, and every target that
    was called.

    Arguments:
        days: of recorded calls to look at.

    Raises:
        Forbidden: they reach none.
        StorageError: the records cannot be read.
    """
    teams = desk.teams(Right.READ_LIMITS)
    with desk.records() as store:
        if store is None:
            return []
        since_us = int((desk.now() - days * 86_400) * 1e6)
        found = [] if teams is not None else list(_of_targets(desk, store, since_us))
        return [*found, *_of_callers(desk, store, since_us, teams)]


def _of_targets(desk: Desk, store: Store, since_us: int) -> Iterator[Row]:
    config = desk.project.config
    by_target = _hours(store.totals(("provider", "model", "hour", "outcome"), since_us, None))
    targets = dict.fromkeys(sorted({*listed_targets(config), *((group[0], group[1]) for group in by_target)}))
    for provider, model in targets:
        of_target = limits_of_target(config, provider, model)
        if of_target is not None and model:
            for headroom in headroom_of(by_target[provider, model], of_target, now_s=desk.now()):
                yield Row(f"target/{provider}/{model}", headroom)


def _of_callers(desk: Desk, store: Store, since_us: int, reached: tuple[str, ...] | None) -> Iterator[Row]:
    of_key = desk.teams_of_keys()
    by_key = _hours(store.totals(("key_id", "team", "hour", "outcome"), since_us, None))
    teams = {name: team.limits for name, team in desk.project.config.access.teams.items()}
    for kind, place, limited in (("key", 0, _key_limits(desk)), ("team", 1, teams)):
        for name, limits in sorted(limited.items()):
            if reached is not None and (of_key.get(name, "") if kind == "key" else name) not in reached:
                continue
            hours = _together(hours for group, hours in by_key.items() if group[place] == name)
            for headroom in headroom_of(hours, limits, now_s=desk.now()):
                if headroom.limit is not None:
                    yield Row(f"{kind}/{name}", headroom)


def _hours(totals: Iterable[Total]) -> defaultdict[tuple[str, str], dict[int, HourUse]]:
    """Use by hour of each pair of groups. What was refused here has asked nobody."""
    found: defaultdict[tuple[str, str], dict[int, HourUse]] = defaultdict(dict)
    for total in totals:
        first, second, hour_s, outcome = total.group
        if outcome != "refused":
            hours = found[str(first), str(second)]
            before = hours.get(int(hour_s), HourUse())
            hours[int(hour_s)] = before + HourUse(
                total.calls,
                total.input_tokens + total.output_tokens,
                max(0, total.input_tokens - total.cached_tokens),
                total.output_tokens,
            )
    return found


def _together(many: Iterable[dict[int, HourUse]]) -> dict[int, HourUse]:
    found: dict[int, HourUse] = {}
    for hours in many:
        for hour_s, use in hours.items():
            found[hour_s] = found.get(hour_s, HourUse()) + use
    return found


def _key_limits(desk: Desk) -> dict[str, Limits]:
    """The limits of every key that is not revoked."""
    if not (desk.project.storage / KEYS_FILE).exists():
        return {}
    with desk.keys() as store:
        return {record.key_id: record.limits for record in store.list() if record.revoked_at is None}
