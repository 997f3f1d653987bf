"""Run many tests at once, and those few that failed once more, alone: fails where one fails again.

    .venv/bin/python tools/testing/crowd.py [--run "coverage run -m pytest"] -n 3 --dist worksteal tests

What is not an option of this tool goes to pytest. A test that fails while the machine is full and passes on its own
has a bug, mostly in how long it waits: it is named in the last lines, to be mended, but whoever checks a change need
not begin anew because of it. Where more than a handful fail, or pytest did not come to its end, nothing is run again.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

FEW = 5
"""Failures, at most, that are run again: what breaks more tests than that is no matter of time."""

_TESTS_FAILED = 1
"""pytest's exit code for it (https://docs.pytest.org/en/stable/reference/exit-codes.html)."""


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
    with tempfile.TemporaryDirectory(prefix="headworks-tests-") as folder:
        kept = ["-o", f"cache_dir={folder}"]
        code = subprocess.run([*pytest, *kept, *others], check=False).returncode  # noqa: S603 - what the developer says
        again = failed(Path(folder))
        if code != _TESTS_FAILED or not 0 < len(again) <= FEW:
            return code
        sys.stdout.write(f"\nonce more, alone: {len(again)} that failed\n")
        sys.stdout.flush()
        code = subprocess.run([*pytest, *kept, *again], check=False).returncode  # noqa: S603 - the same
    said = "FAILED AGAIN" if code else "UNSTEADY, passed alone; mend how they wait"
    sys.stdout.write("".join(f"{said}: {test}\n" for test in again))
    return code


if __name__ == "__main__":
    sys.exit(main())
