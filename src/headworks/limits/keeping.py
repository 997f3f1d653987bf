"""When a worker asks the authority, for how much, and what it lives on while the authority is away. Without I/O.

Whoever drives it calls `beat` at the time that `due_s` names (and when it is rung for), sends the asks, and hands back
`take` or `fail`. One exchange is under way at a time.

    asks = keeper.beat(now_s)
    if asks:
        try:
            keeper.take(await authority.renew(holder, asks), now_s)
        except LimitsUnavailable:
            keeper.fail(now_s)
"""

import math
from collections.abc import Callable, Collection, Sequence

from headworks.limits.holding import SOON_S, QuotaMeter
from headworks.limits.leases import Ask, Lease, Quota

PERIOD_S = 0.1
"""Time between two asks where nothing is short."""

HORIZON_S = 0.5
"""How far ahead a worker holds what it uses: five renewals, so that a lost message or two are not noticed. More would
only lie idle here while another worker lacks it."""

IDLE_S = 10.0
"""A quota that is not used for this long is given back whole."""

AWAY_AFTER_S = 1.0
"""After so long without an answer the authority counts as away."""

_SPARE = 1 / 32
"""Of what a quota refills in the horizon, what a worker that uses it holds at least: where a quota is far from used up,
nobody waits for a lease because more calls came than lately."""

_LARGE_S = 1.0
"""A call that takes more than a quota refills in so long is large for it."""

_LACKED_S = 0.4
"""What was lacked is held for so long, though nobody waits for it here: a call that comes to a target in place of
another pauses for as long (`attempts.MOMENT_S` and `SPREAD_S`) before it looks again."""

_SMOOTHING_S = 1.0
"""Time constant in which the smoothed rate of use falls; it rises with the next ask."""


class _Use:
    """How one quota is used here. `rate`: units a second, smoothed; `chunk`: the largest single want lately;
    `lacked_at`: when something was wanted and not there, until something is spent."""

    __slots__ = ("chunk", "lacked_at", "meter", "rate", "told_at", "used_at")

    def __init__(self, meter: QuotaMeter, now_s: float) -> None:
        self.meter = meter
        self.rate = 0.0
        self.chunk = 0.0
        self.lacked_at = -math.inf
        self.told_at = now_s
        self.used_at = now_s


