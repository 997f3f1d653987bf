"""The words of the domain: values that cross from one room to another. No I/O; everyone may import this.

The names are the field's: a *call* is one request of an application to a model; an *attempt* is one request of
ours to an upstream on its behalf; a call is *opened* before the first attempt and *settled* once, whatever
happens to it.
"""

import enum
from typing import Literal

import msgspec

from headworks.errors import HeadworksError


class Endpoint(enum.StrEnum):
    """What is called, named as in the OpenAI API, `messages` as in Anthropic's, `generate_content` as in Google's. Only
    upstreams speak `converse` and `invoke_model`, which are AWS's, and `embed_content`, Google's. The value is what
    records, metrics and key scopes show."""

    RESPONSES = "responses"
    CHAT = "chat.completions"
    COMPLETIONS = "completions"
    MESSAGES = "messages"
    GENERATE_CONTENT = "generate_content"
    CONVERSE = "converse"
    INVOKE_MODEL = "invoke_model"
    EMBED_CONTENT = "embed_content"
    EMBEDDINGS = "embeddings"
    MODERATIONS = "moderations"
    IMAGES = "images"
    AUDIO = "audio"
    REALTIME = "realtime"
    MODELS = "models"
    FILES = "files"
    BATCHES = "batches"
    CONVERSATIONS = "conversations"
    VECTOR_STORES = "vector_stores"
    FINE_TUNING = "fine_tuning"
    EVALS = "evals"
    CACHED_CONTENTS = "cached_contents"
    OUTCOMES = "outcomes"
    APPROVALS = "approvals"
    TRACES = "traces"


CALLED = tuple(one for one in Endpoint if one not in (Endpoint.CONVERSE, Endpoint.INVOKE_MODEL, Endpoint.EMBED_CONTENT))
"""What callers can call."""


class Caller(msgspec.Struct, frozen=True):
    """Who calls: the virtual key and the names that an administrator gave it. Empty strings mean "none"."""

    key_id: str = ""
    owner: str = ""
    team: str = ""


class Limits(msgspec.Struct, frozen=True):
    """How much may be asked for, of a model by us, or of us by a key or a team; None where there is no limit. Tokens
    are those of input and output together, but where they are counted apart: input is then without what was read from
    a cache. A day is 24 hours, wherever it begins."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None


NO_LIMITS = Limits()


class Budget(msgspec.Struct, frozen=True):
    """How much money may be spent in a calendar day and month (UTC), in whole pico-dollars; None where there is no
    bound.

    Attributes:
        is_hard: calls are refused that could exceed it; else exceeding it is only told.
        alert_at: percents of it at which somebody is told.
    """

    day_pico: int | None = None
    month_pico: int | None = None
    is_hard: bool = True
    alert_at: tuple[int, ...] = (80, 100)


NO_BUDGET = Budget()

PRIORITIES = 4
"""Classes of priority, from 0, which is served first and refused last, to 3."""

USUAL_PRIORITY = 1
"""Of whom nobody has given another: there is room above and below."""

DEFERRED_PRIORITY = PRIORITIES - 1
"""Of calls that nobody waits for."""


class Team(msgspec.Struct, frozen=True):
    """What holds for all keys of a team.

    Attributes:
        limits: what they may ask for together.
        weight: of its share of a quota that calls wait for, against the weights of others.
        priority: of its keys that have none of their own; None means the usual one.
    """

    limits: Limits = NO_LIMITS
    weight: int = 1
    priority: int | None = None

    def priority_of(self, own: int | None) -> int:
        """The priority of a key of this team: its own, else its team's, else the usual one."""
        if own is not None:
            return own
        return USUAL_PRIORITY if self.priority is None else self.priority


NO_TEAM = Team()

UsageSource = Literal["provider", "estimated", "none"]


