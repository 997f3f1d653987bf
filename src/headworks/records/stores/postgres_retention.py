"""Removing old calls from PostgreSQL: month by month, for a partition is dropped at once, however many calls it has.

What belongs to its calls lies in other tables, and goes first, in steps, so that who records never waits for long. A
step is one transaction. When this is broken off, a call of such a month may have lost its content, and no more.
"""

import msgspec
from psycopg import sql

from headworks.postgres import Connection
from headworks.records.stores.postgres_intake import indexable
from headworks.records.stores.postgres_schema import OTHER, months_over, take_commit_lock

STEP_CALLS = 5_000
"""Most calls of which a step removes what belongs to them."""

_RETENTION_LOCK = 0x4865_6164_776F_0003
"""Advisory lock of who removes old calls: one machine at a time, the others leave it to that one."""

_DROP_WAIT = "2s"
"""A month is dropped when nobody reads any, and who comes after waits, too: so this is waited for less than others."""


class Step(msgspec.Struct, frozen=True):
    """What a step came to: how many calls are gone, whether it was the last one, and up to which `seq` the month that
    is under way has been seen to."""

    calls: int = 0
    is_done: bool = False
    seen_seq: int = 0


def forget_some(connection: Connection, before_us: int, seen_seq: int) -> Step:
    """Take the next step, within the transaction that is under way.

    Arguments:
        seen_seq: as the last step says; 0 for the first one.
    """
    if not _only(connection, sql.SQL("SELECT pg_try_advisory_xact_lock({})").format(_RETENTION_LOCK)):
        return Step(is_done=True)
    reports = connection.execute(
        "DELETE FROM outcomes WHERE ctid = ANY(ARRAY(SELECT ctid FROM outcomes WHERE reported_us < %s LIMIT %s))",
        (before_us, STEP_CALLS),
    ).rowcount
    if reports == STEP_CALLS:
        return Step(seen_seq=seen_seq)
    months = months_over(connection, before_us)
    if months:
        return _forget_month(connection, months[0], seen_seq)
    return _forget_other(connection, before_us)


def calls_of(connection: Connection, user: str, seen_seq: int) -> list[int]:
    """The calls of a person that came into the store after that one, by their `seq`, in that order."""
    theirs = 'SELECT seq FROM calls WHERE "user" = %s AND "user" <> \'\' AND seq > %s ORDER BY seq'
    return [seq for (seq,) in connection.execute(theirs, (indexable(user), seen_seq))]


def responses_of(connection: Connection, user: str) -> list[tuple[str, str]]:
    """Of each call of a person the team, or the key where there is none, and the id of the response."""
    theirs = (
        "SELECT CASE WHEN team <> '' THEN team ELSE key_id END, response_id FROM calls "
        "WHERE \"user\" = %s AND \"user\" <> '' AND response_id <> ''"
    )
    return connection.execute(theirs, (indexable(user),)).fetchall()


def erase_some(connection: Connection, seqs: list[int]) -> int:
    """Remove what is kept of these calls; how many pieces."""
    tables = (sql.Identifier(table) for table in ("bodies", "content"))
    return sum(
        connection.execute(sql.SQL("DELETE FROM {} WHERE seq = ANY(%s)").format(table), (seqs,)).rowcount
        for table in tables
    )


def _forget_month(connection: Connection, name: str, seen_seq: int) -> Step:
    """Remove what belongs to some of a month's calls; when that are few, the rest and the month itself."""
    month = sql.Identifier(name)
    following = sql.SQL("SELECT seq FROM {} WHERE seq > {} ORDER BY seq LIMIT {}").format(month, seen_seq, STEP_CALLS)
    seqs = [seq for (seq,) in connection.execute(following)]
    if len(seqs) < STEP_CALLS:
        # Nobody may put a call into it between this and the end of the transaction.
        take_commit_lock(connection)
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_DROP_WAIT))
        following = sql.SQL("SELECT seq FROM {} WHERE seq > {}").format(month, seen_seq)
        _forget_belonging(connection, [seq for (seq,) in connection.execute(following)])
        calls = _only(connection, sql.SQL("SELECT count(*) FROM {}").format(month))
        connection.execute(sql.SQL("DROP TABLE {}").format(month))
        return Step(calls=calls)
    _forget_belonging(connection, seqs)
    return Step(seen_seq=seqs[-1])


def _forget_other(connection: Connection, before_us: int) -> Step:
    """Remove some calls of a time that has no month."""
    other = sql.Identifier(OTHER)
    old = sql.SQL("SELECT seq FROM {} WHERE opened_us < {} LIMIT {}").format(other, before_us, STEP_CALLS)
    removed = connection.execute(sql.SQL("DELETE FROM {} WHERE seq IN ({}) RETURNING seq").format(other, old))
    seqs = [seq for (seq,) in removed]
    _forget_belonging(connection, seqs)
    return Step(calls=len(seqs), is_done=len(seqs) < STEP_CALLS)


def _forget_belonging(connection: Connection, seqs: list[int]) -> None:
    """Remove what is kept of these calls outside of `calls`."""
    for table in ("bodies", "content"):
        connection.execute(sql.SQL("DELETE FROM {} WHERE seq = ANY(%s)").format(sql.Identifier(table)), (seqs,))
    # The highest one stays known by its id, for the next call's is one more.
    connection.execute(
        "DELETE FROM call_ids WHERE seq = ANY(%s) AND seq < (SELECT max(seq) FROM call_ids)",
        (seqs,),
    )


def _only(connection: Connection, statement: sql.Composed) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])
