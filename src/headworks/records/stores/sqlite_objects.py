"""Objects at providers in the SQLite store: whose they are, where they lie, what became of them."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from headworks.calls import ObjectNote
from headworks.records.stores import ObjectSelection

_FIELDS = ObjectNote.__struct_fields__
_NAMES = ", ".join(_FIELDS)
# The later note holds, in whatever order they are drained; place and owner are those of the first.
_NOTE = (
    f"INSERT INTO objects ({_NAMES}) VALUES ({', '.join('?' * len(_FIELDS))}) "  # noqa: S608 - names of ours
    "ON CONFLICT (object_id) DO UPDATE SET noted_us = excluded.noted_us, label = excluded.label, "
    "models = excluded.models, is_gone = excluded.is_gone WHERE excluded.noted_us >= objects.noted_us"
)


def note_objects(connection: sqlite3.Connection, notes: Iterable[ObjectNote]) -> None:
    """Take in what was noted, within the transaction that is under way."""
    connection.executemany(_NOTE, [msgspec.structs.astuple(note) for note in notes])


def object_note(connection: sqlite3.Connection, object_id: str) -> ObjectNote | None:
    """One object."""
    row = connection.execute(f"SELECT {_NAMES} FROM objects WHERE object_id = ?", (object_id,)).fetchone()  # noqa: S608
    return None if row is None else _note(row)


def select_objects(connection: sqlite3.Connection, selection: ObjectSelection) -> list[ObjectNote]:
    """The selected objects."""
    caller = selection.caller
    where = "kind = ? AND NOT is_gone AND (key_id = ? OR (team = ? AND team <> ''))"
    values: tuple[str | int, ...] = (selection.kind, caller.key_id, caller.team)
    if selection.label:
        where += " AND label = ?"
        values += (selection.label,)
    if selection.after is not None:
        where += f" AND (made_us, object_id) {'>' if selection.is_ascending else '<'} (?, ?)"
        values += selection.after
    way = "ASC" if selection.is_ascending else "DESC"
    rows = connection.execute(
        f"SELECT {_NAMES} FROM objects WHERE {where} ORDER BY made_us {way}, object_id {way} LIMIT ?",  # noqa: S608
        (*values, selection.limit),
    )
    return [_note(row) for row in rows]


def _note(row: Sequence[Any]) -> ObjectNote:
    fields = dict(zip(_FIELDS, row, strict=True))
    return ObjectNote(**{**fields, "is_gone": bool(fields["is_gone"])})
