"""Check, count, import and export golden cases: typical inputs with right answers, in a workload's golden.jsonl.

  headworks golden lint [WORKLOAD]         duplicates, leaks between splits, imbalance, and whether it is large enough
  headworks golden stats WORKLOAD          what it is made of
  headworks golden import WORKLOAD FILE --from promptfoo|openai-evals|csv|candidates
  headworks golden import WORKLOAD --from calls --outcome NAME
  headworks golden export WORKLOAD FILE    cases of the split `train` as examples to fine-tune a model on

Cases from calls come as candidates first: only calls with a good outcome, only content that was redacted, and nothing
in which personal data is found. A person reads each, mends `expected`, and sets `"reviewed": true`; then
`--from candidates` takes them in.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.lines import json_line, no_golden_set, note
from headworks.cli.parsing import UsageError
from headworks.cli.tables import RED, YELLOW, Cell, Table, has_colours, plain
from headworks.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headworks.config import Project, Workload
    from headworks.evals.golden import GoldenFinding
    from headworks.evals.golden.importers import Imported
    from headworks.evals.ladder import Terms

SOURCES = ("promptfoo", "openai-evals", "csv", "calls", "candidates")
CANDIDATES_FILE = "golden.candidates.jsonl"
_MOST_TOLD = 5
"""Of one kind of finding, on the terminal: what is wrong with every line is seen by the first."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands and their flags."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    lint = _action(
        commands,
        "lint",
        "Say what makes a golden set say less than its size promises",
        more=" Exit code 1 where a finding is a problem and not a remark.",
    )
    lint.add_argument("workload", metavar="WORKLOAD", nargs="?", help="all of them without it")
    stats = _action(commands, "stats", "Count cases by split, tag and label")
    stats.add_argument("workload", metavar="WORKLOAD", help="the workload")
    bring = _action(commands, "import", "Add cases from elsewhere; those that are there already are left out")
    bring.add_argument("workload", metavar="WORKLOAD", help="the workload")
    bring.add_argument("file", type=Path, nargs="?", metavar="FILE", help="what to read")
    bring.add_argument("--from", dest="source", required=True, choices=SOURCES, help="what it is")
    bring.add_argument("--prefix", metavar="TEXT", help="of ids, where the source gives none")
    bring.add_argument("--expected", metavar="NAME", help="the column, or the field of `item`, that says what is right")
    bring.add_argument("--input", metavar="NAME", help="of a table: the column with the caller's message")
    bring.add_argument("--id", metavar="NAME", help="of a table: the column with ids")
    bring.add_argument("--split", choices=("train", "dev", "test"), help="what the new cases may be used for")
    bring.add_argument("--tags", metavar="NAME", help="of a table: the column with tags, divided by `;`")
    bring.add_argument("--cluster", metavar="NAME", help="of a table: the column that says which rows belong together")
    bring.add_argument(
        "--outcome", metavar="NAME", help="of calls: the outcome whose value is true, or a demonstration"
    )
    bring.add_argument("--limit", type=int, default=200, metavar="N", help="of calls: at most so many. Default: 200")
    export = _action(
        commands,
        "export",
        "Write cases as examples to fine-tune a model on",
        more=" Each is the conversation as the folder's prompt makes it, and the right answer. Cases that decide are "
        "never written, nor those in which personal data is found.",
    )
    export.add_argument("workload", metavar="WORKLOAD", help="the workload")
    export.add_argument("file", type=Path, metavar="FILE", help="where to; it must not be there")
    export.add_argument(
        "--split", choices=("train", "dev"), default="train", help="the part of the set. Default: %(default)s"
    )


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.config import load

    project = load(options.config)
    match options.action:
        case "lint":
            return _lint(project, options)
        case "stats":
            return _stats(project, options)
        case "export":
            from headworks.cli.golden_export import write_examples

            return write_examples(project, options)
        case _:
            return _import(project, options)


def _lint(project: "Project", options: argparse.Namespace) -> int:
    from headworks.cli.prompt_release import as_named
    from headworks.errors import ConfigError

    workloads = _to_lint(project, options.workload)
    code = count = 0
    for workload in workloads:
        try:
            findings = _findings(workload)
        except ConfigError as error:
            code = 1
            for problem in error.problems:
                note(str(as_named(workload, problem)), "golden")
            continue
        count += len(findings)
        code = 1 if any(one.weighs for one in findings) else code
        _print_findings(workload, findings, is_json=options.json)
    if workloads and not count and not code and not options.json:
        print("nothing to mend")
    return code


