"""Content in SQLite: what is kept of requests and answers, sealed before it came here, until it expires. And calls,
until they are to be forgotten.
"""

import sqlite3

from headworks.calls import Settled
from headworks.database import transaction
from headworks.records.stores import ContentKind
from headworks.records.stores.rows import prefix_expires_us

PURGE_PIECES = 200
"""Most pieces that are removed in one transaction: who records waits for less than it would notice."""

ERASE_CALLS = 100
"""Most calls whose content is removed in one transaction, for the same reason: each has two pieces or three."""

FORGET_CALLS = 1_000
"""Most calls, and as many reports, that are removed in one transaction."""


def insert_content(connection: sqlite3.Connection, seq: int | None, call: Settled) -> None:
    """Keep what a call's entry holds, within the transaction that is under way."""
    pieces: tuple[tuple[ContentKind, bytes], ...] = (
        ("request", call.request_body),
        ("response", call.response_body),
        ("values", call.template_values),
    )
    expires_us = min(call.content_expires_us, 2**62)
    connection.executemany(
        "INSERT INTO content (seq, kind, sealed, expires_us) VALUES (?, ?, ?, ?)",
        [(seq, kind, sealed, expires_us) for kind, sealed in pieces if sealed],
    )


def insert_prefix(connection: sqlite3.Connection, seq: int | None, prefix: bytes, opened_us: int) -> None:
    """Keep the fingerprint of a call's request, within the transaction that is under way."""
    connection.execute(
        "INSERT INTO content (seq, kind, sealed, expires_us) VALUES (?, 'prefix', ?, ?)",
        (seq, prefix, prefix_expires_us(opened_us)),
    )


def select_content(connection: sqlite3.Connection, seq: int, now_us: int) -> dict[ContentKind, bytes]:
    """The pieces of one call. What has expired is not there, whether it has been removed yet or not."""
    rows = connection.execute("SELECT kind, sealed FROM content WHERE seq = ? AND expires_us > ?", (seq, now_us))
    return dict(rows.fetchall())


def expire(connection: sqlite3.Connection, now_us: int) -> int:
    """Remove what has expired; how many pieces that were."""
    removed = 0
    while True:
        with transaction(connection):
            cursor = connection.execute(
                "DELETE FROM content WHERE id IN "
                "(SELECT id FROM content WHERE expires_us <= ? ORDER BY expires_us LIMIT ?)",
                (now_us, PURGE_PIECES),
            )
        removed += cursor.rowcount
        if cursor.rowcount < PURGE_PIECES:
            return removed


def erase(connection: sqlite3.Connection, user: str) -> int:
    """Remove what is kept of a person's calls; how many pieces. What is freed is overwritten, in the file and the log
    that is written ahead of it; the latter when no reader is in it."""
    connection.execute("PRAGMA secure_delete = ON")
    removed = 0
    last_seq = -1
    while True:
        # The index on users leaves the empty name out, and is used only where that is plain to see.
        seqs = connection.execute(
            "SELECT seq FROM calls WHERE user = ? AND user <> '' AND seq > ? ORDER BY seq", (user, last_seq)
        ).fetchall()
        if not seqs:
            break  # none has come since it was begun
        last_seq = seqs[-1][0]
        for begin in range(0, len(seqs), ERASE_CALLS):
            some = seqs[begin : begin + ERASE_CALLS]
            with transaction(connection):
                for table in ("content", "bodies"):
                    statement = f"DELETE FROM {table} WHERE seq = ?"  # noqa: S608 - names of ours
                    removed += connection.executemany(statement, some).rowcount
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return removed


def forget(connection: sqlite3.Connection, before_us: int) -> int:
    """Remove the calls that were opened before then, and what belongs to them; how many calls that were."""
    removed = 0
    while True:
        with transaction(connection):
            seqs = connection.execute(
                "SELECT seq FROM calls WHERE opened_us < ? ORDER BY opened_us LIMIT ?", (before_us, FORGET_CALLS)
            ).fetchall()
            for table in ("bodies", "content", "calls"):
                connection.executemany(f"DELETE FROM {table} WHERE seq = ?", seqs)  # noqa: S608 - names of ours
            reports = connection.execute(
                "DELETE FROM outcomes WHERE id IN (SELECT id FROM outcomes WHERE reported_us < ? LIMIT ?)",
                (before_us, FORGET_CALLS),
            ).rowcount
        removed += len(seqs)
        if max(len(seqs), reports) < FORGET_CALLS:
            return removed
