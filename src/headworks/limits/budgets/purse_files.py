"""What a worker has spent and set aside, in a file that outlives it: what it held when it was killed comes back.

    file = PurseFile(folder, "machine-1/worker-3/5f2a")
    slot = file.slot("team/support/day/2026-11-26")
    slot.note(612_000, 4_000_000)                   # with every change

The file is mapped into memory. What is noted is the kernel's from that moment on, however the process ends, and no
system call is made for it. Its worker holds a lock on it (flock(2)) for as long as it lives: a file without a lock is
what somebody left who is dead, and its figures are final.

A slot is a name and two numbers. They are written in an order in which whoever is killed in between has noted too much
and never too little: what is set aside before the call is made, what is spent before what was set aside comes back.
"""

import fcntl
import mmap
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from headworks.database import storage_errors

FOLDER = "purses"
"""Below the state folder."""

_SUFFIX = ".purse"
_UNBORN_SUFFIX = ".unborn"
"""A file that its worker has not locked yet; it gets its real name when it is locked."""

_MAGIC = b"HWPURSE1"
_SLOT_BYTES = 640
_NAME_AT = 24
_MOST_NAME = _SLOT_BYTES - _NAME_AT
_FIRST_SLOTS = 25
"""One slot is the head: 26 of them fill four pages of 4096 bytes, about."""

_NUMBERS = _SLOT_BYTES // 8
_MOST = 2**63 - 1

_UNBORN_S = 60.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Remains(msgspec.Struct, frozen=True):
    """What a dead worker's file says, in pico-dollars.

    Attributes:
        holder: the worker's name.
        accounts: by account, what it had spent since it started, and what was set aside for calls under way.
        is_exact: the machine has not been started anew since. Else what was noted last may not have reached the disk.
    """

    holder: str
    accounts: Mapping[str, tuple[int, int]]
    is_exact: bool


class Slot:
    """Where one account stands. State: in its file."""

    __slots__ = ("_file", "_first")

    def __init__(self, file: "PurseFile", number: int) -> None:
        self._file = file
        self._first = number * _NUMBERS

    @property
    def number(self) -> int:
        """Which one it is in the file."""
        return self._first // _NUMBERS

    def note(self, spent: int, reserved: int) -> None:
        """Note how it stands, both in pico-dollars. Harmless once the file is closed."""
        figures, first = self._file.figures, self._first
        if figures is not None:
            figures[first] = min(_MOST, spent)
            figures[first + 1] = min(_MOST, reserved)


