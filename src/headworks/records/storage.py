"""Where records lie below the storage folder, and what can be done with them from there by any process."""

import asyncio
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from headworks.calls import AuditEvent, ObjectNote, OutcomeReport
from headworks.database import storage_errors
from headworks.errors import CommandError, StorageError
from headworks.records.draining import Drained, Drainer, drain_lock
from headworks.records.frames import MAGIC
from headworks.records.journal import Journal
from headworks.records.segments import end_of_entries, list_segments
from headworks.records.stores import ObjectSelection, Record, Store
from headworks.records.stores.sqlite import SqliteStore

T = TypeVar("T")

JOURNAL_FOLDER = "journal"
"""Where the segments of all workers lie, below the storage folder."""

STORE_FILE = "records.db"
"""The SQLite store, below the storage folder."""

_SITE_FILE = "site"

_WAIT_STEP_S = 0.05
_SHOWN_IDS = 5

_LOOKUP_SILENCE_S = 5.0
"""Somebody waits for the answer to a call that goes on from another one."""

_LOOKUP_AGAIN_S = 1.0
"""A store that cannot be used is not asked again sooner: those who wait behind one another would wait for each."""


def open_store(storage: Path, url: str = "", *, silence_s: float | None = None) -> Store:
    """The records of an installation; made when missing, as is the folder.

    Arguments:
        url: of the PostgreSQL database that has them (`config.store_url`); "" for a file in the folder.
        silence_s: for how many seconds a database may be silent before it is given up; None: a minute.

    Raises:
        StorageError: it cannot be used.
    """
    with storage_errors(storage):
        storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not url:
        return SqliteStore(storage / STORE_FILE)
    with _extra():
        from headworks.records.stores.postgres import SILENCE_S, PostgresStore
    return PostgresStore(url, _site(storage), silence_s=SILENCE_S if silence_s is None else silence_s)


def has_store(storage: Path, url: str = "") -> bool:
    """Whether there is a store to look into: a database, or the file, which the first start makes."""
    return bool(url) or (storage / STORE_FILE).exists()


def may_have_records(storage: Path, url: str = "") -> bool:
    """Whether anything can have been recorded: in the store, or in journals that are still to be drained."""
    return bool(url) or storage.is_dir()


def database_version(url: str, *, silence_s: float = 5.0) -> tuple[str, int, int]:
    """What a PostgreSQL store is called in messages, the version of its schema, and the one that this release writes.

    Nothing is made or brought up to date.

    Arguments:
        silence_s: for how many seconds the database may be silent before it is given up.

    Raises:
        StorageError: it cannot be reached.
    """
    with _extra():
        from headworks.postgres import Link, schema_version
        from headworks.records.stores.postgres_schema import MIGRATIONS
    link = Link(url, (), silence_s=silence_s)
    try:
        return link.name, link.ask(schema_version), len(MIGRATIONS)
    finally:
        link.close()


@contextmanager
def _extra() -> Iterator[None]:
    """Around the import of what is there only with the extra."""
    try:
        yield
    except ImportError as error:
        raise StorageError(
            f"records in PostgreSQL need the extra `postgres`: pip install 'headworks[postgres]' ({error})"
        ) from error


def _site(storage: Path) -> str:
    """The name under which this folder's journals are known in a store that several machines share.

    Made once, at random: machines may have the same host name, and a folder may move to another one.
    """
    path = storage / _SITE_FILE
    with storage_errors(path):
        if not path.exists():
            import tempfile  # a megabyte, for the first start only

            descriptor, draft = tempfile.mkstemp(prefix=f"{_SITE_FILE}.", dir=storage)
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(uuid.uuid4().hex)
                    file.flush()
                    os.fsync(descriptor)
                # The first one wins; never half written.
                with suppress(FileExistsError):
                    os.link(draft, path)
            finally:
                Path(draft).unlink()
        name = path.read_text("utf-8")
    if not re.fullmatch("[0-9a-f]{32}", name):
        raise StorageError(f"{path} does not hold the name that this folder has in the store; restore it from a copy")
    return name


def drain_once(storage: Path, url: str = "", *, report: Callable[[str], None] = lambda _: None) -> Drained | None:
    """Move what the journals hold at this moment into the store; None if another process is about it, or no journal is.

    Any number of processes and threads may try: one at a time does it.

    Arguments:
        url: as for `open_store`.
        report: told in a sentence what an operator must know.

    Raises:
        StorageError: journals or store cannot be used; nothing is lost.
    """
    if not (storage / JOURNAL_FOLDER).is_dir():
        return None
    with drain_lock(storage) as is_ours:
        if not is_ours:
            return None
        store = open_store(storage, url)
        try:
            return Drainer(storage / JOURNAL_FOLDER, store, now=time.time, report=report).drain()
        finally:
            store.close()


