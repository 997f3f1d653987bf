"""One gateway for each state folder: the claim that it holds on it, and what is known of who holds it.

    claim = claim_state(storage)          # refused while another gateway has the folder
    claim.tell(host, port)                # where it listens, for `headworks doctor`

Two gateways in one folder would forget each other's figures and keys. The claim is a lock on a file (flock), so it ends
with its process, however that ends. What is written in the file is only a hint: a gateway that was killed leaves it.
Commands and the library work beside a gateway and claim nothing.
"""

import fcntl
import os
from pathlib import Path

import msgspec

from headworks.errors import StorageError

CLAIM_FILE = "gateway.lock"
_MOST_BYTES = 4096


class Holder(msgspec.Struct, frozen=True):
    """Who has a state folder: its process, and where it listens; port 0: it has not said so yet."""

    pid: int
    host: str = ""
    port: int = 0


class StateClaim:
    """A folder that is ours until `close`, or until this process ends. State: the open file that carries the lock.

    A child that is forked off must call `close` too: the lock lives as long as anybody has this file open.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, host: str, port: int) -> None:
        """Write down who has the folder and where it listens. Raises OSError when it cannot be written."""
        data = msgspec.json.encode(Holder(os.getpid(), host, port))
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)

    def close(self) -> None:
        """Let go of it, in this process. Harmless to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def claim_state(storage: Path) -> StateClaim:
    """Have this folder for one gateway.

    Arguments:
        storage: the state folder; it must exist.

    Raises:
        StorageError: another gateway has it; names the folder and, where it is known, its process.
        OSError: no lock can be had there.
    """
    path = storage / CLAIM_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    claim = StateClaim(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        claim.tell("", 0)
    except BlockingIOError:
        claim.close()
        raise StorageError(_taken(storage, read_holder(storage))) from None
    except OSError as error:
        claim.close()
        raise OSError(error.errno, error.strerror, str(path)) from error
    return claim


def read_holder(storage: Path) -> Holder | None:
    """Who has claimed this folder last, whether or not it still runs; None where that is not known.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with (storage / CLAIM_FILE).open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=Holder)
    except (FileNotFoundError, msgspec.MsgspecError):  # none yet, or it is being written
        return None


def _taken(storage: Path, holder: Holder | None) -> str:
    who, stop = "another gateway", "stop that one"
    if holder is not None:
        place = f", on port {holder.port}" if holder.port else ""
        who, stop = f"another gateway (process {holder.pid}{place})", f"stop that one (kill {holder.pid})"
    return (
        f"{storage} is in use by {who}; {stop}, or give this gateway a folder of its own: "
        "`storage.path` in headworks.yaml"
    )
