"""Giving records to the sinks of other packages: a thread each, so that no call, no record and no sink waits for one.

What a sink raises is its own: its records are given again, after pauses that grow. How it stands is in `/metrics` and
in `headworks status`.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from headworks.console.sink_terms import SinkTerms
from headworks.errors import HeadworksError
from headworks.extending import SINKS, load_extension
from headworks.records import Selection, Store, open_store
from headworks.records.sinks import RecordSink, open_cursors
from headworks.telemetry import RUN_FOLDER, GaugeFamily, Metrics, MetricsShare

POLL_S = 1.0
"""How often is looked for new records, in seconds."""

SHORTEST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
"""Before records are given again to a sink that has failed, in seconds: doubled each time, up to this."""

LAST_CHANCE_S = 5.0
"""How long sinks that are at work may keep this process from ending, all together, in seconds."""

PUBLISH_S = 1.0

SHARE = "sinks"
"""The name under which figures of sinks are left for others to read."""

PENDING, FAILURES, TAKEN = "sink_pending_records", "sink_failures", "sink_last_taken_timestamp_seconds"


class Sinking:
    """Gives from when it is made until `finish`. The caller holds `records.drain_lock` for that long.

    Arguments:
        url: of the database that has the records; "" for the file in the folder.
        say: writes a line to the operator's log; from threads.
        now: Unix seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        terms: tuple[SinkTerms, ...],
        storage: Path,
        url: str,
        *,
        say: Callable[[str], None],
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._published_s = -PUBLISH_S
        self._stop = threading.Event()
        self._giving = [Giving(one, storage, url, self._stop, say, now) for one in terms]
        self._threads = [threading.Thread(target=one.run, name=f"sink {one.name}", daemon=True) for one in self._giving]
        for thread in self._threads:
            thread.start()

    def publish(self, store: Store) -> None:
        """Leave figures for whoever scrapes, at most once a second. A gauge that is late is no more than that."""
        if self._clock() - self._published_s < PUBLISH_S:
            return
        self._published_s = self._clock()
        metrics = Metrics()
        last = store.last_seq()
        labels = ("sink",)
        standings = [(one.name, one.standing) for one in self._giving]
        metrics.families[PENDING] = GaugeFamily(
            "Records that a sink is still to be given, at most.",
            labels,
            {(name,): max(0, last - one.seq) for name, one in standings if one.seq >= 0},
        )
        metrics.families[FAILURES] = GaugeFamily(
            "How often in a row a sink has not taken what it was given.",
            labels,
            {(name,): one.failures for name, one in standings},
        )
        metrics.families[TAKEN] = GaugeFamily(
            "When a sink has last taken records, in Unix time.",
            labels,
            {(name,): one.taken_s for name, one in standings if one.taken_s},
        )
        MetricsShare(metrics, self._storage / RUN_FOLDER, SHARE).publish()

    def finish(self) -> None:
        """Begin nothing more, and end; whoever does not is left behind."""
        self._stop.set()
        due_s = time.monotonic() + LAST_CHANCE_S
        for thread in self._threads:
            thread.join(max(0.0, due_s - time.monotonic()))
        with suppress(OSError):  # the next one writes it anew; until then it is old, no more
            MetricsShare(Metrics(), self._storage / RUN_FOLDER, SHARE).publish()


class GivingStanding(msgspec.Struct):
    """How a sink stands. `seq` is its cursor, -1 before it is known; `failures` are those in a row."""

    seq: int = -1
    failures: int = 0
    taken_s: float = 0.0


class Giving:
    """Gives one sink its records. State: how it stands, and why it failed."""

    def __init__(
        self,
        terms: SinkTerms,
        storage: Path,
        url: str,
        stop: threading.Event,
        say: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        self.name = terms.name
        self.standing = GivingStanding()
        self._terms = terms
        self._storage = storage
        self._url = url
        self._stop = stop
        self._say = say
        self._now = now
        self._trouble = ""

    def run(self) -> None:
        """Until it is told to stop."""
        pause_s = SHORTEST_PAUSE_S
        while not self._stop.is_set():
            try:
                self._give_until_told()
            except Exception as error:  # noqa: BLE001 - another package's; its text may hold what it was given
                if not self.standing.failures:
                    pause_s = SHORTEST_PAUSE_S
                self.standing.failures += 1
                trouble = str(error) if isinstance(error, HeadworksError) else type(error).__name__
                if trouble != self._trouble:
                    self._trouble = trouble
                    self._say(f"the sink {self.name} has failed, and is given its records again later: {trouble}")
                self._stop.wait(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    def _give_until_told(self) -> None:
        make = cast("Callable[[Mapping[str, str]], RecordSink]", load_extension(SINKS, self._terms.use))
        store = open_store(self._storage, self._url)
        try:
            cursors = open_cursors(self._storage, self._url, f"{os.uname().nodename}:{self._storage}")
            try:
                first = store.last_seq() if self._terms.begins_at_end else 0
                self.standing.seq = cursors.find(self.name, first)
                sink = make(self._terms.settings)
                try:
                    while not self._stop.is_set():
                        may_send = cursors.may_send(self.name)
                        self.standing.seq = cursors.find(self.name, first)
                        if not may_send or not self._give(sink, store):
                            self._stop.wait(POLL_S)
                            continue
                        cursors.move(self.name, self.standing.seq)
                finally:
                    close = getattr(sink, "close", None)
                    if callable(close):
                        close()
            finally:
                cursors.close()
        finally:
            store.close()

    def _give(self, sink: RecordSink, store: Store) -> bool:
        """Give it the next records; False if there are none."""
        seq = self.standing.seq
        records = store.select(Selection(after_seq=seq, is_newest_first=False, limit=self._terms.batch))
        if not records:
            return False
        sink.write(records)
        self.standing.seq = records[-1].seq
        self.standing.taken_s = self._now()
        if self.standing.failures:
            self._say(f"the sink {self.name} takes records again")
        self.standing.failures, self._trouble = 0, ""
        return True
