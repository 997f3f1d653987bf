"""How workers are asked to forget the answers that they have in memory, by a command of another process.

A file in the run folder has the moment of the latest wish; workers look at it. Which wish they have fulfilled, they say
with the rest of how they stand (`telemetry.Standing.forgot_s`).
"""

import os
from pathlib import Path

ASK_FILE = "answers.forget"


def ask_to_forget(folder: Path, now_s: float) -> None:
    """Have answers in the memory of workers forgotten. Raises OSError."""
    fresh = folder / f"{ASK_FILE}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(repr(now_s).encode())
    fresh.replace(folder / ASK_FILE)


def asked_to_forget_s(folder: Path) -> float:
    """When that was last asked for, in Unix seconds; 0 where it never was."""
    try:
        return float((folder / ASK_FILE).read_bytes())
    except (OSError, ValueError):
        return 0.0
