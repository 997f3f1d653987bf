"""Run many tests at once, and those few that failed once more, alone: fails where one fails again.

    .venv/bin/python tools/testing/crowd.py [--run "coverage run -m pytest"] -n 3 --dist worksteal tests

What is not an option of this tool goes to pytest. A test that fails while the machine is full and passes on its own
has a bug, mostly in how long it waits: it is named in the last lines, to be mended, but whoever checks a change need
not begin anew because of it. Where more than a handful fail, or pytest did not come to its end, nothing is run again.

What tests write goes to memory where there is room for it (Linux, `/dev/shm`): the stores that they make by the
thousand wait for the disk at every commit, and no test can pull the plug. It is gone afterwards; `TMPDIR` says where
else it is to go.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FEW = 5
"""Failures, at most, that are run again: what breaks more tests than that is no matter of time."""

_TESTS_FAILED = 1
"""pytest's exit code for it (https://docs.pytest.org/en/stable/reference/exit-codes.html)."""

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a name of its own is made in it
"""The file system in memory that Linux has for POSIX shared memory (`shm_overview(7)`)."""

ROOM_BYTES = 6 << 30
"""What must be free there and in memory: all tests together write less than half of it, and need the rest to run."""


def memory_with_room(memory: Path = MEMORY, need_bytes: int = ROOM_BYTES) -> Path | None:
    """Where in memory tests may write; None where there is too little of it."""
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < need_bytes:
        return None
    if os.statvfs(memory).f_flag & os.ST_NOEXEC:  # tests run some of what they write
        return None
    sizes = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())  # proc_meminfo(5)
    return memory if int(sizes["MemAvailable"].split()[0]) * 1024 >= need_bytes else None


def failed(cache: Path) -> list[str]:
    """The ids of the tests that failed in the run whose cache this is."""
    path = cache / "v" / "cache" / "lastfailed"
    return sorted(json.loads(path.read_text())) if path.exists() else []


def main(argv: list[str] | None = None) -> int:
    """Exit code: that of pytest; 0 where what failed passed alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="pytest", help="the command that is pytest, of this Python's environment")
    own, others = parser.parse_known_args(argv)
    module, *rest = shlex.split(own.run)
    pytest = [sys.executable, "-m", module, *rest]
    memory = None if "TMPDIR" in os.environ else memory_with_room()
    with tempfile.TemporaryDirectory(prefix="hw-", dir=memory) as folder:
        environment = dict(os.environ)
        if memory is not None:
            Path(folder).chmod(0o711)  # PostgreSQL, which does not run as root, has a folder in it
            environment["TMPDIR"] = folder
        kept = ["-o", f"cache_dir={folder}/cache"]
        if memory is not None:
            kept.append(f"--basetemp={folder}/t")  # short, for sockets have their paths in it

        def run(*words: str) -> int:
            ended = subprocess.run([*pytest, *kept, *words], check=False, env=environment)  # noqa: S603 - what the developer says
            return ended.returncode

        code = run(*others)
        again = failed(Path(folder) / "cache")
        if code != _TESTS_FAILED or not 0 < len(again) <= FEW:
            return code
        sys.stdout.write(f"\nonce more, alone: {len(again)} that failed\n")
        sys.stdout.flush()
        code = run(*again)
    said = "FAILED AGAIN" if code else "UNSTEADY, passed alone; mend how they wait"
    sys.stdout.write("".join(f"{said}: {test}\n" for test in again))
    return code


if __name__ == "__main__":
    sys.exit(main())
