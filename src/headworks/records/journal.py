"""The journal of one worker: entries that are durable when `append` returns, for the price of copying them.

The segment that is written to is mapped into memory, a *window* at a time. What is copied there is the kernel's from
that moment on: it stays when the process dies, however it dies, just as if it had been written with `write`, and no
system call is made for it. The file is filled with zeros ahead of the window, so that there is room on the disk before
an entry needs it; zeros are no frame.

State: the window with `_position` in it, and the segment that it belongs to. What has been written is never written
over.
"""

import asyncio
import fcntl
import mmap
import os
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from headworks.calls import JournalEntry, Settled, SettledWithPrefix
from headworks.errors import StorageError
from headworks.records.frames import HEAD_BYTES, MAGIC, MAX_PAYLOAD_BYTES
from headworks.records.segments import UNBORN_SUFFIX, Segment, list_segments
from headworks.records.turning import turn_asked

LOOK_EVERY_S = 0.5
"""How often the size of the folder is looked at, in seconds."""

_PRESSURE = 0.75
"""Share of the bound from which a worker gives its segment free for draining before it is full-sized."""

_PRESSURE_SHARE = 16
"""Under pressure, a segment is given free from this part of its full size on: few files, and yet room is won."""

_WINDOW_BYTES = 256 * 1024
_WINDOW_SHARE = 16
"""A window is at most this part of a segment: what is filled ahead counts as used, and a small journal has little."""

_PAGE_BYTES = mmap.ALLOCATIONGRANULARITY
_ZEROS = bytes(_WINDOW_BYTES)

_pack_head = struct.Struct("<II").pack
_crc32 = zlib.crc32


class _OpenSegment:
    """The file that is written to; `filled` is how long it is."""

    __slots__ = ("descriptor", "filled", "name")

    def __init__(self, name: Segment, descriptor: int, filled: int) -> None:
        self.name = name
        self.descriptor = descriptor
        self.filled = filled


