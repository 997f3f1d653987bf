"""Try a text on the layers against injection, and show what each of them says.

Without flags these are the layers of a contract that says `screening: {injection: {}}`, with `--workload` those of that
contract, with `--policy` those of a file that holds what would stand under `injection`. What a layer finds is
named, not quoted, but for the text as it would go on. Exit code 1: the text would be blocked.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.lines import json_line, note
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.config.injection import Injection
    from headworks.screening.injection import InjectionPolicy, Signal

_COLOURS = {"allow": GREEN, "flag": YELLOW, "sanitise": YELLOW, "hold": YELLOW, "block": RED, "off": GREY}
_INPUT_LAYERS = ("size", "characters", "patterns", "classifier")
_OUTPUT_LAYERS = ("images", "links")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("text", metavar="TEXT", nargs="?", default="-", help="the text; `-` reads standard input")
    parser.add_argument(
        "--as",
        dest="source",
        choices=("user", "tool", "retrieved", "output"),
        default="user",
        help="whose words these are: who calls, a tool's result, retrieved text, or the model's. Default: user",
    )
    policies = parser.add_mutually_exclusive_group()
    policies.add_argument("--workload", metavar="NAME", help="take the layers of this workload's contract")
    policies.add_argument("--policy", metavar="FILE", type=Path, help="take those of this YAML file")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, default=Path("headworks.yaml"), help="default: headworks.yaml"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Screen the text; returns 1 if it would be blocked."""
    from headworks.compiled import injection_policy
    from headworks.screening.injection import heaviest

    policy = injection_policy(_settings(options))
    text = _typed() if options.text == "-" else options.text
    if options.source == "output":
        cleaned, signals = policy.screen_output(text)
    else:
        cleaned, signals = policy.screen(text, "variable" if options.source == "retrieved" else options.source)
    verdict = heaviest(signals)
    layers = _OUTPUT_LAYERS if options.source == "output" else _INPUT_LAYERS
    if options.json:
        print(json_line(_object(policy, signals, layers, verdict, cleaned)))
    else:
        _print(policy, signals, layers, verdict)
        if cleaned != text:
            print(f"\nIt would go on as:\n{plain(cleaned)}")
    return 1 if verdict == "block" else 0


def _typed() -> str:
    """What standard input holds. On a terminal it is said that this waits for somebody to type."""
    if sys.stdin.isatty():
        note("type the text to look at, and end it with Ctrl-D on a line of its own (or give it as TEXT)", "screen")
    return sys.stdin.read()


def _settings(options: argparse.Namespace) -> "Injection":
    from headworks.config.injection import Injection

    if options.policy is not None:
        return _of_file(options.policy)
    if options.workload is None:
        return Injection()
    from headworks.cli.workloads import find_workload
    from headworks.config import load

    workload = find_workload(load(options.config), options.workload)
    settings = workload.contract.screening.injection
    if settings is None:
        raise CommandError(
            f"the contract of {workload.name} has no `screening.injection`, so nothing is looked for in its calls; "
            "leave --workload out to try the layers as they would be"
        )
    return settings


def _of_file(file: Path) -> "Injection":
    from headworks.config.injection import Injection
    from headworks.config.reading import read_struct, read_text, read_tree
    from headworks.config.walk import Findings

    findings = Findings()
    root = read_tree(read_text(file, shown=str(file)), file=str(file), findings=findings)
    settings: Injection = read_struct(
        root, Injection, file=str(file), findings=findings, judge=lambda _struct, _path: None
    )
    return settings


def _object(
    policy: "InjectionPolicy", signals: "Sequence[Signal]", layers: Sequence[str], verdict: str, cleaned: str
) -> dict[str, object]:
    by_layer = {signal.layer: signal for signal in signals}
    said = []
    for layer in layers:
        signal = by_layer.get(layer)  # type: ignore[call-overload]  # a layer's name
        said.append(
            {
                "layer": layer,
                "mode": getattr(policy.settings, layer),
                "verdict": "allow" if signal is None else signal.verdict,
                "found": [] if signal is None else list(signal.names),
                "count": 0 if signal is None else signal.count,
            }
        )
    return {"verdict": verdict, "layers": said, "text": cleaned}


def _print(policy: "InjectionPolicy", signals: "Sequence[Signal]", layers: Sequence[str], verdict: str) -> None:
    table = Table(("LAYER", "MODE", "VERDICT", "COUNT", "FOUND"), right=frozenset({3}), coloured=has_colours())
    rows = []
    by_layer = {str(signal.layer): signal for signal in signals}
    for layer in layers:
        mode, signal = getattr(policy.settings, layer), by_layer.get(layer)
        said = "off" if mode == "off" else "allow" if signal is None else signal.verdict
        count, found = ("", "") if signal is None else (str(signal.count), ", ".join(signal.names))
        rows.append([Cell(layer), Cell(mode), Cell(said, _COLOURS[said]), Cell(count), Cell(found)])
    for line in table.lines(rows):
        print(line)
    print(f"\nVerdict: {verdict}")
