"""Recorded calls searched, shown and summed up; and what is kept of their content, for who may read it."""

import time

import msgspec

from headworks.access import Right
from headworks.admin.desk import Desk
from headworks.errors import StorageError, UnknownName
from headworks.records import Dimension, Record, Selection, Store, Total
from headworks.records.content import ContentVault, open_content
from headworks.records.stores import ContentKind


def search_calls(desk: Desk, selection: Selection) -> list[Record]:
    """The selected calls, of those that whoever asks reaches.

    Raises:
        Forbidden: they reach none.
        StorageError: the records cannot be read.
    """
    desk.teams(Right.READ_CALLS)
    with desk.records() as store:
        return [] if store is None else select_calls(desk, store, selection)


def select_calls(desk: Desk, store: Store, selection: Selection) -> list[Record]:
    """The same, of records that are open. Raises Forbidden, StorageError."""
    teams = desk.teams(Right.READ_CALLS)
    return store.select(selection if teams is None else msgspec.structs.replace(selection, teams=teams))


def get_call(desk: Desk, call_id: str, *, with_content: bool) -> tuple[Record, dict[ContentKind, bytes]]:
    """One call, and what is kept of its content where that is wanted.

    Raises:
        UnknownName: there is none of this id within reach.
        Forbidden: they may not read content; or they reach no call.
        StorageError: the records cannot be read, or the content cannot be opened.
    """
    desk.teams(Right.READ_CALLS)
    if with_content and not desk.principal.may_somewhere(Right.READ_CONTENT):
        desk.teams(Right.READ_CONTENT)
    with desk.records() as store:
        record = None if store is None else store.get(call_id)
        if store is None or record is None or not desk.reaches(Right.READ_CALLS, record.team):
            raise UnknownName(f"there is no call {call_id!r}")
        if not with_content:
            return record, {}
        desk.demand(Right.READ_CONTENT, record.team)
        return record, kept_content(desk, store, record)


def total_calls(desk: Desk, by: tuple[Dimension, ...], since_us: int | None, until_us: int | None) -> list[Total]:
    """Calls summed up by whole hours, of those that whoever asks reaches: by team, where that is not all of them.

    Raises:
        Forbidden: they reach none.
        StorageError: the records cannot be read.
    """
    desk.teams(Right.READ_CALLS)
    with desk.records() as store:
        return [] if store is None else sum_calls(desk, store, by, since_us, until_us)


def sum_calls(
    desk: Desk, store: Store, by: tuple[Dimension, ...], since_us: int | None, until_us: int | None
) -> list[Total]:
    """The same, of records that are open. Raises Forbidden, StorageError."""
    teams = desk.teams(Right.READ_CALLS)
    if teams is None:
        return store.totals(by, since_us, until_us)
    by = by if "team" in by else ("team", *by)
    place = by.index("team")
    return [total for total in store.totals(by, since_us, until_us) if total.group[place] in teams]


def kept_content(desk: Desk, store: Store, record: Record) -> dict[ContentKind, bytes]:
    """What is kept of a call's content, opened; told where there is any.

    Raises:
        HeadworksError: it cannot be opened; says why.
    """
    project, now_us = desk.project, time.time_ns() // 1000
    secret = b""
    if store.content(record.seq, now_us).keys() - {"prefix"}:
        reference = project.config.access.secret
        if reference.startswith("file:") and not (project.folder / reference.removeprefix("file:")).exists():
            # It would be made, and only then fit nothing.
            raise StorageError(f"what is kept of {record.call_id} cannot be opened: there is no {reference}")
        secret = desk.secret()
    content = open_content(store, record, ContentVault(secret), now_us)
    if content:
        desk.tell("content.read", record.call_id, {"workload": record.workload})
    return content
