"""Start a faithful local stand-in for the OpenAI API.

Point any OpenAI client at it: base_url "http://127.0.0.1:4010/v1", any API key. What it answers, how fast, with
which limits and faults, a plan file says (YAML); without one the built-in plan serves. The plan can be changed
while it runs: PUT, PATCH and DELETE /simulator/plan, POST /simulator/faults, POST /simulator/reset; what it was
asked shows GET /simulator/requests.

It ends with SIGTERM or Ctrl-C.
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=4010, help="port to listen on; 0 picks one (default: %(default)s)")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="plan file; without it, the built-in plan")
    parser.add_argument("--seed", type=int, help="what all chance derives from (default: the plan's)")
    parser.add_argument("--pace", type=_pace, help="factor on all delays; 0: no delays (default: the plan's)")


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop. Raises ConfigError for a plan that cannot be used."""
    from headworks.server import serve_application  # loads uvloop: only when it is going to serve
    from headworks.simulator import Plan, Simulator, SimulatorApplication, load_plan

    plan = load_plan(options.plan) if options.plan else Plan()
    given = {"seed": options.seed, "pace": options.pace}
    plan = msgspec.structs.replace(plan, **{name: value for name, value in given.items() if value is not None})

    def ready(address: str) -> None:
        print(f"headworks simulator ready on {address}", file=sys.stderr, flush=True)

    return serve_application(
        lambda: SimulatorApplication(Simulator(plan, now=time.time)), options.host, options.port, ready=ready
    )


def _pace(text: str) -> float:
    pace = float(text)
    if not 0 <= pace <= 1000:
        raise argparse.ArgumentTypeError("a number from 0 to 1000")
    return pace
