"""The tables of the PostgreSQL store, as scripts of which each brings the last one's schema up to date: append only.

Texts are compared byte by byte (collation C), as SQLite does, wherever the server is. `user` and `offset` are words of
SQL: the one is quoted, the other is named `read_to`.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from psycopg import sql

from headworks.postgres import Connection, has_table

_SECOND_US = 1_000_000
_FIRST_YEAR, _END_YEAR = 2020, 2200
"""Years whose months have a partition each. Calls of any other time are the work of a wrong clock: they are kept
together, in `calls_other`."""

OTHER = "calls_other"
_PARTITION = "calls_{}_{:02d}"

_COMMIT_LOCK = 0x4865_6164_776F_0002
"""Advisory lock of who commits a batch, or makes or drops a month. One at a time, so that `seq` grows in the order in
which calls can be seen."""

MIGRATIONS = (
    """
    CREATE TABLE call_ids (
        call_id text COLLATE "C" PRIMARY KEY,
        seq bigint NOT NULL UNIQUE,
        opened_us bigint NOT NULL
    );

    CREATE TABLE calls (
        seq bigint NOT NULL,
        call_id text COLLATE "C" NOT NULL,
        opened_us bigint NOT NULL,
        outcome text COLLATE "C" NOT NULL,
        status integer NOT NULL,
        error_code text COLLATE "C" NOT NULL,
        endpoint text COLLATE "C" NOT NULL,
        requested_model text COLLATE "C" NOT NULL,
        provider text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        served_model text COLLATE "C" NOT NULL,
        key_id text COLLATE "C" NOT NULL,
        owner text COLLATE "C" NOT NULL,
        team text COLLATE "C" NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        is_streamed boolean NOT NULL,
        total_us bigint NOT NULL,
        first_token_us bigint NOT NULL,
        input_tokens bigint NOT NULL,
        cached_tokens bigint NOT NULL,
        cache_write_tokens bigint NOT NULL,
        output_tokens bigint NOT NULL,
        reasoning_tokens bigint NOT NULL,
        usage_source text COLLATE "C" NOT NULL,
        attempts bigint NOT NULL,
        finish_reason text COLLATE "C" NOT NULL,
        response_id text COLLATE "C" NOT NULL,
        upstream_request_id text COLLATE "C" NOT NULL,
        request_bytes bigint NOT NULL,
        response_bytes bigint NOT NULL,
        workload text COLLATE "C" NOT NULL,
        prompt_version text COLLATE "C" NOT NULL,
        prompt_hash text COLLATE "C" NOT NULL,
        schema_hash text COLLATE "C" NOT NULL,
        verdict text COLLATE "C" NOT NULL,
        repairs bigint NOT NULL,
        wasted_tokens bigint NOT NULL,
        caller_key text COLLATE "C" NOT NULL,
        trace_id text COLLATE "C" NOT NULL,
        course text COLLATE "C" NOT NULL
    ) PARTITION BY RANGE (opened_us);
    CREATE TABLE calls_other PARTITION OF calls DEFAULT;
    CREATE INDEX calls_by_seq ON calls (seq);
    CREATE INDEX calls_by_id ON calls USING hash (call_id);
    CREATE INDEX calls_by_time ON calls (opened_us);
    CREATE INDEX calls_by_key ON calls (key_id, opened_us) WHERE key_id <> '';
    CREATE INDEX calls_by_team ON calls (team, opened_us) WHERE team <> '';
    CREATE INDEX calls_by_user ON calls ("user", opened_us) WHERE "user" <> '';
    CREATE INDEX calls_by_response ON calls USING hash (response_id) WHERE response_id <> '';
    CREATE INDEX calls_not_answered ON calls (outcome, opened_us) WHERE outcome <> 'answered';
    CREATE INDEX calls_by_workload ON calls (workload, opened_us) WHERE workload <> '';
    CREATE INDEX calls_by_trace ON calls USING hash (trace_id) WHERE trace_id <> '';
    CREATE INDEX calls_by_caller_key ON calls USING hash (caller_key) WHERE caller_key <> '';
    CREATE INDEX calls_not_valid ON calls (verdict, opened_us) WHERE verdict <> '' AND verdict <> 'valid';

    CREATE TABLE bodies (
        seq bigint PRIMARY KEY,
        request bytea NOT NULL,
        response bytea NOT NULL
    );

    CREATE TABLE content (
        seq bigint NOT NULL,
        kind text COLLATE "C" NOT NULL,
        sealed bytea NOT NULL,
        expires_us bigint NOT NULL,
        PRIMARY KEY (seq, kind)
    );
    CREATE INDEX content_by_expiry ON content (expires_us);

    CREATE TABLE calls_open (
        call_id text COLLATE "C" PRIMARY KEY,
        site text COLLATE "C" NOT NULL,
        writer text COLLATE "C" NOT NULL,
        entry bytea NOT NULL
    );
    CREATE INDEX calls_open_by_writer ON calls_open (site, writer);

    CREATE TABLE segments (
        site text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        read_to bigint NOT NULL,
        is_finished boolean NOT NULL,
        PRIMARY KEY (site, name)
    );

    CREATE TABLE rollups (
        hour bigint NOT NULL,
        key_id text COLLATE "C" NOT NULL,
        team text COLLATE "C" NOT NULL,
        endpoint text COLLATE "C" NOT NULL,
        provider text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        outcome text COLLATE "C" NOT NULL,
        status_class integer NOT NULL,
        workload text COLLATE "C" NOT NULL,
        prompt_version text COLLATE "C" NOT NULL,
        calls bigint NOT NULL,
        input_tokens bigint NOT NULL,
        cached_tokens bigint NOT NULL,
        cache_write_tokens bigint NOT NULL,
        output_tokens bigint NOT NULL,
        reasoning_tokens bigint NOT NULL,
        total_us bigint NOT NULL,
        first_token_us bigint NOT NULL,
        first_tokens bigint NOT NULL,
        attempts bigint NOT NULL,
        request_bytes bigint NOT NULL,
        response_bytes bigint NOT NULL,
        PRIMARY KEY (
            hour, key_id, team, endpoint, provider, model, outcome, status_class, workload, prompt_version
        )
    );

    CREATE TABLE output_lengths (
        hour bigint NOT NULL,
        workload text COLLATE "C" NOT NULL,
        prompt_version text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        bucket integer NOT NULL,
        calls bigint NOT NULL,
        tokens bigint NOT NULL,
        PRIMARY KEY (hour, workload, prompt_version, model, bucket)
    );

    CREATE TABLE wasted_output (
        hour bigint NOT NULL,
        workload text COLLATE "C" NOT NULL,
        prompt_version text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        reason text COLLATE "C" NOT NULL,
        calls bigint NOT NULL,
        tokens bigint NOT NULL,
        PRIMARY KEY (hour, workload, prompt_version, model, reason)
    );

    CREATE TABLE outcomes (
        outcome_id text COLLATE "C" NOT NULL,
        reported_us bigint NOT NULL,
        name text COLLATE "C" NOT NULL,
        kind text COLLATE "C" NOT NULL,
        value text COLLATE "C" NOT NULL,
        call_id text COLLATE "C" NOT NULL,
        trace_id text COLLATE "C" NOT NULL,
        caller_key text COLLATE "C" NOT NULL,
        key_id text COLLATE "C" NOT NULL,
        source text COLLATE "C" NOT NULL,
        team text COLLATE "C" NOT NULL,
        reporter text COLLATE "C" NOT NULL,
        PRIMARY KEY (call_id, trace_id, caller_key, name, source, reporter)
    );
    CREATE INDEX outcomes_by_time ON outcomes (reported_us);
    CREATE INDEX outcomes_by_trace ON outcomes USING hash (trace_id) WHERE trace_id <> '';
    CREATE INDEX outcomes_by_caller_key ON outcomes USING hash (caller_key) WHERE caller_key <> ''
    """,
    # Of calls before this, no cost is known: NULL, and not among `known_costs`.
    """
    ALTER TABLE calls
        ADD COLUMN cost_pico bigint,
        ADD COLUMN price_version text COLLATE "C" NOT NULL DEFAULT '',
        ADD COLUMN service_tier text COLLATE "C" NOT NULL DEFAULT '';
    ALTER TABLE rollups
        ADD COLUMN cost_pico bigint NOT NULL DEFAULT 0,
        ADD COLUMN known_costs bigint NOT NULL DEFAULT 0,
        ADD COLUMN estimated_costs bigint NOT NULL DEFAULT 0
    """,
    """
    CREATE TABLE budgets (
        name text COLLATE "C" PRIMARY KEY,
        cap bigint NOT NULL,
        is_hard boolean NOT NULL,
        begins_us bigint NOT NULL,
        ends_us bigint NOT NULL,
        base bigint NOT NULL,
        alerted integer NOT NULL DEFAULT 0,
        short_until_s double precision NOT NULL DEFAULT 0
    );

    CREATE TABLE budget_holders (
        account text COLLATE "C" NOT NULL REFERENCES budgets (name) ON DELETE CASCADE,
        holder text COLLATE "C" NOT NULL,
        spent bigint NOT NULL,
        reserved bigint NOT NULL,
        held bigint NOT NULL,
        heard_s double precision NOT NULL,
        PRIMARY KEY (account, holder)
    );
    """,
    # Objects at providers. They outlive the records of the calls that made them.
    """
    CREATE TABLE objects (
        object_id text COLLATE "C" PRIMARY KEY,
        kind text COLLATE "C" NOT NULL,
        made_us bigint NOT NULL,
        noted_us bigint NOT NULL,
        provider text COLLATE "C" NOT NULL,
        key_id text COLLATE "C" NOT NULL,
        team text COLLATE "C" NOT NULL,
        label text COLLATE "C" NOT NULL,
        models text COLLATE "C" NOT NULL,
        is_gone boolean NOT NULL
    );
    CREATE INDEX objects_by_key ON objects (kind, key_id, made_us);
    CREATE INDEX objects_by_team ON objects (kind, team, made_us) WHERE team <> ''
    """,
    # Answers of the response cache.
    """
    ALTER TABLE calls ADD COLUMN cache_age_s bigint;
    ALTER TABLE calls ADD COLUMN cache_saved_pico bigint
    """,
    # What some calls use beyond tokens of text: `calls.Extras` as JSON.
    """ALTER TABLE calls ADD COLUMN extras text COLLATE "C" NOT NULL DEFAULT ''""",
)


def take_commit_lock(connection: Connection) -> None:
    """Wait until nobody else commits a batch; held until the transaction that is under way ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_COMMIT_LOCK,))


