"""Identifiers of India and Brazil."""

from headworks.screening.privacy.checks import verhoeff, weighted
from headworks.screening.privacy.patterns import EDGE, Hit, Pattern, Words, any_of, is_other_number, number

_AADHAAR_WORDS = Words(r"aadha+r\w*|adha+r|uidai|uid|aadhar\w*")
_PAN_WORDS = Words(r"pan|permanent account\w*|income tax|pancard")
_CPF_WORDS = Words(r"cpf|cadastro|contribuinte|pessoa fisica")
_CNPJ_WORDS = Words(r"cnpj|cadastro|pessoa juridica")


def is_aadhaar(digits: str) -> bool:
    """UIDAI: twelve digits, the first not 0 or 1, no palindrome, Verhoeff."""
    return verhoeff(digits) and digits[0] not in "01" and digits != digits[::-1]


def _pan(data: bytes, start: int, end: int) -> Hit | None:
    """Income Tax Department: the fourth letter is the holder's kind. There is no public check digit."""
    value = data[start:end].upper()
    if value[3] not in b"ABCEFGHJLPT" or value[5:9] == b"0000":
        return None
    if _PAN_WORDS.stand_before(data, start):
        return "in_pan", start, end, 0.95
    if data[start:end] != value or is_other_number(data, start):
        return None
    return "in_pan", start, end, 0.7


def is_cpf(digits: str) -> bool:
    """Receita Federal: two digits modulo 11."""
    if len(set(digits)) == 1:
        return False
    first = weighted(digits[:9], (10, 9, 8, 7, 6, 5, 4, 3, 2)) * 10 % 11 % 10
    second = weighted(digits[:10], (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)) * 10 % 11 % 10
    return digits[9:] == f"{first}{second}"


def is_cnpj(text: str) -> bool:
    """Receita Federal, with letters too (Instrução Normativa 2.229/2024, from July 2026): a character counts its code
    less 48."""
    if len(set(text)) == 1:
        return False
    values = [ord(character) - 48 for character in text]
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    for length in (12, 13):
        rest = sum(value * weight for value, weight in zip(values, weights[13 - length :], strict=False)) % 11
        if values[length] != (0 if rest < 2 else 11 - rest):
            return False
    return True


PATTERNS = (
    Pattern(
        EDGE + r"([2-9][0-9]{3}[ .-]{1,2}[0-9]{4}[ .-]{1,2}[0-9]{4})" + EDGE,
        number("in_aadhaar", is_aadhaar, bare=0, written=0.75, words=_AADHAAR_WORDS),
        digits=12,
        retries=True,  # the first group may be a year, or the end of another number
    ),
    Pattern(
        EDGE + r"([2-9][0-9]{11})" + EDGE,
        number("in_aadhaar", is_aadhaar, bare=0, written=0, words=_AADHAAR_WORDS),
        digits=12,
        needles=any_of("adha|uid"),
    ),
    Pattern(EDGE + r"([A-Za-z]{5}[0-9]{4}[A-Za-z])" + EDGE, _pan, shape=b"aaaaa0000a"),
    Pattern(
        EDGE + r"([0-9]{3}[. ]?[0-9]{3}[. ]?[0-9]{3}[- .]?[0-9]{2})" + EDGE,
        number("br_cpf", is_cpf, bare=0.7, written=0.95, words=_CPF_WORDS),
        digits=11,
    ),
    Pattern(
        EDGE + r"([0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-[0-9]{2})" + EDGE,
        number("br_cnpj", is_cnpj, bare=0, written=0.95, words=_CNPJ_WORDS),
        digits=2,
        needles=any_of("/"),
    ),
    Pattern(
        EDGE + r"([0-9A-Z]{2}\.?[0-9A-Z]{3}\.?[0-9A-Z]{3}/?[0-9A-Z]{4}-?[0-9]{2})" + EDGE,
        number("br_cnpj", is_cnpj, bare=0, written=0, words=_CNPJ_WORDS),
        digits=2,
        needles=any_of("cnpj|cadastro|pessoa"),
    ),
)
