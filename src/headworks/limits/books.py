"""The authority of one machine whose books outlive it: for the control plane, which starts again now and then.

An authority that starts knows neither what was spent nor which leases are out. So it begins as if everything that
could be outstanding were: until the last lease of before has expired it grants nothing, and then each quota begins
empty and refills. For a quota by the minute that is a moment; one by the day would be all but closed for a day. So
of quotas with long windows, what was free is kept in a file, written before each answer: what was granted is never
missing there.

The file is not flushed to the disk for each answer: it is right after the end of this process, however it ended, but
may lack half a minute after the end of the machine. The books of another boot are not believed; then, only the time
that has passed since counts. It is the wall clock that says how much that was, for there is no other that goes on while
a machine is off. Of one boot it says nothing: a wall clock that is set must not refill what was spent.
"""

import contextlib
import math
import os
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from headworks.database import storage_errors
from headworks.limits.leases import Ask, Lease, Quota
from headworks.limits.ledger import LEASE_S
from headworks.limits.local_authority import LocalAuthority

BOOKS_FILE = "limits.books"

_KEPT_WINDOW_S = 600.0
"""Quotas with windows from here on are kept; shorter ones have refilled before it matters."""

_UNWRITTEN_S = 60.0
"""What was written so long before the machine ended is on the disk: Linux writes dirty pages after 30 s (proc(5),
vm.dirty_expire_centisecs), and looks every 5 s."""

_CLOCK_MARGIN = 1.02
_SAME_BOOT_S = 30.0
"""Where boots have no name, two figures for when the machine was started may differ by this much (the clock was
adjusted) and mean the same."""

_BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")
"""Linux's name of a boot, random (random(4))."""

_BEFORE = "the books of before"


class _Books(msgspec.Struct, frozen=True, array_like=True):
    """What the file holds. `free` are units by a quota's name; times are monotonic and Unix seconds; `boot` is "" where
    boots have no name."""

    saved_s: float
    saved_unix_s: float
    free: dict[str, float]
    is_whole: bool = True  # what is not in `free` was not asked for, so all of it is free
    boot: str = ""


class KeptAuthority:
    """A `LocalAuthority` that goes on where the one before it ended. Implements `Authority`.

    Arguments:
        storage: the state folder. One process at a time may have this; `LeaseServer` sees to it.
        clock: monotonic seconds that outlive the process (CLOCK_MONOTONIC does), not the machine.
        wall_clock: Unix seconds.
        boot: the name of this boot of the machine, "" where it has none; None: as the kernel says.

    Raises:
        StorageError: the file of the books cannot be opened.
    """

    def __init__(
        self,
        storage: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
        boot: str | None = None,
    ) -> None:
        path = storage / BOOKS_FILE
        is_first = not path.exists()
        with storage_errors(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            data = os.pread(self._file, 1 << 24, 0)
        self._clock = clock
        self._wall_clock = wall_clock
        self._boot = _boot() if boot is None else boot
        now_s = clock()
        self._before = None if is_first else self._as_of_now(_read(data), now_s)
        settling_s = 0.0
        if self._before is not None:
            # Never nothing, for that would say that there was none before.
            settling_s = max(math.ulp(0.0), self._before.saved_s + lease_s * _CLOCK_MARGIN - now_s)
        self._opens_s = now_s + settling_s
        self._local = LocalAuthority(clock, lease_s=lease_s, settling_s=settling_s)
        self._seen: dict[str, Quota] = {}
        self._write()

    async def renew(self, holder: str, asks: Sequence[Ask]) -> Sequence[Lease]:
        """One lease for each ask, in their order.

        Raises:
            LimitsUnavailable: leases of before may still be out; with the seconds that are left.
        """
        if self._before is not None and self._clock() >= self._opens_s:
            for ask in asks:
                if ask.quota.name not in self._seen:
                    self._carry_over(ask.quota, self._before)
        leases = self._local.renew_now(holder, asks)
        for ask in asks:
            if self._seen.get(ask.quota.name) is not ask.quota:
                self._seen[ask.quota.name] = ask.quota
        self._write()
        return leases

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _as_of_now(self, books: _Books | None, now_s: float) -> _Books:
        """The books of before as if they had been saved by this clock; of another boot or unreadable, without what
        was free."""
        now_unix_s = self._wall_clock()
        if books is None:
            return _Books(now_s, now_unix_s, {}, is_whole=False)
        if self._boot and books.boot:
            is_same_boot = books.boot == self._boot
        else:
            boot_apart_s = (now_unix_s - now_s) - (books.saved_unix_s - books.saved_s)
            is_same_boot = abs(boot_apart_s) <= _SAME_BOOT_S
        if is_same_boot and books.saved_s <= now_s:
            return books
        away_s = max(0.0, now_unix_s - books.saved_unix_s - _UNWRITTEN_S)
        return _Books(now_s - away_s, now_unix_s, {}, is_whole=False)

    def _carry_over(self, quota: Quota, before: _Books) -> None:
        """Give a quota that is seen first what was free of it, and what has refilled since the books were saved."""
        now_s = self._clock()
        is_new = before.is_whole and quota.window_s >= _KEPT_WINDOW_S
        free = before.free.get(quota.name, float(quota.amount) if is_new else 0.0)
        free = min(free + (now_s - before.saved_s) * quota.amount / quota.window_s, float(quota.amount))
        more = math.floor(free - self._local.ledger(quota, now_s).free(now_s))
        if more > 0:
            self._local.renew_now(_BEFORE, [Ask(quota, -more, 0)])

    def _write(self) -> None:
        now_s = self._clock()
        # A ledger that is not there any more was full and nothing was out.
        free = {name: float(quota.amount) for name, quota in self._seen.items() if quota.window_s >= _KEPT_WINDOW_S}
        for ledger in self._local.ledgers:
            if ledger.quota.window_s >= _KEPT_WINDOW_S:
                free[ledger.quota.name] = ledger.free(now_s)
        before = self._before
        if before is not None:  # quotas that nobody has asked for yet since
            free = {name: units for name, units in before.free.items() if name not in self._seen} | free
        is_whole = before is None or before.is_whole
        data = msgspec.msgpack.encode(_Books(now_s, self._wall_clock(), free, is_whole, self._boot))
        try:
            os.pwrite(self._file, len(data).to_bytes(4) + zlib.crc32(data).to_bytes(4) + data, 0)
        except OSError:
            # A full disk, say. Books that lack a grant must not be believed by the next one; without any, it begins
            # empty, which is safe. This one has all in memory and goes on.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)


def _boot() -> str:
    try:
        return _BOOT_FILE.read_text("ascii").strip()
    except OSError:
        return ""  # another system than Linux: the time of the start tells boots apart


def _read(data: bytes) -> _Books | None:
    """None for what was not written to the end."""
    size, checksum, content = int.from_bytes(data[:4]), int.from_bytes(data[4:8]), data[8:]
    content = content[:size]
    if len(data) < 8 or len(content) < size or zlib.crc32(content) != checksum:
        return None
    try:
        return msgspec.msgpack.decode(content, type=_Books)
    except msgspec.DecodeError:
        return None
