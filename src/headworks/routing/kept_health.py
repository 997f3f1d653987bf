"""What was learnt of targets, kept over reloads of the configuration."""

from collections.abc import Callable, Mapping

from headworks.routing.health import Health
from headworks.routing.health_view import BreakerState


class KeptHealth:
    """The health of a process's targets. State: by pool and model, each with what the pool was when it was made.

    A reload in an outage would otherwise have every worker learn anew which targets are down, by the calls that fail;
    and what is under way by the old configuration would not count for the new one.

    Arguments:
        uniform: a random number from 0 up to the one given.
        is_measured: as of `Health`.
    """

    def __init__(self, uniform: Callable[[float], float], *, is_measured: bool = False) -> None:
        self._uniform = uniform
        self._is_measured = is_measured
        self._pools: dict[str, object] = {}
        self._known: dict[tuple[str, str], Health] = {}

    def begin(self, pools: Mapping[str, object], now_s: float) -> None:
        """A configuration comes into force: forget what is of other pools than its own, and what says nothing.

        Arguments:
            pools: by name, all that what is learnt depends on (address, key, time limits), to be compared.
        """
        self._known = {
            (pool, model): health
            for (pool, model), health in self._known.items()
            if pool in pools and pools[pool] == self._pools[pool] and _says_something(health, now_s)
        }
        self._pools = dict(pools)

    def of(self, pool: str, model: str, slow_s: float) -> Health:
        """What is known of a target; nothing, of a new one."""
        health = self._known.get((pool, model))
        if health is None:
            health = self._known[pool, model] = Health(self._uniform, slow_s=slow_s, is_measured=self._is_measured)
        return health


def _says_something(health: Health, now_s: float) -> bool:
    view = health.view(now_s)
    is_held = view.rests_s > 0 or {view.state, view.streamed, view.whole} != {BreakerState.CLOSED}
    return is_held or view.pending > 0 or view.calls > 0
