"""The archive: segments that entries are appended to, each batch with a signed checkpoint, on the disk when it returns.

Files are only ever appended to. A batch's checkpoint comes last: what stands behind the last good one is a write that
was interrupted, if the ledger still has those entries; if it has not, somebody has been at the file. Such a file is
left as it is, for `verify` to say what is wrong, and the log goes on in a new segment.

State: the segment that is written to, the tree over its leaves, the chain, and the last checkpoint's hash.
"""

import fcntl
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from headworks.audit.keys import MasterKeys
from headworks.audit.lines import NOTHING, Checkpoint, Head, chained, head_line, line_hash, signed_line
from headworks.audit.merkle import Tree, leaf_hash
from headworks.audit.scanning import START, Good, has_checkpoint, scan
from headworks.database import storage_errors
from headworks.errors import StorageError

SEGMENT_BYTES = 16 << 20
"""Size from which the next batch goes into a new segment."""

_FIRST_FORMAT = 1


def segment_files(folder: Path) -> dict[int, Path]:
    """The segments of an archive by their numbers, in order.

    Raises:
        StorageError: the folder cannot be read.
    """
    found: dict[int, Path] = {}
    with storage_errors(folder):
        if folder.is_dir():
            for path in folder.iterdir():
                if re.fullmatch(r"[0-9]{8}\.audit", path.name):
                    found[int(path.stem)] = path
    return dict(sorted(found.items()))


def segment_path(folder: Path, number: int) -> Path:
    """Where a segment lies."""
    return folder / f"{number:08d}.audit"


class Archive:
    """Appends to the archive in a folder. One at a time: it holds a lock.

    Arguments:
        folder: made when missing.
        log_id: of the ledger that entries come from.
        masters: the one in use signs.
        least_next: the number of the first entry that the ledger still has: the archive has all before it.
        report: told in a sentence what an operator must know.

    Attributes:
        next: the number of the entry to come.
        last_line: the line of the last checkpoint; empty if there is none yet.

    Raises (as does `append`):
        StorageError: it cannot be used. Nothing that counts is half written.
    """

    def __init__(
        self,
        folder: Path,
        log_id: str,
        masters: MasterKeys,
        *,
        least_next: int,
        report: Callable[[str], None],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._folder = folder
        self._log_id = log_id
        self._masters = masters
        self._report = report
        self._segment_bytes = segment_bytes
        self._number = 0
        self._size = 0
        self._tree = Tree()
        self._chain = START
        self._previous = NOTHING
        self._is_closed = True
        self.next = 0
        self.last_line = b""
        with storage_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with storage_errors(folder / "lock"):
                try:
                    fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise StorageError(f"{folder}: another process writes the audit archive") from None
            self._resume(least_next)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the archive. Harmless to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def append(self, entries: Sequence[bytes], now_us: int) -> None:
        """Write sealed entries (see `lines.seal`), whose numbers go on from `next`, and a checkpoint behind them.

        After an error make a new archive: this one does not know what the files hold.
        """
        lines: list[bytes] = []
        is_new = self._is_closed or self._size >= self._segment_bytes
        if is_new:
            self._number += 1
            head = head_line(Head(_FIRST_FORMAT, self._log_id, self._number, self.next, self._previous))
            self._tree, self._chain, self._size = Tree(), START, 0
            self._tree.add(leaf_hash(head))
            lines.append(head)
        tree, chain = self._tree, self._chain
        for entry in entries:
            line, chain = chained(entry, chain)
            tree.add(leaf_hash(line))
            lines.append(line)
        after = self.next + len(entries)
        master = self._masters.current
        checkpoint = Checkpoint(
            self._log_id, self._number, tree.size, tree.root().hex(), after, now_us, self._previous, master.name
        )
        sealed = signed_line(checkpoint, master)
        self._write(b"\n".join((*lines, sealed, b"")), is_new=is_new)
        self._chain, self._previous, self.next, self.last_line = chain, line_hash(sealed), after, sealed
        self._is_closed = False

    def _write(self, data: bytes, *, is_new: bool) -> None:
        """Have the data at the end of the segment, on the disk."""
        path = segment_path(self._folder, self._number)
        with storage_errors(path):
            flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if is_new else 0)
            descriptor = os.open(path, flags, 0o600)
            try:
                written = 0
                while written < len(data):
                    written += os.pwrite(descriptor, data[written:], self._size + written)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                _sync_folder(self._folder)
        self._size += len(data)

    def _resume(self, least_next: int) -> None:
        """Go on from the last good checkpoint, if what is behind it is no loss; else in a new segment."""
        numbers = set(segment_files(self._folder))
        good, fault = None, ""
        unborn: list[int] = []
        for number in sorted(numbers, reverse=True):
            path = segment_path(self._folder, number)
            with storage_errors(path):
                data = path.read_bytes()
            found = scan(data, self._masters.signers)
            good, fault = found.good, found.fault
            if good is not None:
                break
            if not has_checkpoint(data):
                unborn.append(number)  # if nothing is lacking, its first batch was interrupted
        self._take_up(good)
        is_other = good is not None and good.head.log != self._log_id
        if is_other or self.next < least_next:
            lack = "belongs to another ledger" if is_other else f"lacks entries from {self.next} to {least_next - 1}"
            self._report(
                f"the audit archive {lack}: what is there stays as it is, and the log goes on in a new segment; "
                "`headworks audit verify` says what is wrong"
            )
            self._number, self.next, self._is_closed = max(numbers, default=0), least_next, True
            return
        for number in unborn:
            path = segment_path(self._folder, number)
            with storage_errors(path):
                path.unlink()
        self._number = max(numbers - set(unborn), default=0)
        if good is None or self._number != good.head.segment:
            self._is_closed = True
        elif fault:
            path = segment_path(self._folder, self._number)
            self._report(
                f"the audit archive's segment {path.name} ended in a write that was interrupted: cut off there"
            )
            with storage_errors(path):
                os.truncate(path, good.end)

    def _take_up(self, good: Good | None) -> None:
        if good is None:
            return
        self._tree, self._chain, self._size = good.tree, good.chain, good.end
        self._previous, self.next, self.last_line = good.previous, good.next, good.line
        self._is_closed = False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