def catch_up(
    storage: Path,
    url: str = "",
    *,
    report: Callable[[str], None],
    wait_s: float = 2.0,
    rest: Callable[[float], None] = time.sleep,
) -> bool:
    """See to it that what the journals hold at this moment is in the store: drain, or wait for who drains already.

    Returns whether it is; False when the one that drains did not get that far in `wait_s` seconds.

    Raises:
        StorageError: journals or store cannot be used; nothing is lost.
    """
    if drain_once(storage, url, report=report) is not None:
        return True
    folder = storage / JOURNAL_FOLDER
    store = open_store(storage, url)
    try:
        offsets = _offsets(store)
        wanted = {
            segment: end_of_entries(folder, segment, offsets.get(segment.name, 0)) for segment in list_segments(folder)
        }
        for _ in range(max(1, int(wait_s / _WAIT_STEP_S))):
            left = list_segments(folder)
            offsets = _offsets(store)
            if all(offsets.get(segment.name, len(MAGIC)) >= end for segment, end in wanted.items() if segment in left):
                return True
            rest(_WAIT_STEP_S)
            if drain_once(storage, url, report=report) is not None:
                return True
    finally:
        store.close()
    return False


def _offsets(store: Store) -> dict[str, int]:
    """How far each segment has been drained, by name."""
    return {name: position.offset for name, position in store.progress().items()}


def report_outcomes(storage: Path, reports: Sequence[OutcomeReport | AuditEvent], *, limit_bytes: int) -> None:
    """Put reports or events into a journal of this process's own, from which they are drained like a worker's.

    For commands, outside of an event loop. Returns when the kernel has them.

    Arguments:
        limit_bytes: the bound on all journals together (`storage.journal_bytes`).

    Raises:
        StorageError: they cannot be written, or the journals are full. Reporting again is harmless: the latest holds.
    """
    loop = asyncio.new_event_loop()
    try:
        journal = Journal(
            storage / JOURNAL_FOLDER,
            worker=f"command-{os.getpid()}",
            segment_bytes=limit_bytes,
            limit_bytes=limit_bytes,
            loop=loop,
            now=time.time,
        )
        try:
            if journal.is_full:
                raise StorageError(f"the journals in {storage / JOURNAL_FOLDER} are full: see why they are not drained")
            for report in reports:
                journal.append(report)
        finally:
            journal.close()
    finally:
        loop.close()


def find_call(store: Store, text: str) -> Record:
    """The call with this id, or with the only id that begins so.

    Raises:
        CommandError: there is none, or more than one; names the nearest.
    """
    found = store.get(text)
    if found is not None:
        return found
    begun = store.call_ids(text, _SHOWN_IDS + 1) if text else []
    if len(begun) == 1:
        only = store.get(begun[0])
        if only is not None:
            return only
    if begun:
        more = ", ..." if len(begun) > _SHOWN_IDS else ""
        raise CommandError(f"several calls begin with {text!r}: {', '.join(begun[:_SHOWN_IDS])}{more}")
    near: list[str] = []
    for length in range(len(text) - 1, len("call_"), -1):
        near = store.call_ids(text[:length], _SHOWN_IDS)
        if near:
            break
    hint = f"the nearest: {', '.join(near)}" if near else "`headworks calls` lists them"
    raise CommandError(f"there is no call {text!r}; {hint}")


class CallLookup:
    """Looks calls up for a worker, outside of its event loop. From any thread, one question at a time.

    State: the store, once it was needed; and what is wrong with it, if it was just now.

    Arguments:
        url: as for `open_store`.
        now: a monotonic clock, in seconds.
    """

    def __init__(self, storage: Path, url: str = "", *, now: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._url = url
        self._now = now
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._trouble = ""
        self._ask_again_s = 0.0

    def owner_of(self, response_id: str) -> tuple[str, str, str] | None:
        """Key id, team and provider of the call that made a response; None if the store does not know it (yet).

        Raises:
            StorageError: the store cannot be used.
        """
        origin = self._ask(lambda store: store.response_origin(response_id, None))
        return None if origin is None else (origin.key_id, origin.team, origin.provider)

    def note_of(self, object_id: str) -> ObjectNote | None:
        """What is known of an object at a provider; None if the store does not know it (yet).

        Raises:
            StorageError: the store cannot be used.
        """
        return self._ask(lambda store: store.object_note(object_id))

    def objects(self, selection: ObjectSelection) -> list[ObjectNote]:
        """The selected objects at providers.

        Raises:
            StorageError: the store cannot be used.
        """
        return self._ask(lambda store: store.objects(selection))

    def has_objects(self) -> bool:
        """Whether any object was ever made at a provider.

        Raises:
            StorageError: the store cannot be used.
        """
        return self._ask(lambda store: store.has_objects())

    def _ask(self, question: Callable[[Store], T]) -> T:
        with self._lock:
            if self._trouble and self._now() < self._ask_again_s:
                raise StorageError(self._trouble)
            self._trouble = ""
            try:
                if self._store is None:
                    self._store = open_store(self._storage, self._url, silence_s=_LOOKUP_SILENCE_S)
                return question(self._store)
            except StorageError as error:
                self._trouble, self._ask_again_s = str(error), self._now() + _LOOKUP_AGAIN_S
                raise

    def close(self) -> None:
        """Let go of the store; a later question opens it again."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None
