"""The authority in this very process: for the library, for one worker alone, and behind the control plane's socket."""

from collections.abc import Callable, Sequence

from headworks.errors import LimitsUnavailable
from headworks.limits.leases import Ask, Lease, Quota
from headworks.limits.ledger import LEASE_S, Ledger

_SWEEP_S = 10.0
"""How often ledgers that nobody uses are looked for."""


class LocalAuthority:
    """Grants leases from ledgers that it keeps in memory; implements `Authority`.

    Arguments:
        clock: seconds, monotonic.
        settling_s: 0 for an authority that is the first. One that follows another whose books are lost gives at least
            `lease_s` times 1.01 here: for so long it grants nothing, as leases of before may still be spent (their
            holders live on them, then on their share), and its ledgers of the next window begin empty.
    """

    def __init__(self, clock: Callable[[], float], *, lease_s: float = LEASE_S, settling_s: float = 0.0) -> None:
        self._clock = clock
        self._lease_s = lease_s
        self._opens_at = clock() + settling_s
        self._follows_another = settling_s > 0.0
        self._ledgers: dict[str, Ledger] = {}
        self._sweep_at = clock() + _SWEEP_S

    async def renew(self, holder: str, asks: Sequence[Ask]) -> Sequence[Lease]:
        """See `Authority.renew`."""
        return self.renew_now(holder, asks)

    def renew_now(self, holder: str, asks: Sequence[Ask], serial: int = 0) -> list[Lease]:
        """The same without waiting. `serial` as in `Ledger.renew`.

        Raises:
            LimitsUnavailable: it follows another authority and leases of that one may still be out.
        """
        now_s = self._clock()
        if now_s < self._opens_at:
            raise LimitsUnavailable(
                "The authority over quotas has just been restarted and waits until the leases of before have expired, "
                f"{self._opens_at - now_s:.1f} s more. Nothing need be done."
            )
        if now_s >= self._sweep_at:
            self._sweep(now_s)
        return [
            self.ledger(ask.quota, now_s).renew(
                holder, ask.spent, ask.wanted, now_s, remaining=ask.remaining, serial=serial
            )
            for ask in asks
        ]

    def ledger(self, quota: Quota, now_s: float) -> Ledger:
        """The books of this quota, opened if there are none, and changed to its amount and window."""
        ledger = self._ledgers.get(quota.name)
        if ledger is None:
            ledger = self._ledgers[quota.name] = Ledger(
                quota, now_s, level=self._first_level(quota, now_s), lease_s=self._lease_s
            )
        elif ledger.quota != quota:
            ledger.resize(quota, now_s)
        return ledger

    @property
    def ledgers(self) -> Sequence[Ledger]:
        """All that are kept, for whoever shows them."""
        return tuple(self._ledgers.values())

    def _first_level(self, quota: Quota, now_s: float) -> float | None:
        """What is free of a quota that is seen first. All, unless a predecessor may have granted it: then what has
        refilled since its last lease expired."""
        if not self._follows_another:
            return None
        refilled = (now_s - self._opens_at) * quota.amount / quota.window_s
        return min(float(quota.amount), refilled)

    def _sweep(self, now_s: float) -> None:
        self._sweep_at = now_s + _SWEEP_S
        for name in [name for name, ledger in self._ledgers.items() if ledger.is_idle(now_s)]:
            del self._ledgers[name]
