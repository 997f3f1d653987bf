"""What LiteLLM's sections may say that needs no reading: needless here, or not there; each with the reason.

Source: LiteLLM's documentation, "All settings" of the proxy, 2026-11.
"""

from headworks.importing.ledger import Fate

_KEYS = "keys are made by `headworks keys create`, with owner, team, models, priority and expiry"
_MONEY = (
    "budgets are a key's, a team's or a workload's: `headworks keys`, `access.teams`, `budget` (docs/how-to/budgets.md)"
)
_RECORDS = "calls are in the records (`headworks calls`, `records.store`) and in /metrics; nothing is exported"
_CACHE = "answers are given again where a workload's contract says so: `cache` (docs/how-to/response-cache.md)"
_DATABASE = "state is in `storage.path`, records there or in PostgreSQL (`records.store`)"
_BREAKER = "each target has a circuit breaker with its own measure; nothing is set (docs/how-to/limits.md)"
_LOG = "the log is one line an event, without prompts and keys"
_LOGIN = (
    "tokens of an identity provider are taken by `access.tokens` (docs/how-to/access.md), people sign in to the admin "
    "API by `admin.sign_in` (docs/how-to/admin.md); code of your own for it belongs into a proxy before it"
)
_UI = "there is no web interface: the commands and the admin API (docs/how-to/admin.md) do its work"
_ALERTS = (
    "of budgets, `alerts` tells by webhook (Slack too) or mail (docs/how-to/budgets.md); for all else let Prometheus "
    "watch /metrics, or a timer run `headworks status` and `headworks limits`"
)
_FIREWALL = "who may reach the port is for the firewall or the proxy before it (docs/how-to/deployment.md)"
_ROUTES = "a key names the endpoints that it may use: `headworks keys create NAME --endpoints ...`"
_HEADERS = "callers' headers are not passed on, but for the APIs' own; `headers` of a provider are fixed ones"
_REFUSED = "what an upstream cannot honour is refused by its name, never dropped (docs/explanation/bridging.md)"
_SCREENING = (
    "personal data of all calls is found by `screening.privacy` (docs/how-to/privacy.md), instructions in data by a "
    "workload's `screening.injection`, answers are held to its schema and rules (docs/how-to/workloads.md); a guard "
    "that is a service of its own becomes a layer of screening, of a package (docs/how-to/extend.md)"
)
_OBJECTS = "files, batches, vector stores and fine-tuning jobs are those of a provider whose `speaks` names them"
_WHOLE = "every call names its model"

_WHO = "who we are at the cloud is the machine's to know: `secrets` (docs/how-to/secrets.md), or the usual variables"

SENT: frozenset[str] = frozenset(
    {"temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop", "presence_penalty", "n", "user",
     "frequency_penalty", "reasoning_effort", "thinking", "response_format", "tools", "tool_choice", "logit_bias",
     "extra_body", "top_k", "store", "metadata"}
)  # fmt: skip
_RETRIES = "further attempts are counted for all providers alike: `defaults.retries`"
PARAMS: dict[str, str] = {
    "tags": "there is no routing by tag: give the deployments public names of their own, and keys their `--models`",
    "max_parallel_requests": "what is under way is bounded by the provider's connections, for each worker: "
    "`connections: { limit: N }`",
    "region_name": "say where the provider processes data, `regions: [eu]`, and workloads may ask for it",
    "max_retries": _RETRIES,
    "num_retries": _RETRIES,
    "mock_response": "`kind: simulator` answers without a network",
    "configurable_clientside_auth_params": "callers cannot bring keys of their own",
    "api_version": "is no version that is known here: leave it out for Azure's v1 API",
    "vertex_credentials": _WHO,
    "tenant_id": _WHO,
    "client_id": _WHO,
    "client_secret": _WHO,
    "azure_ad_token": _WHO,
    "aws_profile_name": "write `api_key: aws-credentials:PROFILE`",
    "aws_role_name": _WHO,
    "aws_session_name": _WHO,
}
"""What a deployment may say that is missing, with what to do; `SENT` is what callers send."""

