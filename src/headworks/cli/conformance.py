"""Ask a provider a suite of small calls, and print what it supports.

Features are asked as callers ask, in every API that the provider speaks, through the same codecs: what is found is what
callers get. Shapes are recorded exchanges of that API: each request is sent as it is, and what comes back, whole or as
a stream, is compared with the record. Some forty calls of a few tokens for each API; a real provider bills them.

Exit code 0: the provider has what Headworks needs of one, and answers as its API promises. 1: it lacks something, an
answer is not as it is recorded, or with --strict something was answered well and did not happen, or failed. 2: wrong
usage.

  headworks conformance cellar                                      the models that headworks.yaml names there
  headworks conformance cellar --model qwen3 --json                 another one, for a program
  headworks conformance openai --model embeddings=text-embedding-3-small    one more part of the API
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.parsing import UsageError
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.calls import Endpoint
    from headworks.config import Project
    from headworks.doctoring.conforming import Found, Report
    from headworks.extending import Recorded
    from headworks.provider_plans import ProviderPlan

_COLOURS = {"supported": GREEN, "refused": YELLOW, "untranslated": GREY, "wrong": RED, "failed": RED}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("provider", metavar="PROVIDER", help="its name in headworks.yaml")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: headworks.yaml")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[API=]MODEL",
        help="as the provider calls it; with an API before it (embeddings, moderations, images, ...), for that part "
        "alone; default: the first that headworks.yaml names there",
    )
    parser.add_argument(
        "--recorded", type=Path, metavar="FILE", help="further recorded exchanges (JSON), asked beside our own"
    )
    parser.add_argument("--strict", action="store_true", help="fail, too, for features that are wrong and not needed")
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
    models = _models(project, plan, options.model)
    is_shown = sys.stderr.isatty()

    def heard(one: "Found") -> None:
        if is_shown:
            print(f"\r\x1b[K{one.spoken}: {plain(one.case)}", end="", file=sys.stderr, flush=True)

    server = project.config.providers[options.provider].quirks or plan.kind
    more = None if options.recorded is None else _read(options.recorded)
    report = asyncio.run(conform(plan, models, CASES, server=server, more=more, heard=heard))
    if is_shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    is_well = bool(report.found) and not any(_counts(one, is_strict=options.strict) for one in report.found)
    if options.json:
        told = {
            "ok": is_well,
            "provider": options.provider,
            "models": {one.value: name for one, name in models.items()},
        }
        told |= {"cases": report.found, "not_asked": report.unasked}
        print(msgspec.json.encode(told).decode())
    else:
        for line in report_lines(report, coloured=has_colours()):
            print(line)
    return 0 if is_well else 1


def report_lines(report: "Report", *, coloured: bool) -> list[str]:
    """The findings as tables for each API, what was not asked, and a line that sums them up."""
    found = report.found
    if not found:
        return ["nothing is recorded of the APIs that it speaks: there is nothing to ask"]
    lines: list[str] = []
    for spoken in dict.fromkeys(one.spoken for one in found):
        for part, title in (("feature", f"asked in {spoken}"), ("shape", f"recorded of {spoken}")):
            ours = [one for one in found if (one.spoken, one.part) == (spoken, part)]
            if not ours:
                continue
            table = Table((title, "", "what"), coloured=coloured, width=terminal_width())
            lines += table.lines(
                [(Cell(one.case), Cell(one.outcome, _COLOURS[one.outcome]), Cell(plain(one.says))) for one in ours]
            )
            lines.append("")
    lines += [f"not asked: {one.spoken}: {one.says}" for one in report.unasked]
    for part, title in (("feature", "features"), ("shape", "recorded shapes")):
        ours = [one for one in found if one.part == part]
        counts = {outcome: sum(one.outcome == outcome for one in ours) for outcome in _COLOURS}
        if ours:
            lines.append(f"{title}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items() if count)}")
    lacks = [f"{one.case} ({one.spoken})" for one in found if one.part == "feature" and _counts(one, is_strict=False)]
    unlike = [f"{one.case} ({one.spoken})" for one in found if one.part == "shape" and _counts(one, is_strict=False)]
    if lacks:
        lines.append(f"lacks what Headworks needs: {', '.join(lacks)}")
    if unlike:
        lines.append(f"answers otherwise than its API promises: {', '.join(unlike)}")
    return lines if lacks or unlike else [*lines, "has what Headworks needs, and answers as its API promises"]


def _counts(one: "Found", *, is_strict: bool) -> bool:
    """Whether it speaks against the provider."""
    if one.part == "shape":
        return one.outcome in ("wrong", "failed")
    if one.is_needed:
        return one.outcome != "supported"
    return is_strict and one.outcome in ("wrong", "failed")


def _read(file: Path) -> "dict[Endpoint, tuple[Recorded, ...]]":
    from headworks.extending import read_recorded

    try:
        return read_recorded(file.read_bytes())
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"{file}: {error}") from None


def _models(project: "Project", plan: "ProviderPlan", given: Sequence[str]) -> "dict[Endpoint, str]":
    """For each API that can be asked, the model that is; as given, or else as `headworks.yaml` has it.

    Raises:
        UsageError: none is known of an API in which models answer in text; or two are given.
    """
    from headworks.doctoring.conforming import SPOKEN
    from headworks.extending import RECORDED

    named: dict[str, str] = {}
    for one in given:
        api, equals, model = one.partition("=")
        is_of_api = bool(equals) and api in {each.value for each in RECORDED}
        key, name = (api, model) if is_of_api else ("", one)
        if key in named or not name:
            raise UsageError(f"--model {one}: name one model for an API")
        named[key] = name
    spoken = [each for each in RECORDED if each in plan.speaks]
    usual = named.get("") or _first_model(project, plan.name)
    usually = [each for each in spoken if each in SPOKEN] or spoken  # a model for embeddings answers in no text
    models = {each: named.get(each.value) or (usual if each in usually else None) for each in spoken}
    if any(models[each] is None for each in usually):
        raise UsageError("headworks.yaml names no model of it: say which with --model")
    return {each: model for each, model in models.items() if model is not None}


def _first_model(project: "Project", name: str) -> str | None:
    from headworks.config import TIER_ROLES, model_of_rung

    pairs = [pair for one in project.config.models.values() for pair in one.pairs]
    tiers = [bound for role in TIER_ROLES if (bound := model_of_rung(project.config, role)) is not None]
    pairs += [(bound.provider, bound.model) for bound in tiers]
    named = [model for provider, model in pairs if provider == name]
    return next(iter([*named, *(project.config.providers[name].models or ())]), None)
