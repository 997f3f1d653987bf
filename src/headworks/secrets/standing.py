"""How the secrets of a running gateway stand, in a file of the run folder; and the way to ask for a look at them.

Both are files, so that a command of another process needs neither a port nor the id of a process. Neither holds a
value: names of versions and times only.
"""

import os
from pathlib import Path

import msgspec

from headworks.secrets.keeper import Kept

STANDING_FILE = "secrets.json"
ASK_FILE = "secrets.ask"


class SecretStanding(msgspec.Struct, frozen=True):
    """One secret. Times are Unix seconds.

    Attributes:
        version: what its manager calls the newest; "" where it has no name for it.
        since_s: when that was first seen.
        looked_s: when its manager last gave it.
        older: further versions that are still kept.
        problem: why the last look failed; "" where it did not: then it is not stale.
        is_expired: it has been stale for too long, and calls with it are refused.
    """

    reference: str
    version: str
    since_s: float
    looked_s: float
    older: int
    problem: str
    is_expired: bool = False


class SecretsStanding(msgspec.Struct, frozen=True):
    """All of them. `asked_s` is the latest wish for a look that was fulfilled; `left_s` when this was written."""

    left_s: float
    asked_s: float
    secrets: tuple[SecretStanding, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SecretsStanding).decode


def standing_of(kept: Kept) -> tuple[SecretStanding, ...]:
    """How they stand, without a value."""
    return tuple(
        SecretStanding(
            name,
            held.versions[0].name,
            held.versions[0].since_s,
            held.looked_s,
            len(held.versions) - 1,
            held.problem,
            held.is_expired,
        )
        for name, held in kept.items()
    )


def with_looks(kept: Kept, standing: SecretsStanding | None) -> Kept:
    """What is kept, with the later looks that others have left: who keeps only what has changed does not know of looks
    that have found nothing new."""
    looks = {} if standing is None else {one.reference: one.looked_s for one in standing.secrets}
    return {
        name: msgspec.structs.replace(held, looked_s=max(held.looked_s, looks.get(name, 0.0)))
        for name, held in kept.items()
    }


def write_standing(folder: Path, standing: SecretsStanding) -> None:
    """Leave it for others: replaced whole, for its owner's eyes only. Raises OSError."""
    fresh = folder / f"{STANDING_FILE}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(_encode(standing))
    fresh.replace(folder / STANDING_FILE)


def read_standing(folder: Path) -> SecretsStanding | None:
    """What the running gateway has left; None where nothing was, or nothing of this release. Raises OSError."""
    try:
        return _decode((folder / STANDING_FILE).read_bytes())
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def ask_for_look(folder: Path, now_s: float) -> None:
    """Have every secret looked at now. Raises OSError."""
    fresh = folder / f"{ASK_FILE}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(repr(now_s).encode())
    fresh.replace(folder / ASK_FILE)


def asked_s(folder: Path) -> float:
    """When a look was last asked for, in Unix seconds; 0 where none was."""
    try:
        return float((folder / ASK_FILE).read_bytes())
    except (OSError, ValueError):
        return 0.0


def forget(folder: Path) -> None:
    """Take away what a run before has left. Raises OSError."""
    for name in (STANDING_FILE, ASK_FILE):
        (folder / name).unlink(missing_ok=True)
