"""What is durable of every call: journals that workers append to, the store that they are drained into.

A worker's `Journal` takes an *opened* entry before the upstream is called and a *settled* entry before the caller
sees the end of its answer. `draining` moves entries into a store (`stores`), exactly once whatever is killed when,
and settles as *lost* what a dead worker left open.

`outcomes` reads what applications report of their calls, `economy` says what output was wasted. `content` (sealing what
people wrote) and `replay` (what a past call was) are imported from their files, for only some need what they need.

May import `calls`, `errors`, `database`, `config` and `catalogue`.
"""

from headworks.records.draining import MARKS_FOLDER, Drained, Drainer, drain_lock
from headworks.records.handing_on import HandOn, Handover, joined, without_batch
from headworks.records.journal import Journal
from headworks.records.mark import open_mark
from headworks.records.outcomes import read_outcomes, wilson
from headworks.records.storage import (
    JOURNAL_FOLDER,
    STORE_FILE,
    CallLookup,
    catch_up,
    database_version,
    drain_once,
    find_call,
    has_store,
    may_have_records,
    open_store,
    report_outcomes,
)
from headworks.records.stores import (
    Batch,
    Bodies,
    Committed,
    ContentKind,
    Dimension,
    Figures,
    Intake,
    ObjectSelection,
    OutcomeDimension,
    OutcomeSelection,
    OutputCount,
    OutputLengths,
    Progress,
    Record,
    Reported,
    ResponseOrigin,
    Selection,
    Span,
    Store,
    Tally,
    Total,
    Wasted,
)
from headworks.records.turning import ask_for_turn, turn_journals

__all__ = [
    "JOURNAL_FOLDER",
    "MARKS_FOLDER",
    "STORE_FILE",
    "Batch",
    "Bodies",
    "CallLookup",
    "Committed",
    "ContentKind",
    "Dimension",
    "Drained",
    "Drainer",
    "Figures",
    "HandOn",
    "Handover",
    "Intake",
    "Journal",
    "ObjectSelection",
    "OutcomeDimension",
    "OutcomeSelection",
    "OutputCount",
    "OutputLengths",
    "Progress",
    "Record",
    "Reported",
    "ResponseOrigin",
    "Selection",
    "Span",
    "Store",
    "Tally",
    "Total",
    "Wasted",
    "ask_for_turn",
    "catch_up",
    "database_version",
    "drain_lock",
    "drain_once",
    "find_call",
    "has_store",
    "joined",
    "may_have_records",
    "open_mark",
    "open_store",
    "read_outcomes",
    "report_outcomes",
    "turn_journals",
    "wilson",
    "without_batch",
]
