"""Identifiers of the United States and the United Kingdom."""

from headworks.screening.privacy.checks import weighted
from headworks.screening.privacy.judging import Words, is_other_number, number
from headworks.screening.privacy.patterns import EDGE, GAP, Hit, Pattern, any_of

_SSN_WORDS = Words(r"ssn|ssns|socials?|social[ _-]?security\w*|soc[ _-]?sec|ss#|taxpayer|tax[ _-]?payer|ss[ _-]?n")
_ITIN_WORDS = Words(r"itin|taxpayer|tax[ _-]?payer|tax[ _-]?id\w*|individual taxpayer")
_NINO_WORDS = Words(r"nino|ni|national[ _-]?insurance\w*|insurance number|hmrc|paye")
_NHS_WORDS = Words(r"nhs|national health|patient|gp|surgery|health[ _-]?(?:service|number)")

_ITIN_GROUPS = frozenset([*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)])
"""IRS, "Individual taxpayer identification number", Internal Revenue Manual 3.21.263 (2024)."""


def is_ssn(digits: str) -> bool:
    """Whether the number could have been given out (SSA, "Social Security Number Randomization", 2011)."""
    return (
        digits[:3] not in ("000", "666")
        and digits[0] != "9"
        and digits[3:5] != "00"
        and digits[5:] != "0000"
        and len(set(digits)) > 1
    )


def is_itin(digits: str) -> bool:
    """Whether the number is in the ranges of the IRS."""
    return digits[0] == "9" and int(digits[3:5]) in _ITIN_GROUPS


_WRITTEN = {"-": 0.85, " ": 0.6, ".": 0.55}
"""How sure a number is by what divides it, where no word says what it is."""


def _nine(data: bytes, start: int, end: int) -> Hit | None:
    """Nine digits as 3-2-4, or undivided where a word says what they are."""
    value = data[start:end].decode()
    separator = value[3] if len(value) > 9 else ""
    if separator and separator != value[6]:
        return None
    digits = value[:3] + value[4:6] + value[7:] if separator else value
    kind = "us_ssn" if is_ssn(digits) else "us_itin" if is_itin(digits) else ""
    if not kind:
        return None
    if (_SSN_WORDS if kind == "us_ssn" else _ITIN_WORDS).stand_before(data, start):
        return kind, start, end, 0.95
    if kind == "us_itin" and _SSN_WORDS.stand_before(data, start):
        return kind, start, end, 0.9
    if not separator or is_other_number(data, start):
        return None
    return kind, start, end, _WRITTEN[separator]


_NINO_REFUSED = frozenset({b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"})


def _nino(data: bytes, start: int, end: int) -> Hit | None:
    """HMRC, National Insurance Manual NIM39110."""
    value = data[start:end]
    head = value[:2].upper()
    if head in _NINO_REFUSED or head[0] in b"DFIQUV" or head[1] in b"DFIOQUV":
        return None
    if _NINO_WORDS.stand_before(data, start):
        return "uk_nino", start, end, 0.95
    if value != value.upper() or is_other_number(data, start):
        return None
    return "uk_nino", start, end, 0.75 if b" " in value else 0.6


def is_nhs(digits: str) -> bool:
    """NHS Data Dictionary, "NHS number": modulus 11."""
    check = 11 - weighted(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if check == 11 else check) == int(digits[9]) and check != 10 and len(set(digits)) > 1


_nhs_number = number("uk_nhs", is_nhs, bare=0, written=0.7, words=_NHS_WORDS)


def _nhs(data: bytes, start: int, end: int) -> Hit | None:
    hit = _nhs_number(data, start, end)
    value = data[start:end]
    if hit is None or hit[3] >= 0.9:
        return hit
    # With dots or dashes, or as the North American plan has it, it is a telephone number.
    return None if b" " not in value or (value[0] not in b"01" and value[4:5] not in (b"0", b"1")) else hit


PATTERNS = (
    Pattern(EDGE + r"([0-9]{3}[ .-][0-9]{2}[ .-][0-9]{4})" + EDGE, _nine, digits=9, shapes=(b"000-00-0000",)),
    Pattern(
        EDGE + r"([0-9]{9})" + EDGE,
        _nine,
        digits=9,
        shapes=(b"000000000",),
        needles=any_of("ssn|soc|ss#|ss n|ss-n|ss_n|itin|tax"),
    ),
    Pattern(
        EDGE + r"([A-Za-z]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[A-Da-d])" + EDGE,
        _nino,
        digits=6,
        shapes=any_of("aa0000|aa00-00|aa-0000|aa-00-00"),
        retries=True,
    ),
    Pattern(EDGE + r"([0-9]{3} [0-9]{3} [0-9]{4})" + EDGE, _nhs, digits=10, shapes=(b"000-000-0000",)),
    Pattern(
        EDGE + "([0-9]{3}" + GAP + "[0-9]{3}" + GAP + "[0-9]{4})" + EDGE,
        _nhs,
        digits=10,
        needles=any_of("nhs|national health|patient|gp|surgery|health"),
    ),
)
