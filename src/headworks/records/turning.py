"""Journals that are written to are turned over: every worker goes on in a new segment, so that the last one can be
drained and removed. For who must know that nothing of before is left in the clear: erasure, and retention.

Whoever asks touches a file beside the segments. Workers look at it together with the folder, twice a second.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from headworks.database import storage_errors
from headworks.records.segments import list_segments

TURN_FILE = "turn"

_WAIT_STEP_S = 0.05


def ask_for_turn(folder: Path) -> None:
    """Have every worker that has written anything go on in a new segment.

    Arguments:
        folder: of the journals.

    Raises:
        StorageError: that cannot be asked for.
    """
    path = folder / TURN_FILE
    with storage_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)


def turn_asked(folder: Path) -> int:
    """A number that is another one when a turn was asked for; 0 where none ever was."""
    try:
        return (folder / TURN_FILE).stat().st_mtime_ns
    except OSError:
        return 0  # who makes segments there says what is wrong with the folder


def turn_journals(
    folder: Path, drain: Callable[[], object], *, wait_s: float = 15.0, rest: Callable[[float], None] = time.sleep
) -> bool:
    """Have all segments that there are at this moment turned over, drained and removed; whether they are.

    Arguments:
        folder: of the journals.
        drain: has what they hold drained, by this process or by the one that does so anyway.
        wait_s: how long they may take.

    Raises:
        StorageError: the folder cannot be read or written.
    """
    before = list_segments(folder)
    if not before:
        return True
    ask_for_turn(folder)
    for _ in range(max(1, int(wait_s / _WAIT_STEP_S))):
        drain()
        if not any(segment in before for segment in list_segments(folder)):
            return True
        rest(_WAIT_STEP_S)
    return False
