"""Crypto wallets, by their checksums: Base58Check, Bech32 (BIP 173) and Bech32m (BIP 350), EIP-55."""

from hashlib import sha256

from headworks.screening.privacy.keccak import keccak_256
from headworks.screening.privacy.patterns import Hit, Pattern, any_of

_BASE58 = {
    character: value for value, character in enumerate(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
_BECH32 = {character: value for value, character in enumerate(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_VERSIONS = frozenset({0x00, 0x05, 0x30, 0x32, 0x1E, 0x16, 0x41})
"""Version bytes of Bitcoin, Litecoin, Dogecoin and Tron addresses."""

_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def is_base58_address(text: bytes) -> bool:
    """Base58Check of 25 bytes with a known version."""
    number = 0
    for character in text:
        number = number * 58 + _BASE58[character]
    if number >> 200:
        return False
    raw = number.to_bytes(25, "big")
    return raw[0] in _VERSIONS and sha256(sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def is_bech32_address(text: bytes) -> bool:
    """A SegWit address with a right checksum."""
    prefix, _, data = text.lower().rpartition(b"1")
    if text.lower() != text and text.upper() != text:
        return False
    check = 1
    values = [byte >> 5 for byte in prefix] + [0] + [byte & 31 for byte in prefix]
    values += [_BECH32.get(byte, 0) for byte in data]
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check in (1, 0x2BC830A3)


def is_ethereum_address(text: bytes) -> bool:
    """Forty hexadecimal digits whose capitals, if there are both, are those of EIP-55."""
    digits = text[2:].decode()
    if digits in (digits.lower(), digits.upper()):
        return len(set(digits)) > 4
    lower = digits.lower()
    hashed = keccak_256(lower.encode()).hex()
    return digits == "".join(
        [letter.upper() if int(nibble, 16) > 7 else letter for letter, nibble in zip(lower, hashed, strict=False)]
    )


def _base58(data: bytes, start: int, end: int) -> Hit | None:
    return ("wallet", start, end, 0.99) if is_base58_address(data[start:end]) else None


def _bech32(data: bytes, start: int, end: int) -> Hit | None:
    return ("wallet", start, end, 0.99) if is_bech32_address(data[start:end]) else None


def _ethereum(data: bytes, start: int, end: int) -> Hit | None:
    return ("wallet", start, end, 0.9) if is_ethereum_address(data[start:end]) else None


PATTERNS = (
    Pattern(r"\b([13LMDTA9][1-9A-HJ-NP-Za-km-z]{25,34})\b", _base58, run=26),
    Pattern(
        r"(?i)\b((?:bc|tb|ltc)1[02-9ac-hj-np-z]{11,71})\b", _bech32, needles=any_of("bc1|tb1|ltc1"), reach=(75, 24)
    ),
    Pattern(r"\b(0[xX][0-9a-fA-F]{40})\b", _ethereum, needles=any_of("0x"), reach=(42, 24), run=42),
)