def _to_lint(project: "Project", name: str | None) -> "Sequence[Workload]":
    """The workload of this name, which must have a golden set; without a name those that have one."""
    from headworks.cli.workloads import find_workload
    from headworks.config import load_workloads

    if name:
        workload = find_workload(project, name)
        _golden_of(workload)
        return [workload]
    every = load_workloads(project)
    found = [one for one in every if one.files.golden is not None]
    if not found:
        whose = every[0].name if len(every) == 1 else "WORKLOAD"
        text = (
            f"no workload has a golden set yet; `headworks golden import {whose} FILE --from csv` makes one of a table"
        )
        note(text, "golden")
    return found


def _findings(workload: "Workload") -> "Sequence[GoldenFinding]":
    """What is found in a workload's golden set. Raises ConfigError: it is none."""
    from headworks.cli.check_workloads import unfit_cases
    from headworks.evals.golden import GoldenFinding, lint_golden
    from headworks.evals.plain_intervals import needed_cases

    path, bar = _golden_of(workload), workload.contract.quality.bar
    findings = lint_golden(path, bar=bar, needed_cases=needed_cases, prompt=_prompt_of(workload))
    unfit = [GoldenFinding("unfit", case.line, case.message, weighs=True) for case in unfit_cases(workload)]
    can_defend = not any(one.rule == "power" for one in findings)
    return [*findings, *_too_few_to_choose(workload, can_defend=can_defend), *unfit]


def _print_findings(workload: "Workload", findings: "Sequence[GoldenFinding]", *, is_json: bool) -> None:
    from headworks.cli.prompt_release import as_named
    from headworks.errors import Problem

    path, told_of = _golden_of(workload), Counter[str]()
    for one in findings:
        told_of[one.rule] += 1
        problem = as_named(workload, Problem(str(path), one.line, 1 if one.line else 0, one.message))
        if is_json:
            shown = {"rule": one.rule, "line": one.line, "message": one.message, "weighs": one.weighs}
            print(json_line({"workload": workload.name, "file": problem.file, **shown, "ids": one.ids}))
        elif told_of[one.rule] <= _MOST_TOLD:
            place = f"{problem.file}:{one.line}:" if one.line else f"{problem.file}:"
            severity = "problem" if one.weighs else "remark"
            if has_colours():
                place, severity = f"\x1b[1m{place}\x1b[0m", f"\x1b[{RED if one.weighs else YELLOW}m{severity}\x1b[0m"
            print(f"{place} {severity}: {plain(one.message)} ({one.rule})")
    for rule, found in told_of.items():
        if found > _MOST_TOLD and not is_json:
            print(f"and {found - _MOST_TOLD:,} more of {workload.name} ({rule}); --json has them")


def _too_few_to_choose(workload: "Workload", *, can_defend: bool) -> "list[GoldenFinding]":
    """A remark on a set that is too small for `headworks select`, though it may be large enough for its bar."""
    from headworks.cli.select import rungs_of, terms_of
    from headworks.evals.golden import GoldenFinding
    from headworks.evals.ladder import cases_to_choose, cases_to_compare

    rungs, bar = len(rungs_of(workload)), workload.contract.quality.bar
    if rungs < 2 or not 0 < bar < 1:
        return []
    try:
        terms = terms_of(workload)
    except CommandError:
        return []  # no case decides: that is found already
    needed = max(cases_to_choose(terms, rungs), cases_to_compare(terms, rungs))
    if needed <= terms.cases:
        return []
    enough = f"can defend a bar of {bar:.2f} if nearly all are right, but " if can_defend else ""
    message = (
        f"{terms.cases:,} independent cases that decide {enough}are too few to choose among {rungs} rungs: "
        f"`headworks select` takes about {needed:,}"
    )
    return [GoldenFinding("power", 0, message, weighs=False)]


def _needed_to_choose(terms: "Terms", rungs: int) -> int:
    """The cases that a choice among so many rungs takes, whether there are fewer or more."""
    import msgspec

    from headworks.evals.ladder import Terms, cases_to_choose, cases_to_compare

    needed = cases_to_choose(terms, rungs)
    if needed <= terms.cases:
        needed = cases_to_choose(msgspec.structs.replace(terms, cases=1), rungs)
    return cases_to_compare(Terms.of(terms.floor, needed), rungs)


