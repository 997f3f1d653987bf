"""The keys of providers: how they stand, and a look at their managers now; for the command line and the admin API.

Both talk to the running gateway through its run folder. Nobody sees or shows a value.
"""

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from headworks.access import Right
from headworks.admin.desk import Desk
from headworks.errors import CommandError
from headworks.secrets import (
    SecretsStanding,
    SecretStanding,
    ask_for_look,
    read_standing,
    references_of,
    references_of_provider,
)
from headworks.telemetry import RUN_FOLDER, read_left

WAIT_S = 30.0
"""How long the gateway may take to look at all keys, in seconds."""

_POLL_S = 0.05
_STALE_S = 5.0
"""A gateway's processes leave their figures once a second: one that has not for so long does not run."""


KeyState: TypeAlias = Literal["good", "stale", "expired", "not known", "as started"]


class NotRunning(CommandError):
    """Something that only a running gateway can do."""


class ProviderKey(msgspec.Struct, frozen=True):
    """One key of a provider. Times are Unix seconds.

    Attributes:
        state: *as started* for one from the environment; *not known* where no gateway runs; *stale* where its manager
            could not be asked the last time, for which `problem` has the reason; *expired* where that is so for longer
            than `secrets.stale_for_s`, so that calls with it are refused.
        version: what its manager calls the one in use.
        older: further versions that are still kept.
    """

    provider: str
    reference: str
    state: KeyState
    version: str = ""
    since_s: float | None = None
    looked_s: float | None = None
    older: int = 0
    problem: str = ""


def is_running(desk: Desk) -> bool:
    """Whether a gateway of this project runs."""
    folder = desk.project.storage / RUN_FOLDER
    left = read_left(folder) if folder.is_dir() else []
    return any(one.standing is not None and time.time() - one.left_s < _STALE_S for one in left)


def provider_keys(desk: Desk) -> list[ProviderKey]:
    """How they stand.

    Raises:
        Forbidden: whoever asks may not know.
    """
    desk.demand_everywhere(Right.READ_PROVIDERS)
    return _keys(desk, read_standing(desk.project.storage / RUN_FOLDER) if is_running(desk) else None)


def look_at_provider_keys(
    desk: Desk, *, wait_s: float = WAIT_S, rest: Callable[[float], None] = time.sleep
) -> list[ProviderKey]:
    """Have the running gateway look at every key, and take those that are new; returns how they stand then.

    Raises:
        Forbidden: whoever asks may not.
        NotRunning: there is no gateway that could.
        CommandError: there is nothing to look at, or it takes longer than `wait_s`.
    """
    desk.demand_everywhere(Right.ROTATE_PROVIDERS)
    if not references_of(desk.project):
        raise CommandError(
            "no provider's key is in a file or a secret manager: a change in the environment takes a restart"
        )
    if not is_running(desk):
        raise NotRunning("the gateway is not running: it looks at its keys when it starts")
    folder, asked_s, due_s = desk.project.storage / RUN_FOLDER, time.time(), time.monotonic() + wait_s
    ask_for_look(folder, asked_s)
    desk.tell("provider.keys_looked_at")
    while True:
        standing = read_standing(folder)
        if standing is not None and standing.asked_s >= asked_s:
            return _keys(desk, standing)
        if time.monotonic() > due_s:
            raise CommandError(f"the gateway has not looked within {wait_s:g} s; see its log")
        rest(_POLL_S)


def _keys(desk: Desk, standing: SecretsStanding | None) -> list[ProviderKey]:
    known = {} if standing is None else {one.reference: one for one in standing.secrets}
    found = []
    for name in desk.project.config.providers:
        for reference in dict.fromkeys(references_of_provider(desk.project, name)):
            one = known.get(reference)
            if one is None:
                state: KeyState = "as started" if reference.startswith("env:") else "not known"
                found.append(ProviderKey(name, reference, state))
                continue
            found.append(
                ProviderKey(
                    name,
                    reference,
                    _state(one),
                    one.version,
                    one.since_s,
                    one.looked_s,
                    one.older,
                    one.problem,
                )
            )
    return found


def _state(one: SecretStanding) -> KeyState:
    if one.reference.startswith("env:"):
        return "as started"
    if one.is_expired:
        return "expired"
    return "stale" if one.problem else "good"