class Extras(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What some calls use beyond tokens of text.

    Tokens are parts of those in `Usage`: `long_cache_write_tokens` of its cache writes (those with the longer time to
    live), `audio_input_tokens`, `image_input_tokens` and `video_input_tokens` of its input, `cached_audio_tokens` and
    `cached_image_tokens` of its cached input and of these, the output ones of its output. The rest are counts beside
    tokens; `annotated_pages` are part of `pages`, `audio_s` is whole seconds of sound, transcribed or spoken.
    `foreign_tokens` are those of another model that took part (one that draws, say), at a price that nobody tells.
    `container_runs` is how often code ran in a container at the provider, which bills the container's time and does not
    tell it.
    """

    long_cache_write_tokens: int = 0
    audio_input_tokens: int = 0
    cached_audio_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    cached_image_tokens: int = 0
    image_output_tokens: int = 0
    video_input_tokens: int = 0
    video_output_tokens: int = 0
    citation_tokens: int = 0
    web_searches: int = 0
    file_searches: int = 0
    messages: int = 0
    pages: int = 0
    annotated_pages: int = 0
    characters: int = 0
    audio_s: int = 0
    foreign_tokens: int = 0
    container_runs: int = 0

    def plus(self, other: "Extras") -> "Extras":
        """What two attempts have used."""
        return Extras(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


def extras_of(**counts: int | None) -> Extras | None:
    """What is more than nothing of these; None where nothing is."""
    found = {name: count for name, count in counts.items() if count}
    return Extras(**found) if found else None


def both_extras(one: Extras | None, other: Extras | None) -> Extras | None:
    """What two attempts have used; None where neither has used any."""
    return other if one is None else one if other is None else one.plus(other)


class Usage(msgspec.Struct, frozen=True, gc=False):
    """The tokens of one call, in one convention whatever the provider's own.

    `input_tokens` includes `cached_tokens` and `cache_write_tokens`; `output_tokens` includes
    `reasoning_tokens` (as the OpenAI API counts; Anthropic's figures are converted by its provider file).
    `source` says whether the provider stated the figures, or they were counted offline because it was silent
    (a cut stream), or there are none to state (a refused call). `charged_pico` is what it says that it has charged, in
    pico-dollars; -1 where it does not say. `extras` is None of a call of text alone.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    source: UsageSource = "none"
    charged_pico: int = -1
    extras: Extras | None = None


NO_USAGE = Usage()


class Weight(msgspec.Struct, frozen=True, gc=False):
    """What a request was found to hold before it is made.

    Attributes:
        text_bytes: of its body, without encoded media.
        media_tokens: of its pictures, sound and files, by the providers' rules.
        text_tokens: of everything else, counted with the model's own tokenizer; None where it was not.
    """

    text_bytes: int
    media_tokens: int = 0
    text_tokens: int | None = None


class FailureKind(enum.StrEnum):
    """Why an attempt failed, provider-neutral. Only routing decides what to do about it."""

    UNREACHABLE = "upstream_unreachable"  # no connection: DNS, refused, TLS, proxy
    TIMEOUT = "upstream_timeout"  # a deadline of the attempt passed
    BROKEN = "upstream_broken"  # the connection ended before the answer did
    INVALID = "upstream_invalid"  # not HTTP, not JSON, not the promised shape
    RATE_LIMITED = "upstream_rate_limited"
    QUOTA = "upstream_quota_exhausted"
    OVERLOADED = "upstream_overloaded"
    ERROR = "upstream_error"  # any other 5xx
    UNAUTHORIZED = "upstream_unauthorized"  # our provider key, never the caller's
    REJECTED = "upstream_rejected"  # the provider refused the request itself (4xx)
    TOO_LONG = "context_length_exceeded"  # it refused it for its length: a larger window may hold it
    OVERSIZED = "request_over_limit"  # it refused it as larger than a whole rate limit: no waiting helps
    REFUSED = "content_refused"  # it, or its model, declined for what the request is about
    GONE = "upstream_model_gone"  # it has no such model: retired, or never there
    UNFIT = "output_invalid"  # the answer breaks the workload's schema
    BLOCKED = "output_blocked"  # a rule of the workload forbids the answer
    DENIED = "action_denied"  # the contract forbids a tool that the model calls
    HELD = "action_held"  # a tool call waits for a person
    OPEN = "circuit_open"  # not asked: its circuit breaker is open
    LIMITED = "rate_limit_exceeded"  # not asked: a limit of ours is reached
    BUDGET = "budget_exceeded"  # not asked: it could cost more than a budget has left
    STOPPED = "gateway_stopping"  # we stop and could not wait for the answer's end


class Failure(msgspec.Struct, frozen=True):
    """How an attempt ended when it did not end well.

    `detail` is for the operator (which host, which step); it holds no secret and no prompt. `status` is the
    upstream's HTTP status, 0 where none arrived; `retry_after_s` the seconds to wait, where it says so in its body.
    `may_retry` is False where the upstream says that the same must not be asked again.
    """

    kind: FailureKind
    detail: str
    status: int = 0
    retry_after_s: float | None = None
    may_retry: bool = True


class AttemptFailed(HeadworksError):
    """An attempt failed in a way that shows only while its answer is read. `failure` is what routing acts on, `usage`
    what the upstream charges all the same."""

    def __init__(self, failure: Failure, usage: Usage | None = None) -> None:
        super().__init__(failure.detail)
        self.failure = failure
        self.usage = usage


class UnreadableAnswer(AttemptFailed):
    """An upstream answered something that is not its dialect: not JSON, not the shape, or past a bound.

    The text names the place and never the content.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(Failure(FailureKind.INVALID, detail))


Outcome = Literal["answered", "refused", "failed", "cancelled", "lost"]
"""How a call ended: *answered* (the upstream's answer was relayed, an upstream error relayed as such is
*failed*), *refused* by Headworks before any attempt, *failed* upstream, *cancelled* by the client going away,
*lost* because the process died while it was under way."""

Verdict = Literal["", "valid", "repaired", "marked", "invalid", "blocked", "held"]
"""How a workload's output was judged: not at all, *valid* at once, *repaired* by a further turn, *marked* (passed on
although a rule failed), *invalid* (never passed on), *blocked* by a rule or the action policy, *held* for approval."""

WITHHELD: frozenset[Verdict] = frozenset({"invalid", "blocked", "held"})
"""Of answers that callers must not get: neither from us, nor from a provider that has stored them."""


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="o", gc=False):
    """The journal entry that is durable before an upstream is called: who calls what.

    Times are microseconds since the Unix epoch. `source` is the address that the call came from, where there is an
    audit log, which alone keeps it. Fields may be added at the end only: journals outlive releases.
    """

    call_id: str
    opened_us: int
    endpoint: str
    requested_model: str
    key_id: str = ""
    owner: str = ""
    team: str = ""
    user: str = ""
    provider: str = ""
    model: str = ""
    is_streamed: bool = False
    request_bytes: int = 0
    workload: str = ""
    source: str = ""


class Settled(msgspec.Struct, frozen=True, array_like=True, tag="s", gc=False):
    """The journal entry that is durable before a caller sees the end of its answer. Complete in itself.

    `total_us` and `first_token_us` (0 where no content came) count from `opened.opened_us`. `served_model` is
    the snapshot that the provider says it used. `usage_source` as in `Usage`. Bodies are empty unless
    configuration asks for them. Fields may be added at the end only.

    Of a call without a workload, the fields from `workload` on have their defaults. `wasted_tokens` are those of
    `output_tokens` that were paid for and thrown away by us (an answer that broke its schema, say). `caller_key` is
    the caller's own name for the call. `template_values` are the prompt's variables as JSON. Where
    `content_expires_us` is not 0, the bodies and the values were sealed (see `records.content`), and are kept until
    that time. `course` says what became of each attempt, in order: the target, and how its answer was judged (place
    and rule, never a value) or why there was none.

    `cost_pico` is what the call costs in pico-dollars, all attempts together; -1 where that is not known (no price, or
    no usage to go by). An attempt that failed and told no usage counts as free, unless the call ended with it and the
    upstream may have been at work. `price_version` is the price table's that it was computed with, "" where nothing
    was. `service_tier` is the one that the provider says it served. `extras` as in `Usage`.
    """

    opened: Opened
    outcome: Outcome
    status: int
    total_us: int
    first_token_us: int = 0
    error_code: str = ""
    finish_reason: str = ""
    served_model: str = ""
    response_id: str = ""
    upstream_request_id: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    usage_source: UsageSource = "none"
    attempts: int = 0
    response_bytes: int = 0
    request_body: bytes = b""
    response_body: bytes = b""
    workload: str = ""
    prompt_version: str = ""
    prompt_hash: str = ""
    schema_hash: str = ""
    verdict: Verdict = ""
    repairs: int = 0
    wasted_tokens: int = 0
    caller_key: str = ""
    trace_id: str = ""
    template_values: bytes = b""
    content_expires_us: int = 0
    course: str = ""
    cost_pico: int = -1
    price_version: str = ""
    service_tier: str = ""
    extras: Extras | None = None


class SettledWithPrefix(msgspec.Struct, frozen=True, array_like=True, tag="f", gc=False):
    """The journal entry of a settled call of a workload that keeps fingerprints (`caching.fingerprint`): an entry of
    its own, so that every other call pays nothing for it. Fields may be added at the end only."""

    settled: Settled
    prefix: bytes


class SettledFromCache(msgspec.Struct, frozen=True, array_like=True, tag="c", gc=False):
    """The journal entry of a settled call that was given an earlier call's answer: an entry of its own, so that every
    other call pays nothing for it. It used no tokens and cost nothing.

    `saved_pico` is what the earlier call cost, in pico-dollars; -1 where that is not known. `age_s` is how many seconds
    old the answer was. Fields may be added at the end only.
    """

    settled: Settled
    saved_pico: int
    age_s: int


OutcomeKind = Literal["boolean", "number", "label", "text", "demonstration"]
"""What is reported: yes or no, a figure, one of a few words, free text, or what the answer should have been."""


class OutcomeReport(msgspec.Struct, frozen=True, array_like=True, tag="u"):
    """The journal entry of what an application found out about a call later: was it of use, and how much?

    It is about the call with the id `call_id`, or about all calls of a trace, or with the caller's own key: exactly
    one of the three is not empty. `value` is JSON. `key_id` and `team` say who reports: a report joins only calls of
    that key or team, or any call if both are empty (an operator's report, or a gateway without keys). `source` is who
    judged (`api`, `user`, a grader's name). Of the reports with the same call, name and source, the latest holds.
    Fields may be added at the end only.
    """

    outcome_id: str
    reported_us: int
    name: str
    kind: OutcomeKind
    value: str
    call_id: str = ""
    trace_id: str = ""
    caller_key: str = ""
    key_id: str = ""
    source: str = ""
    team: str = ""


class ObjectNote(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """The journal entry of an object that was made at a provider through us: a file, a batch, a fine-tuned model.

    `provider` is where it lies, with the pool; key and team are its owners. `kind` is the API's word for such objects
    (`file`, `batch`). `label` is what its list is filtered by (a file's purpose), or how far a batch is settled.
    `models` are the names that the lines of a batch's input file ask for, one a line, `?` where they are not known.
    Of two notes of one object the one that was `noted_us` later holds, but an object's place and owner stay what they
    were. Times are microseconds since the Unix epoch. Fields may be added at the end only.
    """

    object_id: str
    kind: str
    made_us: int
    noted_us: int
    provider: str
    key_id: str = ""
    team: str = ""
    label: str = ""
    models: str = ""
    is_gone: bool = False


class AuditEvent(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """The journal entry of what was done that is no call: a key made, a configuration taken, a held call approved.

    `action` is a word of the form `key.created`. `actor` is an operator's user name or a key's id, `origin` where it
    was done from (an address, a terminal), `target` what it was done to. `outcome` is `done`, `failed` or `refused`.
    `detail` is JSON, of names and figures: no prompt, no secret, no value of a person. Fields may be added at the end
    only.
    """

    event_id: str
    at_us: int
    action: str
    actor: str = ""
    origin: str = ""
    target: str = ""
    outcome: str = "done"
    detail: str = ""


JournalEntry = Opened | Settled | SettledWithPrefix | SettledFromCache | OutcomeReport | ObjectNote | AuditEvent
