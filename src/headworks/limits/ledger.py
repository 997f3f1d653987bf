"""The authority's arithmetic over one quota: what is free, what is out with holders, and whose turn it is. Pure.

Three numbers tell the whole story: the *level* (units that are free), what is *held* (units out with holders) and
their sum, the *total*. The total refills evenly up to the quota's amount. A grant moves units from the level to a
holder, a return moves them back; only what was spent leaves the total.

The invariant, on which everything rests: whatever all holders may still spend is at most what a token bucket of the
quota's capacity and rate has left. It holds because a holder never holds more than the ledger counts as held:

* a lease is never shortened but by its holder, which asks for less and from then on holds less, whether or not it
  hears the answer; so a lost answer does no harm;
* what a holder has not reported when its lease expires counts as spent, for good: a report that comes later counts
  on top. To give units back then would not be safe, as the bucket may have been full in between;
* a report that was overtaken by a later one of the same holder is not counted: until an ask is answered, its holder
  repeats in the next what it said there.

Two things are outside it. A call that costs more than was reserved is a debt: it is paid before anything is granted,
but was spent already. And units that come back because a call cost less are taken as if the provider gave them back at
that moment; if it never took them and its bucket has been full in between, that much of a burst may be too much.

Times are seconds of one monotonic clock, and are passed in.
"""

import math

from headworks.limits.leases import Lease, Quota

LEASE_S = 5.0
"""How long a lease lasts: some fifty renewals, so that a lost message costs no lease; short enough that a worker that
dies keeps its slice from the others only for a moment."""

_CLOCK_MARGIN = 1.01
"""The authority waits this much longer than the holder: two machines' clocks do not run equally fast (NTP slews by at
most 500 parts in a million; this is twenty times that)."""

_RAISE_SHARE = 0.1
_RAISE_MARGIN = 0.05
_RAISE_MOST_S = 10.0
"""The provider's word lifts the level by at most a tenth of the even refill, to at most a twentieth of the quota below
what the provider says: requests that are under way do not show in it yet. After a silence, no more than this many
seconds of lifting are made good at once."""

_PATIENCE_S = 1.0
"""A holder whose turn it is and that does not come for this long is passed over."""

_LARGE = 20
"""A grant of more than the quota over this is large."""

_REMEMBERED_S = 600.0
"""How long a holder that is silent and holds nothing is remembered, for its turn."""


class _Stake:
    """What the ledger knows of one holder.

    Attributes:
        held: units out with it.
        tag: how much it was granted, on the virtual clock of the fair shares.
        unmet: units that it wants and waits for.
        took: units that it was granted last, and so may be expected to want soon again.
        comes_by: when it is passed over, should it not have come again.
    """

    __slots__ = ("comes_by", "expires_at", "held", "seen_at", "serial", "tag", "took", "unmet")

    def __init__(self, tag: float) -> None:
        self.held = 0
        self.expires_at = math.inf
        self.seen_at = 0.0
        self.serial = 0
        self.tag = tag
        self.unmet = 0
        self.took = 0
        self.comes_by = 0.0


