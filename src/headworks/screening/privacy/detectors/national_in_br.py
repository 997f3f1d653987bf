"""Identifiers of India and Brazil."""

from headworks.screening.privacy.checks import verhoeff, verhoeff_fours
from headworks.screening.privacy.judging import MOST_FOURS, Words, four_at, is_other_number, next_four, number
from headworks.screening.privacy.patterns import EDGE, Hit, Pattern, any_of

_AADHAAR_WORDS = Words(r"aadha+r\w*|adha+r|uidai|uid|aadhar\w*")
_PAN_WORDS = Words(r"pan|permanent account\w*|income tax|pancard")
_CPF_WORDS = Words(r"cpf|cadastro|contribuinte|pessoa fisica")
_CNPJ_WORDS = Words(r"cnpj|cadastro|pessoa juridica")

_APART = b" .-"
"""What stands between groups of an Aadhaar number."""


def _after(data: bytes, first: int) -> int:
    """In a table of numbers of four digits: where the next three are that may be such a number. Only speed depends on
    it."""
    place = next_four(data, first, _APART)
    if place < 0:
        return first + 1
    second = next_four(data, place, _APART)
    if second < 0:
        return place
    one, two = four_at(data, place), four_at(data, second)
    for _ in range(MOST_FOURS):
        third = next_four(data, second, _APART)
        if third < 0:
            break  # what follows may be a part of the last two
        three = four_at(data, third)
        if one >= 2000 and verhoeff_fours(one, two, three):
            break
        place, second = second, third
        one, two = two, three
    return place


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


def _thirds(*weights: int) -> list[int]:
    """What three digits give to a sum of digits times weights, times 128; and, below that, to their own sum."""
    digits = [(number // 100, number // 10 % 10, number % 10) for number in range(1000)]
    return [sum(128 * digit * weight + digit for digit, weight in zip(three, weights, strict=True)) for three in digits]


_CPF_THIRDS = _thirds(10, 9, 8), _thirds(7, 6, 5), _thirds(4, 3, 2)


def is_cpf(digits: str) -> bool:
    """Receita Federal: two digits modulo 11, with weights from 10 down to 2, and from 11."""
    one, two, three = _CPF_THIRDS
    sums = one[int(digits[:3])] + two[int(digits[3:6])] + three[int(digits[6:9])]
    first = (sums >> 7) * 10 % 11 % 10
    if first != int(digits[9]):
        return False
    second = ((sums >> 7) + (sums & 127) + 2 * first) * 10 % 11 % 10
    return second == int(digits[10]) and len(set(digits)) > 1


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
        after=_after,
        retries=True,  # the first group may be a year, or the end of another number
    ),
    Pattern(
        EDGE + r"([2-9][0-9]{11})" + EDGE,
        number("in_aadhaar", is_aadhaar, bare=0, written=0, words=_AADHAAR_WORDS),
        digits=12,
        needles=any_of("adha|uid"),
    ),
    Pattern(EDGE + r"([A-Za-z]{5}[0-9]{4}[A-Za-z])" + EDGE, _pan, shapes=(b"aaaaa0000a",)),
    Pattern(
        EDGE + r"([0-9]{3}[. ]?[0-9]{3}[. ]?[0-9]{3}[- .]?[0-9]{2})" + EDGE,
        number("br_cpf", is_cpf, bare=0.7, written=0.95, words=_CPF_WORDS),
        digits=11,
        shapes=any_of("00000|000-000"),
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
