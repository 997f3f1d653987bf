"""The body of the control-plane process: drain, rest, drain; till told to stop. Beside it a thread
seals the audit log: what that cannot take stays in the journals, and keeps no record waiting."""

import math
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.accounting import open_books
from headworks.auditing import AuditTerms, event, keep_for_audit, record_in
from headworks.console.alerting import Alert, Alerter, Channel
from headworks.console.auditing import Sealing
from headworks.console.growth import LOOK_EVERY_S, GrowthWatch
from headworks.errors import StorageError
from headworks.limits.books import KeptAuthority
from headworks.limits.budgets import Crossing
from headworks.limits.local import serving_leases
from headworks.records import JOURNAL_FOLDER, Drained, Drainer, Store, ask_for_turn, drain_lock, open_store
from headworks.telemetry import RUN_FOLDER, GaugeFamily, Metrics, MetricsShare, report

if TYPE_CHECKING:
    from headworks.console.sink_terms import SinkTerms
    from headworks.console.sinking import Sinking

SHORTEST_REST_S = 0.15
LONGEST_REST_S = 0.3
"""Rests between two passes, in seconds: doubled as long as there is nothing to do. The longest is what a new record
may take to be seen, and what an idle gateway is woken for; shorter ones than these would only make more and smaller
batches."""

NICENESS = 10
"""Where the processor is short, workers go before: answering callers cannot wait, and the journal can. Nice levels are
1.25 apart in share (sched(7)), so this process still gets a tenth of a core that one worker would fill."""

LONGEST_RETRY_S = 10.0
"""Rests between attempts at a store that cannot be used, in seconds: doubled up to this."""

Rest = Callable[[float], bool]
"""Waits so many seconds, or less when told to stop; returns whether it was."""


def control_plane(
    storage: Path,
    url: str = "",
    *,
    keep_days: int | None = None,
    serves_leases: bool,
    channels: Sequence[Channel] = (),
    audit: AuditTerms | None = None,
    sinks: tuple["SinkTerms", ...] = (),
) -> int:
    """Be the control plane of this process until SIGTERM; returns the exit code. For the process that the supervisor
    starts.

    Arguments:
        url: of the database that has the records; "" for the file in the folder.
        keep_days: how long records are kept; None: for ever.
        serves_leases: this machine's workers ask here for their leases of shared quotas. What they may spend of
            budgets they ask here in any case.
        channels: who is told when a budget is reached.
        audit: what the audit log is sealed with; None: there is none.
        sinks: what records are given to beside the store.

    SIGINT is not for this process: Ctrl-C reaches it at the same time as the supervisor, which first lets the
    workers finish and then sends SIGTERM; their last records are still to be drained.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)

    def stop(_number: int, _frame: object) -> None:
        # A pipe, for an event or a condition must not be touched by a signal handler that may interrupt its owner.
        try:
            os.write(tell, b"!")
        except BlockingIOError:
            return  # told often enough

    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))  # whoever started us may have held it back till now
    try:
        alerter = Alerter(channels, report)

        def tell_crossing(crossing: Crossing) -> None:
            alerter.tell(_alert_of(crossing))
            if audit is not None:
                _record_crossing(storage, crossing)

        with serving_leases(
            storage,
            (lambda: KeptAuthority(storage)) if serves_leases else None,
            say=report,
            make_books=lambda: open_books(storage, url, tell_crossing),
        ):
            run(
                storage,
                url,
                keep_days=keep_days,
                audit=audit,
                sinks=sinks,
                rest=lambda seconds: bool(select.select([told], [], [], seconds)[0]),
                say=report,
            )
        alerter.close()
    finally:
        os.close(told)
        os.close(tell)
    return 0


def _record_crossing(storage: Path, crossing: Crossing) -> None:
    account = crossing.account
    detail: dict[str, str | int] = {"period": account.name.rpartition("/")[2], "percent": crossing.percent}
    reached = event("budget.reached", actor="headworks", origin="server", target=account.of, detail=detail)
    try:
        record_in(storage, reached)
    except StorageError as error:
        report(f"the audit log does not know of a budget that was reached: {error}")


def _alert_of(crossing: Crossing) -> Alert:
    account = crossing.account
    period = account.name.rpartition("/")[2]
    return Alert(account.of, account.kind, period, crossing.percent, account.cap, crossing.spent, account.is_hard)


def run(
    storage: Path,
    url: str = "",
    *,
    keep_days: int | None = None,
    audit: AuditTerms | None = None,
    sinks: tuple["SinkTerms", ...] = (),
    rest: Rest,
    say: Callable[[str], None],
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Drain until `rest` says stop, then once more, so that what is in the journals by then is in the store.

    A store that cannot be used is said once, and tried again later and later; the journals stay as they are. Where
    another process drains already, this one waits for its turn.

    Arguments:
        url, keep_days, audit, sinks: as for `control_plane`.
        say: writes a line to the operator's log.
        now: Unix seconds.
        clock: monotonic seconds, for what is done every so often.
    """
    _Draining(storage, url, keep_days, rest, say, now, clock, audit, sinks).run()