class LeaseKeeper:
    """Keeps the leases of one worker. State: the meters, those of them in use, and the exchange under way.

    Arguments:
        share: the part of each quota that this worker may spend while the authority is away; 0 refuses then. **The
            shares of all workers must not add up to more than 1**: that is all that keeps the quota while nobody
            keeps the books. It holds exactly where the authority is away for everybody; a worker that alone is cut
            off spends its share on top of what the others are granted, and reports it when it is back.
        ring: called when `due_s` has become earlier.
    """

    def __init__(
        self,
        now_s: float,
        *,
        share: float = 0.0,
        ring: Callable[[], None] = lambda: None,
        horizon_s: float = HORIZON_S,
        period_s: float = PERIOD_S,
    ) -> None:
        self._share = share
        self._ring = ring
        self._horizon_s = horizon_s
        self._period_s = period_s
        self._meters: dict[str, QuotaMeter] = {}
        self._uses: list[_Use] = []
        self._asked: list[QuotaMeter] = []
        self._is_asking = False
        self._asked_at = -math.inf
        self._failing_since: float | None = None
        self._is_short = False
        self._new: list[QuotaMeter] = []
        self._now = now_s

    def meter(self, quota: Quota) -> QuotaMeter:
        """The meter of a quota: for each name one, as the authority knows one lease for it. If its amount or window has
        changed, the meter goes by the new ones from now on."""
        meter = self._meters.get(quota.name)
        if meter is None:
            meter = self._meters[quota.name] = QuotaMeter(quota, self._keep)
        elif meter.quota != quota:
            meter.resize(quota)
        return meter

    @property
    def meters(self) -> Collection[QuotaMeter]:
        """Every meter that was asked for so far, those included that nobody uses any more."""
        return self._meters.values()

    def is_away(self, now_s: float) -> bool:
        """Whether the authority has not answered for a while, although it was asked."""
        return self._failing_since is not None and now_s - self._failing_since >= AWAY_AFTER_S

    def due_s(self) -> float:
        """When to call `beat` next; infinity: not before it rings."""
        if not self._uses and not self._new:
            return math.inf
        due = self._asked_at + self._period_s
        if self._is_short and not self._is_asking:
            useful = min((use.meter.useful_at for use in self._uses if use.meter.needed), default=-math.inf)
            due = min(due, max(self._asked_at + SOON_S, -math.inf if self._new else useful))
        return max(due, self._now + SOON_S) if self._is_asking or self._failing_since is not None else due

    def beat(self, now_s: float) -> list[Ask]:
        """Move on: refill shares while the authority is away, and say what to ask it, nothing while an answer is
        awaited. The asks must be followed by `take` or `fail`."""
        self._now = now_s
        for meter in self._new:
            self._uses.append(_Use(meter, now_s))
        self._new.clear()
        if self.is_away(now_s):
            for use in self._uses:
                use.meter.live_on_share(self._share, now_s)
        if self._is_asking:
            return []
        self._is_short = False
        self._asked_at = now_s
        asks = []
        self._asked = []
        for use in self._uses:
            wanted = self._want(use, now_s)
            asks.append(use.meter.ask(wanted, now_s))
            self._asked.append(use.meter)
        self._is_asking = bool(asks)
        return asks

    def take(self, leases: Sequence[Lease], now_s: float) -> None:
        """The authority's answer to the asks of the last `beat`."""
        self._now = now_s
        self._is_asking = False
        self._failing_since = None
        for meter, lease in zip(self._asked, leases, strict=True):
            meter.take_lease(lease, now_s)
        self._let_go(now_s)

    def fail(self, now_s: float) -> None:
        """The authority did not answer the asks of the last `beat`, or cannot be reached."""
        self._now = now_s
        self._is_asking = False
        if self._failing_since is None:
            self._failing_since = self._asked_at
        for meter in self._asked:
            meter.lose_answer()

    def _want(self, use: _Use, now_s: float) -> int:
        """What to hold: what is used in the horizon at the smoothed rate, at least one call of the size of late or a
        small part of what the quota refills within the horizon, and of that what waiting calls want.

        At a rate of use, no more is held than the quota refills in the horizon, or it would lie idle here while another
        worker lacks it. Of a small quota, where a call is more than refills in a second, nothing is held but for calls
        that are there: each waits for its lease.
        """
        meter = use.meter
        spent = max(0, meter.unreported)
        if spent or meter.needed or meter.waiting:
            use.used_at = now_s
        if meter.needed:
            use.lacked_at = now_s
        elif spent:
            use.lacked_at = -math.inf
        elapsed = max(now_s - use.told_at, SOON_S)
        use.told_at = now_s
        rate = spent / elapsed
        use.rate += (rate - use.rate) * (0.5 if rate > use.rate else -math.expm1(-elapsed / _SMOOTHING_S))
        use.chunk = max(float(meter.needed), use.chunk * math.exp(-elapsed / IDLE_S))
        quota = meter.quota
        refill_a_second = quota.amount / quota.window_s
        refill = refill_a_second * self._horizon_s
        if now_s - use.used_at >= IDLE_S:
            return 0
        ahead = min(use.rate * self._horizon_s, refill) + min(float(meter.waiting), refill)
        is_wanted = meter.waiting or now_s - use.lacked_at < _LACKED_S
        if use.chunk > refill_a_second * _LARGE_S and not is_wanted:
            return math.floor(ahead)
        return min(quota.amount, math.ceil(max(ahead, use.chunk, meter.needed, math.floor(refill * _SPARE))))

    def _let_go(self, now_s: float) -> None:
        """Renew no longer what is idle and has nothing left to say."""
        kept = []
        for use in self._uses:
            meter = use.meter
            idle = now_s - use.used_at >= IDLE_S and not meter.needed and not meter.waiting
            if idle and not meter.balance and not meter.unreported:
                meter.is_kept = False
            else:
                kept.append(use)
        if len(kept) < len(self._uses):
            self._uses = kept
            self._asked = []

    def _keep(self, meter: QuotaMeter) -> None:
        """A meter lacks something or has something to report."""
        if not meter.is_kept:
            meter.is_kept = True
            self._new.append(meter)
        if not self._is_short:
            self._is_short = True
            self._ring()
