"""Identifiers of health care."""

import re

from headworks.screening.privacy.checks import luhn, weighted
from headworks.screening.privacy.judging import Words, is_other_number, number
from headworks.screening.privacy.patterns import EDGE, Hit, Judge, Pattern, any_of

_NPI_WORDS = Words(r"npi|provider|national provider\w*|physician|prescriber|practitioner|doctor|clinic")
_DEA_WORDS = Words(r"dea|prescriber|registration|controlled|practitioner|physician|doctor|dr")
_MBI_WORDS = Words(r"mbi|medicare\w*|beneficiary|member|health|insurance|hic\w*")
_DIGIT = re.compile(rb"[0-9]")


def is_npi(digits: str) -> bool:
    """CMS, "Requirements for NPI check digit": Luhn with 80840 before it."""
    return digits[0] in "12" and luhn("80840" + digits)


def is_dea(text: str) -> bool:
    """21 CFR 1301: the last digit is that of the odd places plus twice the even ones."""
    digits = text[2:]
    return text[0] in "ABCDEFGHJKLMPRSTUX" and weighted(digits, (1, 2, 1, 2, 1, 2)) % 10 == int(digits[6])


def _dea(data: bytes, start: int, end: int) -> Hit | None:
    value = data[start:end].decode()
    if not is_dea(value.upper()):
        return None
    if _DEA_WORDS.stand_before(data, start):
        return "dea", start, end, 0.95
    return None if value != value.upper() or is_other_number(data, start) else ("dea", start, end, 0.6)


def _mbi(data: bytes, start: int, end: int) -> Hit | None:
    """CMS, "Medicare beneficiary identifier", format of 2018."""
    if _MBI_WORDS.stand_before(data, start):
        return "health_insurance", start, end, 0.95
    if is_other_number(data, start):
        return None
    return "health_insurance", start, end, 0.75 if b"-" in data[start:end] else 0.55


def _named(kind: str, least_digits: int) -> Judge:
    def judge(data: bytes, start: int, end: int) -> Hit | None:
        goes_on = data[end : end + 1] == b"-" or data[end - 1] == 45
        is_one = not goes_on and len(_DIGIT.findall(data[start:end])) >= least_digits
        return (kind, start, end, 0.85) if is_one else None

    return judge


_LINK = r"[\"']?[ \t]{0,2}(?:number|num|no|nr|id|#)?\.?[\"']?[ \t]{0,2}(?:is|was)?[ \t:#=-]{0,4}[\"']?"
_C = "[AC-HJKMNP-RT-Y]"
_A = "[AC-HJKMNP-RT-Y0-9]"

PATTERNS = (
    Pattern(
        r"(?i)\b(?:mrn|med(?:ical)?[ _-]?rec(?:ord)?s?|patient[ _-]?(?:id|number|no|num|identifier)"
        r"|chart[ _-]?(?:number|no|id)"
        r"|hospital[ _-]?(?:number|no)|patientennummer|fallnummer)[ _-]?"
        + _LINK
        + r"([A-Z]{0,4}[ -]?[0-9][0-9-]{3,14})"
        + EDGE,
        _named("medical_record", 5),
        digits=4,
        needles=any_of("mrn|rec|patient|chart|hospital|fallnummer"),
        reach=(61, 24),
    ),
    Pattern(
        r"(?i)\b(?:(?:health|medical|dental|insurance)[ _-]?(?:insurance|plan|policy|card|member)"
        r"|member|subscriber|policy"
        r"|beneficiary|medicaid|krankenversicherten|versicherten|ehic)[ _-]?(?:number|num|no|nr"
        r"|nummer|id|identifier|#)\b"
        r"\.?[\"']?[ \t]{0,2}(?:is|was)?[ \t:#=-]{0,4}[\"']?([A-Z]{0,5}-?[0-9][A-Z0-9-]{4,18})" + EDGE,
        _named("health_insurance", 5),
        digits=1,
        needles=any_of(
            "health|medical|dental|insurance|member|subscriber|policy|beneficiary|medicaid|versicherten|ehic"
        ),
        reach=(68, 24),
    ),
    Pattern(
        EDGE + f"([1-9]{_C}{_A}[0-9]-?{_C}{_A}[0-9]-?{_C}{{2}}[0-9]{{2}})" + EDGE, _mbi, shapes=any_of("0aa0|0a00")
    ),
    Pattern(
        EDGE + r"([12][0-9]{9})" + EDGE,
        number("npi", is_npi, bare=0, written=0, words=_NPI_WORDS),
        digits=10,
        needles=any_of("npi|provider|physician|prescriber|practitioner|doctor|clinic"),
    ),
    Pattern(EDGE + r"([A-Za-z][A-Za-z9][0-9]{7})" + EDGE, _dea, digits=7, shapes=(b"a0000000",)),
)
