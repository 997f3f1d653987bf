"""The control plane: a process of its own, beside the workers. The data plane keeps serving when it is down.

For now it drains the journals into the store and seals them into the audit log; the dashboard, the admin API, batches
and schedules will live here.
"""

from headworks.console.control_plane import control_plane, run

__all__ = ["control_plane", "run"]