class PurseFile:
    """The file of one worker. For one thread. State: what is mapped, and which slots are free.

    Arguments:
        folder: `FOLDER` below the state folder; made when missing.
        holder: the worker's name, unique over all machines.

    Raises (also `slot`):
        StorageError: the file cannot be made, or not be made longer.
    """

    def __init__(self, folder: Path, holder: str) -> None:
        self._path = folder / f"{os.urandom(8).hex()}{_SUFFIX}"
        self._free: list[int] = []
        self._slots = 0
        self._map: mmap.mmap | None = None
        self.figures: memoryview | None = None
        head = _MAGIC + msgspec.msgpack.encode((holder, boot_id()))
        assert len(head) < _SLOT_BYTES, "a machine's name has 64 bytes, a worker's as many"
        unborn = self._path.with_suffix(_UNBORN_SUFFIX)
        with storage_errors(self._path):
            folder.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.pwrite(self._descriptor, head.ljust(_SLOT_BYTES, b"\0"), 0)
                self._grow(_FIRST_SLOTS)
                unborn.rename(self._path)
            except BaseException:
                self._let_go()
                unborn.unlink(missing_ok=True)
                raise

    def slot(self, name: str) -> Slot:
        """A slot for an account, at nothing spent and nothing set aside."""
        data = name.encode("utf-8", "surrogatepass")
        if len(data) > _MOST_NAME:
            data = b""  # none that the books would take: as if it were not noted
        with storage_errors(self._path):
            if not self._free:
                self._grow(max(1, self._slots))
        number = self._free.pop()
        slot = Slot(self, number)
        slot.note(0, 0)
        at = number * _SLOT_BYTES
        if self._map is not None:
            self._map[at + _NAME_AT : at + _NAME_AT + len(data)] = data
            self._map[at + 16 : at + _NAME_AT] = len(data).to_bytes(8, "little")
        return slot

    def give_back(self, slot: Slot) -> None:
        """The account is not used any more, and the books know all of it."""
        at = slot.number * _SLOT_BYTES
        if self._map is not None:
            self._map[at + 16 : at + _NAME_AT] = bytes(8)
            self._free.append(slot.number)

    def close(self, *, is_told: bool) -> None:
        """Let go of the file. Harmless to call twice.

        Arguments:
            is_told: the books know all that it says: it goes. Else it stays for whoever sees to what the dead leave.
        """
        if self.figures is None:
            return
        if is_told:
            with suppress(OSError):  # it says nothing that the books do not know
                self._path.unlink(missing_ok=True)
        self._let_go()

    def _let_go(self) -> None:
        if self.figures is not None:
            self.figures.release()
        if self._map is not None:
            self._map.close()
        self.figures = self._map = None
        os.close(self._descriptor)

    def _grow(self, slots: int) -> None:
        """Make it longer by so many slots: filled, so that there is room on the disk before anything is noted there."""
        whole = (1 + self._slots + slots) * _SLOT_BYTES
        known = os.fstat(self._descriptor).st_size
        os.pwrite(self._descriptor, bytes(whole - known), known)
        old_figures, old_map = self.figures, self._map
        self._map = mmap.mmap(self._descriptor, whole)
        self.figures = memoryview(self._map).cast("q")
        if old_figures is not None and old_map is not None:
            old_figures.release()
            old_map.close()
        self._free.extend(range(self._slots + slots, self._slots, -1))
        self._slots += slots


@contextmanager
def remains(folder: Path) -> Iterator[list[tuple[Path, Remains]]]:
    """What the dead have left in a folder, by file, while nobody else sees to them. Files that say nothing go, and
    those that were never given to a worker.

    Raises:
        StorageError: the folder or a file cannot be read.
    """
    descriptors: list[int] = []
    found: list[tuple[Path, Remains]] = []
    try:
        with storage_errors(folder):
            for path in sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else ():
                try:
                    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue  # somebody else has seen to it
                descriptors.append(descriptor)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # its worker lives
                read = _read(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
                if read is None:
                    path.unlink(missing_ok=True)
                else:
                    found.append((path, read))
            for path in folder.glob(f"*{_UNBORN_SUFFIX}"):
                with suppress(FileNotFoundError):  # it was born, or given up
                    if time.time() - path.stat().st_mtime > _UNBORN_S:
                        path.unlink()
        yield found
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def boot_id() -> str:
    """What tells this run of the machine from others (random(4)); "" where the system does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def _read(data: bytes) -> Remains | None:
    head = data[:_SLOT_BYTES]
    if not head.startswith(_MAGIC):
        return None
    try:
        holder, boot = msgspec.msgpack.decode(head[len(_MAGIC) :].rstrip(b"\0"), type=tuple[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    accounts: dict[str, tuple[int, int]] = {}
    for at in range(_SLOT_BYTES, len(data) - _SLOT_BYTES + 1, _SLOT_BYTES):
        size = int.from_bytes(data[at + 16 : at + _NAME_AT], "little")
        if 0 < size <= _MOST_NAME:
            name = data[at + _NAME_AT : at + _NAME_AT + size].decode("utf-8", "replace")
            spent, reserved = memoryview(data[at : at + 16]).cast("q")
            accounts[name] = (spent, reserved)
    return Remains(holder, accounts, is_exact=bool(boot) and boot == boot_id())
