"""Validate the configuration and everything that it refers to.

Reads headworks.yaml and the contract of each workload, and names every problem at once, with line, column, what was
expected and the nearest valid name. Then looks at what they refer to: secrets, certificates, simulator plans, the state
folder, the files of the workloads and what is published of their prompts. Opens no connection and changes nothing; the
rules of a workload are loaded in a process of their own.

Exit code 0: no problem (there may be warnings). 1: at least one problem.
"""

import argparse
import datetime as dt
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from headworks.config import (
    FILE_NAME,
    Check,
    Examination,
    Project,
    ReadSecret,
    Workload,
    examine,
    examine_workloads,
    find_retiring,
    json_schema_text,
    load,
    load_workloads,
    price_book,
    read_secret,
    retiring_warnings,
    tier_warnings,
    workload_schema_text,
)
from headworks.errors import ConfigError, HeadworksError, Problem


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks check`."""
    parser.add_argument("--config", type=Path, default=Path(FILE_NAME), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--schema",
        nargs="?",
        const="headworks",
        choices=("headworks", "workload", "admin-api"),
        help="print the JSON Schema of headworks.yaml, or with `workload` that of workload.yaml, for editors; with "
        "`admin-api` the OpenAPI document of the admin API",
    )


def run(options: argparse.Namespace) -> int:
    """Check; returns the exit code."""
    if options.schema:
        print(_schema(options.schema), end="")
        return 0
    project: Project | None = None
    workloads: tuple[Workload, ...] = ()
    try:
        project = load(options.config)
        workloads, found = look_over(project)
    except ConfigError as error:
        found = Examination(problems=error.problems)
    if options.json:
        print(_as_json(found))
    else:
        _print(found, project, workloads, options.config)
    return 1 if found.problems else 0


def _schema(which: str) -> str:
    if which == "admin-api":
        from headworks.admin.api.openapi import document  # only here: it loads all that can be administrated

        return document().decode()
    return workload_schema_text() if which == "workload" else json_schema_text()


def look_over(
    project: Project, *, environment: Mapping[str, str] = os.environ, read: ReadSecret = read_secret
) -> tuple[tuple[Workload, ...], Examination]:
    """The workloads of a project that could be read, and all that can be found in what it refers to.

    Arguments:
        environment, read: as for `examine`.
    """
    found = examine(project, environment=environment, plan_models=_plan_models, read=read)
    workloads, more = _workloads(project)
    problems = (*found.problems, *_extensions(project), *more.problems)
    return workloads, Examination(problems, (*found.warnings, *more.warnings, *_told_by_catalogue(project, workloads)))


def workload_checks(project: Project) -> tuple[Check, ...]:
    """What looks at the files beside a contract, and at what the project keeps of a workload."""
    from headworks.cli import check_workloads  # only where a workload is: it loads templates and schemas

    return check_workloads.workload_checks(project)


def _workloads(project: Project) -> tuple[tuple[Workload, ...], Examination]:
    try:
        workloads = load_workloads(project)
    except ConfigError as error:
        return (), Examination(error.problems)
    if not workloads:
        return (), Examination()
    try:
        checks = workload_checks(project)
    except ConfigError as error:
        return workloads, Examination(error.problems)
    return workloads, examine_workloads(workloads, checks)


def _told_by_catalogue(project: Project, workloads: Sequence[Workload]) -> Sequence[Problem]:
    """The models that are shut down soon, and limits that do not fit the tiers of accounts."""
    from headworks.catalogue import PriceArchive  # only here: the rest of the command needs none of it

    try:
        book = price_book(project, PriceArchive(project.storage).current())
    except HeadworksError:
        return ()  # the examination of prices tells
    retiring = retiring_warnings(find_retiring(project, book, workloads, dt.datetime.now(dt.UTC).date()))
    return (*retiring, *tier_warnings(project, book))


def _extensions(project: Project) -> tuple[Problem, ...]:
    """What the configuration names of other packages and is not installed. Their code is not run for that."""
    config = project.config
    if not any(one.extension for one in config.providers.values()) and not config.hooks and not config.records.sinks:
        return ()
    from headworks.extension_uses import extension_problems  # only where one is named

    return tuple(extension_problems(project))


def _plan_models(path: Path | None) -> Collection[str]:
    from headworks.simulator import Plan, load_plan  # only where a simulator is: it is large

    return (Plan() if path is None else load_plan(path)).models


def _as_json(found: Examination) -> str:
    answer = {"ok": not found.problems, "problems": found.problems, "warnings": found.warnings}
    return msgspec.json.encode(answer).decode()


def _print(found: Examination, project: Project | None, workloads: Sequence[Workload], file: Path) -> None:
    for problem in found.problems:
        print(_line(problem, "problem", 31), file=sys.stderr)
    for warning in found.warnings:
        print(_line(warning, "warning", 33), file=sys.stderr)
    if found.problems:
        count = len(found.problems)
        print(f"{file}: {count} problem{'s' if count > 1 else ''}", file=sys.stderr)
    elif project is not None:
        for line in summary(project, workloads):
            print(line)


def _line(problem: Problem, severity: str, colour: int) -> str:
    """`file:line:column: problem: message`, the form that editors and CI systems recognise."""
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ:  # https://no-color.org
        return f"\x1b[1m{place}:\x1b[0m \x1b[{colour}m{severity}:\x1b[0m {problem.message}"
    return f"{place}: {severity}: {problem.message}"


def summary(project: Project, workloads: Sequence[Workload] = ()) -> list[str]:
    """What a configuration without problems amounts to, in a few lines."""
    config = project.config
    scheme = "http" if config.server.tls is None else "https"
    access = "access by virtual keys" if config.access.mode == "keys" else "open: no key is needed"
    lines = [
        f"{project.file}: no problems",
        f"  listens on  {scheme}://{_bracketed(config.server.host)}:{config.server.port}, {access}",
        f"  state in    {project.storage}",
    ]
    if config.admin.port is not None:
        scheme = "http" if config.admin.tls is None else "https"
        lines.append(f"  admin API   {scheme}://{_bracketed(config.admin.host)}:{config.admin.port}")
    if config.records.store is not None:
        lines.append(f"  records in  {config.records.store}")
    for name, provider in config.providers.items():
        origin = f" at {provider.base_url}" if provider.base_url else ""
        lines.append(f"  provider    {name}: {provider.kind}{origin}, {', '.join(provider.speaks)}")
    lines += [
        f"  model       {name} -> {', '.join(map('/'.join, model.pairs))}" for name, model in config.models.items()
    ]
    lines += [f"  workload    {one.name}: {one.contract.description}" for one in workloads]
    return lines


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
