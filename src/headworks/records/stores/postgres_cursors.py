"""How far record sinks have come, in the database that several machines share: one of them gives a sink its records,
for as long as it goes on asking, and another takes over when it does not."""

from headworks.postgres import Connection, Link

LEASE_S = 60
"""Seconds for which a machine is the one that sends: it asks anew with each batch, and once a second without any."""

_LOCK = 0x4865_6164_776F_0003
"""Advisory lock of who makes the table. It is not among the records' own tables: most have no sinks."""

_TABLE = """
    CREATE TABLE IF NOT EXISTS record_sinks (
        sink text COLLATE "C" PRIMARY KEY,
        seq bigint NOT NULL,
        holder text COLLATE "C" NOT NULL DEFAULT '',
        held_until timestamptz NOT NULL DEFAULT '-infinity'
    )
"""


class PostgresCursors:
    """Implements `records.sinks.Cursors`.

    Arguments:
        url: `postgresql://...`.
        holder: this machine, among those that share the database.

    Raises (here and in every method):
        StorageError: the database cannot be used.
    """

    def __init__(self, url: str, holder: str) -> None:
        self._holder = holder
        self._link = Link(url, ())

        def made(connection: Connection) -> None:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            connection.execute(_TABLE)

        self._link.write(made)

    def find(self, sink: str, first: int) -> int:
        """See `Cursors`."""

        def found(connection: Connection) -> int:
            connection.execute(
                "INSERT INTO record_sinks (sink, seq) VALUES (%s, %s) ON CONFLICT DO NOTHING", (sink, first)
            )
            row = connection.execute("SELECT seq FROM record_sinks WHERE sink = %s", (sink,)).fetchone()
            assert row is not None, "it is there now"
            return int(row[0])

        return self._link.write(found)

    def may_send(self, sink: str) -> bool:
        """See `Cursors`."""
        query = (
            "UPDATE record_sinks SET holder = %s, held_until = clock_timestamp() + make_interval(secs => %s) "
            "WHERE sink = %s AND (holder = %s OR held_until < clock_timestamp())"
        )
        given = (self._holder, LEASE_S, sink, self._holder)
        return self._link.write(lambda connection: connection.execute(query, given).rowcount) == 1

    def move(self, sink: str, seq: int) -> None:
        """See `Cursors`."""
        query = "UPDATE record_sinks SET seq = greatest(seq, %s) WHERE sink = %s"
        self._link.write(lambda connection: connection.execute(query, (seq, sink)))

    def close(self) -> None:
        """See `Cursors`."""
        self._link.close()
