"""Metrics: counted in process from settled calls, shown as Prometheus text.

May import `calls`, `errors`. Nothing here is on a call's way but `Metrics.observe`, one dictionary look-up a call.
"""

from headworks.telemetry.metrics import Metrics
from headworks.telemetry.sharing import MetricsShare

__all__ = ["Metrics", "MetricsShare"]
