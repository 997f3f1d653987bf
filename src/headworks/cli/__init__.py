"""The command line. One file a command group; a command prints and asks, it never decides.

A command module offers two functions:

- `arguments(parser)` declares its flags (and sub-commands) on an `argparse` parser;
- `run(options)` does the work and returns the exit code, one of `EXIT_CODES`. It raises `UsageError` for words and
  flags that cannot be meant together, and any other error of ours for what fails.

The module's docstring is the command's help text; its first line stands in the list of commands. Modules are
imported only when their command is called, so that `headworks --help` stays quick.
"""

import argparse
import functools
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from headworks._version import __version__
from headworks.cli.parsing import Parser, UsageError
from headworks.errors import HeadworksError
from headworks.secret_source import ask_managers_with

GROUPS: dict[str, dict[str, str]] = {
    "run": {
        "init": "Write a commented starter project",
        "import": "Take over a configuration of LiteLLM, Portkey or TensorZero",
        "check": "Validate the configuration and everything that it refers to",
        "serve": "Start the gateway",
        "simulate": "Start a faithful local stand-in for the OpenAI API",
        "workloads": "List, make and explain workloads",
        "prompts": "Compare, render, lint, publish and roll back prompts",
    },
    "see": {
        "calls": "List, show, sum up and follow calls; cache hits, savings, waste",
        "traces": "List and show the runs of agents, with what each step cost",
        "replay": "Print, verify or send again what a past call was",
        "outcomes": "List, report and sum up what became of calls",
        "status": "Show how a running gateway stands: breakers, quotas, queues",
    },
    "spend": {
        "plan": "Derive the architecture that a workload's contract asks for",
        "estimate": "Say what a month of calls will cost",
        "budgets": "Show what budgets have left, and when they will be used up",
        "models": "List, show and compare models and prices; count tokens",
        "cache": "Show, clear and measure the answers that are given again",
    },
    "prove": {
        "golden": "Check, count, import and export golden cases",
        "eval": "Run a golden set on models and prompts; gate changes in CI",
        "compare": "Hold one model, prompt, run or stretch of live traffic against another",
        "select": "Find the cheapest model that is provably good enough",
        "migrate": "Find what can take the place of a model that is shut down",
    },
    "protect": {
        "keys": "Create, list, show, rotate and revoke virtual keys",
        "roles": "Show what roles may do at the admin API, and who has one",
        "screen": "Try a text on a workload's layers against injection",
        "approvals": "List, show, approve and deny tool calls that wait for a person",
        "audit": "Verify, search, show, export and look after the audit log",
    },
    "operate": {
        "doctor": "Check an installation from outside, and say how to mend it",
        "limits": "Show use against limits, and forecast when they will be hit",
        "conformance": "Ask a provider a suite of small calls: what does it support?",
        "extensions": "List what installed packages offer, and where it is used",
    },
}
"""Command names by what one wants to do, in the order of help, with their one-line summaries; the module of each has
the same name."""

COMMANDS: dict[str, str] = {name: summary for group in GROUPS.values() for name, summary in group.items()}
"""All of them."""

EXIT_CODES: dict[int, str] = {
    0: "done; where a command judges, the judgement is good",
    1: "something failed, is not there, or the judgement is bad; it was printed",
    2: "wrong usage: words or flags that mean nothing, alone or together; nothing was done",
    3: "`eval --changed`, `compare` and `migrate`: the evidence is too thin to judge",
    130: "stopped by Ctrl-C (`serve` and `simulate` end well by it, with 0)",
}
"""What a command's exit code means, of every command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, one of `EXIT_CODES`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    try:
        parser = _parser(chosen)
        options = parser.parse_args(arguments)
        if not options.command:
            parser.print_help()
            return 0
        ask_managers_with(functools.partial(_ask_manager, getattr(options, "config", None) or Path("headworks.yaml")))
        code: int = options.run(options)
    except HeadworksError as error:
        print(f"headworks {chosen}: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the terminal has shown ^C, maybe in a line that was under way
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
        usage="headworks [-h] [--version] COMMAND ...",
        epilog=f"{_grouped()}\n\n{_CLOSING}",
    )
    parser.add_argument("--version", action="version", version=f"headworks {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="headworks", help=argparse.SUPPRESS)
    for name in COMMANDS:
        command = commands.add_parser(name)
        if name == chosen:
            module = importlib.import_module(f"headworks.cli.{name}")
            command.description = module.__doc__
            module.arguments(command)
            command.set_defaults(run=module.run)
    return parser


_CLOSING = """\
`headworks COMMAND --help` explains a command. Start with: headworks init my-project

Exit codes: 0 done, 1 failed or judged bad, 2 wrong usage, 130 Ctrl-C.
"""


def _grouped() -> str:
    """The list of commands. Indented, so that it is printed as it stands."""
    width = max(map(len, COMMANDS))
    return "\n\n".join(
        "\n".join((f"{title}:", *(f"  {name:<{width}}  {summary}" for name, summary in group.items())))
        for title, group in GROUPS.items()
    )
