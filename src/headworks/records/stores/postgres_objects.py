"""Objects at providers in the PostgreSQL store: whose they are, where they lie, what became of them."""

from headworks.calls import ObjectNote
from headworks.postgres import Connection
from headworks.records.stores import ObjectSelection
from headworks.records.stores.postgres_intake import indexable, storable

_NAMES = ", ".join(ObjectNote.__struct_fields__)


def object_note(connection: Connection, object_id: str) -> ObjectNote | None:
    """One object."""
    row = connection.execute(
        f"SELECT {_NAMES} FROM objects WHERE object_id = %s",  # noqa: S608 - names of ours
        (storable(object_id),),
    ).fetchone()
    return None if row is None else ObjectNote(*row)


def select(connection: Connection, selection: ObjectSelection) -> list[ObjectNote]:
    """The selected objects."""
    caller = selection.caller
    where = "kind = %s AND NOT is_gone AND (key_id = %s OR (team = %s AND team <> ''))"
    values: list[object] = [selection.kind, indexable(caller.key_id), indexable(caller.team)]
    if selection.label:
        where += " AND label = %s"
        values.append(storable(selection.label))
    if selection.after is not None:
        where += f" AND (made_us, object_id) {'>' if selection.is_ascending else '<'} (%s, %s)"
        values += [selection.after[0], storable(selection.after[1])]
    way = "ASC" if selection.is_ascending else "DESC"
    rows = connection.execute(
        f"SELECT {_NAMES} FROM objects WHERE {where} ORDER BY made_us {way}, object_id {way} LIMIT %s",  # noqa: S608
        (*values, selection.limit),
    )
    return [ObjectNote(*row) for row in rows]
