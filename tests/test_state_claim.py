"""One gateway for each state folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headworks.errors import StorageError
from headworks.state_claim import CLAIM_FILE, Holder, claim_state, read_holder

_HOLDS = """
import sys
from pathlib import Path
from headworks.state_claim import claim_state
claim = claim_state(Path(sys.argv[1]))
print("mine", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_refused_while_another_has_it(tmp_path: Path) -> None:
    claim = claim_state(tmp_path)
    with pytest.raises(StorageError, match=rf"in use by another gateway \(process {os.getpid()}\); .*storage\.path"):
        claim_state(tmp_path)

    claim.tell("127.0.0.1", 4000)
    with pytest.raises(StorageError, match=r"process \d+, on port 4000"):
        claim_state(tmp_path)
    assert read_holder(tmp_path) == Holder(os.getpid(), "127.0.0.1", 4000)

    claim.close()
    claim.close()
    claim_state(tmp_path).close()


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _HOLDS, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        with pytest.raises(StorageError, match=f"process {holder.pid}"):
            claim_state(tmp_path)
        holder.kill()
        holder.wait()

    claim_state(tmp_path).close()


def test_a_file_that_says_nothing_of_its_holder_is_no_trouble(tmp_path: Path) -> None:
    assert read_holder(tmp_path) is None
    claim = claim_state(tmp_path)
    (tmp_path / CLAIM_FILE).write_bytes(b"{")
    with pytest.raises(StorageError, match="in use by another gateway; stop that one, or"):
        claim_state(tmp_path)
    claim.close()


def test_a_folder_in_which_no_lock_can_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / CLAIM_FILE).mkdir()
    with pytest.raises(OSError, match=CLAIM_FILE):
        claim_state(tmp_path)
