"""The control plane: a process of its own, beside the workers. The data plane keeps serving when it is down.

It drains the journals into the store and the audit log, gives records to sinks, grants leases, keeps the books of
budgets and has people told; the dashboard, the admin API, batches and schedules will live here.
"""

from headworks.console.alert_channels import alert_terms, channels_of
from headworks.console.control_plane import control_plane, run
from headworks.console.control_terms import ControlTerms, pack_terms, unpack_terms
from headworks.console.sink_terms import sink_terms

__all__ = [
    "ControlTerms",
    "alert_terms",
    "channels_of",
    "control_plane",
    "pack_terms",
    "run",
    "sink_terms",
    "unpack_terms",
]
