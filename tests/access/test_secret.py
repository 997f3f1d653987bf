import subprocess
import sys

import pytest

from headworks.access import server_secret
from headworks.errors import SecretError

FIRST = """
import sys
from pathlib import Path
from headworks.access import server_secret
sys.stdin.readline()
print(server_secret("file:state/secret", Path(sys.argv[1]), {}).decode())
"""


def test_a_missing_file_is_made_for_its_owner_only_and_stays(tmp_path):
    first = server_secret("file:.headworks/secret", tmp_path, {})
    second = server_secret("file:.headworks/secret", tmp_path, {})

    path = tmp_path / ".headworks" / "secret"
    assert first == second
    assert len(bytes.fromhex(first.decode())) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_each_installation_has_a_secret_of_its_own(tmp_path):
    assert server_secret("file:a", tmp_path, {}) != server_secret("file:b", tmp_path, {})


def test_processes_that_are_first_together_get_the_same_secret(tmp_path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    answers = set()
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        answers.add(racer.communicate(timeout=60)[0])

    assert len(answers) == 1
    assert len(answers.pop().strip()) == 64


def test_a_secret_from_the_environment_is_only_read(tmp_path):
    assert server_secret("env:HW_SECRET", tmp_path, {"HW_SECRET": "x" * 40}) == b"x" * 40
    with pytest.raises(SecretError, match="env:HW_SECRET is not set"):
        server_secret("env:HW_SECRET", tmp_path, {})


def test_a_secret_that_could_be_guessed_is_refused_without_being_shown(tmp_path):
    with pytest.raises(SecretError, match="too short") as raised:
        server_secret("env:HW_SECRET", tmp_path, {"HW_SECRET": "hunter2"})

    assert "hunter2" not in str(raised.value)


def test_a_place_where_none_can_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SecretError, match="file:file/secret cannot be made"):
        server_secret("file:file/secret", tmp_path, {})
