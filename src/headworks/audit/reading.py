"""Entries of the archive, opened: all in order, those that are searched for, or one with the proof that it is there."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from headworks.audit.archive import segment_files
from headworks.audit.entries import AuditEntry, Body, decode_body
from headworks.audit.ledger import Ledger
from headworks.audit.lines import Entry, read_line, unseal
from headworks.audit.merkle import inclusion_proof, leaf_hash
from headworks.audit.scanning import CHECKPOINT, leaves_of
from headworks.database import storage_errors
from headworks.errors import CommandError, StorageError


class Search(msgspec.Struct, frozen=True):
    """Which entries. What is None or empty selects nothing away; all that is given must hold.

    `what` is an entry's, or the beginning of it before a dot (`key` finds `key.created`). `text` is looked for in ids,
    targets and details, without regard to case. `since_us` is included, `until_us` is not.
    """

    since_us: int | None = None
    until_us: int | None = None
    what: str = ""
    outcome: str = ""
    who: str = ""
    user: str = ""
    workload: str = ""
    source: str = ""
    text: str = ""

    @property
    def asks_for_content(self) -> bool:
        """Whether it asks for what is sealed: then entries that cannot be opened are not found."""
        return bool(self.who or self.user or self.workload or self.source or self.text)

    def finds(self, entry: AuditEntry) -> bool:
        """Whether it finds this entry."""
        if not self.finds_clear(entry.at_us, entry.what, entry.outcome):
            return False
        body = entry.body
        if body is None:
            return not self.asks_for_content
        return (
            self.who in ("", body.who, body.owner, body.team)
            and self.user in ("", body.user)
            and self.workload in ("", body.workload)
            and self.source in ("", body.source)
            and (not self.text or self.text.casefold() in _searchable(entry, body))
        )

    def finds_clear(self, at_us: int, what: str, outcome: str) -> bool:
        """Whether it may find an entry, by what of it is not sealed."""
        return (
            (self.since_us is None or at_us >= self.since_us)
            and (self.until_us is None or at_us < self.until_us)
            and (not self.what or what == self.what or what.startswith(f"{self.what}."))
            and self.outcome in ("", outcome)
        )


class Proof(msgspec.Struct, frozen=True):
    """That an entry is in the log: `audit verify --proof` needs this, the signer's public key, and nothing else.

    `line` is the entry's, leaf `index` of the tree over the first `size` leaves of its segment; `path` leads from it to
    the root that `checkpoint`, a signed line, states. Hashes are hexadecimal.
    """

    line: str
    index: int
    size: int
    path: tuple[str, ...]
    checkpoint: str


class AuditReader:
    """Reads the archive in a folder. It reads what is there: whether that is what was written, `verify` says."""

    def __init__(self, archive: Path, ledger: Ledger) -> None:
        self._archive = archive
        self._ledger = ledger

    def search(self, search: Search) -> Iterator[AuditEntry]:
        """The entries that are searched for, the oldest first.

        Raises:
            StorageError: a file cannot be read, or a line in it is no entry.
        """
        for entry, segment, line in self._entries():
            if search.finds_clear(entry.at, entry.what, entry.outcome):
                opened = self._open(entry, segment, line)
                if search.finds(opened):
                    yield opened

    def get(self, text: str) -> list[AuditEntry]:
        """Every entry about what has this id, or with this number (`#17`).

        Raises:
            CommandError: there is none.
        """
        return [self._open(*found) for found in self._about(text)]

    def sealed(self, search: Search) -> Iterator[bytes]:
        """Lines as they stand in the archive, of the entries whose clear part is searched for."""
        for segment, line_number, line in self._lines():
            entry = self._read(segment, line_number, line)
            if search.finds_clear(entry.at, entry.what, entry.outcome):
                yield line

    def prove(self, text: str) -> Proof:
        """The proof that an entry is in the log; of several with this id, of the first.

        Raises:
            CommandError: there is none.
        """
        entry, segment, _ = self._about(text)[0]
        path = segment_files(self._archive)[segment]
        with storage_errors(path):
            data = path.read_bytes()
        leaves = list(leaves_of(data))
        index = next(number for number, leaf in enumerate(leaves) if leaf.startswith(b'{"n":%d,' % entry.n))
        checkpoint = next((one for one in reversed(data.split(b"\n")) if one.startswith(CHECKPOINT)), b"")
        steps = inclusion_proof([leaf_hash(leaf) for leaf in leaves], index)
        return Proof(
            leaves[index].decode(), index, len(leaves), tuple(step.hex() for step in steps), checkpoint.decode()
        )

    def _about(self, text: str) -> list[tuple[Entry, int, int]]:
        number = int(text[1:]) if text.startswith("#") and text[1:].isdecimal() else -1
        found = [one for one in self._entries() if one[0].id == text or one[0].n == number]
        if not found:
            raise CommandError(
                f"there is no audit entry {text!r}; give the id of a call or an event, or an entry's number as #17"
            )
        return found

    def _entries(self) -> Iterator[tuple[Entry, int, int]]:
        for segment, line_number, line in self._lines():
            yield self._read(segment, line_number, line), segment, line_number

    def _lines(self) -> Iterator[tuple[int, int, bytes]]:
        for segment, path in segment_files(self._archive).items():
            with storage_errors(path), path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if number > 1 and not line.startswith(CHECKPOINT) and line.endswith(b"\n"):
                        yield segment, number, line[:-1]

    def _read(self, segment: int, number: int, line: bytes) -> Entry:
        entry = read_line(line, Entry)
        if entry is None:
            raise StorageError(
                f"line {number} of segment {segment} of the audit archive is no entry: `headworks audit verify` says "
                "what is wrong"
            )
        return entry

    def _open(self, entry: Entry, segment: int, line: int) -> AuditEntry:
        key = self._ledger.data_key(entry.key)
        body: Body | None = None
        if key is not None:
            opened = unseal(entry, key)
            if opened is None:
                raise StorageError(
                    f"entry {entry.n} of the audit log (segment {segment}, line {line}) was changed: it cannot be "
                    "opened with its key; `headworks audit verify` says what else is wrong"
                )
            body = decode_body(opened)
        return AuditEntry(entry.n, entry.at, entry.id, entry.what, entry.outcome, body, segment, line)


def _searchable(entry: AuditEntry, body: Body) -> str:
    details = " ".join(f"{name} {value}" for name, value in body.detail.items())
    return f"{entry.entry_id} {body.target} {body.error_code} {details}".casefold()
