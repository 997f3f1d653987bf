"""Routing: from a public model name to a target, and one attempt at it.

May import `exchange`, `calls`, `errors`. Chains, retries and breakers will live here; today a call has one attempt.
"""

from headworks.routing.attempt import Gathering, StreamSink
from headworks.routing.table import Reach, RouteTable, Target

__all__ = ["Gathering", "Reach", "RouteTable", "StreamSink", "Target"]
