"""`headworks prompts lint`: what could be better in prompts, and what it costs in tokens."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from headworks.catalogue import PriceArchive
from headworks.cli.lines import json_line, note
from headworks.cli.parsing import UsageError
from headworks.cli.prompt_model import model_in_use, tokenizer_of
from headworks.cli.prompt_release import as_named, named_from_here, prompt_of, published, published_release, schema_of
from headworks.cli.tables import RED, YELLOW, has_colours, plain, tokens
from headworks.cli.workloads import find_workload
from headworks.compiled import read_file
from headworks.config import load_workloads, price_book
from headworks.errors import ConfigError, Problem
from headworks.prompts import LintFinding, Prompt, PromptRegistry, lint
from headworks.prompts.layout import DAYS_A_MONTH, LintPrices

if TYPE_CHECKING:
    from headworks.config import Project, Workload

_LEAST_PREFIX = 1024
"""The least prefix that is cached, where the catalogue does not know it (OpenAI prompt-caching guide, 2026-11)."""


def run(project: "Project", registry: PromptRegistry | None, options: argparse.Namespace) -> int:
    """Do it; returns the exit code: 1 if a finding has weight, or a prompt cannot be read."""
    if options.workload:
        workloads = [find_workload(project, options.workload)]
    elif options.version:
        raise UsageError("--version needs a workload: headworks prompts lint WORKLOAD --version VERSION")
    else:
        workloads = [workload for workload in load_workloads(project) if workload.files.prompt is not None]
    pricing = _Pricing(project)
    code, count, unpriced = 0, 0, set[str]()
    for workload in workloads:
        try:
            prompt = _linted(workload, registry, options.version)
        except ConfigError as error:
            code = 1
            for problem in error.problems:
                note(str(problem), "prompts")
            continue
        for finding in _findings(project, workload, prompt, pricing):
            count += 1
            if finding.tokens and finding.monthly_cost_micro_usd is None:
                unpriced.add(pricing.model_of(workload))
            code = 1 if finding.weighs else code
            _print_finding(workload, prompt, finding, is_json=options.json)
    if unpriced and not options.json:
        names = ", ".join(sorted(unpriced))
        note(f"no price is known of {names}: say it under `prices` in headworks.yaml", "prompts")
    if not count and not code and not options.json:
        print("nothing to mend")
    return code


def _linted(workload: "Workload", registry: PromptRegistry | None, version: str | None) -> Prompt:
    if version:
        return published_release(published(registry, workload.name, version)).prompt
    with named_from_here(workload):
        return prompt_of(workload)


class _Pricing:
    """What input costs with the models in use, as the project is charged for it."""

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._book = price_book(project, PriceArchive(project.storage).current())

    def model_of(self, workload: "Workload") -> str:
        """The model in use, by the name that callers would send."""
        target = model_in_use(self._project, workload)
        return f"{target.provider}/{target.model}"

    def of(self, workload: "Workload") -> tuple[LintPrices | None, int]:
        """The prices, None where they are not known, and the least prefix that is cached, in tokens."""
        target = model_in_use(self._project, workload)
        price = self._book.for_target(target.provider, target.model)
        facts = None if price.model is None else price.model.cache
        least = _LEAST_PREFIX if facts is None else facts.minimum_tokens
        if price.prices is None:
            return None, least
        rates = price.prices.at(datetime.now(UTC).date()).rates
        if rates.input is None:
            return None, least
        cached = rates.input if rates.cached_input is None else rates.cached_input
        return LintPrices(rates.input, cached, rates.cache_write), least


def _findings(project: "Project", workload: "Workload", prompt: Prompt, pricing: _Pricing) -> list[LintFinding]:
    prices, least = pricing.of(workload)
    return lint(
        prompt,
        tools=_tools_to_lint(workload),
        schema=_schema_to_lint(workload),
        calls_per_day=workload.contract.volume.calls_per_day,
        prices=prices,
        minimum_tokens=least,
        count=tokenizer_of(project, workload).count,
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
    if finding.monthly_cost_micro_usd is not None:
        dollars, cents = divmod((finding.monthly_cost_micro_usd + 5_000) // 10_000, 100)
        cost += f", ${dollars:,}.{cents:02d} a month"
    if has_colours():
        place, severity = f"\x1b[1m{place}\x1b[0m", f"\x1b[{RED if finding.weighs else YELLOW}m{severity}\x1b[0m"
    print(f"{place} {severity}: {plain(finding.message)} ({finding.rule}{cost})")
