"""Tests that fail once may be run again; what is broken stays broken."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CROWD = Path(__file__).parents[2] / "tools" / "testing" / "crowd.py"
_SPEC = importlib.util.spec_from_file_location("crowd", CROWD)
crowd_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(crowd_tool)


@pytest.fixture
def crowd(tmp_path):
    """Runs a file of tests with the tool; gives its exit code and what it printed."""

    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}  # we may be in a crowd
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take a second to load

    def crowd(source, *options, **variables):
        environment.update(variables)
        path = tmp_path / "test_these.py"
        path.write_text(source)
        command = [sys.executable, str(CROWD), "-q", str(path), *options]
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env=environment
        )
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


WRITER = """
from pathlib import Path

def test_says_where_it_writes(tmp_path):
    Path(__file__).with_suffix(".where").write_text(str(tmp_path))
"""


@pytest.mark.skipif(crowd_tool.memory_with_room() is None, reason="there is no room in memory")
def test_tests_write_to_memory_which_is_given_back(crowd, tmp_path):
    crowd(WRITER)
    folder = Path((tmp_path / "test_these.where").read_text())

    assert folder.is_relative_to("/dev/shm")
    assert not folder.exists()


def test_tests_write_where_it_is_said(crowd, tmp_path):
    crowd(WRITER, TMPDIR=str(tmp_path))

    assert Path((tmp_path / "test_these.where").read_text()).is_relative_to(tmp_path)


def test_there_must_be_room_in_memory(tmp_path):
    assert crowd_tool.memory_with_room(tmp_path, need_bytes=1 << 60) is None
    assert crowd_tool.memory_with_room(tmp_path / "not there", need_bytes=0) is None
    if Path("/proc/meminfo").exists():
        assert crowd_tool.memory_with_room(tmp_path, need_bytes=0) == tmp_path
