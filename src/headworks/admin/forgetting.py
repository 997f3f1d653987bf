"""Having the workers of a running gateway forget the answers that they have in memory; from another process."""

import time
from collections.abc import Callable
from pathlib import Path

from headworks.response_cache import ask_to_forget
from headworks.telemetry import RUN_FOLDER, read_left

WAIT_S = 30.0
"""How long workers may take, in seconds: they look twice a second, and say how they stand once."""

_POLL_S = 0.05
_STALE_S = 5.0
"""A worker leaves its figures once a second: one that has not for so long does not run."""


def have_answers_forgotten(
    storage: Path, *, wait_s: float = WAIT_S, rest: Callable[[float], None] = time.sleep
) -> bool:
    """Ask for it, and wait until every worker that runs has done it; False where one has not.

    Raises:
        OSError: it cannot be asked for.
    """
    folder = storage / RUN_FOLDER
    if not folder.is_dir():
        return True
    asked_s, due_s = time.time(), time.monotonic() + wait_s
    ask_to_forget(folder, asked_s)
    while True:
        serving = [one for one in read_left(folder) if one.standing is not None and time.time() - one.left_s < _STALE_S]
        if all(one.standing is not None and one.standing.forgot_s >= asked_s for one in serving):
            return True
        if time.monotonic() > due_s:
            return False
        rest(_POLL_S)
