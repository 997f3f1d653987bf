"""An identity provider for tests: keys, the set that it publishes, and tokens that it signs."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

NOW_S = 1_795_435_200


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class SigningKey:
    """One key of each kind."""

    def __init__(self, algorithm: str, kid: str, bits: int = 2048) -> None:
        self.algorithm, self.kid = algorithm, kid
        match algorithm:
            case "RS256":
                self.private = rsa.generate_private_key(65537, bits)
                numbers = self.private.public_key().public_numbers()
                self.jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
            case "ES256":
                self.private = ec.generate_private_key(ec.SECP256R1())
                numbers = self.private.public_key().public_numbers()
                self.jwk = {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}
            case _:
                self.private = ed25519.Ed25519PrivateKey.generate()
                self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(self.private.public_key().public_bytes_raw())}
        self.jwk |= {"kid": kid, "use": "sig", "alg": algorithm}

    def sign(self, data: bytes) -> bytes:
        match self.algorithm:
            case "RS256":
                return self.private.sign(data, padding.PKCS1v15(), SHA256())
            case "ES256":
                r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(SHA256())))
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")
            case _:
                return self.private.sign(data)


def claims(**changed):
    """Good ones, changed; None leaves one out."""
    good = {"iss": "https://id.example", "aud": "headworks", "sub": "ann", "exp": NOW_S + 600, "iat": NOW_S}
    return {name: value for name, value in (good | changed).items() if value is not None}


def token(key, said=None, **header):
    head = {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"} | header
    head = {name: value for name, value in head.items() if value is not None}
    parts = (json.dumps(part).encode() for part in (head, claims() if said is None else said))
    signed = ".".join(map(encode, parts))
    return f"{signed}.{encode(key.sign(signed.encode()))}".encode()


def key_set(*keys) -> bytes:
    return json.dumps({"keys": [getattr(key, "jwk", key) for key in keys]}).encode()
