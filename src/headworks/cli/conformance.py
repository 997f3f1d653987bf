"""Ask a provider a suite of small calls, and print what it supports.

Each case is a call of a few tokens, made in every API that the provider speaks, through the same codecs as callers'
calls: what is found is what callers get. Two dozen calls; a real provider bills them.

Exit code 0: the provider has what Headworks needs of one. 1: it lacks something, or with --strict something was
answered well and did not happen, or failed. 2: wrong usage.

  headworks conformance cellar                         the first model that headworks.yaml names there
  headworks conformance cellar --model qwen3 --json    another one, for a program
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.parsing import UsageError
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.doctoring.conforming import Found

_COLOURS = {"supported": GREEN, "refused": YELLOW, "untranslated": GREY, "wrong": RED, "failed": RED}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("provider", metavar="PROVIDER", help="its name in headworks.yaml")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: headworks.yaml")
    parser.add_argument(
        "--model", metavar="MODEL", help="as the provider calls it; default: the first that headworks.yaml names there"
    )
    parser.add_argument("--strict", action="store_true", help="fail, too, for what is wrong and not needed")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(options: argparse.Namespace) -> int:
    """Ask; returns the exit code."""
    import msgspec

    from headworks.config import FILE_NAME, load
    from headworks.doctoring.conforming import conform
    from headworks.extending import CASES
    from headworks.provider_plans import read_provider

    project = load(options.config or Path(FILE_NAME))
    if options.provider not in project.config.providers:
        there = ", ".join(project.config.providers)
        raise CommandError(f"there is no such provider in headworks.yaml; there is {there}")
    plan = read_provider(project, options.provider, os.environ)
    model = options.model or _first_model(project, options.provider)
    if model is None:
        raise UsageError("headworks.yaml names no model of it: say which with --model")
    is_shown = sys.stderr.isatty()

    def heard(one: "Found") -> None:
        if is_shown:
            print(f"\r\x1b[K{plain(one.case)}", end="", file=sys.stderr, flush=True)

    found = asyncio.run(conform(plan, model, CASES, heard=heard))
    if is_shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    is_well = bool(found) and not any(_counts(one, is_strict=options.strict) for one in found)
    if options.json:
        print(
            msgspec.json.encode({"ok": is_well, "provider": options.provider, "model": model, "cases": found}).decode()
        )
    else:
        for line in report(found, coloured=has_colours()):
            print(line)
    return 0 if is_well else 1


def report(found: "list[Found]", *, coloured: bool) -> list[str]:
    """The findings as a table for each API, and a line that sums them up."""
    if not found:
        return ["it speaks none of the APIs in which models answer in text: there is nothing to ask"]
    lines: list[str] = []
    for spoken in dict.fromkeys(one.spoken for one in found):
        table = Table((f"asked in {spoken}", "", "what"), coloured=coloured, width=terminal_width())
        lines += table.lines(
            [
                (Cell(one.case), Cell(one.outcome, _COLOURS[one.outcome]), Cell(plain(one.says)))
                for one in found
                if one.spoken == spoken
            ]
        )
        lines.append("")
    counts = {outcome: sum(one.outcome == outcome for one in found) for outcome in _COLOURS}
    lines.append(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count))
    lacks = [f"{one.case} ({one.spoken})" for one in found if _counts(one, is_strict=False)]
    lines.append(f"lacks what Headworks needs: {', '.join(lacks)}" if lacks else "has what Headworks needs")
    return lines


def _counts(one: "Found", *, is_strict: bool) -> bool:
    """Whether it speaks against the provider."""
    if one.is_needed:
        return one.outcome != "supported"
    return is_strict and one.outcome in ("wrong", "failed")


def _first_model(project: "Project", name: str) -> str | None:
    from headworks.config import TIER_ROLES, model_of_rung

    pairs = [pair for one in project.config.models.values() for pair in one.pairs]
    tiers = [bound for role in TIER_ROLES if (bound := model_of_rung(project.config, role)) is not None]
    pairs += [(bound.provider, bound.model) for bound in tiers]
    named = [model for provider, model in pairs if provider == name]
    return next(iter([*named, *(project.config.providers[name].models or ())]), None)
