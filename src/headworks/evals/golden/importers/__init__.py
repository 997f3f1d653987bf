"""Golden cases from elsewhere: promptfoo, OpenAI Evals, tables, and calls that turned out well. One file a source.

Each gives an `Imported`: the cases, and in words what had no counterpart here, so that nothing is lost unsaid. What
cannot be read raises `ConfigError` with file and line.
"""

from headworks.evals.golden.importers.calls import KeptCall, candidates_of, reviewed_cases
from headworks.evals.golden.importers.csv_table import Columns, read_csv
from headworks.evals.golden.importers.imported import Imported, Saved, save_cases
from headworks.evals.golden.importers.openai_evals import read_openai_evals
from headworks.evals.golden.importers.promptfoo import read_promptfoo

__all__ = [
    "Columns",
    "Imported",
    "KeptCall",
    "Saved",
    "candidates_of",
    "read_csv",
    "read_openai_evals",
    "read_promptfoo",
    "reviewed_cases",
    "save_cases",
]
