"""What is durable of every call: journals that workers append to, the store that they are drained into.

A worker's `Journal` takes an *opened* entry before the upstream is called and a *settled* entry before the caller
sees the end of its answer. `draining` moves entries into a store (`stores`), exactly once whatever is killed when,
and settles as *lost* what a dead worker left open.

May import `calls`, `errors`, `database`, `config` and `catalogue`.
"""

from headworks.records.draining import Drained, Drainer, drain_lock
from headworks.records.journal import Journal
from headworks.records.storage import (
    JOURNAL_FOLDER,
    STORE_FILE,
    CallLookup,
    catch_up,
    drain_once,
    find_call,
    open_store,
)
from headworks.records.stores import (
    Bodies,
    Dimension,
    Record,
    ResponseOrigin,
    Selection,
    Store,
    Total,
)

__all__ = [
    "JOURNAL_FOLDER",
    "STORE_FILE",
    "Bodies",
    "CallLookup",
    "Dimension",
    "Drained",
    "Drainer",
    "Journal",
    "Record",
    "ResponseOrigin",
    "Selection",
    "Store",
    "Total",
    "catch_up",
    "drain_lock",
    "drain_once",
    "find_call",
    "open_store",
]
