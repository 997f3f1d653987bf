"""IBANs by country, and accounts that the words around them name."""

import re

from headworks.screening.privacy.checks import mod_97, weighted
from headworks.screening.privacy.judging import is_alone
from headworks.screening.privacy.patterns import EDGE, Hit, Pattern, any_of

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
"""SWIFT IBAN registry, release 99."""


_NUMERIC = "AE|AT|BA|BE|CZ|DE|DK|EE|ES|FI|FO|GL|HR|HU|IL|IS|LT|ME|NO|PL|PT|RS|SE|SI|SK|TN"
_OF_LETTERS = {"GB": 14, "IE": 14, "NL": 10}
"""Countries whose accounts are digits only, and those that have four letters of a bank and so many digits (SWIFT IBAN
registry). Their numbers are told from words by the pattern already, which costs next to nothing."""

_OTHERS = "|".join(sorted(IBAN_LENGTHS.keys() - {*_NUMERIC.split("|"), *_OF_LETTERS}))
_IBAN = (
    rf"\b((?i:{_NUMERIC})[0-9]{{2}}(?:[ -]?[0-9]){{11,24}}|"
    + "".join(
        f"(?i:{country})[0-9]{{2}}(?:[ -]?[A-Za-z]){{4}}(?:[ -]?[0-9]){{{digits}}}|"
        for country, digits in _OF_LETTERS.items()
    )
    + rf"(?i:{_OTHERS})[0-9]{{2}}(?:[ -]?[A-Za-z0-9]){{11,30}})"
)


def _iban(data: bytes, start: int, end: int) -> Hit | None:
    """The match may run on into the next word: the country says where it ends."""
    length = IBAN_LENGTHS.get(data[start : start + 2].decode().upper())
    if length is None or (start and data[max(0, start - 1) : start].isalnum()):
        return None
    characters = data[start:end].translate(None, b" -")[:length]
    if len(characters) < length:
        return None
    account = characters[4:]
    if account.isdigit():  # most are; as `mod_97`, without going through letters
        first, second = characters[:2].upper()
        if (int(account) * 1_000_000 + (first - 55) * 10_000 + (second - 55) * 100 + int(characters[2:4])) % 97 != 1:
            return None
    elif not mod_97(characters.decode().upper()):
        return None
    stop, left = start, length
    while left:
        left -= data[stop : stop + 1].isalnum()
        stop += 1
    return None if data[stop : stop + 1].isalnum() else ("iban", start, stop, 0.99)


def is_routing_number(digits: str) -> bool:
    """ABA routing transit number: weights 3, 7, 1, and the first two digits (ABA policy, 2024)."""
    district = int(digits[:2])
    is_assigned = district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    return is_assigned and weighted(digits, (3, 7, 1) * 3) % 10 == 0 and digits != "000000000"


def _routing(data: bytes, start: int, end: int) -> Hit | None:
    return ("bank_account", start, end, 0.95) if is_routing_number(data[start:end].decode()) else None


_NUMBER = re.compile(rb"[A-Za-z]{2}[0-9 -]+")


def _after(data: bytes, first: int) -> int:
    """Where the next one may begin: not within digits. Only speed depends on it."""
    number = _NUMBER.match(data, first)
    return first + 1 if number is None else number.end()


_BANK = re.compile(
    rb"bank|number|num\b|no\b|nr\b|nummer|numero|acct|a/c|konto|compte|cuenta|rekening|conto|conta\b|clabe|bsb|sort"
)
_DIGIT = re.compile(rb"[0-9]")


def _account(data: bytes, start: int, end: int) -> Hit | None:
    if len(_DIGIT.findall(data[start:end])) < 6 or not is_alone(data, start, end):
        return None
    # An account alone is a user's, more often than a bank's.
    return ("bank_account", start, end, 0.85) if _BANK.search(data[max(0, start - 40) : start].lower()) else None


_BETWEEN = r"[ \t]*(?:(?:is|was|lautet|est|es)\b)?[ \t]*[:#=.]{0,2}[ \t]*"

PATTERNS = (
    Pattern(_IBAN, _iban, digits=0, shapes=(b"aa00",), shape_first=True, retries=True, after=_after),
    Pattern(
        r"(?i)\b(?:account|acct|a/c|bank account|konto|compte|cuenta|rekening|conto|conta|clabe|bsb"
        r"|sort[ _-]?code)[ _-]?"
        r"(?:number|num|no|nr|nummer|numero|details)?\.?\"?'?"
        + _BETWEEN.replace("*", "{0,3}")
        + r"[\"']?([0-9]{2}-[0-9]{2}-[0-9]{2}(?:[ ,/]{1,2}[0-9]{8})?|[0-9]{3,12}(?:[ -][0-9]{2,12}){0,4})",
        _account,
        digits=6,
        needles=any_of("account|acct|a/c|konto|compte|cuenta|rekening|conto|conta|clabe|bsb|sort"),
        reach=(105, 24),
    ),
    Pattern(
        r"(?i)\b(?:routing|aba|rtn|transit)\b[a-z /()_#.-]{0,24}[:#= ]{0,3}[\"']?([0-9]{9})" + EDGE,
        _routing,
        digits=9,
        needles=any_of("routing|aba|rtn|transit"),
        reach=(45, 24),
    ),
)
