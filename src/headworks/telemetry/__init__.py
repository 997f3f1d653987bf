"""Metrics, counted in process from settled calls and shown as Prometheus text; and the operator's log.

May import `calls`, `errors`. Nothing here is on a call's way but `Metrics.observe`, one dictionary look-up a call.
"""

from headworks.telemetry.log import report
from headworks.telemetry.metrics import GaugeFamily, Metrics
from headworks.telemetry.sharing import RUN_FOLDER, MetricsShare, forget_figures, forget_gauges

__all__ = ["RUN_FOLDER", "GaugeFamily", "Metrics", "MetricsShare", "forget_figures", "forget_gauges", "report"]
