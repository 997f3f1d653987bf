"""A script: drains copies of a storage folder for the audit log, each in a process that is killed at one more statement
or write than the last; until one lives. Arguments: the folder, and where the copies go. Prints how many there are."""

import os
import shutil
import signal
import sys
from pathlib import Path

from headworks import database
from headworks.audit import archive
from headworks.audit_intake import AuditDraining
from headworks.auditing import AuditTerms
from headworks.config import Secret

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


def main(start: Path, copies: Path) -> None:
    point, has_lived = 0, False
    while not has_lived:
        point += 1
        storage = copies / str(point)
        shutil.copytree(start, storage)
        pid = os.fork()
        if not pid:
            die_at(point)
            try:
                draining = AuditDraining(terms_of(storage), report=lambda _: None)
                draining.drain(is_last=True)
                draining.close()
            finally:
                os._exit(0)
        has_lived = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    print(point)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
