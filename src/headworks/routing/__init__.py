"""Routing: from a public model name to targets, what is learnt of them, which of them is asked, and one attempt at it.

May import `exchange`, `calls`, `errors`. What a call does when an attempt fails is `attempts`' matter.
"""

from headworks.routing.attempt import Gathering, StreamSink
from headworks.routing.choosing import choose
from headworks.routing.headroom import Headroom
from headworks.routing.health import Health
from headworks.routing.health_view import BreakerState, HealthView
from headworks.routing.kept_health import KeptHealth
from headworks.routing.table import Member, Reach, RouteTable, Target

__all__ = [
    "BreakerState",
    "Gathering",
    "Headroom",
    "Health",
    "HealthView",
    "KeptHealth",
    "Member",
    "Reach",
    "RouteTable",
    "StreamSink",
    "Target",
    "choose",
]