TURN_EVERY_S = 3600.0
"""How often workers are asked to begin new journals, in seconds: for so long, and a little, does one hold what it holds
after it was read, in the clear, however seldom it is written to."""

PURGE_EVERY_S = 600.0
"""How often content that has expired and records that are old are removed, in seconds: both are counted in days."""


class _Draining:
    """State: what is wrong at the moment, if anything, how long to wait before the next attempt, which lost calls are
    not in the metrics yet, whether anything was drained since output was looked at, and what was seen then."""

    def __init__(
        self,
        storage: Path,
        url: str,
        keep_days: int | None,
        rest: Rest,
        say: Callable[[str], None],
        now: Callable[[], float],
        clock: Callable[[], float],
        audit: AuditTerms | None,
        sinks: tuple["SinkTerms", ...],
    ) -> None:
        self._sink_terms = sinks
        self._sinks: Sinking | None = None
        self._audit_terms = audit
        self._audit: Sealing | None = None
        self._storage = storage
        self._url = url
        self._keep_days = keep_days
        self._rest = rest
        self._say = say
        self._now = now
        self._clock = clock
        self._growth = GrowthWatch(say)
        self._ratios: GaugeFamily | None = None
        self._is_news = True
        self._trouble = ""
        self._retry_s = SHORTEST_REST_S
        self._uncounted = 0

    def run(self) -> None:
        while True:
            try:
                with drain_lock(self._storage) as is_ours:
                    if is_ours:
                        self._drain_until_told()
                        return
            except StorageError as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    self._say(f"records stay in the journal for now: {self._trouble}")
                self._retry_s = min(LONGEST_RETRY_S, self._retry_s * 2)
            else:
                self._retry_s = LONGEST_REST_S
            if self._rest(self._retry_s):
                return

    def _drain_until_told(self) -> None:
        keep_for_audit(self._storage, is_on=self._audit_terms is not None)
        if self._audit_terms is not None:
            self._audit = Sealing(self._audit_terms, say=self._say, now=self._now, clock=self._clock)
        try:
            self._drain_into(open_store(self._storage, self._url))
        finally:
            self._finish_audit()

    def _finish_audit(self) -> None:
        sealing, self._audit = self._audit, None
        if sealing is not None:
            sealing.finish()
            sealing.check()

    def _drain_into(self, store: Store) -> None:
        try:
            self._begin_sinks()
            drainer = Drainer(
                self._storage / JOURNAL_FOLDER,
                store,
                now=self._now,
                report=self._say,
                hand_on=None if self._audit is None else self._audit.hand_on,
            )
            rest_s = SHORTEST_REST_S
            is_told = False
            purged_s = looked_s = -math.inf
            turned_s = self._clock()
            while not is_told:
                drained = self._pass(drainer)
                now_s, clock_s = self._now(), self._clock()
                self._is_news = self._is_news or drained.entries > 0
                if self._is_news and clock_s - looked_s >= LOOK_EVERY_S:
                    looked_s, self._is_news = clock_s, False
                    self._look_at_growth(store, now_s)
                if clock_s - purged_s >= PURGE_EVERY_S:
                    purged_s = clock_s
                    self._keep_house(store, now_s)
                    self._purge_approvals(now_s)
                    self._purge_answers(now_s)
                journals = self._storage / JOURNAL_FOLDER
                if clock_s - turned_s >= TURN_EVERY_S and journals.is_dir():
                    turned_s = clock_s
                    ask_for_turn(journals)
                if self._audit is not None:
                    self._audit.check()
                self._tell_of_sinks(store)
                rest_s = SHORTEST_REST_S if drained.entries else min(LONGEST_REST_S, rest_s * 2)
                is_told = self._rest(rest_s)
            self._pass(drainer)
            self._finish_audit()
            self._pass(drainer)  # removes what waited for that
        finally:
            sinks, self._sinks = self._sinks, None
            if sinks is not None:
                sinks.finish()
            store.close()

    def _begin_sinks(self) -> None:
        if not self._sink_terms:
            return
        from headworks.console.sinking import Sinking  # only who has sinks loads it

        self._sinks = Sinking(
            self._sink_terms, self._storage, self._url, say=self._say, now=self._now, clock=self._clock
        )

    def _tell_of_sinks(self, store: Store) -> None:
        if self._sinks is None:
            return
        try:
            self._sinks.publish(store)
        except OSError as error:
            self._say(f"how the sinks stand cannot be told for now: {error.strerror}")

    def _pass(self, drainer: Drainer) -> Drained:
        drained = drainer.drain()
        if self._trouble:
            self._trouble = ""
            self._retry_s = SHORTEST_REST_S
            self._say("records are drained again")
        if drained.lost or self._uncounted:
            self._count_lost(drained.lost)
        if drained.lost:
            calls = "1 call was" if drained.lost == 1 else f"{drained.lost} calls were"
            self._say(f"{calls} under way when a worker died: recorded as lost")
        return drained

    def _keep_house(self, store: Store, now_s: float) -> None:
        """Remove what is not to be kept any longer, and make ready for what comes. Later, where it cannot be done."""
        try:
            store.prepare(int(now_s * 1e6))
            store.purge(int(now_s * 1e6))
            if self._keep_days is not None:
                store.forget(int((now_s - self._keep_days * 86_400) * 1e6))
        except StorageError as error:
            self._say(f"old records and content stay for now: {error}")

    def _purge_approvals(self, now_s: float) -> None:
        """Remove the held answers whose time is over."""
        from headworks.screening import APPROVALS_FILE, ApprovalStore  # only who has workloads loads it

        file = self._storage / APPROVALS_FILE
        if not file.exists():
            return
        try:
            with ApprovalStore(file) as approvals:
                approvals.purge(now_s)
        except StorageError as error:
            self._say(f"what was held for approval stays for now: {error}")

    def _purge_answers(self, now_s: float) -> None:
        """Remove the answers of the response cache whose time is over."""
        file = self._storage / "response-cache.db"
        if not file.exists():
            return
        from headworks.response_cache import purge_file  # only who has such a cache loads it

        try:
            purge_file(file, now_s)
        except StorageError as error:
            self._say(f"old answers of the response cache stay for now: {error}")

    def _look_at_growth(self, store: Store, now_s: float) -> None:
        ratios = self._growth.look(store, now_s)
        if ratios == self._ratios:
            return
        try:
            self._publish(ratios)
        except OSError:
            self._is_news = True  # a gauge is late, no more: tried again at the next look
            return
        self._ratios = ratios

    def _count_lost(self, calls: int) -> None:
        """Tried again where it cannot be done."""
        was_told = self._uncounted > 0
        self._uncounted += calls
        try:
            self._publish(self._ratios)
        except OSError as error:
            if not was_told:
                self._say(f"lost calls cannot be counted in the metrics for now: {error.strerror}")

    def _publish(self, ratios: GaugeFamily | None) -> None:
        """Of the metrics, what only the control plane knows, left where the workers find it. Raises OSError."""
        metrics = Metrics()
        share = MetricsShare(metrics, self._storage / RUN_FOLDER, "control-plane")
        if self._uncounted:
            metrics.count_lost(self._uncounted)
        if ratios is not None:
            metrics.families["output_growth_ratio"] = ratios
        share.publish()
        self._uncounted = 0
