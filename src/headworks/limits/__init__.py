"""Limits: how much may be asked for, of a provider and by a caller, and who goes next when there is too little.

A quota is shared by all workers; each spends from leases, slices that it was granted ahead of need, so that no call
waits for a round trip. `Ledger` and `LocalAuthority` grant them, `LeaseKeeper` asks for them, `LimitSet` reserves from
what is held. May import `calls` and `errors`. Pure but for `Authority`, which somebody else implements; clocks are
passed in.
"""

from headworks.limits.expecting import Expectations
from headworks.limits.forecasting import HORIZON_DAYS, Forecast, forecast
from headworks.limits.headers import (
    parse_duration,
    parse_limits,
    parse_retry_after,
    render_duration,
    render_limits,
)
from headworks.limits.holding import SOON_S, LimitSet, QuotaMeter, Reservation
from headworks.limits.keeping import LeaseKeeper
from headworks.limits.leases import Ask, Authority, Lease, Quota
from headworks.limits.ledger import LEASE_S, Ledger
from headworks.limits.local_authority import LocalAuthority
from headworks.limits.provider_limits import NO_LIMITS, KindLimit, ProviderLimits
from headworks.limits.queueing import FairQueue, Waiter
from headworks.limits.splitting import SplitLimitSet
from headworks.limits.tokens import TokenCount, Tokens

__all__ = [
    "HORIZON_DAYS",
    "LEASE_S",
    "NO_LIMITS",
    "SOON_S",
    "Ask",
    "Authority",
    "Expectations",
    "FairQueue",
    "Forecast",
    "KindLimit",
    "Lease",
    "LeaseKeeper",
    "Ledger",
    "LimitSet",
    "LocalAuthority",
    "ProviderLimits",
    "Quota",
    "QuotaMeter",
    "Reservation",
    "SplitLimitSet",
    "TokenCount",
    "Tokens",
    "Waiter",
    "forecast",
    "parse_duration",
    "parse_limits",
    "parse_retry_after",
    "render_duration",
    "render_limits",
]
