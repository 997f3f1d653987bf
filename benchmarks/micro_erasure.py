"""How long it takes to erase one person, over a hundred thousand records.

    .venv/bin/python -m benchmarks.micro_erasure
    .venv/bin/python -m benchmarks.micro_erasure --calls 20000 --url postgresql://...

Writes calls with content into a journal, drains that into the store and the audit log, and does to both what
`headworks audit erase` does: destroys the person's keys in the log's ledger, and removes their content from the store.
One person has made a hundredth of the calls, and another all the rest. What is left is looked for afterwards, in the
store and by opening the log. The database of a URL has to be empty; the password may stand in the URL.

Bar (test 27 of docs/explanation/threat-model.md): a second for the one among a hundred thousand.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.targets import CannotMeasure
from headworks.audit.keys import MasterKeys
from headworks.audit.ledger import Ledger
from headworks.audit.reading import AuditReader, Search
from headworks.audit.sealing import ARCHIVE_FOLDER, open_ledger
from headworks.audit_intake import catch_up_audit
from headworks.auditing import AuditTerms, keep_for_audit
from headworks.calls import Opened, Settled
from headworks.config import Secret
from headworks.records import JOURNAL_FOLDER, Journal, Selection, Store, drain_once, open_store
from headworks.records.content import ContentVault

_CALLS = 100_000
_ONE_IN = 100
_MOST_S = 1.0
_SECRET = "secret-of-the-benchmark-0123456789abcdef"
_BEGIN_US = 1_795_435_200_000_000
_NEVER_US = 1 << 62
_SOME, _MANY = "user-some", "user-many"


def main() -> int:
    """Print the figures; 1 where the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro_erasure", description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=_CALLS, help="records (default: %(default)s)")
    parser.add_argument("--url", default="", help="of an empty PostgreSQL database, in place of a file")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {sys.executable}; {'PostgreSQL' if options.url else 'SQLite'}")
    with tempfile.TemporaryDirectory() as folder:
        storage = Path(folder)
        terms = AuditTerms(storage, Secret(_SECRET), (), None, {}, (), 3600.0)
        _fill(terms, options.calls, options.url)
        ledger = open_ledger(terms.folder, MasterKeys(_SECRET.encode()), is_writer=True)
        store = open_store(storage, options.url)
        try:
            took_s = _erase(terms, ledger, store, _SOME, options.calls // _ONE_IN)
            _erase(terms, ledger, store, _MANY, options.calls - options.calls // _ONE_IN)
        finally:
            store.close()
            ledger.close()
    return int(took_s > _MOST_S)


def _fill(terms: AuditTerms, calls: int, url: str) -> None:
    keep_for_audit(terms.storage, is_on=True)
    begun_s = time.perf_counter()
    asyncio.run(_write(terms.storage / JOURNAL_FOLDER, calls))
    drained = drain_once(terms.storage, url)
    if drained is None or drained.recorded != calls:
        raise CannotMeasure(f"of {calls} calls were recorded: {drained}")
    if not catch_up_audit(terms, report=print):
        raise CannotMeasure("the audit log does not have all calls")
    print(f"{calls:,} calls with content are in the store and the log, after {time.perf_counter() - begun_s:.0f} s")


async def _write(folder: Path, calls: int) -> None:
    loop = asyncio.get_running_loop()
    journal = Journal(folder, worker="bench", segment_bytes=16 << 20, limit_bytes=1 << 34, loop=loop, now=time.time)
    vault = ContentVault(_SECRET.encode())
    for n in range(calls):
        user = _SOME if n % _ONE_IN == 0 else _MANY
        call_id = f"call_{n:026x}"
        opened = Opened(call_id, _BEGIN_US + n * 1000, "responses", "fast", user=user, team="search", key_id="key_1")
        pieces = (os.urandom(600), os.urandom(900))  # what does not get any smaller, as zstd makes it of 2 to 3 KB
        journal.append(opened)
        journal.append(
            Settled(
                opened,
                "answered",
                200,
                5,
                workload="triage",
                request_body=vault.seal(call_id, "triage", "request", pieces[0]),
                response_body=vault.seal(call_id, "triage", "response", pieces[1]),
                content_expires_us=_NEVER_US,
            )
        )
    journal.close()


def _erase(terms: AuditTerms, ledger: Ledger, store: Store, user: str, calls: int) -> float:
    """One line of the report; seconds that it has taken."""
    subject = ledger.subject_of(user)
    keys_s, keys = _timed(lambda: ledger.erase(user))
    pieces_s, pieces = _timed(lambda: store.erase(user))
    print(
        f"{calls:>7,} calls: {keys} keys of the log in {keys_s * 1e3:.0f} ms, "
        f"{pieces:,} pieces of content in {pieces_s * 1e3:,.0f} ms"
    )
    if pieces != 2 * calls:
        raise CannotMeasure(f"{2 * calls} pieces were there")
    left = [one.seq for one in store.select(Selection(user=user, limit=200)) if store.content(one.seq, _BEGIN_US)]
    opened = next(AuditReader(terms.folder / ARCHIVE_FOLDER, ledger).search(Search(user=user)), None)
    if left or opened is not None:
        raise CannotMeasure(f"something is left of {subject}")
    return keys_s + pieces_s


def _timed(do: Callable[[], int]) -> tuple[float, int]:
    begun_s = time.perf_counter()
    found = do()
    return time.perf_counter() - begun_s, found


if __name__ == "__main__":
    sys.exit(main())