LITELLM: dict[str, tuple[Fate, str]] = {
    "drop_params": ("missing", "expected true or false: `droppable` of a model lists what may be left out"),
    "modify_params": ("missing", _REFUSED),
    "success_callback": ("missing", _RECORDS),
    "failure_callback": ("missing", _RECORDS),
    "callbacks": ("missing", _RECORDS),
    "service_callbacks": ("missing", _RECORDS),
    "service_callback": ("missing", _RECORDS),
    "audit_log_callbacks": ("missing", _RECORDS),
    "turn_off_message_logging": ("needless", "bodies are not kept unless `records.bodies` says so"),
    "redact_user_api_key_info": ("needless", _LOG),
    "langfuse_default_tags": ("missing", _RECORDS),
    "force_ipv4": ("missing", "addresses are taken as the system gives them: prefer IPv4 in /etc/gai.conf"),
    "set_verbose": ("needless", _LOG),
    "json_logs": ("needless", _LOG),
    "telemetry": ("needless", "nothing is reported to anyone"),
    "cache_params": ("missing", _CACHE),
    "disable_copilot_system_to_assistant": ("needless", "it is deprecated"),
    "disable_hf_tokenizer_download": ("needless", "tokens are counted without a network"),
    "enable_json_schema_validation": (
        "missing", "a workload holds answers to its schema and has them mended: docs/how-to/workloads.md"
    ),
    "enable_preview_features": ("needless", "there are none"),
    "tag_budget_config": ("missing", _MONEY),
    "include_cost_in_streaming_usage": (
        "missing", "what a call cost is in its record (`headworks calls`), and what is left in the head of its answer"
    ),
    "max_user_budget": ("missing", _MONEY),
    "max_internal_user_budget": ("missing", _MONEY),
    "internal_user_budget_duration": ("missing", _MONEY),
    "max_end_user_budget": ("missing", _MONEY),
    "max_end_user_budget_id": ("missing", _MONEY),
    "key_generation_settings": ("missing", _KEYS),
    "ssl_verify": ("missing", "certificates are always verified: name your own authority, `ca_file` of a provider"),
    "ssl_certificate": ("missing", "name your own authority, `ca_file` of a provider"),
    "public_model_groups": ("needless", "`GET /v1/models` lists what a key may use"),
    "guardrails": ("missing", _SCREENING),
    "disable_end_user_cost_tracking": ("needless", "no end user is in /metrics"),
    "disable_end_user_cost_tracking_prometheus_only": ("needless", "no end user is in /metrics"),
    "require_auth_for_metrics_endpoint": (
        "missing", "/metrics needs no key: keep it inside (docs/how-to/deployment.md#metrics)"
    ),
}  # fmt: skip

ROUTER: dict[str, tuple[Fate, str]] = {
    "routing_strategy_args": ("needless", "load goes where weight, pending attempts and room under limits send it"),
    "allowed_fails": ("needless", _BREAKER),
    "allowed_fails_policy": ("needless", _BREAKER),
    "cooldown_time": ("needless", _BREAKER),
    "retry_policy": ("needless", "what passes is tried again (`defaults.retries`), what does not is not"),
    "model_group_retry_policy": ("needless", "what passes is tried again (`defaults.retries`), what does not is not"),
    "retry_after": ("needless", "pauses grow by themselves, and are never below what the provider asks for"),
    "enable_pre_call_checks": ("needless", "input that is too long goes on along `fallback`, to a larger window"),
    "enable_pre_call_check": ("needless", "input that is too long goes on along `fallback`, to a larger window"),
    "optional_pre_call_checks": ("missing", "calls with the same `prompt_cache_key` stay together"),
    "enable_tag_filtering": ("missing", "there is no routing by tag: use public names, and keys' `--models`"),
    "tag_filtering_match_any": ("missing", "there is no routing by tag: use public names, and keys' `--models`"),
    "default_max_parallel_requests": (
        "missing", "what is under way is bounded by a provider's `connections: { limit: N }`, for each worker"
    ),
    "default_priority": ("missing", "keys and teams have priorities: `headworks keys create --priority`"),
    "polling_interval": ("needless", "a waiting call is woken when there is room"),
    "max_fallbacks": ("needless", "a chain ends where `fallback` ends, or with the call's deadline"),
    "default_litellm_params": ("missing", "callers send it, or a workload's contract fixes it"),
    "debug_level": ("needless", _LOG),
    "set_verbose": ("needless", _LOG),
    "client_ttl": ("needless", "connections are kept and replaced by themselves: `connections` of a provider"),
    "cache_responses": ("missing", _CACHE),
    "cache_kwargs": ("missing", _CACHE),
    "caching_groups": ("missing", _CACHE),
    "assistants_config": ("missing", "assistants are not served"),
    "alerting_config": ("missing", _ALERTS),
    "redis_db": ("needless", "the database's number is part of the URL"),
}  # fmt: skip

