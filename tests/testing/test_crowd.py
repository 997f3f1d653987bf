"""Tests that fail once may be run again; what is broken stays broken."""

import subprocess
import sys
from pathlib import Path

import pytest

CROWD = Path(__file__).parents[2] / "tools" / "testing" / "crowd.py"


@pytest.fixture
def crowd(tmp_path):
    """Runs a file of tests with the tool; gives its exit code and what it printed."""

    def crowd(source, *options):
        path = tmp_path / "test_these.py"
        path.write_text(source)
        command = [sys.executable, str(CROWD), "-q", "-p", "no:xdist", str(path), *options]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
        return ran.returncode, ran.stdout

    return crowd


UNSTEADY = """
from pathlib import Path

def test_passes_the_second_time():
    seen = Path(__file__).with_suffix(".seen")
    if not seen.exists():
        seen.touch()
        raise AssertionError

def test_is_well():
    with Path(__file__).with_suffix(".runs").open("a") as runs:
        runs.write("x")
"""


def test_what_fails_once_passes_and_is_named(crowd, tmp_path):
    code, printed = crowd(UNSTEADY)
    assert code == 0
    assert "UNSTEADY" in printed.splitlines()[-1]
    assert printed.splitlines()[-1].endswith("test_these.py::test_passes_the_second_time")
    assert (tmp_path / "test_these.runs").read_text() == "x"  # only what failed is run again


def test_what_fails_twice_fails(crowd):
    code, printed = crowd("def test_is_broken():\n    assert False\n")
    assert code == 1
    assert printed.splitlines()[-1].startswith("FAILED AGAIN: ")


def test_nothing_is_run_again_where_many_fail(crowd):
    code, printed = crowd("\n".join(f"def test_{number}():\n    assert False\n" for number in range(6)))
    assert code == 1
    assert "once more" not in printed


def test_nothing_is_run_again_where_tests_cannot_be_read(crowd):
    code, printed = crowd("import nothing_of_this_name\n")
    assert code == 2
    assert "once more" not in printed


def test_a_run_without_failures_is_one_run(crowd):
    code, printed = crowd("def test_is_well():\n    pass\n")
    assert code == 0
    assert "once more" not in printed
