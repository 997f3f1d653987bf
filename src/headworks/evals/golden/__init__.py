"""Golden sets: typical inputs with right answers, one JSON object a line, in the workload's folder.

`CaseReader` streams a file and names every problem with its line; `GoldenFile` goes back to single cases. `lint_golden`
says what makes a set say less than its size promises, `summarise` counts. `importers` make cases from other tools'
files and from calls with good outcomes; `save_cases` writes them.

May import `errors` and `config`.
"""

from headworks.evals.golden.cases import FIELDS, GoldenCase, Part, Split, case_line
from headworks.evals.golden.lint import GoldenFinding, labels_of, lint_golden
from headworks.evals.golden.reading import (
    MOST_SHOWN,
    CaseLine,
    CaseReader,
    GoldenFile,
    check_cases,
    read_cases,
)
from headworks.evals.golden.splits import WANTED, Wanted, deciding_part, indexes_of, part_of
from headworks.evals.golden.summary import GoldenSummary, summarise

__all__ = [
    "FIELDS",
    "MOST_SHOWN",
    "WANTED",
    "CaseLine",
    "CaseReader",
    "GoldenCase",
    "GoldenFile",
    "GoldenFinding",
    "GoldenSummary",
    "Part",
    "Split",
    "Wanted",
    "case_line",
    "check_cases",
    "deciding_part",
    "indexes_of",
    "labels_of",
    "lint_golden",
    "part_of",
    "read_cases",
    "summarise",
]