def make_partitions(connection: Connection, times_us: Iterable[int]) -> None:
    """See to it that each month in which one of these calls was opened has its partition.

    Within the transaction that is under way and has taken `take_commit_lock`, so that nobody else is making the same.

    Raises:
        psycopg.Error: it cannot be made.
    """
    days = {time_us // (86_400 * _SECOND_US) for time_us in times_us}
    months = {_month(day) for day in days if _day(_FIRST_YEAR) <= day < _day(_END_YEAR)}
    for year, month in sorted(months):
        name = _PARTITION.format(year, month)
        # Asked first: making a partition, even one that is there, may lock the whole table.
        if not has_table(connection, name):
            connection.execute(
                sql.SQL("CREATE TABLE {} PARTITION OF calls FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier(name), _start_us(year, month), _start_us(year, month + 1)
                )
            )


def make_ahead(connection: Connection, now_us: int) -> None:
    """Make the partitions of this month and the next ones, within the transaction that is under way."""
    take_commit_lock(connection)
    make_partitions(connection, months_from(now_us))


def months_from(now_us: int, *, ahead: int = 2) -> list[int]:
    """A moment in this month, and one in each of the next, in microseconds since the Unix epoch."""
    year, month = _month(now_us // (86_400 * _SECOND_US))
    return [_start_us(year + (month - 1 + n) // 12, (month - 1 + n) % 12 + 1) for n in range(ahead + 1)]


def months_over(connection: Connection, before_us: int) -> list[str]:
    """The partitions whose months were over by then, the oldest first."""
    rows = connection.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = 'calls'::regclass ORDER BY relname"
    )
    months = [found for (name,) in rows if (found := re.fullmatch(r"calls_(\d{4})_(\d\d)", name))]
    return [found[0] for found in months if _start_us(int(found[1]), int(found[2]) + 1) <= before_us]


def _month(day: int) -> tuple[int, int]:
    """Year and month of a day since the Unix epoch, in UTC."""
    at = datetime.fromtimestamp(day * 86_400, UTC)
    return at.year, at.month


def _day(year: int) -> int:
    """The first day of a year, counted from the Unix epoch."""
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // 86_400


def _start_us(year: int, month: int) -> int:
    """When a month begins; the 13th is the first of the next year."""
    return int(datetime(year + month // 13, (month - 1) % 12 + 1, 1, tzinfo=UTC).timestamp()) * _SECOND_US
