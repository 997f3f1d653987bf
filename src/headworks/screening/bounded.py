"""What bounded processes have in common: pipes with frames, bounds that the kernel keeps, and an end with their parent.

Frames (a length in four bytes, then JSON) come in on standard input and go out on standard output. A process sees next
to nothing of our environment, and whatever its work prints goes nowhere: it could hold what a prompt holds.
"""

import os
import resource
import select
import signal
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypedDict

LENGTH = struct.Struct(">I")
"""The length before each frame."""

GRACE_S = 1.0
"""Seconds after its time limit at which a worker ends itself; its parent is there first, if there still is one."""

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""What of our environment a worker sees. Everything else could be a provider's key."""


class Surroundings(TypedDict):
    """What a process is started with."""

    env: dict[str, str]
    cwd: str
    pass_fds: tuple[int, ...]
    start_new_session: bool


def surroundings(
    folder: Path, descriptors: tuple[int, ...] = (), more: Mapping[str, str] | None = None
) -> Surroundings:
    """Those of a process that works in a folder.

    Arguments:
        descriptors: what it inherits beside its pipes.
        more: further variables of its environment.
    """
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # The same modules as here; an empty entry means the folder that we are in.
    environment["PYTHONPATH"] = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {
        "env": {**environment, **(more or {})},
        "cwd": str(folder),
        "pass_fds": descriptors,
        # A group of its own, so that what it starts ends with it, and so that Ctrl-C is ours alone.
        "start_new_session": True,
    }


def kill(process_id: int) -> None:
    """Kill a process that has not been waited for, and its group."""
    with suppress(ProcessLookupError):
        os.killpg(process_id, signal.SIGKILL)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our own ends of the pipes; what its work reads from standard input is empty, what it prints is lost."""
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return questions, answers


def send(answers: BinaryIO, frame: bytes) -> None:
    """Write one frame."""
    data = memoryview(LENGTH.pack(len(frame)) + frame)
    while data:
        data = data[answers.write(data) :]


def limit(memory_bytes: int) -> None:
    """Bounds that the kernel keeps. A system that does not know one of them goes without."""
    for kind, limit in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))


def set_alarm(timeout_s: float) -> None:
    """Have the kernel end us some time after the limit, by the clock and by processor time."""
    signal.setitimer(signal.ITIMER_REAL, timeout_s + GRACE_S)
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Whole seconds, counted from the process's start; only the soft limit, which must rise again.
    most = int(used.ru_utime + used.ru_stime + timeout_s + GRACE_S) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def end_with_input(descriptor: int) -> None:
    """Wait until nobody can write to our input any more, then end the process, whatever it is doing."""
    poll = select.poll()
    poll.register(descriptor, 0)
    # No event is asked for: hanging up is told anyway (POSIX, poll).
    while not poll.poll():
        pass
    os._exit(0)
