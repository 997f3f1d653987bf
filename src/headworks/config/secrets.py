"""Secrets by reference. A value that was read never shows itself.

`env:NAME` and `file:PATH` are read here. What a secret manager keeps is named by the same kind of reference
(`config.references`) and fetched by the room `secrets`: never from here, for it takes a network. Where somebody has
fetched it, or will (`secret_source`), it is read here like any other.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol

from headworks.config.managers import SecretReference
from headworks.config.references import FORM, is_local_reference, is_reference
from headworks.errors import SecretError
from headworks.secret_source import ask_manager

MAX_BYTES = 16_384
"""More than any provider's key; a larger file is a mistake."""

_VISIBLE = r"[\x21-\x7e]+"
_KNOWN_KEY = (
    r"(?i)^(sk-|pk-|hw-|gsk_|xai-|AIza|AKIA|ASIA|ghp_|gho_|github_pat_|glpat-|xox[abprs]-|ey[JK]|bearer\s|basic\s)"
)
_RANDOM_RUN = r"[A-Za-z0-9+=]{24,}"


class Secret:
    """A secret's value. Only `reveal` gives it away: not `repr`, not `str`, not a format, not a pickle or copy."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends or hashes it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__

    def __format__(self, _specification: str, /) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac  # brings hashlib: 8 ms that a start without comparisons need not pay

        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]  # a secret is not a key to look things up by

    def __reduce_ex__(self, _protocol: object, /) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


def looks_like_secret(text: str) -> bool:
    """Whether the text is probably a key: a known prefix, or a long run of mixed letters and digits.

    Used to refuse literals in the file and to keep them out of messages; errs towards yes.
    """
    if re.match(_KNOWN_KEY, text):
        return True
    run = re.search(_RANDOM_RUN, text)
    return run is not None and any(c.isdigit() for c in run[0]) and any(c.isalpha() for c in run[0])


def secret_file(reference: SecretReference, *, base: Path) -> Path | None:
    """The file that a `file:` reference names, relative to `base`; None for other kinds."""
    return base / reference.removeprefix("file:") if reference.startswith("file:") else None


def read_secret(reference: SecretReference, *, base: Path, environment: Mapping[str, str]) -> Secret:
    """The secret that a reference leads to.

    Arguments:
        reference: `env:NAME`, or `file:PATH` (relative to `base`), whose file holds the secret as its only line; or
            a manager's.
        base: the folder of the file that the reference stands in.
        environment: where `env:` looks; usually `os.environ`. A manager's secret that it has, under the reference
            itself (`secrets.with_known`), is not asked for.

    Raises:
        SecretError: not set, not readable, empty, or not one line of visible ASCII; or its manager does not give it.
            Names the reference only.
    """
    if not is_local_reference(reference):
        if not is_reference(reference):
            raise SecretError(f"not a secret reference that can be read here: write {FORM}")
        known = environment.get(reference)
        return one_line(reference, ask_manager(reference, environment) if known is None else known)
    path = secret_file(reference, base=base)
    if path is None:
        value = environment.get(reference.removeprefix("env:"))
        if value is None:
            raise SecretError(f"{reference} is not set in the environment")
    else:
        value = _read_file(reference, path)
    return one_line(reference, value)


class ReadSecret(Protocol):
    """Reads a secret, or finds out whether it can be read. Raises SecretError, with the reference only."""

    def __call__(self, reference: SecretReference, /, *, base: Path, environment: Mapping[str, str]) -> object: ...


def look_at_secret(reference: SecretReference, *, base: Path, environment: Mapping[str, str]) -> None:
    """Whether the secret can be read, for a process that is not to have it: a file is opened, and not read.

    Arguments:
        environment: may have other values than the secrets themselves, where those are as good.

    Raises:
        SecretError: as for `read_secret`, but for what only reading tells.
    """
    path = secret_file(reference, base=base)
    if path is None:
        read_secret(reference, base=base, environment=environment)
        return
    with _opened(reference, path) as descriptor:
        size = os.fstat(descriptor).st_size
    if size > MAX_BYTES:
        raise SecretError(f"{reference} is larger than {MAX_BYTES} bytes")
    if not size:
        raise SecretError(f"{reference} is empty")


def one_line(reference: str, value: str) -> Secret:
    """What a reference led to, as a secret: one line of visible ASCII, without white space around it.

    Raises:
        SecretError: it is something else; names the reference only.
    """
    value = value.strip(" \t\r\n")
    if not value:
        raise SecretError(f"{reference} is empty")
    if not re.fullmatch(_VISIBLE, value):
        raise SecretError(f"{reference} does not hold one line of visible ASCII characters")
    return Secret(value)


def is_readable_by_others(path: Path) -> bool:
    """Whether group or world may read the file. False where it does not exist."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return bool(mode & (stat.S_IRGRP | stat.S_IROTH))


def _read_file(reference: SecretReference, path: Path) -> str:
    with _opened(reference, path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise SecretError(f"{reference} is larger than {MAX_BYTES} bytes")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise SecretError(f"{reference} does not hold one line of visible ASCII characters") from None


@contextmanager
def _opened(reference: SecretReference, path: Path) -> Iterator[int]:
    """The descriptor of a secret's file. Raises SecretError, whatever is wrong with it meanwhile."""
    try:
        # Not blocking: a FIFO in the place of a secret must not hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise SecretError(f"{reference} cannot be read: {_reason(error)}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SecretError(f"{reference} is not a regular file")
        yield descriptor
    except OSError as error:
        raise SecretError(f"{reference} cannot be read: {_reason(error)}") from None
    finally:
        os.close(descriptor)


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "not a usable path"


__all__ = [
    "MAX_BYTES",
    "ReadSecret",
    "Secret",
    "is_local_reference",
    "is_readable_by_others",
    "is_reference",
    "look_at_secret",
    "looks_like_secret",
    "one_line",
    "read_secret",
    "secret_file",
]
