"""Stores: where records stay and are looked up. One file (or two) an engine; all speak `Store`.

A store is filled by exactly one drainer, batch by batch. A batch is one transaction: the calls, what is counted of
them, and how far each journal segment has been read. So a call is there once, whatever is killed when.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from headworks.calls import (
    AuditEvent,
    Caller,
    Extras,
    ObjectNote,
    Opened,
    Outcome,
    OutcomeReport,
    Settled,
    Usage,
    UsageSource,
    Verdict,
)
from headworks.records.stores.lengths import OutputCount, OutputLengths, Span, Wasted
from headworks.records.stores.reports import Figures, OutcomeDimension, OutcomeSelection, Reported, Tally

__all__ = [
    "PREFIX_DAYS",
    "Batch",
    "Bodies",
    "Committed",
    "ContentKind",
    "Dimension",
    "Figures",
    "Intake",
    "ObjectSelection",
    "OutcomeDimension",
    "OutcomeSelection",
    "OutputCount",
    "OutputLengths",
    "Progress",
    "Record",
    "Reported",
    "ResponseOrigin",
    "Selection",
    "Span",
    "Store",
    "Tally",
    "Total",
    "Wasted",
]


_decode_extras = msgspec.json.Decoder(Extras).decode


class Record(msgspec.Struct, frozen=True):
    """One settled call as the store knows it. Fields as in `calls.Opened` and `calls.Settled`.

    `seq` grows in the order in which calls came into the store. A *lost* call has status 0, no times, no usage and
    `error_code` "lost": its process died, and what became of it upstream is not known. `cost_pico` is None where the
    cost is not known, as it is of every call that an earlier release recorded. `cache_age_s` is None unless the answer
    was an earlier call's: how old it was. `cache_saved_pico` is what that call cost, None where nobody knows. `extras`
    is JSON, "" where there are none.
    """

    seq: int
    call_id: str
    opened_us: int
    outcome: Outcome
    status: int
    error_code: str
    endpoint: str
    requested_model: str
    provider: str
    model: str
    served_model: str
    key_id: str
    owner: str
    team: str
    user: str
    is_streamed: bool
    total_us: int
    first_token_us: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage_source: UsageSource
    attempts: int
    finish_reason: str
    response_id: str
    upstream_request_id: str
    request_bytes: int
    response_bytes: int
    workload: str
    prompt_version: str
    prompt_hash: str
    schema_hash: str
    verdict: Verdict
    repairs: int
    wasted_tokens: int
    caller_key: str
    trace_id: str
    course: str
    cost_pico: int | None
    price_version: str
    service_tier: str
    cache_age_s: int | None
    cache_saved_pico: int | None
    extras: str

    @property
    def usage(self) -> Usage:
        """What it used."""
        return Usage(
            self.input_tokens,
            self.cached_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.usage_source,
            extras=_decode_extras(self.extras) if self.extras else None,
        )


class Progress(msgspec.Struct, frozen=True):
    """How far a segment has been read. When it is finished, nothing in it is needed any more."""

    offset: int
    is_finished: bool = False


class Batch(msgspec.Struct, frozen=True):
    """What becomes durable in one transaction.

    Attributes:
        settled: calls that ended.
        opened: calls that began and are not among `settled`, each with its writer.
        ended_writers: writers that will settle nothing any more; what they have open is lost.
        progress: by segment name, how far it is read with this batch.
        forgotten: names of segments that are gone.
        outcomes: what was reported of calls, whether they are known yet or not.
        prefixes: fingerprints of the requests of calls among `settled`, by call id. Kept for `PREFIX_DAYS`.
        objects: what was made at providers, and what became of it.
        events: what else was done: for the audit log, and nothing to a store of records.
        cached: of calls among `settled` that were given an earlier call's answer, by call id: what that call cost in
            pico-dollars (-1: not known), and the answer's age in seconds.
        closing: ids of the calls among `settled` that an earlier batch may have opened; None: all of them.
    """

    settled: Sequence[Settled] = ()
    opened: Sequence[tuple[str, Opened]] = ()
    ended_writers: Sequence[str] = ()
    progress: Mapping[str, Progress] = {}
    forgotten: Sequence[str] = ()
    outcomes: Sequence[OutcomeReport] = ()
    prefixes: Mapping[str, bytes] = {}
    objects: Sequence[ObjectNote] = ()
    events: Sequence[AuditEvent] = ()
    cached: Mapping[str, tuple[int, int]] = {}
    closing: Sequence[str] | None = None

    @property
    def closed(self) -> Sequence[str]:
        """Ids of calls that are open no longer, if they were."""
        return [one.opened.call_id for one in self.settled] if self.closing is None else self.closing


class Committed(msgspec.Struct, frozen=True):
    """What a batch came to: calls that are new in the store, lost ones among them, and calls it had before."""

    recorded: int
    lost: int
    duplicates: int


class Selection(msgspec.Struct, frozen=True):
    """Which calls to look at. What is None or empty selects nothing away; all that is given must hold.

    Times are microseconds since the Unix epoch, `since_us` included, `until_us` not. `model` is compared with what
    was asked for, what it was resolved to and what the provider says it served; there `*` stands for any characters.
    `statuses` are the lowest and the highest HTTP status. `min_tokens` counts input and output together. `after_seq`
    selects what came into the store later, in that order; otherwise calls are ordered by the time they were opened.
    `teams`: those of any of these; None for all. `before`: time and `seq` of a call that the newest ones come before.
    """

    since_us: int | None = None
    until_us: int | None = None
    key_id: str = ""
    owner: str = ""
    team: str = ""
    user: str = ""
    endpoint: str = ""
    model: str = ""
    provider: str = ""
    statuses: tuple[int, int] | None = None
    outcomes: tuple[Outcome, ...] = ()
    error_code: str = ""
    response_id: str = ""
    min_tokens: int = 0
    workload: str = ""
    prompt_version: str = ""
    verdicts: tuple[Verdict, ...] = ()
    after_seq: int | None = None
    is_newest_first: bool = True
    limit: int = 100
    teams: tuple[str, ...] | None = None
    before: tuple[int, int] | None = None


Dimension = Literal["hour", "key_id", "team", "endpoint", "provider", "model", "outcome", "workload", "prompt_version"]


class Total(msgspec.Struct, frozen=True):
    """What calls of one group come to. `group` has a value for each dimension asked for; hours are Unix seconds.

    `total_us` and `first_token_us` are sums; `first_tokens` counts the calls that had a first token, `failures` those
    whose outcome was neither *answered* nor *cancelled*. `cost_pico` sums up the costs that are known, exactly;
    `unknown_costs` counts the calls whose cost is not, `estimated_costs` those whose cost rests on tokens counted here.
    """

    group: tuple[str | int, ...]
    calls: int
    failures: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_us: int
    first_token_us: int
    first_tokens: int
    attempts: int
    request_bytes: int
    response_bytes: int
    cost_pico: int
    unknown_costs: int
    estimated_costs: int


class Bodies(msgspec.Struct, frozen=True):
    """What was sent and answered, where configuration has it stored."""

    request: bytes
    response: bytes


ContentKind = Literal["request", "response", "values", "held", "prefix"]
"""What is kept of a call's content: the request as sent, the answer, the prompt's variables; and the fingerprint of the
request's beginning, which is no content, is not sealed, and expires like it."""

