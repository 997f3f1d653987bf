"""Records in a PostgreSQL database, which several machines may share. `headworks.postgres` speaks to the server,
`postgres_schema` has the tables; `postgres_intake` takes in what the drainer brings, `postgres_queries` and
`postgres_outcomes` look things up.
"""

from collections.abc import Sequence
from functools import partial

from headworks.calls import Caller, ObjectNote, OutcomeReport
from headworks.postgres import SILENCE_S, Link
from headworks.records.stores import (
    Batch,
    Bodies,
    Committed,
    ContentKind,
    Dimension,
    Figures,
    ObjectSelection,
    OutcomeDimension,
    OutcomeSelection,
    OutputCount,
    OutputLengths,
    Progress,
    Record,
    Reported,
    ResponseOrigin,
    Selection,
    Span,
    Tally,
    Total,
    Wasted,
    postgres_objects,
    postgres_outcomes,
    postgres_queries,
    postgres_retention,
)
from headworks.records.stores.postgres_intake import take_in
from headworks.records.stores.postgres_schema import MIGRATIONS, make_ahead
from headworks.records.stores.rollups import whole_hours

__all__ = ["SILENCE_S", "PostgresStore"]


class PostgresStore:
    """A `Store` in one database, whose tables are made when missing. For one thread at a time; readers have one each.

    After the server was away, the next use connects again.

    Arguments:
        url: `postgresql://...`, with the password if there is one.
        site: names the journals that fill it. Sites share calls, not progress: no drainer ends another's writers.
        silence_s: for how many seconds the server may be silent in the middle of a question.

    Raises:
        StorageError: it cannot be reached or used.
    """

    def __init__(self, url: str, site: str, *, silence_s: float = SILENCE_S) -> None:
        self._site = site
        self._link = Link(url, MIGRATIONS, silence_s=silence_s)

    def close(self) -> None:
        """Let go of the connection. Harmless to call twice."""
        self._link.close()

    def commit(self, batch: Batch) -> Committed:
        """Make a batch durable, whole or not at all. Calls that are known already change nothing."""
        return self._link.write(lambda connection: take_in(connection, batch, self._site))

    def progress(self) -> dict[str, Progress]:
        """How far each segment of the site has been read, by name."""
        return self._link.ask(lambda connection: postgres_queries.progress(connection, self._site))

    def open_writers(self) -> set[str]:
        """Writers of the site that have calls open."""
        return self._link.ask(lambda connection: postgres_queries.open_writers(connection, self._site))

    def select(self, selection: Selection) -> list[Record]:
        """The selected calls."""
        return self._link.ask(lambda connection: postgres_queries.select(connection, selection))

    def get(self, call_id: str) -> Record | None:
        """One call."""
        return self._link.ask(lambda connection: postgres_queries.get(connection, call_id))

    def call_ids(self, prefix: str, limit: int) -> list[str]:
        """Ids of calls that begin so, in alphabetical order."""
        return self._link.ask(lambda connection: postgres_queries.call_ids(connection, prefix, limit))

    def last_seq(self) -> int:
        """The `seq` of the call that came last; 0 if there is none."""
        return self._link.ask(postgres_queries.last_seq)

    def bodies(self, seq: int) -> Bodies | None:
        """What is stored of a call's bodies."""
        return self._link.ask(lambda connection: postgres_queries.bodies(connection, seq))

    def response_origin(self, response_id: str, caller: Caller | None) -> ResponseOrigin | None:
        """Who made a response; if a caller is given, only if it belongs to the caller's key or team."""
        return self._link.ask(lambda connection: postgres_queries.response_origin(connection, response_id, caller))

    def object_note(self, object_id: str) -> ObjectNote | None:
        """What is known of an object at a provider, gone or not."""
        return self._link.ask(lambda connection: postgres_objects.object_note(connection, object_id))

    def has_objects(self) -> bool:
        """Whether there is any object at a provider, gone or not."""
        return (
            self._link.ask(lambda connection: connection.execute("SELECT 1 FROM objects LIMIT 1").fetchone())
            is not None
        )

    def objects(self, selection: ObjectSelection) -> list[ObjectNote]:
        """The selected objects at providers."""
        return self._link.ask(lambda connection: postgres_objects.select(connection, selection))

    def totals(self, dimensions: Sequence[Dimension], since_us: int | None, until_us: int | None) -> list[Total]:
        """Calls by group, the most frequent first. Times are widened to whole hours."""
        hours = whole_hours(since_us, until_us)
        return self._link.ask(lambda connection: postgres_queries.totals(connection, dimensions, *hours))

    def content(self, seq: int, now_us: int) -> dict[ContentKind, bytes]:
        """What is kept of a call's content and has not expired, sealed."""
        return self._link.ask(lambda connection: postgres_queries.content(connection, seq, now_us))

    def purge(self, now_us: int) -> int:
        """Remove content that has expired, in transactions of a bounded size; how many pieces."""
        removed = 0
        while True:
            pieces = self._link.write(lambda connection: postgres_queries.expire(connection, now_us))
            removed += pieces
            if pieces < postgres_queries.PURGE_PIECES:
                return removed

    def erase(self, user: str) -> int:
        """Remove all content that is kept of a person's calls; the server frees its place with its next VACUUM."""
        removed, seen_seq = 0, -1
        # Until none has come since it was begun.
        while seqs := self._link.ask(partial(postgres_retention.calls_of, user=user, seen_seq=seen_seq)):
            seen_seq = seqs[-1]
            for begin in range(0, len(seqs), postgres_retention.STEP_CALLS):
                some = seqs[begin : begin + postgres_retention.STEP_CALLS]
                removed += self._link.write(partial(postgres_retention.erase_some, seqs=some))
        return removed

    def responses_of(self, user: str) -> list[tuple[str, str]]:
        """Of each call of a person the team, or the key where there is none, and the id of the response."""
        return self._link.ask(partial(postgres_retention.responses_of, user=user))

    def prepare(self, now_us: int) -> None:
        """Make the partitions of this month and the next two: so none is made while calls wait to be recorded."""
        self._link.write(lambda connection: make_ahead(connection, now_us))

    def forget(self, before_us: int) -> int:
        """Drop the months that were over by then, with all that belongs to their calls; how many calls."""
        removed, step = 0, postgres_retention.Step()
        while not step.is_done:
            seen = step.seen_seq
            step = self._link.write(partial(postgres_retention.forget_some, before_us=before_us, seen_seq=seen))
            removed += step.calls
        return removed

    def outcomes(self, selection: OutcomeSelection) -> list[Reported]:
        """The selected reports."""
        return self._link.ask(lambda connection: postgres_outcomes.select(connection, selection))

    def outcomes_of(self, seq: int) -> list[OutcomeReport]:
        """What has been reported of one call, however it was named; one for each name and source."""
        return self._link.ask(lambda connection: postgres_outcomes.of_call(connection, seq))

    def tallies(self, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Tally]:
        """What the reports on the calls of a span come to, by group of calls."""
        return self._link.ask(lambda connection: postgres_outcomes.tallies(connection, dimensions, span))

    def figures(self, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Figures]:
        """What the calls of a span come to, by group."""
        return self._link.ask(lambda connection: postgres_outcomes.figures(connection, dimensions, span))

    def output_lengths(self, span: Span) -> list[OutputLengths]:
        """How long answers were. Times are widened to whole hours."""
        return self._link.ask(lambda connection: postgres_outcomes.output_lengths(connection, span))

    def wasted(self, span: Span) -> list[Wasted]:
        """What of the output was thrown away. Times are widened to whole hours."""
        return self._link.ask(lambda connection: postgres_outcomes.wasted(connection, span))

    def output_counts(self, span: Span) -> list[OutputCount]:
        """How long answers were exactly, from the records of the span, shortest first."""
        return self._link.ask(lambda connection: postgres_outcomes.output_counts(connection, span))
