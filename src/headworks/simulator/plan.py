"""What a simulated provider is told to be: its models, limits, scripted answers and faults.

A plan is a value. It comes from a file (`plan_file`), from the control endpoint, or is built in code:

    Plan(pace=0, faults=(ErrorFault(status=503, share=0.1),))
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Tier = Literal["nano", "mini", "flagship"]
ModelKind = Literal["text", "embedding", "moderation", "image", "speech", "transcription", "realtime"]

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Milliseconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


SimulatedEndpoint = Literal[
    "responses",
    "chat.completions",
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio",
    "realtime",
    "models",
    "files",
    "batches",
    "conversations",
    "vector_stores",
    "fine_tuning",
]
"""Of `calls.Endpoint`, what the OpenAI API has."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of a plan; a field that it does not know is an error, not a silence."""


class LogNormal(_Part, frozen=True):
    """A log-normal duration: half are below `median_ms`; `sigma` is the deviation of its natural logarithm."""

    median_ms: Milliseconds
    sigma: Annotated[float, Meta(ge=0, le=3)] = 0.25


class Latency(_Part, frozen=True):
    """How long a model takes: until its first token, and for each token after it."""

    first_token: LogNormal = LogNormal(400.0, 0.3)
    token: LogNormal = LogNormal(12.0, 0.25)


class Limits(_Part, frozen=True):
    """The provider's limits of one model, per minute and per day; None: no such limit."""

    rpm: Positive | None = None
    tpm: Positive | None = None
    rpd: Positive | None = None
    tpd: Positive | None = None


class PromptCache(_Part, frozen=True):
    """The prompt cache of one model (OpenAI prompt-caching guide): prefixes from `minimum_tokens`, in steps of
    `step_tokens`, kept for `ttl_s` after the last use. `bills_writes` as from gpt-5.6 on: usage then shows
    `cache_write_tokens`, and explicit breakpoints are obeyed. `minimum_tokens` 0 switches the cache off."""

    minimum_tokens: Count = 1024
    step_tokens: Positive = 128
    ttl_s: Seconds = 1800.0
    bills_writes: bool = True


class Model(_Part, frozen=True):
    """One model of the provider.

    `snapshot` is the dated name that answers carry, where the real API does that; `shutdown_date` is what
    GET /v1/models shows, and from that day on (UTC) the model is gone.
    """

    kind: ModelKind = "text"
    tier: Tier = "mini"
    snapshot: str = ""
    created: Count = 1_780_272_000  # 2026-06-01
    shutdown_date: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    context_tokens: Positive = 400_000
    max_output_tokens: Positive = 128_000
    is_reasoning: bool = False
    dimensions: Positive = 1536
    latency: Latency = Latency()
    limits: Limits = Limits()
    cache: PromptCache = PromptCache()


class PlannedCall(_Part, frozen=True):
    """A tool call to make; without `arguments` they are made up to satisfy the tool's schema."""

    name: str
    arguments: dict[str, object] | None = None


class Say(_Part, frozen=True):
    """What to answer: exactly one of `text`, `json`, `tool_calls` and `refusal`.

    Text, JSON strings, arguments and refusals are templates: `{{input}}` is the last user text, `{{model}}` the
    model, `{{tool_output}}` the latest tool output, `{{1}}` and `{{name}}` the groups of the rule's `matches`, or else
    of its `tool_says`.
    `is_filtered` ends the text as the provider's content filter does.
    """

    text: str | None = None
    json: object = None
    tool_calls: tuple[PlannedCall, ...] = ()
    refusal: str | None = None
    is_filtered: bool = False

    def __post_init__(self) -> None:
        given = (self.text is not None) + (self.json is not None) + bool(self.tool_calls) + (self.refusal is not None)
        if given != 1:
            raise ValueError("give exactly one of `text`, `json`, `tool_calls` and `refusal`")


class When(_Part, frozen=True):
    """Which requests a rule is for: all the conditions that are given must hold for the last user text.

    `contains` ignores case; `matches` is a regular expression that is searched for; `equals` ignores white space
    around. `has_tool` asks that a tool of that name is offered; `after_tools` that the input ends with tool
    outputs (true) or does not (false). `tool_says` is a regular expression that is searched for in the latest of them:
    so a model is played that obeys what stands there.
    """

    model: str = ""
    tier: Tier | None = None
    endpoint: SimulatedEndpoint | None = None
    contains: str = ""
    matches: str = ""
    equals: str | None = None
    has_tool: str = ""
    after_tools: bool | None = None
    tool_says: str = ""


