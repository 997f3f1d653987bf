"""A script: drains copies of a storage folder for the audit log, each in a process that is killed at some statements
or writes more than the last; until one lives. Prints how many copies there are.

Arguments: the folder, where the copies go, how many statements and writes more, and what is done: `alone` (the log
reads by itself), or `handed` (journals that lie in `later` come once both are open; the records read them, and hand
them on).
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from headworks import database
from headworks.audit import archive
from headworks.audit_intake import AuditDraining
from headworks.auditing import AuditTerms
from headworks.config import Secret
from headworks.records import JOURNAL_FOLDER, Drainer, open_store

SECRET = "0123456789abcdef0123456789abcdef"


def terms_of(storage: Path, **changes) -> AuditTerms:
    fields = {"days": None, "workload_days": {}, "anchors": (), "anchor_every_s": 1.0} | changes
    return AuditTerms(storage, Secret(SECRET), (), **fields)


def die_at(point: int) -> None:
    """Have this process killed there: at a statement to SQLite, in the middle of a write, before or after a sync."""
    left = point

    def tick(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    connect, pwrite, fsync = database._connect, os.pwrite, os.fsync

    def traced(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(tick)
        return connection

    def half(descriptor, data, offset):
        written = pwrite(descriptor, data[: len(data) // 2 or 1], offset)
        tick()
        return written

    def synced(descriptor):
        tick()
        fsync(descriptor)
        tick()

    database._connect = traced
    archive.os.pwrite, archive.os.fsync = half, synced


def drain_alone(storage: Path) -> None:
    draining = AuditDraining(terms_of(storage), report=lambda _: None)
    draining.drain(is_last=True)
    draining.close()


def bring_later(storage: Path) -> None:
    """Have the journals in `later` where journals are."""
    for path in sorted((storage / "later").iterdir()):
        path.rename(storage / JOURNAL_FOLDER / path.name)


def drain_handed(storage: Path) -> None:
    draining, store, handed = AuditDraining(terms_of(storage), report=lambda _: None), open_store(storage), []
    draining.drain()
    reader = Drainer(storage / JOURNAL_FOLDER, store, now=lambda: 0.0, report=lambda _: None, hand_on=handed.append)
    reader.drain()
    draining.take(handed)
    bring_later(storage)
    handed.clear()
    reader.drain()
    assert handed[0].batch is not None
    draining.take(handed)
    reader.drain()
    draining.take([])
    draining.close()
    store.close()


def main(start: Path, copies: Path, step: int, drain: Callable[[Path], None]) -> None:
    point, number, has_lived = 1 - step, 0, False
    while not has_lived:
        point, number = point + step, number + 1
        storage = copies / str(number)
        shutil.copytree(start, storage)
        pid = os.fork()
        if not pid:
            die_at(point)
            try:
                drain(storage)
            finally:
                os._exit(0)
        has_lived = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    print(number)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        {"alone": drain_alone, "handed": drain_handed}[sys.argv[4]],
    )