def _stats(project: "Project", options: argparse.Namespace) -> int:
    import msgspec

    from headworks.cli.select import rungs_of, terms_of
    from headworks.cli.workloads import find_workload
    from headworks.evals.golden import summarise
    from headworks.evals.plain_intervals import needed_cases

    workload = find_workload(project, options.workload)
    found = summarise(_golden_of(workload))
    bar = workload.contract.quality.bar
    rungs = len(rungs_of(workload))
    decides = any(part != "train" for part in found.splits)
    to_choose = _needed_to_choose(terms_of(workload), rungs) if rungs > 1 and 0 < bar < 1 and decides else 0
    if options.json:
        needed = {"needed": needed_cases(bar), "needed_to_select": to_choose}
        print(json_line({"workload": workload.name, **msgspec.to_builtins(found), **needed}))
        return 0
    rows = [
        ("cases", f"{found.cases:,}"),
        ("independent groups", f"{found.groups:,}"),
        ("that must pass", f"{found.must_pass:,}"),
        ("without `expected`", f"{found.without_expected:,}"),
        *((f"split {name}", f"{count:,}") for name, count in found.splits.items()),
        (f"needed for a bar of {bar:.2f}", f"{needed_cases(bar):,}"),
        *([("needed by `select`", f"{to_choose:,}")] if to_choose else []),
        *((f"tag {name}", f"{count:,}") for name, count in list(found.tags.items())[:20]),
    ]
    for field, values in found.labels.items():
        shown = ", ".join(f"{value} {count:,}" for value, count in list(values.items())[:8])
        rows.append((f"label {field}".rstrip(), shown))
    table = Table(("", ""), coloured=has_colours())
    print("\n".join(table.lines([[Cell(name), Cell(value)] for name, value in rows])[1:]))
    return 0


def _import(project: "Project", options: argparse.Namespace) -> int:
    import msgspec

    from headworks.cli.workloads import find_workload
    from headworks.config import load_workloads
    from headworks.evals.golden.importers import save_cases

    if options.split is not None and options.source == "calls":
        raise UsageError("--split goes with `--from candidates`: cases from calls are read by a person first")
    workload = find_workload(project, options.workload)
    if options.source == "calls":
        from headworks.cli.golden_calls import write_candidates

        return write_candidates(project, workload, options)
    if options.file is None:
        raise UsageError(f"--from {options.source} needs a file to read")
    found = _read(options)
    path = workload.files.golden or workload.folder / "golden.jsonl"
    cases = found.cases
    if options.split is not None:
        cases = tuple(msgspec.structs.replace(case, split=options.split) for case in cases)
    saved = save_cases(path, cases)
    for one in found.notes:
        note(one, "golden")
    if found.scorer:
        note(f"such cases are scored with `scorers: [{found.scorer}]` in evals.yaml beside the contract", "golden")
    if options.json:
        counted = {"added": saved.added, "known": saved.known, "differing": saved.differing}
        print(json_line({"file": str(path), **counted, "notes": found.notes}))
    else:
        known = f", {saved.known:,} were there already" if saved.known else ""
        print(f"{saved.added:,} cases added to {plain(str(path))}{known}")
        print(f"Next: headworks golden lint {workload.name}")
    if saved.differing:
        note(
            f"{saved.differing:,} of those that were there already expect something else in "
            f"{plain(options.file.name)}: the set was left as it is",
            "golden",
        )
    load_workloads(project)
    return 0


def _read(options: argparse.Namespace) -> "Imported":
    from headworks.evals.golden.importers import (
        Columns,
        read_csv,
        read_openai_evals,
        read_promptfoo,
        reviewed_cases,
    )

    prefix = {"prefix": options.prefix} if options.prefix else {}
    match options.source:
        case "promptfoo":
            return read_promptfoo(options.file, **prefix)
        case "openai-evals":
            return read_openai_evals(options.file, expected_field=options.expected or "", **prefix)
        case "candidates":
            return reviewed_cases(options.file)
        case _:
            named = {name: value for name in Columns.__struct_fields__ if (value := getattr(options, name)) is not None}
            return read_csv(options.file, Columns(**named), **prefix)


def _golden_of(workload: "Workload") -> Path:
    path = workload.files.golden
    if path is None:
        raise no_golden_set(workload.name)
    return path


def _prompt_of(workload: "Workload") -> str:
    """The prompt's text; "" where it has none. That it can be used is for `headworks check` to say."""
    file = workload.files.prompt
    return "" if file is None else file.read_text("utf-8", errors="replace")


def _action(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, *, more: str = ""
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary}.{more}")
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser
