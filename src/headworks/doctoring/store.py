"""What is kept: the store is there and of a version that this release knows, and the journals are being drained.

Nothing is changed: a store of an older release is brought up to date when the gateway starts, not by looking at it.
"""

import sqlite3
from pathlib import Path

import msgspec

from headworks.calls import (
    JournalEntry,
    ObjectNote,
    Opened,
    OutcomeReport,
    Settled,
    SettledFromCache,
    SettledWithPrefix,
)
from headworks.config import Project, store_url
from headworks.doctoring.findings import Check, Finding, in_thread, ok, problem, skipped, warning
from headworks.doctoring.situation import Situation
from headworks.errors import ConfigError, StorageError
from headworks.records import JOURNAL_FOLDER, STORE_FILE, database_version, has_store, open_store
from headworks.records.frames import MAGIC
from headworks.records.segments import end_of_entries, list_segments, open_segment, read
from headworks.records.stores.sqlite_schema import MIGRATIONS

_SILENCE_S = 5.0
"""Who looks at an installation does not wait longer for a database that stands still."""

_OLD_S = 10.0
"""The control plane drains several times a second; after a store was away it tries again within that time."""

_FEW_BYTES = 0.5
"""Share of `storage.journal_bytes` from which on full journals are near."""


def checks(situation: Situation) -> list[Check]:
    """One, of the store that the project has."""
    project = situation.project
    if project is None:
        return []
    return [Check("store", in_thread(lambda: look(project, now_s=situation.now())))]


def look(project: Project, *, now_s: float) -> list[Finding]:
    """The store and the journals that it is fed from."""
    file = project.storage / STORE_FILE
    try:
        url = store_url(project)
    except ConfigError as error:
        return [problem("version", str(error), "see what `records` says in headworks.yaml")]
    if not has_store(project.storage, url):
        return [skipped("version", f"there is no {file} yet: the first start makes it")]
    version = judge_database(url) if url else judge_version(file)
    if version.verdict == "problem":
        return [version]
    if version.verdict == "warning":
        return [version, skipped("drained", "whether journals are drained is not seen before that")]
    return [version, *_journals(project, url, now_s)]


def judge_version(file: Path) -> Finding:
    """The version of a store's schema against the one that this release knows."""
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        way_out = "see that the file is readable for this user, on a local disk, and no other program's"
        return problem("version", f"{file} cannot be used: {error}", way_out)
    return _judged(file.name, version, len(MIGRATIONS))


def judge_database(url: str) -> Finding:
    """The same for a PostgreSQL store, which is reached for this."""
    try:
        store, version, known = database_version(url)
    except StorageError as error:
        return problem("version", str(error), "see that the server runs, and what `records.store` says")
    return _judged(store, version, known)


def _judged(store: str, version: int, known: int) -> Finding:
    if version == known:
        return ok("version", f"{store} is of version {version}, which this release writes", version=version)
    if version < known:
        says = f"{store} is of version {version}; this release writes {known}"
        return warning("version", says, "start the gateway: it brings the store up to date", version=version)
    says = f"{store} was made by a newer release (its version is {version}, this one knows {known})"
    return problem("version", says, "run that release here", version=version)


class Backlog(msgspec.Struct, frozen=True):
    """What is in journals and not in the store: how long the first of it waits, in how many segments, how large all
    journals are, and how much of that waits. With the store away, `trouble` says why, and all that is in the journals
    is taken to wait."""

    oldest_s: float
    segments: int
    journal_bytes: int
    waiting_bytes: int
    trouble: str = ""


def backlog_of(storage: Path, url: str = "", *, now_s: float) -> Backlog:
    """The backlog at this moment.

    Arguments:
        url: of the database that has the records; "" for the file in the folder.
        now_s: Unix seconds.

    Raises:
        StorageError: the file or the journals cannot be read.
    """
    folder = storage / JOURNAL_FOLDER
    present = list_segments(folder)
    offsets, trouble = {}, ""
    try:
        store = open_store(storage, url, silence_s=_SILENCE_S)
        try:
            offsets = {name: progress.offset for name, progress in store.progress().items()}
        finally:
            store.close()
    except StorageError as error:
        if not url:
            raise
        trouble = str(error)
    waits, waiting_bytes = [], 0
    for segment in present:
        try:
            offset = offsets.get(segment.name, 0)
            with open_segment(folder, segment) as descriptor:
                entries = read(descriptor, offset, is_final=False, limit=1).entries
            if entries:  # a segment has its whole size from the start: what is written in it is to be found
                waiting_bytes += max(0, end_of_entries(folder, segment, offset) - max(offset, len(MAGIC)))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                continue  # drained and removed meanwhile
            raise
        if entries:
            waits.append(now_s - _written_s(entries[0]))
    return Backlog(round(max(waits, default=0.0), 1), len(waits), sum(present.values()), waiting_bytes, trouble)


def judge_backlog(backlog: Backlog, journal_bytes: int) -> Finding:
    """Whether somebody drains; `journal_bytes` is the bound at which calls are refused."""
    figures = {"oldest_s": backlog.oldest_s, "journal_bytes": float(backlog.journal_bytes)}
    if backlog.trouble:
        says = f"records wait in the journals, for the store cannot be used: {backlog.trouble}"
        return problem("drained", says, "see that the server runs, and what `records.store` says", **figures)
    if backlog.oldest_s <= _OLD_S:
        return ok("drained", "what calls write to the journals is in the store within seconds", **figures)
    says = f"the oldest record that is not in the store waits for {backlog.oldest_s:,.0f} s"
    way_out = "start the gateway, or see its log: its control plane drains the journals (so does `headworks calls`)"
    if backlog.journal_bytes > journal_bytes * _FEW_BYTES:
        says += (
            f", and the journals have {backlog.journal_bytes / journal_bytes:.0%} of their bound: calls will be refused"
        )
    return problem("drained", says, way_out, **figures)


def _journals(project: Project, url: str, now_s: float) -> list[Finding]:
    damaged = sorted((project.storage / JOURNAL_FOLDER).glob("*.damaged"))
    findings = [judge_backlog(backlog_of(project.storage, url, now_s=now_s), project.config.storage.journal_bytes)]
    if damaged:
        says = f"{len(damaged)} journal files hold bytes that could not be read"
        way_out = f"keep a copy of {damaged[0].parent} and see what the disk says; what was readable is in the store"
        findings.append(warning("damaged", says, way_out, files=len(damaged)))
    return findings


def _written_s(entry: JournalEntry) -> float:
    """When an entry was written, in seconds since the Unix epoch."""
    if isinstance(entry, Opened):
        return entry.opened_us / 1e6
    if isinstance(entry, SettledWithPrefix | SettledFromCache):
        entry = entry.settled
    if isinstance(entry, Settled):
        return (entry.opened.opened_us + entry.total_us) / 1e6
    if isinstance(entry, ObjectNote):
        return entry.noted_us / 1e6
    return (entry.reported_us if isinstance(entry, OutcomeReport) else entry.at_us) / 1e6
