"""Who vouches for a catalogue: a detached Ed25519 signature (RFC 8032) over the file's bytes.

openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout -outform DER | tail -c 32 | base64         # the public key
openssl pkeyutl -sign -rawin -inkey key.pem -in catalogue.json | base64 -w0 > catalogue.json.sig
"""

import base64
import binascii
from collections.abc import Iterable

from headworks.errors import CommandError

KEY_BYTES = 32
SIGNATURE_BYTES = 64


def public_key(text: str) -> bytes:
    """The 32 bytes of a public key from its base64 text.

    Raises:
        ValueError: it is not one.
    """
    return _bytes(text, KEY_BYTES, "an Ed25519 public key: 32 bytes in base64")


def verify(content: bytes, signature: str, keys: Iterable[bytes]) -> bytes:
    """The key that signed the content.

    Raises:
        CommandError: no signature, or none by any of the keys.
    """
    from cryptography.exceptions import InvalidSignature  # an update only: 20 ms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        made = _bytes(signature, SIGNATURE_BYTES, "an Ed25519 signature: 64 bytes in base64")
    except ValueError as error:
        raise CommandError(f"the signature is not usable: {error}") from None
    count = 0
    for key in keys:
        count += 1
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(made, content)
        except InvalidSignature:
            continue
        return key
    which = "the key that is trusted" if count == 1 else f"any of the {count} keys that are trusted"
    raise CommandError(
        f"the signature is not by {which}, or the file was changed after it was signed; nothing was installed"
    )


def _bytes(text: str, size: int, expected: str) -> bytes:
    try:
        found = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"expected {expected}") from None
    if len(found) != size:
        raise ValueError(f"expected {expected}")
    return found
