"""Payment cards: the Luhn digit, the ranges of issuers, and their lengths (ISO/IEC 7812; issuers' own tables, 2026)."""

from headworks.screening.privacy.checks import luhn
from headworks.screening.privacy.judging import MOST_FOURS, Words, four_at, next_four, number
from headworks.screening.privacy.patterns import EDGE, GAP, Hit, Pattern

_WORDS = Words(
    r"card\w*|credit|debit|visa|mastercard|amex|american express|maestro|discover|diners|jcb|unionpay"
    r"|pan|cc|kreditkarte\w*"
    r"|karte\w*|carte|tarjeta|carta|cartao|kort|kaart|karta|payment|pay"
)

_RANGES: tuple[tuple[int, int, int, tuple[int, ...]], ...] = (
    # digits of the range, first, last, lengths
    (1, 4, 4, (13, 16, 19)),  # Visa
    (2, 51, 55, (16,)),  # Mastercard
    (4, 2221, 2720, (16,)),  # Mastercard
    (2, 34, 34, (15,)),  # American Express
    (2, 37, 37, (15,)),  # American Express
    (4, 6011, 6011, (16, 19)),  # Discover
    (2, 64, 65, (16, 19)),  # Discover, RuPay
    (2, 62, 62, (16, 17, 18, 19)),  # UnionPay
    (2, 60, 60, (16,)),  # RuPay
    (2, 81, 82, (16,)),  # RuPay
    (3, 508, 508, (16,)),  # RuPay
    (3, 300, 305, (14, 16, 19)),  # Diners Club
    (2, 36, 36, (14, 16, 19)),  # Diners Club
    (2, 38, 39, (14, 16, 19)),  # Diners Club
    (4, 3528, 3589, (16, 17, 18, 19)),  # JCB
    (4, 2131, 2131, (15,)),  # JCB, old
    (4, 1800, 1800, (15,)),  # JCB, old
    (4, 2200, 2204, (16, 17, 18, 19)),  # Mir
    (2, 50, 50, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (2, 56, 58, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (2, 63, 63, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (2, 67, 67, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
)


def _lengths_by_beginning() -> bytes:
    """For each four digits that a number may begin with: a bit for each length that it may have, from 12 on."""
    found = bytearray(10_000)
    for width, first, last, lengths in _RANGES:
        bits = sum(1 << (length - 12) for length in lengths)
        for beginning in range(first * 10 ** (4 - width), (last + 1) * 10 ** (4 - width)):
            found[beginning] |= bits
    return bytes(found)


_LENGTHS = _lengths_by_beginning()
_SIXTEEN = 1 << (16 - 12)


def is_card(digits: str) -> bool:
    """Whether these digits can be a payment card's."""
    return bool(_LENGTHS[int(digits[:4])] >> (len(digits) - 12) & 1) and luhn(digits) and len(set(digits)) > 1


_SPACES = b" \t\r\n"
_APART = _SPACES + b".-"
"""What GAP takes."""

_number = number("card", is_card, bare=0.8, written=0.95, words=_WORDS, named=0.99)


def _card(data: bytes, start: int, end: int) -> Hit | None:
    hit = _number(data, start, end)
    if hit is None and data[end - 4] in _SPACES:
        # Three digits that stand apart may be its security code, or the beginning of the next number.
        end -= 3 + len(data[start : end - 3]) - len(data[start : end - 3].rstrip(_APART))
        hit = _number(data, start, end)
    # So few digits are seldom a card any more, and often milliseconds or an article's number.
    return None if hit is not None and end - start <= 13 and hit[3] < 0.98 else hit


_SUMS = bytes(sum(divmod(n // 1000 * 2, 10)) + n // 100 % 10 + sum(divmod(n // 10 % 10 * 2, 10)) + n % 10
              for n in range(10_000))  # fmt: skip
"""What four digits give to the Luhn sum of a number that ends with them, or four digits later."""


def _after(data: bytes, first: int) -> int:
    """In a table of numbers of four digits: where the next four are that may be a card's. Only speed depends on it."""
    place = next_four(data, first, _APART)
    if place < 0:
        return first + 1
    second = next_four(data, place, _APART)
    third = next_four(data, second, _APART) if second >= 0 else -1
    fourth = next_four(data, third, _APART) if third >= 0 else -1
    if fourth < 0:
        return place
    numbers = four_at(data, place), four_at(data, second), four_at(data, third), four_at(data, fourth)
    for _ in range(MOST_FOURS):
        fifth = next_four(data, fourth, _APART)
        if fifth < 0:
            break  # what follows may be a part of the last four
        one, two, three, four = numbers
        if not (_SUMS[one] + _SUMS[two] + _SUMS[three] + _SUMS[four]) % 10 and _LENGTHS[one] & _SIXTEEN:
            break
        place, second, third, fourth = second, third, fourth, fifth
        numbers = two, three, four, four_at(data, fifth)
    return place


PATTERNS = (
    Pattern(
        EDGE
        + r"([1-68][0-9]{3}"
        + f"(?:{GAP}[0-9]{{4}}{GAP}[0-9]{{4}}{GAP}[0-9]{{4}}(?:{GAP}[0-9]{{3}})?"
        + f"|{GAP}[0-9]{{6}}{GAP}[0-9]{{4,5}}|[0-9]{{8,15}}))"
        + EDGE,
        _card,
        digits=12,
        after=_after,
        retries=True,  # what stands before a card may be four digits too: a year, the end of another number
    ),
)
