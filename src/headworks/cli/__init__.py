"""The command line. One file a command group; a command prints and asks, it never decides.

A command module offers two functions:

- `arguments(parser)` declares its flags (and sub-commands) on an `argparse` parser;
- `run(options)` does the work and returns the exit code: 0 well, 1 a problem that it has printed, 2 wrong usage.

The module's docstring is the command's help text; its first line stands in the list of commands. Modules are
imported only when their command is called, so that `headworks --help` stays quick.
"""

import functools
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from headworks._version import __version__
from headworks.cli.parsing import Parser
from headworks.errors import HeadworksError
from headworks.secret_source import ask_managers_with

COMMANDS: dict[str, str] = {
    "init": "Write a commented starter project",
    "import": "Make a configuration of LiteLLM, Portkey or TensorZero into headworks.yaml",
    "check": "Validate the configuration and everything that it refers to",
    "doctor": "Check an installation from outside, and say how to mend what is found",
    "conformance": "Ask a provider a suite of small calls, and print what it supports",
    "extensions": "List what installed packages offer, whether it loads, and where it is used",
    "serve": "Start the gateway",
    "status": "Show how a running gateway stands: breakers, quotas, queues, journals",
    "limits": "Show use against limits, and forecast when they will be hit",
    "budgets": "Show what budgets have left, and when they will be used up",
    "simulate": "Start a faithful local stand-in for the OpenAI API",
    "keys": "Create, list, show, rotate and revoke virtual keys",
    "roles": "Show what roles may do at the admin API, and who has one",
    "workloads": "List, make and explain workloads",
    "prompts": "Compare, render, lint, publish and roll back prompts",
    "golden": "Check, import and count golden cases",
    "eval": "Run a workload's golden set on models and prompts, score it, and say what it costs",
    "compare": "Hold one model, prompt, run or stretch of live traffic against another",
    "select": "Find the cheapest model that is provably good enough, and lock the workload to it",
    "migrate": "Find out what can take the place of a model that is shut down, while it still answers",
    "models": "List, show and compare models and their prices; count tokens; renew the catalogue",
    "estimate": "Say what a month of calls will cost, from traffic, contract or flags",
    "plan": "Derive the architecture that a workload's contract asks for",
    "calls": "List, filter, show and follow recorded calls",
    "cache": "Show, clear and measure the answers that are given again",
    "traces": "List and show the runs of agents, with what each step cost",
    "replay": "Print, verify or send again what a past call was",
    "screen": "Try a text on a workload's layers against injection, and show what each says",
    "approvals": "List, show, approve and deny tool calls that wait for a person",
    "outcomes": "List, report and sum up what became of calls",
    "audit": "Verify, search, show, export and look after the audit log",
}
"""Command names, in the order of help, with their one-line summaries; the module of each has the same name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    parser = _parser(chosen)
    options = parser.parse_args(arguments)
    if not options.command:
        parser.print_help()
        return 0
    ask_managers_with(functools.partial(_ask_manager, getattr(options, "config", None) or Path("headworks.yaml")))
    try:
        code: int = options.run(options)
    except HeadworksError as error:
        print(f"headworks {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (`head`, `less`) has seen enough; what is left to flush has nowhere to go.
        sys.stderr.close()
        return 0
    finally:
        ask_managers_with(None)
    return code


def _ask_manager(file: Path, reference: str, environment: Mapping[str, str]) -> str:
    """What a manager has, asked as this command's configuration says. Raises ConfigError, SecretError."""
    from headworks.config import load_state
    from headworks.secrets import Managers  # only who has one loads what asks

    project, _ = load_state(file)
    return Managers.of(project, environment).fetch(reference).secret.reveal()


def _parser(chosen: str) -> Parser:
    parser = Parser(
        prog="headworks",
        description="The production layer between applications and LLM APIs.",
        epilog="`headworks COMMAND --help` explains a command. Start with: headworks init my-project",
    )
    parser.add_argument("--version", action="version", version=f"headworks {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == chosen:
            module = importlib.import_module(f"headworks.cli.{name}")
            command.description = module.__doc__
            module.arguments(command)
            command.set_defaults(run=module.run)
    return parser
