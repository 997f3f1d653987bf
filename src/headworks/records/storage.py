"""Where records lie below the storage folder, and what can be done with them from there by any process."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from headworks.database import storage_errors
from headworks.records.draining import Drained, Drainer, drain_lock
from headworks.records.stores import Store
from headworks.records.stores.sqlite import SqliteStore

JOURNAL_FOLDER = "journal"
"""Where the segments of all workers lie, below the storage folder."""

STORE_FILE = "records.db"
"""The SQLite store, below the storage folder."""


def open_store(storage: Path) -> Store:
    """The records of an installation; made when missing, as is the folder.

    Raises:
        StorageError: it cannot be used.
    """
    with storage_errors(storage):
        storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SqliteStore(storage / STORE_FILE)


def drain_once(storage: Path, *, report: Callable[[str], None] = lambda _: None) -> Drained | None:
    """Move what the journals hold at this moment into the store; None if another process is about it, or no journal is.

    Any number of processes and threads may try: one at a time does it.

    Arguments:
        report: told in a sentence what an operator must know.

    Raises:
        StorageError: journals or store cannot be used; nothing is lost.
    """
    if not (storage / JOURNAL_FOLDER).is_dir():
        return None
    with drain_lock(storage) as is_ours:
        if not is_ours:
            return None
        store = open_store(storage)
        try:
            return Drainer(storage / JOURNAL_FOLDER, store, now=time.time, report=report).drain()
        finally:
            store.close()


class CallLookup:
    """Looks calls up for a worker, outside of its event loop. From any thread, one question at a time."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._store: Store | None = None

    def owner_of(self, response_id: str) -> tuple[str, str, str] | None:
        """Key id, team and provider of the call that made a response; None if the store does not know it (yet).

        Raises:
            StorageError: the store cannot be used.
        """
        with self._lock:
            if self._store is None:
                self._store = open_store(self._storage)
            origin = self._store.response_origin(response_id, None)
        return None if origin is None else (origin.key_id, origin.team, origin.provider)

    def close(self) -> None:
        """Let go of the store; a later question opens it again."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None
