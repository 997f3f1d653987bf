"""Commands that are run once: whatever they do, they are gone, and their end is told to who waits for it."""

import asyncio
import subprocess
import sys

import pytest

from headworks.evals.scorers import processes
from headworks.evals.scorers.scoring import ScoringFailed


def run(script, folder, timeout_s=20.0):
    return asyncio.run(processes.run_once([sys.executable, "-c", script], b"{}", folder=folder, timeout_s=timeout_s))


def test_what_a_command_says_is_returned(tmp_path):
    assert run("import sys; print(sys.stdin.read() + '!')", tmp_path) == b"{}!\n"


def test_what_a_command_leaves_behind_with_its_pipes_open_holds_nobody_up(tmp_path):
    script = "import os, time; os.fork() or (os.setsid(), time.sleep(5)); print('done', flush=True)"
    with pytest.raises(ScoringFailed, match=r"gave no score within 0\.5 s"):
        run(script, tmp_path, timeout_s=0.5)


def test_the_exit_code_is_left_to_who_waits_for_it(tmp_path, monkeypatch):
    """A poll beside the thread that waits takes the code away, and a warning about an unknown process is printed."""
    ending, polled = [], []
    end = processes.end

    async def watched(process):
        ending.append(True)
        await end(process)

    monkeypatch.setattr(processes, "end", watched)
    poll = subprocess.Popen.poll

    def noting(self):
        polled.extend(ending)
        return poll(self)

    monkeypatch.setattr(subprocess.Popen, "poll", noting)
    with pytest.raises(ScoringFailed):
        run("import time; time.sleep(600)", tmp_path, timeout_s=0.2)
    assert not polled
