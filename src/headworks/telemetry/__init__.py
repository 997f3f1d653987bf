"""Metrics, counted in process from settled calls and shown as Prometheus text; and the operator's log.

May import `calls`, `errors`. Nothing here is on a call's way but `Metrics.observe`, one dictionary look-up a call.
"""

from headworks.telemetry.log import report
from headworks.telemetry.metrics import GaugeFamily, Metrics
from headworks.telemetry.sharing import RUN_FOLDER, Left, MetricsShare, forget_figures, forget_gauges, read_left
from headworks.telemetry.standing import (
    PROBES,
    Breaker,
    Held,
    QueueStanding,
    QuotaStanding,
    Standing,
    TargetStanding,
    together,
)

__all__ = [
    "PROBES",
    "RUN_FOLDER",
    "Breaker",
    "GaugeFamily",
    "Held",
    "Left",
    "Metrics",
    "MetricsShare",
    "QueueStanding",
    "QuotaStanding",
    "Standing",
    "TargetStanding",
    "forget_figures",
    "forget_gauges",
    "read_left",
    "report",
    "together",
]
