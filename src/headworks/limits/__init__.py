"""Limits: how much may be asked for, of a provider and by a caller, and who goes next when there is too little.

A quota is shared by all workers; each spends from leases, slices that it was granted ahead of need, so that no call
waits for a round trip. May import `calls` and `errors`. Pure but for `Authority`, which somebody else implements;
clocks are passed in.
"""

from headworks.limits.leases import Ask, Authority, Lease, Quota

__all__ = ["Ask", "Authority", "Lease", "Quota"]
