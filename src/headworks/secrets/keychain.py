"""The operating system's keyring, through the package `keyring`: an extra."""

from headworks.config import Reference
from headworks.errors import SecretError
from headworks.secrets.fetched import Fetched, part_of

_UNFIT = ("fail", "null", "plaintext")
"""Backends that keep nothing, or keep it in clear text: `keyring` chooses these by itself where there is no other."""


def fetch_from_keyring(reference: Reference) -> Fetched:
    """The password of a user of a service.

    Raises:
        SecretError: the package is not installed, there is no keyring that protects anything, or nothing in it.
    """
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise SecretError(
            f"{reference.text}: the keyring needs the extra `keyring`: pip install 'headworks[keyring]'"
        ) from None
    backend = keyring.get_keyring()
    backends = (backend, *getattr(backend, "backends", ()))  # a chainer has several
    for one in backends:
        kind = f"{type(one).__module__}.{type(one).__qualname__}".lower()
        if any(word in kind for word in _UNFIT):
            raise SecretError(f"{reference.text}: there is no keyring here that protects anything")
    try:
        found = keyring.get_password(reference.first, reference.rest)
    except keyring.errors.KeyringError as error:
        raise SecretError(f"{reference.text}: the keyring cannot be read ({type(error).__name__})") from None
    if found is None:
        raise SecretError(f"{reference.text}: the keyring has no such entry")
    return part_of(reference, found)
