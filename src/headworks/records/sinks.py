"""Sinks: where records go beside the store, and how far each has been given them.

A sink is given every record at least once, in the order in which they came into the store: in batches, each of which it
takes whole or not. How far it has come is its *cursor*, the `seq` of the last record that it has taken. The store keeps
what a sink could not be given yet, so that nothing waits for a sink, and nothing is lost but by retention.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from headworks.database import open_database, storage_errors, transaction
from headworks.records.stores import Record

CURSORS_FILE = "sinks.db"

_BUSY_S = 5.0

_MIGRATIONS = ("CREATE TABLE cursors (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",)


class RecordSink(Protocol):
    """What records are given to. It runs in a thread of its own in the process that drains journals, and may block.

    A `close` without arguments is called at the end where there is one.
    """

    def write(self, records: Sequence[Record]) -> None:
        """Take these records, all of them or none: whatever is raised, they are given again, later and later. After a
        crash some may come again, too: `call_id` says which they are."""
        ...


SinkFactory = Callable[[Mapping[str, str]], RecordSink]
"""What an entry point of the group `headworks.record_sinks` names: called with the settings, in that thread."""


class Cursors(Protocol):
    """How far sinks have come. For one thread at a time. All raise StorageError."""

    def find(self, sink: str, first: int) -> int:
        """The cursor of a sink; of one that is new, `first`, which is noted."""
        ...

    def may_send(self, sink: str) -> bool:
        """Whether this process is the one that gives a sink its records now, and for a while."""
        ...

    def move(self, sink: str, seq: int) -> None:
        """A sink has taken all records up to this one."""
        ...

    def close(self) -> None:
        """Let go of what they are kept in."""
        ...


class FileCursors:
    """Those of one machine, in a file of the storage folder. Whoever drains is the only one that sends."""

    def __init__(self, storage: Path) -> None:
        self._path = storage / CURSORS_FILE
        self._connection = open_database(self._path, _MIGRATIONS, busy_s=_BUSY_S)

    def find(self, sink: str, first: int) -> int:
        """See `Cursors`."""
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("INSERT OR IGNORE INTO cursors (sink, seq) VALUES (?, ?)", (sink, first))
            (seq,) = self._connection.execute("SELECT seq FROM cursors WHERE sink = ?", (sink,)).fetchone()
        return int(seq)

    def may_send(self, sink: str) -> bool:  # noqa: ARG002 - there is nobody else
        """See `Cursors`."""
        return True

    def move(self, sink: str, seq: int) -> None:
        """See `Cursors`."""
        with storage_errors(self._path):
            self._connection.execute("UPDATE cursors SET seq = ? WHERE sink = ?", (seq, sink))

    def close(self) -> None:
        """See `Cursors`."""
        self._connection.close()


def open_cursors(storage: Path, url: str, holder: str) -> Cursors:
    """The cursors beside a store: in its database, which machines share, or in a file of the folder.

    Arguments:
        url: of the database; "" where there is none.
        holder: who asks, among all that share it.

    Raises:
        StorageError: they cannot be used.
    """
    if not url:
        return FileCursors(storage)
    from headworks.records.stores.postgres_cursors import PostgresCursors  # only who has a database loads its driver

    return PostgresCursors(url, holder)
