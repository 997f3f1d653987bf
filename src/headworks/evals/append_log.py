"""A file of lines that only grows. Lines are whole or not there; many wait for the disk together."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from headworks.errors import StorageError

_PIECE_BYTES = 1 << 20


def _taken(done: asyncio.Future[None]) -> None:
    """Take what came of it, so that nobody is told of what nobody waits for."""
    if not done.cancelled():
        done.exception()


class AppendLog:
    """Appends lines and reads single ones again. For one writer.

    What a killed process has written is there; a last line that it has not written whole is cut off on opening.
    """

    def __init__(self, path: Path, *, is_writing: bool) -> None:
        """Raises StorageError: the file cannot be opened."""
        self._path = path
        flags = os.O_RDWR | os.O_CREAT if is_writing else os.O_RDONLY
        self._descriptor = -1
        self._end = 0
        try:
            self._descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
            self._end = self._whole_bytes()
            if is_writing:
                os.ftruncate(self._descriptor, self._end)
        except FileNotFoundError:
            assert not is_writing, "a writer makes the file"
        except OSError as error:
            raise self._error(error) from error
        self._written = 0
        self._durable = 0
        self._syncing: asyncio.Future[None] | None = None

    def append(self, line: bytes) -> int:
        """Write a line, without its end; returns where it begins. It outlives this process, if not a power cut.

        Raises:
            StorageError: it is not written.
        """
        at, left = self._end, memoryview(line + b"\n")
        try:
            while left:
                count = os.pwrite(self._descriptor, left, self._end)
                left = left[count:]
                self._end += count
        except OSError as error:
            self._end = at  # the next line goes over what was written of this one
            raise self._error(error) from error
        self._written += 1
        return at

    async def synced(self) -> None:
        """Wait until every line so far is on the disk. Those who wait at the same time share one `fsync`.

        Raises:
            StorageError: it is not.
        """
        mine = self._written
        while self._durable < mine:
            if self._syncing is None:
                self._syncing = asyncio.ensure_future(self._sync())
                self._syncing.add_done_callback(_taken)  # who waits may be gone, and the file closed
            await asyncio.shield(self._syncing)

    def line_at(self, at: int) -> bytes:
        """The line that begins there."""
        pieces = bytearray()
        while True:
            piece = os.pread(self._descriptor, 16_384 if not pieces else _PIECE_BYTES, at + len(pieces))
            end = piece.find(b"\n")
            if end >= 0 or not piece:
                return bytes(pieces + piece[: max(end, 0)])
            pieces += piece

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Every line with the place where it begins; memory holds one at a time."""
        if self._descriptor < 0:
            return
        at = 0
        with open(os.dup(self._descriptor), "rb", closefd=True) as opened:  # noqa: PTH123 - a descriptor
            opened.seek(0)
            while at < self._end and (line := opened.readline()):
                yield at, line[:-1]
                at += len(line)

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _sync(self) -> None:
        target = self._written
        try:
            await asyncio.to_thread(os.fsync, self._descriptor)
            self._durable = target
        except OSError as error:
            raise self._error(error) from error
        finally:
            self._syncing = None

    def _whole_bytes(self) -> int:
        """Up to the end of the last line that is whole."""
        size = os.fstat(self._descriptor).st_size
        end = size
        while end > 0:
            begin = max(0, end - _PIECE_BYTES)
            found = os.pread(self._descriptor, end - begin, begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
        return 0

    def _error(self, error: OSError) -> StorageError:
        return StorageError(f"{self._path}: {error.strerror or error}")
