"""A faithful provider that speaks the OpenAI API, Anthropic's Messages, Google's generateContent and AWS's Converse:
for trying Headworks without a key, and for tests.

`Simulator` answers a request with a `Script`: what goes out when, as a value. `SimulatedUpstream` plays scripts
in process, `SimulatorApplication` behind a server. A `Plan` says what the provider is like; `load_plan` reads one
from a file.

May import `body`, `calls`, `errors`, `exchange`, and nothing else of Headworks.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.simulator.plan import Plan
    from headworks.simulator.plan_file import load_plan
    from headworks.simulator.plan_reading import PlanProblem
    from headworks.simulator.plan_source import plan_from
    from headworks.simulator.script import Beat, Ending, Script
    from headworks.simulator.service import SimulatorApplication
    from headworks.simulator.simulator import Simulator
    from headworks.simulator.upstream import SimulatedUpstream

__all__ = [
    "Beat",
    "Ending",
    "Plan",
    "PlanProblem",
    "Script",
    "SimulatedUpstream",
    "Simulator",
    "SimulatorApplication",
    "load_plan",
    "plan_from",
]

_HOMES = {
    "Beat": "script",
    "Ending": "script",
    "Plan": "plan",
    "PlanProblem": "plan_reading",
    "Script": "script",
    "SimulatedUpstream": "upstream",
    "Simulator": "simulator",
    "SimulatorApplication": "service",
    "load_plan": "plan_file",
    "plan_from": "plan_source",
}
"""The module of each name."""


def __getattr__(name: str) -> object:
    """Load a name's module when it is first asked for: a plan is read without what plays it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