PREFIX_DAYS = 30
"""Fingerprints are for recent calls."""


class ResponseOrigin(msgspec.Struct, frozen=True):
    """Who made a stored response and where it lies."""

    key_id: str
    team: str
    provider: str


class ObjectSelection(msgspec.Struct, frozen=True):
    """Which objects of a caller to look at: those of one kind that its key or team has made, and that are not gone.

    `label` selects by purpose, "" nothing away. They come in the order in which they were made, the newest first unless
    `is_ascending`; `after` is the time and the id of the one behind which to begin.
    """

    kind: str
    caller: Caller
    label: str = ""
    after: tuple[int, str] | None = None
    is_ascending: bool = False
    limit: int = 100


class Intake(Protocol):
    """What journals are drained into. Every method raises `errors.StorageError` when it cannot."""

    def commit(self, batch: Batch) -> Committed:
        """Make a batch durable, whole or not at all. Calls that are known already change nothing."""
        ...

    def progress(self) -> dict[str, Progress]:
        """How far each segment has been read, by name."""
        ...

    def open_writers(self) -> set[str]:
        """Writers that have calls open."""
        ...


class Store(Intake, Protocol):
    """What a store does. Every method raises `errors.StorageError` when it cannot."""

    def select(self, selection: Selection) -> list[Record]:
        """The selected calls."""
        ...

    def get(self, call_id: str) -> Record | None:
        """One call."""
        ...

    def call_ids(self, prefix: str, limit: int) -> list[str]:
        """Ids of calls that begin so, in alphabetical order."""
        ...

    def last_seq(self) -> int:
        """The `seq` of the call that came last; 0 if there is none."""
        ...

    def bodies(self, seq: int) -> Bodies | None:
        """What is stored of a call's bodies."""
        ...

    def response_origin(self, response_id: str, caller: Caller | None) -> ResponseOrigin | None:
        """Who made a response; if a caller is given, only if it belongs to the caller's key or team."""
        ...

    def object_note(self, object_id: str) -> ObjectNote | None:
        """What is known of an object at a provider, gone or not."""
        ...

    def has_objects(self) -> bool:
        """Whether there is any object at a provider, gone or not."""
        ...

    def objects(self, selection: ObjectSelection) -> list[ObjectNote]:
        """The selected objects at providers."""
        ...

    def totals(self, dimensions: Sequence[Dimension], since_us: int | None, until_us: int | None) -> list[Total]:
        """Calls by group, the most frequent first. Times are widened to whole hours."""
        ...

    def content(self, seq: int, now_us: int) -> dict[ContentKind, bytes]:
        """What is kept of a call's content and has not expired, sealed; of the kind *prefix*, as it is."""
        ...

    def purge(self, now_us: int) -> int:
        """Remove content that has expired, in transactions of a bounded size; how many pieces."""
        ...

    def erase(self, user: str) -> int:
        """Remove all content that is kept of a person's calls, in transactions of a bounded size; how many pieces.

        What was recorded of the calls stays. An engine may keep what it has freed on its disk until it is used again.
        """
        ...

    def responses_of(self, user: str) -> list[tuple[str, str]]:
        """What others can go on from of a person's calls: of each the team, or the key where there is none, and the id
        of the response."""
        ...

    def prepare(self, now_us: int) -> None:
        """Make room for what is to come, where that takes time better spent before it comes."""
        ...

    def forget(self, before_us: int) -> int:
        """Remove calls that were opened before then, what is stored with them, and reports of before; how many calls.

        In transactions of a bounded size. What is counted by the hour stays. An engine may keep a call for up to a
        month longer.
        """
        ...

    def outcomes(self, selection: OutcomeSelection) -> list[Reported]:
        """The selected reports."""
        ...

    def outcomes_of(self, seq: int) -> list[OutcomeReport]:
        """What has been reported of one call, however it was named; one for each name and source."""
        ...

    def tallies(self, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Tally]:
        """What the reports on the calls of a span come to, by group of calls."""
        ...

    def figures(self, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Figures]:
        """What the calls of a span come to, by group."""
        ...

    def output_lengths(self, span: Span) -> list[OutputLengths]:
        """How long answers were. Times are widened to whole hours."""
        ...

    def wasted(self, span: Span) -> list[Wasted]:
        """What of the output was thrown away. Times are widened to whole hours."""
        ...

    def output_counts(self, span: Span) -> list[OutputCount]:
        """How long answers were exactly, from the records of the span, shortest first."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...
