"""What `tensorzero.toml` may say that needs no reading: needless here, or not there; each with the reason.

Source: TensorZero's configuration reference, 2026-11.
"""

from headworks.importing.ledger import Fate

UNKNOWN = "nothing here has this name: look for its purpose in docs/reference/configuration.md"
_LIMITS = (
    "limits are a target's (`limits` of its provider), a team's (`access.teams`) or a key's (`headworks keys limit`), "
    "by the minute or the day, of requests or tokens: say there whom this rule means"
)
_RECORDS = "calls are recorded durably by themselves, in SQLite or PostgreSQL (`records.store`)"
_RELAY = "put the other gateway as a provider, `kind: openai-compatible` with its address"

PROVIDER: dict[str, tuple[Fate, str]] = {
    "batch_cost": ("missing", "what batches cost is the catalogue's: `headworks models show`, or `prices.models`"),
    "discard_unknown_chunks": ("needless", "what is not known passes as it came"),
    "extra_body": ("missing", "callers send it: what they send beyond what we know is passed on to the same API"),
    "extra_headers": ("missing", "`headers` of a provider: names with values"),
    "provider_tools": ("missing", "callers send the provider's own tools, or a workload has them in `tools.json`"),
    "api_type": ("needless", "each API of the caller's is relayed or translated as it comes"),
    "include_encrypted_reasoning": ("needless", "callers ask for it in the API's own way"),
    "content_type_overrides": ("missing", "content is passed on with the type that callers give"),
    "reasoning_format": ("missing", "callers send it"),
    "prompt_mode": ("missing", "callers send it"),
}
"""Fields of a model's provider."""

GATEWAY: dict[str, tuple[Fate, str]] = {
    "gateway.auth.cache": ("needless", "a new or revoked key is known to workers within a second"),
    "gateway.base_path": ("missing", "the API is under /v1: let a proxy before it rewrite paths"),
    "gateway.bind_address": ("missing", "`server.host` and `server.port`"),
    "gateway.cache": ("missing", "answers are given again where a workload's contract says so: `cache`"),
    "gateway.debug": ("missing", "the log is without prompts and keys; `records.bodies` keeps what was said"),
    "gateway.disable_pseudonymous_usage_analytics": ("needless", "nothing is reported to anyone"),
    "gateway.export.otlp": ("missing", "traces are not exported: see `headworks calls` and /metrics"),
    "gateway.fetch_and_encode_input_files_before_inference": (
        "missing", "files are passed on as callers send them: send their content, not a URL"
    ),
    "gateway.global_outbound_http_timeout_ms": ("missing", "`defaults.timeouts`, in seconds up to 86,400"),
    "gateway.metrics": ("needless", "/metrics has buckets of its own"),
    "gateway.observability": ("needless", _RECORDS),
    "gateway.relay": ("missing", _RELAY),
    "gateway.template_filesystem_access": ("needless", "a prompt is one file of its workload"),
    "clickhouse": ("needless", _RECORDS),
    "postgres": ("missing", "`records.store` names a PostgreSQL for records: docs/how-to/postgresql.md"),
    "object_storage": ("needless", "files of calls are not kept"),
    "rate_limiting.enabled": ("needless", "a limit that is said is held"),
    "rate_limiting": ("missing", _LIMITS),
    "provider_types": ("missing", "each provider names its own key: `api_key`"),
    "metrics": ("needless", "an outcome needs no declaration: POST /v1/outcomes (docs/how-to/outcomes.md)"),
    "optimizers": ("missing", "models are not trained here: ask the provider itself, then name the new model"),
    "evaluations": ("missing", "golden sets and scorers are a workload's: docs/how-to/evals.md"),
    "tools": ("missing", "tools are a workload's: `tools.json`, as the Responses API has them"),
}  # fmt: skip
"""By the beginning of a setting's place."""

FUNCTIONLESS: dict[str, tuple[Fate, str]] = {
    "models": ("missing", UNKNOWN),
    "embedding_models": ("missing", UNKNOWN),
}