class Journal:
    """Appends the entries of one worker to the segments of `folder`. For one thread, that of the event loop.

    Arguments:
        folder: where all workers' segments lie; made when missing. A local file system, as SQLite needs one, too.
        worker: this worker's name: letters, digits, `-`, `_`.
        segment_bytes: size at which the next segment is begun.
        limit_bytes: bound on all segments in the folder; see `is_full`.
        loop: the running event loop.
        now: seconds since the Unix epoch.

    Attributes:
        is_full: the folder has reached `limit_bytes`, because nothing drains it: new calls should be refused. Those
            under way are still written. Looked at twice a second, so the bound may be passed by what comes in between.

    Raises:
        StorageError: the folder or the first segment cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        worker: str,
        segment_bytes: int,
        limit_bytes: int,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", worker):
            raise StorageError(f"not a name for a worker: {worker!r}; use letters, digits, - and _")
        self.is_full = False
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._limit_bytes = limit_bytes
        self._ahead_bytes = max(2 * _PAGE_BYTES, min(_WINDOW_BYTES, segment_bytes // _WINDOW_SHARE))
        self._loop = loop
        self._encode = msgspec.msgpack.Encoder().encode
        self._refused: StorageError | None = None  # why the last entry was not written
        self._hindrance: StorageError | None = None  # why there is no new segment
        self._blindness: StorageError | None = None  # why the folder cannot be looked at
        self._room_bytes = limit_bytes
        self._turn = turn_asked(folder)
        self._open: _OpenSegment | None = None
        self._window: mmap.mmap | None = None
        self._window_start = 0
        self._window_end = 0
        self._position = 0
        self._full_at = 0
        # Where the clock was set back, a worker of this name may have started at this moment before.
        taken: set[int] = set()
        with suppress(StorageError):  # a folder that cannot be read: what is to be made in it next says why
            taken = {segment.start_us for segment in list_segments(folder) if segment.worker == worker}
        start_us = int(now() * 1e6)
        while start_us in taken:
            start_us += 1
        self._begin_segment(Segment(worker, start_us, 0))
        self._look_handle = loop.call_later(LOOK_EVERY_S, self._look_again)
        self._look()

    @property
    def failure(self) -> StorageError | None:
        """What is wrong; None when all is well. After an entry that failed the next one is tried as usual."""
        return self._refused or self._hindrance or self._blindness

    def append(self, entry: JournalEntry) -> None:
        """Write an entry: when this returns, the kernel has it.

        Bodies are left out of an entry that would be larger than 512 MiB.

        Raises:
            StorageError: it is not written, and the reason.
        """
        payload = self._encode(entry)
        size = len(payload)
        if size > MAX_PAYLOAD_BYTES and isinstance(entry, Settled | SettledWithPrefix):
            # The call must be on record whatever its size; bodies like these no store could take.
            entry = entry.settled if isinstance(entry, SettledWithPrefix) else entry
            bare = msgspec.structs.replace(entry, request_body=b"", response_body=b"", template_values=b"")
            payload = self._encode(bare)
            size = len(payload)
        start = self._position
        end = start + HEAD_BYTES + size
        if end > self._window_end or start >= self._full_at:
            self._make_room(size)
            start = self._position
            end = start + HEAD_BYTES + size
        window = self._window
        assert window is not None, "there is room in it"
        # The head comes last, and its eight bytes at once (`pack_into` would write them one by one): a frame whose
        # copying was interrupted has none, and is nothing.
        window[start + HEAD_BYTES : end] = payload
        window[start : start + HEAD_BYTES] = _pack_head(size, _crc32(payload))
        self._position = end

    def append_all(self, entries: Sequence[JournalEntry]) -> bool:
        """Write several entries at once, for less than one by one: when this returns, the kernel has them all.

        Returns:
            False, and nothing is written, where there is no room for them as things are: `append` makes room.
        """
        encode = self._encode
        parts: list[bytes] = []
        for entry in entries:
            payload = encode(entry)
            parts.append(_pack_head(len(payload), _crc32(payload)))
            parts.append(payload)
        first, parts[0] = parts[0], b""
        frames = b"".join(parts)
        start = self._position
        end = start + HEAD_BYTES + len(frames)
        window = self._window
        if end > self._window_end or start >= self._full_at or window is None:
            return False
        # As in `append`: as long as the first has no head, nothing of them is there.
        window[start + HEAD_BYTES : end] = frames
        window[start : start + HEAD_BYTES] = first
        self._position = end
        return True

    def close(self) -> None:
        """Let go of the segment, so that it can be drained to the end and removed."""
        if self._open is None:
            return
        self._look_handle.cancel()
        self._let_go()
        self._window_end = self._position = 0

    def _make_room(self, size: int) -> None:
        """Have room for a frame with `size` bytes of payload at the position.

        Raises:
            StorageError: there can be none; the next entry asks again.
        """
        try:
            if self._open is None:
                raise StorageError("the journal is closed")  # noqa: TRY301 - as what else can go wrong here
            if self._written >= self._segment_bytes:
                self._next_segment()
            if self._position + HEAD_BYTES + size > self._window_end:
                self._move_window(self._open, size)
        except StorageError as error:
            self._refused = error
            self._full_at = -1
            raise
        self._full_at = self._segment_bytes - self._window_start
        self._refused = None

    @property
    def _written(self) -> int:
        """How far the segment holds entries."""
        return self._window_start + self._position

    def _move_window(self, segment: _OpenSegment, size: int) -> None:
        """Map the part of the segment that begins where its entries end, with room for a frame at least."""
        written = self._written
        start = written - written % _PAGE_BYTES
        least = written - start + HEAD_BYTES + size
        length = max(self._ahead_bytes, -(-least // _PAGE_BYTES) * _PAGE_BYTES)
        self._fill(segment, start + length)
        try:
            window = mmap.mmap(segment.descriptor, length, offset=start)
        except OSError as error:
            raise StorageError(f"{self._path(segment)} cannot be mapped: {error.strerror}") from error
        if self._window is not None:
            self._window.close()
        self._window = window
        self._window_start = start
        self._window_end = length
        self._position = written - start

    def _fill(self, segment: _OpenSegment, end: int) -> None:
        """Make the segment that long, with zeros that take up room on the disk."""
        before = segment.filled
        try:
            while segment.filled < end:
                segment.filled += os.pwrite(segment.descriptor, _ZEROS[: end - segment.filled], segment.filled)
        except OSError as error:
            raise StorageError(
                f"{self._path(segment)} cannot be written: {error.strerror}; is the disk full?"
            ) from error
        finally:
            self._room_bytes -= segment.filled - before
        if self._room_bytes <= 0 and not self.is_full:
            self._count()

    def _next_segment(self) -> None:
        """Go on in a new segment, or in this one if there can be no new one just now."""
        assert self._open is not None, "who asks has looked"
        last = self._open.name
        try:
            self._begin_segment(msgspec.structs.replace(last, number=last.number + 1))
        except StorageError as error:
            self._hindrance = error
        else:
            self._hindrance = None

    def _begin_segment(self, name: Segment) -> None:
        """Make the segment and lock it, and only then give it the name under which readers look for it.

        Only when that is done is the last one let go: a reader that finds none of our segments locked takes us for
        dead.
        """
        path = self._folder / name.name
        unborn = path.with_suffix(UNBORN_SUFFIX)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path} cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, MAGIC)
            unborn.rename(path)
        except OSError as error:
            os.close(descriptor)
            with suppress(OSError):  # the drainer clears such files away too
                unborn.unlink(missing_ok=True)
            raise StorageError(f"{path} cannot be made: {error.strerror}") from error
        if self._open is not None:
            self._let_go()
        self._open = _OpenSegment(name, descriptor, len(MAGIC))
        self._window_start = self._window_end = 0
        self._position = len(MAGIC)
        self._full_at = 0

    def _let_go(self) -> None:
        """Close the segment, at the length that its entries have."""
        segment, self._open = self._open, None
        assert segment is not None, "who asks has looked"
        written = self._written
        if self._window is not None:
            self._window.close()  # it holds the file open, and with it the lock
            self._window = None
        with suppress(OSError):  # readers pass over zeros at the end: it is only longer than it need be
            os.ftruncate(segment.descriptor, written)
        os.close(segment.descriptor)

    def _path(self, segment: _OpenSegment) -> Path:
        return self._folder / segment.name.name

    def _look_again(self) -> None:
        self._look_handle = self._loop.call_later(LOOK_EVERY_S, self._look_again)
        self._look()

    def _look(self) -> None:
        """See how much all workers' segments take, and make ours drainable when room is short, or when it is asked for.

        A segment that is being written to is not removed however well it is drained: workers that hold large ones
        and have nothing to write could keep the folder full for ever.
        """
        segments = self._count()
        if segments is None or self._open is None:
            return
        if self._open.name not in segments:
            # Somebody has removed it: what is written there from now on would never be found.
            self._next_segment()
            return
        turn = turn_asked(self._folder)
        if turn != self._turn:
            self._turn = turn
            if self._written > len(MAGIC):
                self._next_segment()
                return
        written = self._written
        is_worth = written > len(MAGIC) if self.is_full else written * _PRESSURE_SHARE >= self._segment_bytes
        if sum(segments.values()) >= self._limit_bytes * _PRESSURE and is_worth:
            self._next_segment()

    def _count(self) -> dict[Segment, int] | None:
        """Every segment with its bytes, and with that how much room there is; None if that cannot be seen."""
        try:
            segments = list_segments(self._folder)
        except StorageError as error:
            self._blindness = error
            return None
        self._blindness = None
        total = sum(segments.values())
        self.is_full = total >= self._limit_bytes
        self._room_bytes = max(0, self._limit_bytes - total)
        return segments
