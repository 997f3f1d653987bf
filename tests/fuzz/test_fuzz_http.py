import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_http.py")


def fuzzed(seconds, *arguments):
    run = subprocess.run(
        [sys.executable, str(FUZZER), "--seconds", str(seconds), *arguments], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "nothing found" in run.stdout
    return int(run.stdout.split(": ")[1].split(" ")[0])


def test_mutated_requests_neither_raise_nor_leave_bytes_behind():
    assert fuzzed(2, "--seed", "1") > 100
    assert fuzzed(2) > 100


@pytest.mark.long
def test_mutated_requests_neither_raise_nor_leave_bytes_behind_for_a_minute():
    assert fuzzed(60) > 1000
