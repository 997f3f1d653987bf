"""Whether the archive is what was written: every change, removal, addition, reordering and truncation, and where.

What the files cannot say of themselves is said from outside: a whole end that is missing is seen from the checkpoints
that were anchored elsewhere, and from the ledger, which knows the number of the next entry.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from headworks.audit.archive import segment_files
from headworks.audit.keys import Signer
from headworks.audit.lines import NOTHING, Checkpoint, Signed, read_line, signed_bytes
from headworks.audit.scanning import Scan, checkpoint_of, scan
from headworks.database import storage_errors

_ATTEMPTS = 5
_REST_S = 0.1


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong. `file` is the segment's, or the anchors'; `line` counts from 1, 0 means the file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class Verdict(msgspec.Struct, frozen=True):
    """What `verify` came to. `last` is the line of the last good checkpoint; empty if there is none."""

    findings: tuple[Finding, ...]
    segments: int
    entries: int
    checkpoints: int
    anchors: int
    last: bytes

    @property
    def is_good(self) -> bool:
        """Whether everything is as it was written."""
        return not self.findings


def verify(
    folder: Path,
    signers: Sequence[Signer],
    *,
    anchored: Iterable[tuple[str, Sequence[bytes]]] = (),
    log_id: str = "",
    least_next: int | None = None,
    rest: Callable[[float], None] | None = None,
) -> Verdict:
    """Look at every byte of an archive.

    Arguments:
        signers: whose signatures count.
        anchored: checkpoints that were kept elsewhere: where each list is from, and its lines.
        log_id: of the ledger, if it is there to be asked.
        least_next: the number of the first entry that the ledger still has; the archive must have all before it.

        rest: waits so many seconds, where somebody may be writing just now: an end that is missing is looked at again.

    Raises:
        StorageError: a file cannot be read.
    """
    checking = _Checking(signers, log_id)
    for number, path in segment_files(folder).items():
        checking.segment(number, path.name, _scanned(path, signers, rest))
    checking.end(folder.name, least_next)
    anchors = 0
    for source, lines in anchored:
        for number, line in enumerate(lines, 1):
            anchors += checking.anchor(source, number, line)
    return Verdict(
        tuple(checking.findings), checking.segments, checking.next, len(checking.lines), anchors, checking.last
    )


def _scanned(path: Path, signers: Sequence[Signer], rest: Callable[[float], None] | None) -> Scan:
    for _ in range(_ATTEMPTS):
        with storage_errors(path):
            found = scan(path.read_bytes(), signers)
        if rest is None or not found.is_unfinished:
            break
        rest(_REST_S)
    return found


class _Checking:
    """State: what the segments so far come to."""

    def __init__(self, signers: Sequence[Signer], log_id: str) -> None:
        self._signers = signers
        self._log_id = log_id
        self._previous = NOTHING
        self._expected = 1
        self.findings: list[Finding] = []
        self.lines: set[bytes] = set()
        self.segments = 0
        self.next = 0
        self.last = b""

    def segment(self, number: int, name: str, found: Scan) -> None:
        """Look at the next segment."""
        self.segments += 1
        if number != self._expected:
            missing = f"segment {self._expected}" + (f" to {number - 1}" if number - 1 > self._expected else "")
            self._find(name, 0, f"{missing} before it is missing")
        self._expected = number + 1
        head = found.head
        if head is not None:
            if head.segment != number:
                self._find(name, 1, f"it is segment {head.segment} by its head: files were renamed or moved")
            if self._log_id and head.log != self._log_id:
                self._find(name, 1, "it belongs to the log of another ledger")
            if head.previous != self._previous:
                self._find(name, 1, "it does not go on from the last checkpoint of the segment before it")
            if head.first != self.next:
                self._find(name, 1, f"it begins with entry {head.first}, and entry {self.next} should come")
        if found.fault:
            self._find(name, found.fault_line, found.fault)
        good = found.good
        if good is not None:
            self._log_id = self._log_id or good.head.log
            self._previous, self.next, self.last = good.previous, good.next, good.line
        self.lines.update(found.checkpoints)

    def end(self, name: str, least_next: int | None) -> None:
        """Every segment has been looked at."""
        if least_next is not None and self.next < least_next:
            self._find(name, 0, f"the end is missing: the ledger knows of entries up to {least_next - 1}")

    def anchor(self, source: str, number: int, line: bytes) -> bool:
        """Look for an anchored checkpoint; whether it is one of ours."""
        if line in self.lines:
            return True
        checkpoint = checkpoint_of(line)
        if checkpoint is None or not self._is_signed(line, checkpoint):
            self._find(source, number, "this is not a checkpoint of this log as it was written")
            return False
        self._find(
            source,
            number,
            f"the archive lacks this checkpoint (segment {checkpoint.segment}, {checkpoint.size} leaves, entries to "
            f"{checkpoint.next - 1}): what came before it was cut off, or written anew",
        )
        return True

    def _is_signed(self, line: bytes, checkpoint: Checkpoint) -> bool:
        signed = read_line(line, Signed)
        return signed is not None and any(
            signer.name == checkpoint.signer and signer.has_signed(*signed_bytes(signed)) for signer in self._signers
        )

    def _find(self, file: str, line: int, message: str) -> None:
        self.findings.append(Finding(file, line, message))