class Case(_Part, frozen=True):
    """One entry of a golden set: an input, what is right, and what a weaker model says instead."""

    input: str
    say: str | Say
    wrong: tuple[str | Say, ...] = ()


class RightShare(_Part, frozen=True):
    """On which share of inputs a model of each tier is right."""

    nano: Share = 1.0
    mini: Share = 1.0
    flagship: Share = 1.0


class Rule(_Part, frozen=True):
    """A scripted answer: `say` for the requests that `when` selects, or the answers of a golden set.

    A golden set stands in `cases`, or in the JSON Lines file `cases_file` (relative to the plan file) whose
    lines have `input_field` and `answer_field`, and may have `wrong`: a list. `look_for` says whether the last
    user text is a case's input or only contains it.

    Where a model is not right (`right_share`), it says one of `wrong`, else the answer of another case.
    """

    when: When = When()
    say: str | Say | None = None
    cases: tuple[Case, ...] = ()
    cases_file: str = ""
    input_field: str = "input"
    answer_field: str = "answer"
    look_for: Literal["equal", "contained"] = "equal"
    wrong: tuple[str | Say, ...] = ()
    right_share: RightShare = RightShare()

    def __post_init__(self) -> None:
        if (self.say is not None) + bool(self.cases) + bool(self.cases_file) != 1:
            raise ValueError("give exactly one of `say`, `cases` and `cases_file`")


class _Fault(_Part, frozen=True, tag_field="kind"):
    """When a fault strikes: on `model` and `endpoint` (any, if not given), between `from_s` and `until_s` after
    the start, on a `share` of the requests that match, at most `count` times, after `skip` were let through."""

    model: str = ""
    endpoint: SimulatedEndpoint | None = None
    from_s: Seconds = 0.0
    until_s: Seconds | None = None
    share: Share = 1.0
    count: Positive | None = None
    skip: Count = 0


class Outage(_Fault, frozen=True, tag="outage"):
    """The provider is down: the connection breaks without an answer, or every answer is a 503."""

    is_silent: bool = False


class ErrorFault(_Fault, frozen=True, tag="error"):
    """An error status, with Retry-After where given."""

    status: Annotated[int, Meta(ge=400, le=599)] = 500
    message: str = "The server had an error while processing your request. Sorry about that!"
    code: str | None = None
    retry_after_s: Seconds | None = None


class RateLimited(_Fault, frozen=True, tag="rate_limited"):
    """A 429 whatever the buckets say."""

    limit: Literal["requests", "tokens"] = "requests"
    retry_after_s: Seconds = 1.0


class QuotaExhausted(_Fault, frozen=True, tag="quota_exhausted"):
    """The 429 that no retry helps against: `insufficient_quota`."""


class ModelRetired(_Fault, frozen=True, tag="model_retired"):
    """The 404 of a model that was shut down."""


class BadKey(_Fault, frozen=True, tag="bad_key"):
    """The 401 of a revoked key."""


class SlowStart(_Fault, frozen=True, tag="slow_start"):
    """The head of the answer comes `delay_s` seconds late. Not scaled by the pace."""

    delay_s: Seconds = 10.0


class Stall(_Fault, frozen=True, tag="stall"):
    """A stream falls silent after `after_events` events, or after `after_content` pieces of content; for `for_s`
    seconds, or for ever. A plain answer falls silent in the middle; `before_head`: before anything is sent."""

    after_events: Count | None = None
    after_content: Count | None = None
    for_s: Seconds | None = None
    before_head: bool = False


class Cut(_Fault, frozen=True, tag="cut"):
    """A connection that breaks: places as for `stall`."""

    after_events: Count | None = None
    after_content: Count | None = None
    before_head: bool = False


class Malformed(_Fault, frozen=True, tag="malformed"):
    """An answer that is not JSON: a body that ends too early, a proxy's HTML page, or in a stream an event whose
    data is broken (the first piece of content)."""

    shape: Literal["truncated", "html"] = "truncated"


