"""The tables of the SQLite store, as scripts of which each brings the last one's schema up to date: append only."""

MIGRATIONS = (
    """
    CREATE TABLE calls (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        call_id TEXT NOT NULL UNIQUE,
        opened_us INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        status INTEGER NOT NULL,
        error_code TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        requested_model TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        served_model TEXT NOT NULL,
        key_id TEXT NOT NULL,
        owner TEXT NOT NULL,
        team TEXT NOT NULL,
        user TEXT NOT NULL,
        is_streamed INTEGER NOT NULL,
        total_us INTEGER NOT NULL,
        first_token_us INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        usage_source TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        finish_reason TEXT NOT NULL,
        response_id TEXT NOT NULL,
        upstream_request_id TEXT NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL
    );
    CREATE INDEX calls_by_time ON calls (opened_us);
    CREATE INDEX calls_by_key ON calls (key_id, opened_us) WHERE key_id <> '';
    CREATE INDEX calls_by_team ON calls (team, opened_us) WHERE team <> '';
    CREATE INDEX calls_by_user ON calls (user, opened_us) WHERE user <> '';
    CREATE INDEX calls_by_response ON calls (response_id) WHERE response_id <> '';
    CREATE INDEX calls_not_answered ON calls (outcome, opened_us) WHERE outcome <> 'answered';

    CREATE TABLE bodies (
        seq INTEGER PRIMARY KEY REFERENCES calls (seq),
        request BLOB NOT NULL,
        response BLOB NOT NULL
    );

    CREATE TABLE calls_open (
        call_id TEXT PRIMARY KEY,
        writer TEXT NOT NULL,
        entry BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX calls_open_by_writer ON calls_open (writer);

    CREATE TABLE rollups (
        hour INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        team TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        outcome TEXT NOT NULL,
        status_class INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        total_us INTEGER NOT NULL,
        first_token_us INTEGER NOT NULL,
        first_tokens INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        PRIMARY KEY (hour, key_id, team, endpoint, provider, model, outcome, status_class)
    ) WITHOUT ROWID;

    CREATE TABLE segments (
        name TEXT PRIMARY KEY,
        offset INTEGER NOT NULL,
        is_finished INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    ALTER TABLE calls ADD COLUMN workload TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN prompt_version TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN prompt_hash TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN schema_hash TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN verdict TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN repairs INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN wasted_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN caller_key TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN trace_id TEXT NOT NULL DEFAULT '';
    CREATE INDEX calls_by_workload ON calls (workload, opened_us) WHERE workload <> '';
    CREATE INDEX calls_by_trace ON calls (trace_id) WHERE trace_id <> '';
    CREATE INDEX calls_by_caller_key ON calls (caller_key) WHERE caller_key <> '';
    CREATE INDEX calls_not_valid ON calls (verdict, opened_us) WHERE verdict <> '' AND verdict <> 'valid';

    CREATE TABLE rollups_2 (
        hour INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        team TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        outcome TEXT NOT NULL,
        status_class INTEGER NOT NULL,
        workload TEXT NOT NULL,
        prompt_version TEXT NOT NULL,
        calls INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        total_us INTEGER NOT NULL,
        first_token_us INTEGER NOT NULL,
        first_tokens INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        PRIMARY KEY (
            hour, key_id, team, endpoint, provider, model, outcome, status_class, workload, prompt_version
        )
    ) WITHOUT ROWID;
    INSERT INTO rollups_2
    SELECT
        hour, key_id, team, endpoint, provider, model, outcome, status_class, '', '', calls, input_tokens,
        cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, total_us, first_token_us, first_tokens,
        attempts, request_bytes, response_bytes
    FROM rollups;
    DROP TABLE rollups;
    ALTER TABLE rollups_2 RENAME TO rollups;

    CREATE TABLE output_lengths (
        hour INTEGER NOT NULL,
        workload TEXT NOT NULL,
        prompt_version TEXT NOT NULL,
        model TEXT NOT NULL,
        bucket INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        PRIMARY KEY (hour, workload, prompt_version, model, bucket)
    ) WITHOUT ROWID;

    CREATE TABLE wasted_output (
        hour INTEGER NOT NULL,
        workload TEXT NOT NULL,
        prompt_version TEXT NOT NULL,
        model TEXT NOT NULL,
        reason TEXT NOT NULL,
        calls INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        PRIMARY KEY (hour, workload, prompt_version, model, reason)
    ) WITHOUT ROWID;

    CREATE TABLE outcomes (
        id INTEGER PRIMARY KEY,
        outcome_id TEXT NOT NULL,
        reported_us INTEGER NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        call_id TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        caller_key TEXT NOT NULL,
        key_id TEXT NOT NULL,
        source TEXT NOT NULL,
        team TEXT NOT NULL,
        reporter TEXT NOT NULL,
        UNIQUE (call_id, trace_id, caller_key, name, source, reporter)
    );
    CREATE INDEX outcomes_by_time ON outcomes (reported_us);

    CREATE TABLE content (
        id INTEGER PRIMARY KEY,
        seq INTEGER NOT NULL REFERENCES calls (seq),
        kind TEXT NOT NULL,
        sealed BLOB NOT NULL,
        expires_us INTEGER NOT NULL,
        UNIQUE (seq, kind)
    );
    CREATE INDEX content_by_expiry ON content (expires_us)
    """,
    "ALTER TABLE calls ADD COLUMN course TEXT NOT NULL DEFAULT ''",
    # Of calls before this, no cost is known: NULL, and not among `known_costs`.
    """
    ALTER TABLE calls ADD COLUMN cost_pico INTEGER;
    ALTER TABLE calls ADD COLUMN price_version TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN service_tier TEXT NOT NULL DEFAULT '';
    ALTER TABLE rollups ADD COLUMN cost_pico INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rollups ADD COLUMN known_costs INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rollups ADD COLUMN estimated_costs INTEGER NOT NULL DEFAULT 0
    """,
    # Objects at providers. They outlive the records of the calls that made them.
    """
    CREATE TABLE objects (
        object_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        made_us INTEGER NOT NULL,
        noted_us INTEGER NOT NULL,
        provider TEXT NOT NULL,
        key_id TEXT NOT NULL,
        team TEXT NOT NULL,
        label TEXT NOT NULL,
        models TEXT NOT NULL,
        is_gone INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX objects_by_key ON objects (kind, key_id, made_us);
    CREATE INDEX objects_by_team ON objects (kind, team, made_us) WHERE team <> ''
    """,
    # Answers of the response cache.
    """
    ALTER TABLE calls ADD COLUMN cache_age_s INTEGER;
    ALTER TABLE calls ADD COLUMN cache_saved_pico INTEGER
    """,
    # What some calls use beyond tokens of text: `calls.Extras` as JSON.
    "ALTER TABLE calls ADD COLUMN extras TEXT NOT NULL DEFAULT ''",
)
