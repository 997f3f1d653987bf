"""Payment cards: the Luhn digit, the ranges of issuers, and their lengths (ISO/IEC 7812; issuers' own tables, 2026)."""

import re
from itertools import islice

from headworks.screening.privacy.checks import luhn
from headworks.screening.privacy.judging import Words, number
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


_APART = b" \t\r\n.-"
"""What GAP takes."""

_number = number("card", is_card, bare=0.8, written=0.95, words=_WORDS, named=0.99)


def _card(data: bytes, start: int, end: int) -> Hit | None:
    hit = _number(data, start, end)
    if hit is None and data[end - 4 : end - 3].isspace():
        # Three digits that stand apart may be its security code, or the beginning of the next number.
        end -= 3 + len(data[start : end - 3]) - len(data[start : end - 3].rstrip(_APART))
        hit = _number(data, start, end)
    # So few digits are seldom a card any more, and often milliseconds or an article's number.
    return None if hit is not None and end - start <= 13 and hit[3] < 0.98 else hit


_TABLE = re.compile(rb"[0-9]{4}(?:[ \t\r\n.-]{1,2}[0-9]{4}){7,31}(?![0-9])")
_FOUR = re.compile(rb"[0-9]{4}")
_SUMS = bytes(sum(divmod(n // 1000 * 2, 10)) + n // 100 % 10 + sum(divmod(n // 10 % 10 * 2, 10)) + n % 10
              for n in range(10_000))  # fmt: skip
"""What four digits give to the Luhn sum of a number that ends with them, or four digits later."""


def _after(data: bytes, first: int) -> int:
    """In a table of numbers of four digits: where the next four are that may be a card's. Only speed depends on it."""
    table = _TABLE.match(data, first)
    if table is None:
        return first + 1
    digits = table[0].translate(None, _APART)
    groups = [int(digits[at : at + 4]) for at in range(0, len(digits), 4)]
    sums = [_SUMS[group] for group in groups]
    ahead = 0
    while (ahead := ahead + 1) < len(groups) - 4:  # what follows may be a part of the last four
        if not (sums[ahead] + sums[ahead + 1] + sums[ahead + 2] + sums[ahead + 3]) % 10 and (
            _LENGTHS[groups[ahead]] & _SIXTEEN
        ):
            break
    return next(islice(_FOUR.finditer(data, first), ahead, None)).start()


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
