"""The logs of several machines side by side: each has its own chain and is verified by itself; entries go by time.

Machines share no chain, so that none waits for another. What brings them together is that one person looks at all of
them: here as folders, each with a ledger and an archive, of this machine or copied from another.
"""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from headworks.audit.entries import AuditEntry
from headworks.audit.keys import MasterKeys, Signer
from headworks.audit.ledger import Ledger
from headworks.audit.reading import AuditReader, Search
from headworks.audit.scanning import checkpoint_of
from headworks.audit.sealing import ARCHIVE_FOLDER, LEDGER_FILE, least_next, open_ledger
from headworks.audit.verifying import Verdict, verify
from headworks.errors import CommandError


class NamedLog(msgspec.Struct, frozen=True):
    """One machine's log, open: `name` is what it is called where several are shown."""

    name: str
    folder: Path
    ledger: Ledger

    @property
    def archive(self) -> Path:
        """Where its segments lie."""
        return self.folder / ARCHIVE_FOLDER


class SeveralLogs:
    """Logs that are looked at together. To be closed; a context manager.

    Arguments:
        folders: names and folders of logs, as `audit/` below a storage folder is one.
        masters: the keys that data keys were wrapped with; of each log the current one, or an earlier one.

    Raises:
        CommandError: a folder has no log, or two have the same one.
        StorageError: a log cannot be opened.
    """

    def __init__(self, folders: Sequence[tuple[str, Path]], masters: MasterKeys) -> None:
        self._open = ExitStack()
        self.logs: list[NamedLog] = []
        try:
            for name, folder in folders:
                self._add(name, folder, masters)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all of them. Harmless to call twice."""
        self._open.close()

    def _add(self, name: str, folder: Path, masters: MasterKeys) -> None:
        if not (folder / LEDGER_FILE).is_file():
            raise CommandError(f"{folder} has no audit log: give a folder with {LEDGER_FILE} and {ARCHIVE_FOLDER}/")
        ledger = open_ledger(folder, masters)
        self._open.callback(ledger.close)
        for known in self.logs:
            if known.ledger.log_id == ledger.log_id:
                raise CommandError(f"{known.folder} and {folder} are the same log: give each machine's once")
        names = {known.name for known in self.logs}
        shown = name if name not in names else f"{name}-{ledger.log_id[:8]}"
        self.logs.append(NamedLog(shown, folder, ledger))

    def search(self, search: Search) -> Iterator[AuditEntry]:
        """What is searched for in any of them, by time; each log's entries in their own order, whatever its clock said.

        Raises:
            StorageError: as `AuditReader.search`.
        """
        return (entry for _, entry in heapq.merge(*(_timed(log, search) for log in self.logs), key=_moment))

    def sealed(self, search: Search) -> Iterator[bytes]:
        """The lines of the archives as they stand there, log after log: a line says its number and not its log."""
        for log in self.logs:
            yield from AuditReader(log.archive, log.ledger).sealed(search)

    def verify(
        self, signers: Sequence[Signer], anchored: Sequence[tuple[str, Sequence[bytes]]]
    ) -> list[tuple[str, Verdict]]:
        """Whether each is as it was written, by name.

        Arguments:
            anchored: checkpoints that were kept elsewhere, of any of them: where each list is from, and its lines. One
                that is of none of the logs is told with the first: perhaps a whole log is missing.
        """
        mine = {log.ledger.log_id: number for number, log in enumerate(self.logs)}
        shares: list[list[tuple[str, list[bytes]]]] = [[] for _ in self.logs]
        for source, lines in anchored:
            divided: dict[int, list[bytes]] = {}
            for line in lines:
                checkpoint = checkpoint_of(line)
                divided.setdefault(0 if checkpoint is None else mine.get(checkpoint.log, 0), []).append(line)
            for number, share in divided.items():
                shares[number].append((source, share))
        return [
            (
                log.name,
                verify(
                    log.archive,
                    signers,
                    anchored=share,
                    log_id=log.ledger.log_id,
                    least_next=least_next(log.ledger),
                ),
            )
            for log, share in zip(self.logs, shares, strict=True)
        ]


def _timed(log: NamedLog, search: Search) -> Iterator[tuple[int, AuditEntry]]:
    """Entries with a time that never goes back, so that merging by it leaves them in their order."""
    latest_us = 0
    for entry in AuditReader(log.archive, log.ledger).search(search):
        latest_us = max(latest_us, entry.at_us)
        yield latest_us, msgspec.structs.replace(entry, log=log.name)


def _moment(timed: tuple[int, AuditEntry]) -> int:
    return timed[0]
