"""Content in SQLite: what is kept of requests and answers, sealed before it came here, until it expires."""

import sqlite3

from headworks.calls import Settled
from headworks.database import transaction
from headworks.records.stores import ContentKind

PURGE_PIECES = 200
"""Most pieces that are removed in one transaction: who records waits for less than it would notice."""


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