class Failing(_Fault, frozen=True, tag="failing"):
    """The generation itself fails after `after_content` pieces of content: `response.failed` or, with `event`
    "error", an error event; in Chat an error object in the stream. A plain Chat answer becomes a 500."""

    after_content: Count = 0
    event: Literal["response.failed", "error"] = "response.failed"
    code: Literal["server_error", "rate_limit_exceeded"] = "server_error"


Fault = (
    Outage
    | ErrorFault
    | RateLimited
    | QuotaExhausted
    | ModelRetired
    | BadKey
    | SlowStart
    | Stall
    | Cut
    | Malformed
    | Failing
)


def _latency(first_token_ms: float, token_ms: float) -> Latency:
    return Latency(LogNormal(first_token_ms, 0.3), LogNormal(token_ms, 0.25))


BUILT_IN_MODELS: dict[str, Model] = {
    "gpt-6-luna": Model(tier="nano", snapshot="gpt-6-luna-2026-08-20", latency=_latency(220, 5)),
    "gpt-6.1-terra": Model(
        tier="mini", snapshot="gpt-6.1-terra-2026-10-06", context_tokens=1_000_000, latency=_latency(350, 9)
    ),
    "gpt-6.1-sol": Model(
        tier="flagship",
        snapshot="gpt-6.1-sol-2026-10-06",
        context_tokens=1_000_000,
        is_reasoning=True,
        latency=_latency(600, 14),
    ),
    "claude-sonnet-5": Model(
        tier="mini",
        context_tokens=1_000_000,
        is_reasoning=True,
        latency=_latency(500, 12),
        cache=PromptCache(step_tokens=1, ttl_s=300.0),
    ),
    "gemini-3.5-flash": Model(
        tier="mini",
        context_tokens=1_000_000,
        is_reasoning=True,
        latency=_latency(400, 6),
    ),
    "gpt-3.5-turbo-instruct": Model(
        tier="nano",
        created=1_692_901_427,
        context_tokens=4096,
        max_output_tokens=4096,
        latency=_latency(200, 5),
        cache=PromptCache(minimum_tokens=0),
    ),
    "text-embedding-3-small": Model(
        kind="embedding", tier="nano", created=1_705_948_997, context_tokens=8192, latency=_latency(60, 0)
    ),
    "omni-moderation-latest": Model(
        kind="moderation", tier="nano", created=1_731_689_265, context_tokens=32_768, latency=_latency(80, 0)
    ),
    "gpt-image-1": Model(kind="image", created=1_745_517_030, latency=_latency(6000, 0)),
    "gpt-4o-mini-tts": Model(
        kind="speech", created=1_742_403_959, shutdown_date="2027-01-06", context_tokens=2000, latency=_latency(300, 4)
    ),
    "gpt-4o-mini-transcribe": Model(kind="transcription", created=1_742_068_596, latency=_latency(500, 4)),
    "gpt-realtime-2": Model(
        kind="realtime",
        tier="flagship",
        created=1_782_864_000,
        context_tokens=128_000,
        max_output_tokens=32_000,
        latency=_latency(300, 8),
        cache=PromptCache(minimum_tokens=0),
    ),
}
"""The models of a plan that names none. Their limits are open and their latencies plausible, not measured."""


class Plan(_Part, frozen=True):
    """Everything that a simulated provider is told.

    Attributes:
        seed: what all chance derives from.
        pace: what every latency is multiplied by: 1 as planned, 0 without any delay.
        organization: what `openai-organization` and the messages of limits say.
        api_keys: the keys that are accepted; any, if there are none.
        answer_tokens: about how long an unscripted text is.
        models: by id.
        rules: scripted answers; the first that fits speaks.
        faults: the first that fits strikes.
        stored_responses: how many responses are kept, the oldest is forgotten first.
        remembered_requests: how many requests `GET /simulator/requests` can show.
    """

    seed: int = 0
    pace: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    organization: str = "org-simulator"
    api_keys: tuple[str, ...] = ()
    answer_tokens: Annotated[int, Meta(ge=1, le=100_000)] = 32
    models: dict[str, Model] = msgspec.field(default_factory=BUILT_IN_MODELS.copy)
    rules: tuple[Rule, ...] = ()
    faults: tuple[Fault, ...] = ()
    stored_responses: Positive = 1000
    remembered_requests: Count = 200
