"""Upstream HTTP: connection pools, TLS, proxies, time limits, cancellation.

Implements `exchange.Upstream` on sockets. May import `exchange`, `calls`, `errors`, `wheel`. Knows no provider and
no dialect: bytes and heads go in, bytes and heads come out, and an attempt that fails ends in a `calls.Failure`.
Redirects are not followed, origins come from configuration alone.
"""

from headworks.transport.origin import Origin, PoolLimits
from headworks.transport.pool import UpstreamPool

__all__ = ["Origin", "PoolLimits", "UpstreamPool"]
