import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headworks.catalogue.signature import public_key, verify
from headworks.errors import CommandError

ONE, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEY, OTHER_KEY = ONE.public_key().public_bytes_raw(), OTHER.public_key().public_bytes_raw()


def signed(content, key=ONE):
    return base64.encodebytes(key.sign(content)).decode()  # with line ends, as base64(1) writes it


def test_the_key_that_signed_is_told():
    assert verify(b"prices", signed(b"prices"), [OTHER_KEY, KEY]) == KEY


@pytest.mark.parametrize(
    ("content", "signature", "words"),
    [
        (b"prices!", signed(b"prices"), "changed after it was signed"),
        (b"prices", signed(b"prices", OTHER), "not by the key"),
        (b"prices", "no base64 at all?", "not usable"),
        (b"prices", base64.b64encode(b"short").decode(), "not usable"),
        (b"prices", "", "not usable"),
    ],
    ids=["changed", "another key", "no base64", "too short", "empty"],  # signatures are new in each run
)
def test_what_the_trusted_key_did_not_sign_is_refused(content, signature, words):
    with pytest.raises(CommandError, match=words):
        verify(content, signature, [KEY])


def test_nothing_is_trusted_without_keys():
    with pytest.raises(CommandError, match="nothing was installed"):
        verify(b"prices", signed(b"prices"), [])


def test_a_public_key_is_32_bytes_in_base64():
    assert public_key(base64.b64encode(KEY).decode()) == KEY
    with pytest.raises(ValueError, match="32 bytes"):
        public_key(base64.b64encode(KEY[:-1]).decode())
