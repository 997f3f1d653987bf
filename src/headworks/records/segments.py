"""Segments: the files of a journal, their names, who is alive, and reading them.

A *writer* is one worker from its start to its end. Its segments are `<worker>-<start>-<number>.journal`. It holds
an exclusive `flock` on the segment that it writes to, and takes the next one before it lets go of the last. So:

- a segment without a lock never grows again;
- a writer whose segments are all without locks, in a listing made *after* the locks were tried, is dead.

A segment that a newer release has written, in a layout that this one does not know, is not read and not removed: what
its calls came to is not for this release to say.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from headworks.errors import StorageError
from headworks.records.frames import LAYOUT, MAGIC, Gap, Stretch, layout_of, scan, wanted_bytes

SUFFIX = ".journal"
UNBORN_SUFFIX = ".unborn"
"""A segment that its writer has not locked yet; it gets its real name when it is locked."""

DAMAGED_SUFFIX = ".damaged"
"""A segment with bytes that could not be read, kept for a person to look at."""

CHUNK_BYTES = 1 << 20


class Segment(msgspec.Struct, frozen=True, order=True):
    """One file of a journal. `start_us` is when its writer began, in microseconds since the Unix epoch."""

    worker: str
    start_us: int
    number: int

    @property
    def writer(self) -> str:
        """The name of the worker's incarnation that wrote it."""
        return f"{self.worker}-{self.start_us}"

    @property
    def name(self) -> str:
        return f"{self.worker}-{self.start_us}-{self.number:06d}{SUFFIX}"


def parse_name(name: str) -> Segment | None:
    """The segment that a file name stands for; None if it is the name of something else."""
    if not name.endswith(SUFFIX):
        return None
    parts = name.removesuffix(SUFFIX).rsplit("-", 2)
    if len(parts) != 3 or not parts[0] or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        return None
    segment = Segment(parts[0], int(parts[1]), int(parts[2]))
    return segment if segment.name == name else None


def list_segments(folder: Path) -> dict[Segment, int]:
    """Every segment in the folder with its size in bytes, in the order in which each writer wrote them.

    Raises:
        StorageError: the folder cannot be read.
    """
    found: dict[Segment, int] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                segment = parse_name(entry.name)
                if segment is None:
                    continue
                try:
                    found[segment] = entry.stat().st_size
                except FileNotFoundError:
                    continue  # drained and removed since the folder was read
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror}") from error
    return dict(sorted(found.items()))


@contextmanager
def open_segment(folder: Path, segment: Segment) -> Iterator[int]:
    """A descriptor to read the segment with.

    Raises:
        StorageError: it cannot be opened, or is one of a newer release's.
    """
    path = folder / segment.name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        layout = layout_of(os.pread(descriptor, len(MAGIC), 0))
        if layout > LAYOUT:
            raise StorageError(
                f"{path} was written by a newer release of Headworks (its layout is {layout}, this one knows "
                f"{LAYOUT}): it stays until that release drains it"
            )
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(descriptor: int) -> bool:
    """Whether a living writer holds this segment."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def read(descriptor: int, offset: int, *, is_final: bool, limit: int = 4096, chunk_bytes: int = CHUNK_BYTES) -> Stretch:
    """Entries of an open segment from `offset` on: some of them, or all the rest; none means that no more are there.

    Arguments:
        offset: 0, or where an earlier stretch ended.
        is_final: nobody writes to the segment any more (learnt *before* this call): what cannot be read is then
            passed over as gaps, and the last stretch ends at the end of the file.
        limit: most entries.
        chunk_bytes: bytes to read at a time; more are read when one frame needs more.

    Raises:
        StorageError: the file cannot be read.
    """
    try:
        size = os.fstat(descriptor).st_size
        if offset == 0:
            magic = os.pread(descriptor, len(MAGIC), 0)
            if magic != MAGIC:
                return _without_magic(magic, size, is_final=is_final)
            offset = len(MAGIC)
        data = os.pread(descriptor, min(chunk_bytes, size - offset), offset)
        stretch = scan(data, start=offset, whole=is_final and offset + len(data) >= size, limit=limit)
        if stretch.end > offset or not data or offset + len(data) >= size:
            return stretch
        # Not one frame was whole in the chunk: it is a large one, or damage after which the next must be found.
        wanted = wanted_bytes(data)
        fits = 0 < wanted <= size - offset
        if not fits and not is_final:
            return stretch
        data = os.pread(descriptor, wanted if fits else size - offset, offset)
        stretch = scan(data, start=offset, whole=is_final and offset + len(data) >= size, limit=limit)
        if stretch.end == offset and is_final:
            data = os.pread(descriptor, size - offset, offset)
            stretch = scan(data, start=offset, whole=True, limit=limit)
    except OSError as error:
        raise StorageError(f"a journal segment cannot be read: {error.strerror}") from error
    return stretch


def end_of_entries(folder: Path, segment: Segment, offset: int) -> int:
    """How far the segment holds entries at this moment: beyond are zeros that were filled ahead.

    Arguments:
        offset: 0, or where an earlier reading ended.

    Raises:
        StorageError: the segment cannot be read.
    """
    try:
        with open_segment(folder, segment) as descriptor:
            while (end := read(descriptor, offset, is_final=False).end) > offset:
                offset = end
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return 0  # drained and removed meanwhile
        raise
    return offset


def _without_magic(magic: bytes, size: int, *, is_final: bool) -> Stretch:
    if not is_final or size == 0:
        return Stretch([], 0)
    torn = len(magic) < len(MAGIC) and MAGIC.startswith(magic)
    return Stretch([], size, (Gap(0, size, "torn" if torn else "damaged"),))
