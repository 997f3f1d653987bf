"""Limits: how much may be asked for, of a provider and by a caller, and who goes next when there is too little.

A quota is shared by all workers; each spends from leases, slices that it was granted ahead of need, so that no call
waits for a round trip. `Ledger` and `LocalAuthority` grant them, `LeaseKeeper` asks for them, `LimitSet` reserves from
what is held. May import `calls` and `errors`. Pure but for `Authority`, which somebody else implements; clocks are
passed in.
"""

from headworks.limits.holding import LimitSet, QuotaMeter, Reservation
from headworks.limits.keeping import LeaseKeeper
from headworks.limits.leases import Ask, Authority, Lease, Quota
from headworks.limits.ledger import LEASE_S, Ledger
from headworks.limits.local_authority import LocalAuthority

__all__ = [
    "LEASE_S",
    "Ask",
    "Authority",
    "Lease",
    "LeaseKeeper",
    "Ledger",
    "LimitSet",
    "LocalAuthority",
    "Quota",
    "QuotaMeter",
    "Reservation",
]
