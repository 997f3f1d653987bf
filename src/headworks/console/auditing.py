"""The audit log's part of the control plane: a thread, so that records never wait for it, nor it for them.

It is handed what the records' drainer has read, and keeps that until it gets to it, within a bound: beyond, it reads
the journals again.
"""

import math
import threading
from collections.abc import Callable

from headworks.auditing import AuditTerms
from headworks.records import Handover, without_batch

AUDIT_EVERY_S = 1.0
"""How often journals are sealed into the audit log, in seconds: each time costs a signature and two syncs of the disk,
and nobody waits for it but `headworks audit`."""

WAKE_ENTRIES = 4096
"""From so many entries on it is not waited for the time to be over: as many stand under one checkpoint at most."""

MOST_BYTES = 32 << 20
"""So many bytes of journal are kept at most, as they were read (three times that in memory); not what comes on top."""

EXPIRE_EVERY_S = 600.0
"""How often keys whose time is over are destroyed, in seconds: it is counted in days."""


class Sealing:
    """Seals from when it is made until `finish`. The caller holds `records.drain_lock` for that long.

    Arguments:
        terms: of the log.
        say: writes a line to the operator's log; from the thread.
        now: Unix seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        terms: AuditTerms,
        *,
        say: Callable[[str], None],
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._terms = terms
        self._say = say
        self._now = now
        self._clock = clock
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._handed: list[Handover] = []
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="audit")
        self._thread.start()

    def check(self) -> None:
        """Raise what has ended the thread, if anything has: a process without its audit log must not go on."""
        if self._fault is not None:
            raise self._fault

    def hand_on(self, handover: Handover) -> None:
        """What the records' drainer has read. From its thread."""
        with self._lock:
            handed = self._handed
            if sum(one.size for one in handed) + handover.size > MOST_BYTES:
                handover = without_batch(handover)
            handed.append(handover)
            is_time = sum(one.entries for one in handed) >= WAKE_ENTRIES
        if is_time:
            self._wake.set()

    def _taken(self) -> list[Handover]:
        with self._lock:
            handed, self._handed = self._handed, []
        return handed

    def finish(self) -> None:
        """Seal what the journals hold by now, and end."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            self._seal()
        except BaseException as error:  # noqa: BLE001 - `check` raises it where it is seen
            self._fault = error

    def _seal(self) -> None:
        from headworks.audit_intake import AuditDraining  # loads cryptography, which nobody shall wait for

        draining = AuditDraining(self._terms, report=self._say, now=self._now, clock=self._clock)
        expired_s, is_last = -math.inf, False
        try:
            while not is_last:
                is_last = self._stop.is_set()
                draining.take(self._taken())
                if is_last:
                    draining.drain(is_last=True)
                if self._clock() - expired_s >= EXPIRE_EVERY_S:
                    expired_s = self._clock()
                    draining.expire()
                if not is_last:
                    self._wake.wait(AUDIT_EVERY_S)
                    self._wake.clear()
        finally:
            draining.close()
