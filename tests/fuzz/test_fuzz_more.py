"""The fuzzers of templates, of the redactor, and of two readers of HTTP: a moment in CI, `make search` for longer."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZERS = ["fuzz_templates.py", "fuzz_redactor.py", "fuzz_readers.py"]


def fuzzed(fuzzer, seconds, *arguments):
    file = Path(__file__).with_name(fuzzer)
    run = subprocess.run(
        [sys.executable, str(file), "--seconds", str(seconds), *arguments], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "nothing found" in run.stdout
    return int(run.stdout.split(": ")[1].split(" ")[0])


@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_nothing_is_found_in_a_moment(fuzzer):
    assert fuzzed(fuzzer, 0.4, "--seed", "1") > 5


@pytest.mark.parametrize(
    "connections",
    [1_000, pytest.param(10_000_000, marks=[pytest.mark.long, pytest.mark.timeout(14_400)])],
)
def test_two_readers_agree_on_so_many_connections(connections):
    assert fuzzed("fuzz_readers.py", 0, "--seed", "29", "--connections", str(connections)) > connections / 5


@pytest.mark.long
@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_nothing_is_found_in_a_minute(fuzzer):
    assert fuzzed(fuzzer, 60) > 1000
