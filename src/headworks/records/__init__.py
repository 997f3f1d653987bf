"""What is durable of every call: journals that workers append to, the store that they are drained into.

A worker's `Journal` takes an *opened* entry before the upstream is called and a *settled* entry before the caller
sees the end of its answer. `draining` moves entries into a store (`stores`), exactly once whatever is killed when,
and settles as *lost* what a dead worker left open.

May import `calls`, `errors`, `config` and `catalogue`.
"""

from headworks.records.journal import Journal

JOURNAL_FOLDER = "journal"
"""Where the segments of all workers lie, below the storage folder."""

STORE_FILE = "records.db"
"""The SQLite store, below the storage folder."""

__all__ = ["JOURNAL_FOLDER", "STORE_FILE", "Journal"]
