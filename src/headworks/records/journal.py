"""The journal of one worker: entries are in the kernel's hands before anything else happens with the call.

All entries of one turn of the event loop go out in one `write`. A killed process loses nothing that a resolved
future stood for; a machine that loses its power may lose the last seconds, as no `fsync` is made here.

A write that fails is told to everyone who waited for it, and spoils nothing: bytes that were half written are never
written over (a reader may have gone past them), the journal goes on in the next segment.
"""

import asyncio
import fcntl
import os
import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from headworks.calls import JournalEntry, Settled
from headworks.errors import StorageError
from headworks.records.frames import MAGIC, MAX_PAYLOAD_BYTES
from headworks.records.segments import UNBORN_SUFFIX, Segment, list_segments

LOOK_EVERY_S = 0.5
"""How often the size of the folder is looked at, in seconds."""

_PRESSURE = 0.75
"""Share of the bound from which a worker gives its segment free for draining before it is full-sized."""

_PRESSURE_SHARE = 16
"""Under pressure, a segment is given free from this part of its full size on: few files, and yet room is won."""

_pack_head = struct.Struct("<II").pack
_crc32 = zlib.crc32


class _Written(asyncio.Future[None]):
    """Shared by everyone who waits for the same write; one of them giving up must not cancel it for the others."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        """A write cannot be taken back. The waiting task is cancelled when it wakes."""
        return False


class Journal:
    """Appends the entries of one worker to the segments of `folder`. For one thread, that of the event loop.

    Arguments:
        folder: where all workers' segments lie; made when missing.
        worker: this worker's name: letters, digits, `-`, `_`.
        segment_bytes: size at which the next segment is begun.
        limit_bytes: bound on all segments in the folder; see `is_full`.
        loop: the running event loop.
        now: seconds since the Unix epoch.

    Attributes:
        is_full: the folder has reached `limit_bytes`, because nothing drains it: new calls should be refused. Those
            under way are still written. Looked at twice a second, so the bound may be passed by what comes in between.
        failure: what went wrong last; None when all is well. After a failed write the next one is tried as usual.

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
        self.failure: StorageError | None = None
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._limit_bytes = limit_bytes
        self._loop = loop
        self._call_soon = loop.call_soon
        self._encode = msgspec.msgpack.Encoder().encode
        self._parts: list[bytes] = []
        self._written: _Written | None = None
        self._callbacks: list[Callable[[StorageError | None], object]] = []
        self._descriptor = -1
        self._size = 0
        self._is_torn = False
        self._hindrance: StorageError | None = None
        self._room_bytes = 0
        self._segment = Segment(worker, int(now() * 1e6), 0)
        self._begin_segment()
        self._look_handle = loop.call_later(LOOK_EVERY_S, self._look_again)
        self._look()

    def append(self, entry: JournalEntry) -> asyncio.Future[None]:
        """Write an entry at the end of this turn; the future is done when the kernel has it.

        The future is shared with the other entries of the turn, and fails with `StorageError` if the write does.
        Cancelling who waits for it does not take the entry back.
        """
        self.append_nowait(entry)
        if self._written is None:
            self._written = _Written(loop=self._loop)
        return self._written

    def append_nowait(self, entry: JournalEntry, then: Callable[[StorageError | None], object] | None = None) -> None:
        """Write an entry at the end of this turn, then call `then` at once with None, or with what went wrong.

        Cheaper and one turn sooner than a future's callback. With nobody to call, `failure` tells if it went wrong.
        Bodies are left out of an entry that would be larger than 512 MiB.
        """
        payload = self._encode(entry)
        size = len(payload)
        if size > MAX_PAYLOAD_BYTES and isinstance(entry, Settled):
            # The call must be on record whatever its size; bodies like these no store could take.
            payload = self._encode(msgspec.structs.replace(entry, request_body=b"", response_body=b""))
            size = len(payload)
        parts = self._parts
        if not parts:
            self._call_soon(self.flush)
        parts.append(_pack_head(size, _crc32(payload)))
        parts.append(payload)
        if then is not None:
            self._callbacks.append(then)

    def flush(self) -> None:
        """Write what has been appended, now, and tell who waits. The event loop calls this by itself."""
        if not self._parts:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        failure: StorageError | None = None
        try:
            self._write(data)
        except StorageError as error:
            failure = error
        self.failure = failure or self._hindrance
        written, self._written = self._written, None
        if written is not None:
            if failure is None:
                written.set_result(None)
            else:
                written.set_exception(failure)
        if self._callbacks:
            callbacks, self._callbacks = self._callbacks, []
            self._tell(callbacks, failure)

    def close(self) -> None:
        """Write what is left and let go of the segment, so that it can be drained to the end and removed."""
        if self._descriptor < 0:
            return
        self.flush()
        self._look_handle.cancel()
        os.close(self._descriptor)
        self._descriptor = -1

    def _tell(self, callbacks: list[Callable[[StorageError | None], object]], failure: StorageError | None) -> None:
        position = 0
        try:
            for position, callback in enumerate(callbacks, 1):  # noqa: B007 - read in `finally`
                callback(failure)
        finally:
            # One that raises is for the loop to report; it must not keep the news from the others.
            if position < len(callbacks):
                self._loop.call_soon(self._tell, callbacks[position:], failure)

    def _write(self, data: bytes) -> None:
        if self._descriptor < 0:
            raise StorageError("the journal is closed")
        if self._is_torn or self._size >= self._segment_bytes:
            self._next_segment()
        try:
            _write_all(self._descriptor, data)
        except OSError as error:
            size = os.fstat(self._descriptor).st_size
            self._is_torn = size > self._size
            self._size = size
            raise StorageError(
                f"{self._folder / self._segment.name} cannot be written: {error.strerror}; is the disk full?"
            ) from error
        self._size += len(data)
        self._room_bytes -= len(data)
        if self._room_bytes <= 0 and not self.is_full:
            self._look()

    def _next_segment(self) -> None:
        """Go on in a new segment. One that is only large is kept if there can be no new one just now."""
        last = self._descriptor
        self._segment = msgspec.structs.replace(self._segment, number=self._segment.number + 1)
        try:
            self._begin_segment()
        except StorageError as error:
            if self._is_torn:
                raise
            self._hindrance = error
            return
        self._hindrance = None
        # Only now: a reader that finds none of our segments locked takes us for dead.
        os.close(last)

    def _begin_segment(self) -> None:
        """Make the segment and lock it, and only then give it the name under which readers look for it."""
        path = self._folder / self._segment.name
        unborn = path.with_suffix(UNBORN_SUFFIX)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(unborn, flags, 0o600)
        except OSError as error:
            raise StorageError(f"{path} cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write_all(descriptor, MAGIC)
            unborn.rename(path)
        except OSError as error:
            os.close(descriptor)
            with suppress(OSError):  # the drainer clears such files away too
                unborn.unlink(missing_ok=True)
            raise StorageError(f"{path} cannot be made: {error.strerror}") from error
        self._descriptor = descriptor
        self._size = len(MAGIC)
        self._is_torn = False

    def _look_again(self) -> None:
        self._look_handle = self._loop.call_later(LOOK_EVERY_S, self._look_again)
        self._look()

    def _look(self) -> None:
        """See how much all workers' segments take, and make ours drainable when room is short.

        A segment that is being written to is not removed however well it is drained: workers that hold large ones
        and have nothing to write could keep the folder full for ever.
        """
        try:
            segments = list_segments(self._folder)
        except StorageError as error:
            self.failure = self._hindrance = error
            return
        if self._segment not in segments:
            # Somebody has removed it: what is written there from now on would never be found.
            self._next_segment()
        total = sum(segments.values())
        self.is_full = total >= self._limit_bytes
        self._room_bytes = max(0, self._limit_bytes - total)
        is_worth = self._size > len(MAGIC) if self.is_full else self._size * _PRESSURE_SHARE >= self._segment_bytes
        if total >= self._limit_bytes * _PRESSURE and is_worth:
            self._next_segment()


def _write_all(descriptor: int, data: bytes) -> None:
    done = os.write(descriptor, data)
    while done < len(data):  # a full disk or a limit cut the write short: the next goes on, or says why not
        done += os.write(descriptor, data[done:])
