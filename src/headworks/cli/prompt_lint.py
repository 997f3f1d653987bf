"""`headworks prompts lint`: what could be better in prompts, and what it costs in tokens."""

import argparse
from typing import TYPE_CHECKING

import msgspec

from headworks.cli.lines import json_line, note
from headworks.cli.prompt_release import as_named, named_from_here, prompt_of, published, published_release, schema_of
from headworks.cli.tables import RED, YELLOW, has_colours, plain, tokens
from headworks.cli.workloads import find_workload
from headworks.compiled import read_file
from headworks.config import load_workloads
from headworks.errors import CommandError, ConfigError, Problem
from headworks.prompts import LintFinding, Prompt, PromptRegistry, lint
from headworks.prompts.layout import DAYS_A_MONTH

if TYPE_CHECKING:
    from headworks.config import Project, Workload


def run(project: "Project", registry: PromptRegistry | None, options: argparse.Namespace) -> int:
    """Do it; returns the exit code: 1 if a finding has weight, or a prompt cannot be read."""
    if options.workload:
        workloads = [find_workload(project, options.workload)]
    elif options.version:
        raise CommandError("--version needs a workload: headworks prompts lint WORKLOAD --version VERSION")
    else:
        workloads = [workload for workload in load_workloads(project) if workload.files.prompt is not None]
    code, count, has_tokens = 0, 0, False
    for workload in workloads:
        try:
            prompt = _linted(workload, registry, options.version)
        except ConfigError as error:
            code = 1
            for problem in error.problems:
                note(str(problem), "prompts")
            continue
        for finding in _findings(workload, prompt):
            count += 1
            has_tokens = has_tokens or bool(finding.tokens)
            code = 1 if finding.weighs else code
            _print_finding(workload, prompt, finding, is_json=options.json)
    if has_tokens and not options.json:
        note(
            "tokens are at the contract's volume, 30 days a month; there are no prices here to make money of", "prompts"
        )
    if not count and not code and not options.json:
        print("nothing to mend")
    return code


def _linted(workload: "Workload", registry: PromptRegistry | None, version: str | None) -> Prompt:
    if version:
        return published_release(published(registry, workload.name, version)).prompt
    with named_from_here(workload):
        return prompt_of(workload)


def _findings(workload: "Workload", prompt: Prompt) -> list[LintFinding]:
    return lint(
        prompt,
        tools=_tools_to_lint(workload),
        schema=_schema_to_lint(workload),
        calls_per_day=workload.contract.volume.calls_per_day,
        prices=None,
    )


def _schema_to_lint(workload: "Workload") -> bytes | None:
    """As it is sent; as it stands in its file where it cannot be, so that the lint says why."""
    try:
        schema = schema_of(workload)
    except ConfigError:
        assert workload.files.schema is not None, "it has been read"
        return read_file(workload.files.schema)
    return None if schema is None else schema.canonical


def _tools_to_lint(workload: "Workload") -> bytes | None:
    return None if workload.files.tools is None else read_file(workload.files.tools)


def _print_finding(workload: "Workload", prompt: Prompt, finding: LintFinding, *, is_json: bool) -> None:
    file = {"tools": workload.files.tools, "schema": workload.files.schema}.get(finding.file, prompt.file)
    problem = as_named(workload, Problem(str(file), finding.line, finding.column, finding.message))
    a_month = None if finding.tokens is None else finding.tokens * workload.contract.volume.calls_per_day * DAYS_A_MONTH
    if is_json:
        shown = msgspec.to_builtins(finding) | {"file": problem.file, "tokens_a_month": a_month}
        print(json_line({"workload": workload.name, **shown}))
        return
    place, severity = f"{problem.file}:{problem.line}:{problem.column}:", "problem" if finding.weighs else "remark"
    cost = f", {tokens(a_month)} tokens a month" if a_month else ""
    if has_colours():
        place, severity = f"\x1b[1m{place}\x1b[0m", f"\x1b[{RED if finding.weighs else YELLOW}m{severity}\x1b[0m"
    print(f"{place} {severity}: {plain(finding.message)} ({finding.rule}{cost})")