class Ledger:
    """The books of one quota.

    Fair shares are those of start-time fair queueing: who was granted least goes first. What it still waits for is kept
    for it against those behind; where that is nothing, what it took the last time is. So a holder that wants little
    gets it however much another wants, a large want is met in full in its turn instead of being split until nobody
    can use the pieces, and nobody saves up turns by being idle. One large grant takes at most half of what is free, so
    that a newcomer finds something, too.

    Arguments:
        level: units that are free at first; None means all. 0 for a ledger that follows one whose leases have expired.
    """

    __slots__ = (
        "_at", "_held", "_lease_s", "_level", "_next_expiry", "_raised_at", "_rate", "_stakes", "_virtual", "quota",
    )  # fmt: skip

    def __init__(self, quota: Quota, now_s: float, *, level: float | None = None, lease_s: float = LEASE_S) -> None:
        self.quota = quota
        self._rate = quota.amount / quota.window_s
        self._lease_s = lease_s
        self._level = float(quota.amount) if level is None else level
        self._held = 0
        self._at = now_s
        self._raised_at = now_s
        self._next_expiry = math.inf  # no lease expires before
        self._virtual = 0.0
        self._stakes: dict[str, _Stake] = {}

    def free(self, now_s: float) -> float:
        """Units that may be granted now; below zero where more was spent than held."""
        self._advance(now_s)
        return self._level

    @property
    def held(self) -> int:
        """Units that are out with holders."""
        return self._held

    @property
    def holders(self) -> int:
        """How many holders are known."""
        return len(self._stakes)

    def is_idle(self, now_s: float) -> bool:
        """Whether it is as a new ledger would be, so that it can be dropped and nothing is forgotten."""
        self._advance(now_s)
        if self._held or self._level < self.quota.amount:
            return False
        return all(stake.seen_at + self._lease_s * _CLOCK_MARGIN < now_s for stake in self._stakes.values())

    def resize(self, quota: Quota, now_s: float) -> None:
        """Go by another amount or window from now on. What is free does not grow by it, but by refilling."""
        self._advance(now_s)
        self.quota = quota
        self._rate = quota.amount / quota.window_s
        self._cap()

    def renew(
        self, holder: str, spent: int, wanted: int, now_s: float, *, remaining: int | None = None, serial: int = 0
    ) -> Lease:
        """Take a holder's report and grant it a lease, in the place of what it held.

        Arguments:
            spent, wanted, remaining: as in `Ask`.
            serial: rises with every ask of this holder, where the transport may let one overtake another; 0 where it
                cannot. An ask that was overtaken changes nothing.
        """
        self._advance(now_s)
        stake = self._stakes.get(holder)
        if stake is None:
            stake = self._stakes[holder] = _Stake(self._virtual)
        if serial and serial <= stake.serial:
            return Lease(stake.held, 0.0)
        stake.serial = serial
        stake.seen_at = self._at
        wanted = min(wanted, self.quota.amount)
        kept = max(0, min(stake.held - spent, wanted))
        self._level += stake.held - spent - kept
        self._held += kept - stake.held
        stake.held = kept
        self._cap()
        if remaining is not None:
            self._believe(remaining)
        wait_s = self._grant(stake, wanted - kept)
        if stake.held:
            stake.expires_at = self._at + self._lease_s * _CLOCK_MARGIN
            self._next_expiry = min(self._next_expiry, stake.expires_at)
        else:
            stake.expires_at = math.inf
        return Lease(stake.held, self._lease_s, wait_s)

    def _grant(self, stake: _Stake, more: int) -> float:
        """Give a holder what it may have of the units that it lacks; returns the seconds until there is more."""
        if more <= 0:
            stake.unmet = stake.took = 0
            return 0.0
        if not stake.unmet:
            stake.tag = max(stake.tag, self._virtual)  # no turns are saved up
        stake.unmet = more
        ahead = self._ahead_of(stake)
        free = math.floor(self._level + 1e-9)
        granted = max(0, min(more, free - ahead, max((free + 1) // 2, self.quota.amount // _LARGE)))
        if not ahead:
            self._virtual = max(self._virtual, stake.tag)
        stake.tag += granted
        stake.unmet -= granted
        stake.took = granted
        stake.comes_by = self._at + _PATIENCE_S
        stake.held += granted
        self._held += granted
        self._level -= granted
        if not stake.unmet:
            return 0.0
        wait_s = max(0.0, (ahead + 1 - self._level) / self._rate)
        stake.comes_by = self._at + wait_s + _PATIENCE_S
        return wait_s

    def _ahead_of(self, stake: _Stake) -> int:
        """Units that are kept for those who were granted less; of equals, for who came first."""
        ahead = 0
        is_before = True
        for other in self._stakes.values():
            if other is stake:
                is_before = False
            elif other.tag < stake.tag or (is_before and other.tag == stake.tag):
                if other.comes_by < self._at:
                    other.unmet = other.took = 0
                else:
                    ahead += other.unmet or other.took
        return ahead

    def _believe(self, remaining: int) -> None:
        """Follow what the provider says is left for everybody: down at once, up slowly.

        Down: all that may still be spent must fit into it. It was said a moment ago, and what was spent and not yet
        reported counts twice; both err towards less. Up: see `_RAISE_SHARE`. So an answer that is late, or a provider
        that counts only what has ended, cannot lift the level to where the quota would be exceeded by more than a
        tenth of the refill; and what was lost here (leases that expired unspent, reports that counted twice) returns.
        """
        excess = self._level + self._held - remaining
        if excess > 0.0:
            self._level = max(self._level - excess, -float(self.quota.amount))
        else:
            lift = min(self._at - self._raised_at, _RAISE_MOST_S) * self._rate * _RAISE_SHARE
            self._level += max(0.0, min(lift, -excess - _RAISE_MARGIN * self.quota.amount))
            self._cap()
        self._raised_at = self._at

    def _cap(self) -> None:
        """No more is free than the quota less what is out: nothing is saved up beyond the quota."""
        self._level = min(self._level, float(self.quota.amount - self._held))

    def _advance(self, now_s: float) -> None:
        """Refill up to now, and let what has expired lapse, each at its time. A clock that steps back stands still."""
        if now_s >= self._next_expiry:
            stakes = self._stakes
            due = sorted((s for s in stakes.values() if s.expires_at <= now_s), key=lambda s: s.expires_at)
            for stake in due:
                self._refill(stake.expires_at)
                self._held -= stake.held
                stake.held = 0
                stake.unmet = 0
                stake.expires_at = math.inf
            self._next_expiry = min((s.expires_at for s in stakes.values()), default=math.inf)
            for name in [n for n, s in stakes.items() if not s.held and s.seen_at + _REMEMBERED_S < now_s]:
                del stakes[name]
        self._refill(now_s)

    def _refill(self, now_s: float) -> None:
        if now_s > self._at:
            self._level += (now_s - self._at) * self._rate
            self._at = now_s
            self._cap()
