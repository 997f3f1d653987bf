import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_dialects.py")


def fuzzed(seconds, *arguments):
    run = subprocess.run(
        [sys.executable, str(FUZZER), "--seconds", str(seconds), *arguments], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "nothing found" in run.stdout
    return int(run.stdout.split(": ")[1].split(" ")[0])


def test_mutated_requests_answers_and_streams_raise_only_what_is_promised():
    assert fuzzed(2, "--seed", "1") > 20
    assert fuzzed(2) > 20


@pytest.mark.long
def test_mutated_requests_answers_and_streams_raise_only_what_is_promised_for_a_minute():
    assert fuzzed(60) > 1000
