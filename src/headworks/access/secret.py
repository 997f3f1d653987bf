"""The server secret, under which virtual keys are hashed: read, or made on first use."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from headworks.access.keys import SECRET_BYTES
from headworks.config import SecretReference, read_secret
from headworks.errors import SecretError

_LEAST_CHARACTERS = 32
"""128 bits, if they were written in hexadecimal: below that, a stored hash could be attacked by guessing."""


def server_secret(reference: SecretReference, folder: Path, environment: Mapping[str, str]) -> bytes:
    """The secret that a reference leads to. A `file:` that does not exist is made, with a random secret.

    Any number of processes may be first at the same time: all get the same secret.

    Arguments:
        reference: as for `read_secret`.
        folder: what a relative path is relative to.
        environment: where `env:` looks; usually `os.environ`.

    Raises:
        SecretError: it cannot be read or made, or is too short to protect anything.
    """
    if reference.startswith("file:"):
        path = folder / reference.removeprefix("file:")
        if not path.exists():
            try:
                _create(path)
            except OSError as error:
                raise SecretError(f"{reference} cannot be made: {error.strerror or error}") from error
    value = read_secret(reference, base=folder, environment=environment).reveal()
    if len(value) < _LEAST_CHARACTERS:
        raise SecretError(f"{reference} is too short for a server secret: at least {_LEAST_CHARACTERS} characters")
    return value.encode()


def _create(path: Path) -> None:
    """Make the file whole, then link it into place: nobody ever reads half a secret, and the first one stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(SECRET_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was first: its secret is the secret
            os.link(fresh, path)
    finally:
        fresh.unlink()
