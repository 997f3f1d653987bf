"""A faithful provider that speaks the OpenAI API, Anthropic's Messages, Google's generateContent and AWS's Converse:
for trying Headworks without a key, and for tests.

`Simulator` answers a request with a `Script`: what goes out when, as a value. `SimulatedUpstream` plays scripts
in process, `SimulatorApplication` behind a server. A `Plan` says what the provider is like; `load_plan` reads one
from a file.

May import `body`, `calls`, `errors`, `exchange`, and nothing else of Headworks.
"""

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
