"""The audit log searched and verified; for the command line and the admin API alike. Whoever looks is entered first.

The log is of the whole installation: a role in one organisation does not open it.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.access import Right
from headworks.admin.desk import Desk
from headworks.auditing import AuditTerms, audit_terms
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.audit.entries import AuditEntry
    from headworks.audit.keys import MasterKeys, Signer
    from headworks.audit.ledger import Ledger
    from headworks.audit.reading import Search
    from headworks.audit.verifying import Verdict


def log_terms(desk: Desk) -> AuditTerms:
    """The terms of the log.

    Raises:
        Forbidden: whoever asks may not read it.
        CommandError: there is none.
        ConfigError, SecretError: its secrets cannot be read.
    """
    desk.demand_everywhere(Right.READ_AUDIT)
    terms = audit_terms(desk.project)
    if terms is None:
        raise CommandError("there is no audit log: `audit.enabled` is false in headworks.yaml")
    return terms


def search_log(desk: Desk, search: "Search", *, limit: int, before: int | None = None) -> "list[AuditEntry]":
    """The last entries that are searched for, the newest first.

    Arguments:
        before: only those with a lower number.

    Raises:
        Forbidden, CommandError, ConfigError, SecretError: as `log_terms`.
        StorageError: the log cannot be read.
    """
    terms = log_terms(desk)
    desk.tell("audit.search", "", _asked(search))
    with open_log(desk, terms) as (ledger, _):
        from headworks.audit.reading import AuditReader
        from headworks.audit.sealing import ARCHIVE_FOLDER

        entries = AuditReader(terms.folder / ARCHIVE_FOLDER, ledger).search(search)
        found = deque((one for one in entries if before is None or one.number < before), maxlen=max(1, limit))
    return list(reversed(found))


def verify_log(
    desk: Desk, *, anchors: Sequence[Path] = (), archive: Path | None = None, signers: "Sequence[Signer]" = ()
) -> "Verdict":
    """Whether the log is as it was written.

    Arguments:
        anchors: files of checkpoints that were kept elsewhere, beside those that the configuration names.
        archive: a copy to verify instead.
        signers: whose signatures count, instead of our own.

    Raises:
        Forbidden, CommandError, ConfigError, SecretError: as `log_terms`.
        StorageError: the log cannot be read.
    """
    from headworks.audit.sealing import ARCHIVE_FOLDER, least_next
    from headworks.audit.verifying import verify

    terms = log_terms(desk)
    desk.tell("audit.verify")
    with open_log(desk, terms) as (ledger, masters):
        places = [anchor.file for anchor in terms.anchors if anchor.file is not None and anchor.file.exists()]
        return verify(
            archive or terms.folder / ARCHIVE_FOLDER,
            list(signers) or list(masters.signers),
            anchored=anchored([*anchors, *places]),
            log_id="" if archive else ledger.log_id,
            least_next=None if archive else least_next(ledger),
            rest=None if archive else time.sleep,  # ours may be written to at this moment
        )


def anchored(files: Sequence[Path]) -> list[tuple[str, list[bytes]]]:
    """Checkpoints that were kept elsewhere: where each list is from, and its lines. Raises StorageError."""
    from headworks.audit.anchors import read_anchors

    return [(str(path), read_anchors(path)) for path in files]


@contextmanager
def open_log(desk: Desk, terms: AuditTerms) -> "Iterator[tuple[Ledger, MasterKeys]]":
    """The ledger of the log and its keys, with what the journals hold at this moment entered.

    Raises:
        StorageError: they cannot be read.
    """
    from headworks.audit.sealing import open_ledger
    from headworks.audit_intake import catch_up_audit, masters_of

    if not catch_up_audit(terms, report=desk.report):
        desk.report("the journals hold more than the log has yet")
    masters = masters_of(terms)
    ledger = open_ledger(terms.folder, masters)
    try:
        yield ledger, masters
    finally:
        ledger.close()


def _asked(search: "Search") -> dict[str, str | int]:
    """What was asked for, as the log may know it: of a person, only that it was about one."""
    asked: dict[str, str | int] = {
        f"asked_{name}": getattr(search, name) for name in ("what", "outcome", "who", "workload", "source")
    }
    for name in ("since_us", "until_us"):
        moment = getattr(search, name)
        if moment is not None:
            asked[f"asked_{name.removesuffix('_us')}"] = _iso(moment)
    if search.user:
        asked["asked_user"] = "a person"
    return asked


def _iso(at_us: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
