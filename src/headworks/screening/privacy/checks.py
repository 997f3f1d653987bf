"""Check digits, each in a few lines, with its source. All take digits (or capitals) without separators."""

import functools

_VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_P = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip
_VERHOEFF = [
    [[int(row[int(_VERHOEFF_P[place][digit])]) for digit in range(10)] for row in _VERHOEFF_D] for place in range(8)
]
_LUHN_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_AS_NUMBERS = {ord(letter): str(number) for number, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10)}


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    data = digits.encode()
    total = sum(data[-1::-2]) + sum(data[-2::-2].translate(_LUHN_DOUBLED))  # of characters: 48 more for each digit
    return (total - 48 * len(data)) % 10 == 0


def verhoeff(digits: str) -> bool:
    """Verhoeff, "Error detecting decimal codes" (1969); of twelve digits."""
    return verhoeff_fours(int(digits[:4]), int(digits[4:8]), int(digits[8:]))


def verhoeff_fours(first: int, second: int, third: int) -> bool:
    """`verhoeff` of three numbers of four digits."""
    last, before = _verhoeff_fours()
    dihedral = _VERHOEFF[0]
    return not dihedral[dihedral[last[third]][before[second]]][last[first]]


@functools.cache
def _verhoeff_fours() -> tuple[bytes, bytes]:
    """What four digits come to, from the right: in the first places, and in the four after those."""

    def table(places: range) -> bytes:
        found = bytearray(10_000)
        for number in range(10_000):
            check, rest = 0, number
            for place in places:
                rest, digit = divmod(rest, 10)
                check = _VERHOEFF[place][check][digit]
            found[number] = check
        return bytes(found)

    return table(range(4)), table(range(4, 8))


def mod_97(text: str) -> bool:
    """ISO/IEC 7064 MOD 97-10, of letters (A is 10) and digits, as an IBAN has it (ISO 13616): head last."""
    return int((text[4:] + text[:4]).translate(_AS_NUMBERS)) % 97 == 1


def mod_11_10(digits: str) -> bool:
    """ISO/IEC 7064 MOD 11,10."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def weighted(digits: str, weights: tuple[int, ...]) -> int:
    """The sum of digits, each times its weight; digits beyond the weights do not count."""
    return sum([int(digit) * weight for digit, weight in zip(digits, weights, strict=False)])


def is_day(year: int, month: int, day: int) -> bool:
    """Whether there is such a day, leap years taken for granted where the century is not known."""
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return False
    if month == 2:
        return day <= (29 if year % 4 == 0 else 28)
    return day <= (30 if month in (4, 6, 9, 11) else 31)
