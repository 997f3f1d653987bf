"""The control plane's process begins with what it is given, and ends when its records are drained, whenever it is told.

Each test starts the real process, as the supervisor does, with its end of a socket pair.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from headworks.calls import Opened, Settled
from headworks.config import Secret
from headworks.console import ControlTerms, pack_terms
from headworks.records import JOURNAL_FOLDER, Selection, open_store
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment
from headworks.server.messages import Word
from headworks.server.messages import frame as said

pytestmark = pytest.mark.timeout(60)


def write(storage, call_id):
    folder = storage / JOURNAL_FOLDER
    folder.mkdir(exist_ok=True)
    settled = Settled(Opened(call_id, 1, "responses", "fast"), "answered", 200, 5)
    (folder / Segment("worker-1", 1, 0).name).write_bytes(MAGIC + frame(settled))


def recorded(storage):
    store = open_store(storage)
    try:
        return [record.call_id for record in store.select(Selection())]
    finally:
        store.close()


def terms(storage):
    return said(Word.GIVEN, pack_terms(ControlTerms(storage, Secret(""), None, True)))


@contextmanager
def beginning(*, is_held_back=True):
    """The process and our end of the socket pair; SIGTERM is held back from before it begins, as by the supervisor."""
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,) if is_held_back else ())
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "headworks.server.control_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    try:
        with process:
            try:
                yield process, ours
            finally:
                process.kill()
    finally:
        ours.close()


def test_a_stop_that_comes_before_it_has_begun_waits_until_the_journals_are_drained(tmp_path):
    write(tmp_path, "call_1")
    with beginning() as (process, control):
        process.send_signal(signal.SIGTERM)  # it has been given nothing yet, so it cannot answer signals
        control.sendall(terms(tmp_path))
        _, text = process.communicate()

    assert (process.returncode, text) == (0, "")
    assert recorded(tmp_path) == ["call_1"]


def test_a_stop_that_nobody_holds_back_would_end_it_there(tmp_path):
    write(tmp_path, "call_1")
    with beginning(is_held_back=False) as (process, control):
        process.send_signal(signal.SIGTERM)
        process.communicate()
        control.close()

    assert process.returncode == -signal.SIGTERM


def test_it_does_not_begin_without_its_supervisor(tmp_path):
    write(tmp_path, "call_1")
    with beginning() as (process, control):
        control.sendall(terms(tmp_path)[:-1])
        control.close()
        process.communicate()

    assert process.returncode == 0
    assert len(list((tmp_path / JOURNAL_FOLDER).iterdir())) == 1


def test_it_drains_and_ends_when_its_supervisor_has_ended(tmp_path):
    write(tmp_path, "call_1")
    with beginning() as (process, control):
        control.sendall(terms(tmp_path))
        control.close()
        _, text = process.communicate()

    assert (process.returncode, text) == (0, "")
    assert recorded(tmp_path) == ["call_1"]


def test_what_cannot_be_used_is_said(tmp_path):
    storage = tmp_path / "state"
    storage.write_text("in the way")
    with beginning() as (process, control):
        control.sendall(terms(storage))
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate()

    assert "Traceback" not in text
    assert f"headworks: records stay in the journal for now: {os.fspath(storage)}" in text
