"""Processes that score: bounded in time and in what they may say, with nothing of our environment but the needful.

No sandbox against malice: they run as the same user. What is kept away from a run is a mistake: an endless loop, a
flood of output, a child that stays behind, and the providers' keys in our environment.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from headworks.evals.scorers.scoring import ScoringFailed

MOST_OUTPUT_BYTES = 1_000_000
"""A score with its reason is short; a longer output is a mistake."""

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "HOME")
"""What of our environment a process sees. Everything else could be a provider's key."""


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of a process. Python finds the same modules in it as here, and those in the folder."""
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    entries = [entry or str(Path.cwd()) for entry in sys.path]
    environment["PYTHONPATH"] = os.pathsep.join([*entries, str(folder)])
    return environment


async def run_once(
    command: Sequence[str], data: bytes, *, folder: Path, timeout_s: float, gives: str = "score"
) -> bytes:
    """Run a command with this on its standard input; returns its standard output. It is gone when this returns.

    Arguments:
        gives: what it is to give, as problems call it.

    Raises:
        ScoringFailed: it cannot be started, takes too long, says too much, or ends with another code than 0.
    """
    name = Path(command[0]).name
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env=surroundings(folder),
            start_new_session=True,  # so that what it starts ends with it, and Ctrl-C is ours alone
        )
    except OSError as error:
        raise ScoringFailed(f"the command {name} cannot be started: {error.strerror or error}") from None
    try:
        async with asyncio.timeout(timeout_s):
            output = await _converse(process, data)
            code = 0 if output is None else await process.wait()
    except TimeoutError:
        raise ScoringFailed(f"the command {name} gave no {gives} within {timeout_s:g} s") from None
    finally:
        await end(process)
    if output is None:
        raise ScoringFailed(f"the command {name} said more than {MOST_OUTPUT_BYTES:,} bytes")
    if code:
        raise ScoringFailed(f"the command {name} ended with code {code}")
    return output


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a process and whatever it has started, and wait until it is gone."""
    # The group may outlive its leader: what the command has started in the background.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # What is unread stays unread: `wait` waits for the end of the pipes, too, which something that got away from the
    # group may hold open. Closing the process's own transport would close them, but it polls as well, and so may take
    # the exit code away from the thread that waits for it.
    transport: asyncio.SubprocessTransport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001
    for number in range(3):
        pipe = transport.get_pipe_transport(number)
        if pipe is not None:
            pipe.close()
    await process.wait()


async def _converse(process: asyncio.subprocess.Process, data: bytes) -> bytes | None:
    """Write and read at once, so that neither side waits for the other; None where it says too much."""
    assert process.stdin is not None
    assert process.stdout is not None
    writing = asyncio.ensure_future(_write(process.stdin, data))
    try:
        said = bytearray()
        while piece := await process.stdout.read(65_536):
            said += piece
            if len(said) > MOST_OUTPUT_BYTES:
                return None
        return bytes(said)
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing


async def _write(stream: asyncio.StreamWriter, data: bytes) -> None:
    # A command that does not read all of its input may be right all the same.
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
        stream.close()