GENERAL: dict[str, tuple[Fate, str]] = {
    "database_url": ("missing", f"keys, teams and budgets that are kept there do not come along: {_KEYS}; {_DATABASE}"),
    "database_connection_pool_limit": ("needless", _DATABASE),
    "database_connection_timeout": ("needless", _DATABASE),
    "database_type": ("needless", _DATABASE),
    "database_args": ("needless", _DATABASE),
    "allow_requests_on_db_unavailable": ("needless", "keys are on this machine; without PostgreSQL the journals spool"),
    "disable_prisma_schema_update": ("needless", "databases are brought up to date at the start"),
    "proxy_batch_write_at": ("needless", "each call is durable before its end is seen"),
    "disable_spend_updates": ("needless", "records are in no call's way"),
    "disable_master_key_return": ("needless", _UI),
    "disable_adding_master_key_hash_to_db": ("needless", "there is no master key"),
    "disable_reset_budget": ("needless", "a budget begins anew with each day or month by itself"),
    "proxy_budget_rescheduler_min_time": ("needless", "a budget begins anew with each day or month by itself"),
    "proxy_budget_rescheduler_max_time": ("needless", "a budget begins anew with each day or month by itself"),
    "maximum_spend_logs_retention_interval": ("needless", "records that are too old go by themselves"),
    "user_api_key_cache_ttl": ("needless", "a new or revoked key is known to workers within a second"),
    "disable_responses_id_security": ("missing", "a stored response belongs to the key and team that made it"),
    "disable_retry_on_max_parallel_request_limit_error": ("needless", "calls over a limit wait"),
    "store_model_in_db": ("missing", "models added in the web interface are not in this file: add them to ours"),
    "supported_db_objects": ("missing", "what is kept in the database is not in this file: add it to ours"),
    "background_health_checks": (
        "needless", "circuit breakers find out by calls; `probe: {}` of a provider asks while one is open"
    ),
    "health_check_interval": ("needless", "`probe: { every_s: N }` of a provider, while its circuit breaker is open"),
    "health_check_details": ("needless", "/health tells nothing of models; `headworks status` does"),
    "use_shared_health_check": ("needless", "one worker of a machine probes for all"),
    "max_parallel_requests": (
        "missing", "what is under way is bounded by a provider's `connections: { limit: N }`, for each worker"
    ),
    "global_max_parallel_requests": (
        "missing", "too much work is refused by priority; `server.connections` bounds a worker's clients"
    ),
    "max_response_size_mb": ("missing", "answers are relayed as they come: bound them by `max_output_tokens`"),
    "infer_model_from_keys": ("missing", _WHOLE),
    "completion_model": ("missing", _WHOLE),
    "embedding_model": ("missing", _WHOLE),
    "image_generation_model": ("missing", _WHOLE),
    "moderation_model": ("missing", _WHOLE),
    "alerting": ("missing", _ALERTS),
    "alert_types": ("missing", _ALERTS),
    "alerting_args": ("missing", _ALERTS),
    "alerting_threshold": ("missing", _ALERTS),
    "alert_to_webhook_url": ("missing", _ALERTS),
    "spend_report_frequency": ("missing", _ALERTS),
    "custom_auth": ("missing", _LOGIN),
    "custom_sso": ("missing", _LOGIN),
    "enable_jwt_auth": ("missing", _LOGIN),
    "litellm_jwtauth": ("missing", _LOGIN),
    "enable_oauth2_auth": ("missing", _LOGIN),
    "enable_oauth2_proxy_auth": ("missing", _LOGIN),
    "oauth2_config_mappings": ("missing", _LOGIN),
    "allow_user_auth": ("missing", _LOGIN),
    "allow_client_side_credentials": ("missing", "callers cannot bring keys of their own"),
    "custom_key_generate": ("missing", _KEYS),
    "default_team_disabled": ("missing", _KEYS),
    "service_account_settings": ("missing", _KEYS),
    "litellm_key_header_name": ("missing", "a key travels as `authorization`, `x-api-key` or `x-goog-api-key`"),
    "litellm_license": ("needless", "there is no licence to pay for"),
    "key_management_system": ("missing", "name each key by reference: `vault:`, `aws-sm:`, `gcp-sm:`, `azure-kv:`"),
    "key_management_settings": ("missing", "name each key by reference: `vault:`, `aws-sm:`, `gcp-sm:`, `azure-kv:`"),
    "use_azure_key_vault": ("missing", "name each key by reference: `vault:`, `aws-sm:`, `gcp-sm:`, `azure-kv:`"),
    "use_google_kms": ("missing", "name each key by reference: `vault:`, `aws-sm:`, `gcp-sm:`, `azure-kv:`"),
    "allowed_ips": ("missing", _FIREWALL),
    "use_x_forwarded_for": ("missing", _FIREWALL),
    "allowed_routes": ("missing", _ROUTES),
    "public_routes": ("missing", _ROUTES),
    "admin_only_routes": ("missing", _ROUTES),
    "pass_through_endpoints": ("missing", "only the endpoints of the APIs are served: let a proxy pass others on"),
    "use_client_credentials_pass_through_routes": ("missing", "only the endpoints of the APIs are served"),
    "enforce_user_param": ("missing", "`user` is recorded where callers send it; nothing demands it"),
    "enforced_params": ("missing", "nothing demands parameters; a workload's contract fixes them"),
    "reject_clientside_metadata_tags": ("needless", "no tag of a caller's has a meaning"),
    "forward_openai_org_id": ("missing", _HEADERS),
    "forward_client_headers_to_llm_api": ("missing", _HEADERS),
    "ui_access_mode": ("needless", _UI),
    "user_mcp_management_mode": ("missing", "tools of MCP servers are not run here"),
    "proxy_batch_polling_interval": ("needless", "batches are asked for when somebody asks for them"),
}  # fmt: skip

TOP: dict[str, tuple[Fate, str]] = {
    "environment_variables": (
        "missing", "set it in the environment that the gateway starts in; its value was not copied"
    ),
    "include": ("missing", "import that file, too, into a folder of its own, and put the two together"),
    "guardrails": ("missing", _SCREENING),
    "callback_settings": ("missing", _RECORDS),
    "finetune_settings": ("missing", _OBJECTS),
    "files_settings": ("missing", _OBJECTS),
    "mcp_servers": ("missing", "tools of MCP servers are not run here"),
    "mcp_aliases": ("missing", "tools of MCP servers are not run here"),
    "vector_store_registry": ("missing", _OBJECTS),
    "search_tools": ("missing", "search is not served"),
    "prompts": ("missing", "a prompt is a workload's: `prompt.md` (docs/how-to/prompts.md)"),
    "credential_list": ("needless", "what uses a credential has its values now"),
}  # fmt: skip
"""Sections of the file, each setting in them alike."""
