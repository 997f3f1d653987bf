"""From new entries to the archive: sealed in the ledger's transaction, then written, then let go of.

Whatever is killed when, each entry gets its line once: the ledger has it until the archive does, and what the archive
has already is recognised by its number.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from headworks.audit.archive import SEGMENT_BYTES, Archive
from headworks.audit.entries import NewEntry, encode_body, month_of
from headworks.audit.keys import MasterKeys
from headworks.audit.ledger import Ledger
from headworks.audit.lines import Clear, seal
from headworks.database import storage_errors

LEDGER_FILE = "ledger.db"
ARCHIVE_FOLDER = "archive"


class AuditLog:
    """One audit log, to write to. One at a time.

    Arguments:
        folder: has the ledger and the archive; made when missing.
        masters: the keys.
        report: told in a sentence what an operator must know.

    Raises (as does every method):
        StorageError: it cannot be used. Make a new one and try again: nothing is lost.
    """

    def __init__(
        self,
        folder: Path,
        masters: MasterKeys,
        *,
        report: Callable[[str], None],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.ledger = open_ledger(folder, masters, is_writer=True)
        try:
            self.archive = Archive(
                folder / ARCHIVE_FOLDER,
                self.ledger.log_id,
                masters,
                least_next=least_next(self.ledger),
                report=report,
                segment_bytes=segment_bytes,
            )
        except BaseException:
            self.ledger.close()
            raise

    def close(self) -> None:
        """Let go of it. Harmless to call twice."""
        self.archive.close()
        self.ledger.close()

    def put(self, entries: Sequence[NewEntry]) -> None:
        """Seal entries into the ledger. Within `ledger.taking()`, with whatever else belongs to them."""
        if not entries:
            return
        ledger = self.ledger
        first = ledger.next_number()
        lines: list[bytes] = []
        newest: dict[str, int] = {}
        for number, entry in enumerate(entries, first):
            body = entry.body
            data_key = ledger.key_for(ledger.subject_of(body.user), body.workload, month_of(entry.at_us), entry.at_us)
            key_id = data_key.key_id
            clear = Clear(number, entry.at_us, entry.entry_id, entry.what, entry.outcome, key_id)
            lines.append(seal(clear, encode_body(body), data_key.cipher))
            newest[key_id] = max(newest.get(key_id, 0), entry.at_us)
        ledger.put_waiting(first, lines)
        ledger.touch(newest)

    def settle(self, now_us: int) -> bytes:
        """Move what is in the ledger into the archive; returns the line of the last checkpoint, if there is any."""
        ledger, archive = self.ledger, self.archive
        while waiting := ledger.waiting():
            first, lines = waiting
            fresh = lines[max(0, archive.next - first) :]
            if fresh:
                archive.append(fresh, now_us)
            ledger.archived(first)
        return archive.last_line


def open_ledger(folder: Path, masters: MasterKeys, *, is_writer: bool = False) -> Ledger:
    """The ledger of the log in a folder, both made when missing.

    Raises:
        StorageError: it cannot be used.
    """
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Ledger(folder / LEDGER_FILE, masters, is_writer=is_writer)


def least_next(ledger: Ledger) -> int:
    """The number of the first entry that the ledger still has: the archive must have all before it."""
    waiting = ledger.waiting()
    if waiting:
        return waiting[0]
    with ledger.errors():
        return ledger.next_number()
