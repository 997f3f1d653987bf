"""E-mail addresses and telephone numbers."""

import re

from headworks.screening.privacy.judging import Words, is_alone, is_other_number
from headworks.screening.privacy.patterns import Hit, Pattern, any_of

_ASSIGNED = """
1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86
90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238
239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268
269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383
385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672
673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880
881 882 883 886 888 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998
"""
_CALLING_CODES = frozenset(_ASSIGNED.split())
"""ITU-T E.164, list of assigned country codes (2024)."""

_PHONE_WORDS = Words(
    r"tel|telephone|telefon\w*|phone\w*|telefono|fono|fon|mobile?|mobil\w*|movil|cell\w*|celular|cel|portable|handy|fax"
    r"|call(?: me)?|called|ring|sms|text|whatsapp|contact|reach\w*|dial|hotline|gsm|komorka|puhelin|numero de tel\w*"
    r"|telemovel|rufnummer|kontakt|mobiltelefon|msisdn"
)

_BETWEEN = b" ()./+-"
"""What these patterns take between digits."""

_USERINFO = re.compile(rb"://[^\s/@]*$")
_EXTENDED = re.compile(rb"[xe]")


def _digits(value: bytes) -> bytes:
    """The digits of a number, without those of its extension."""
    digits = value.translate(None, _BETWEEN)
    return digits if digits.isdigit() else _EXTENDED.split(digits)[0]


_GROUPS = re.compile(rb"[0-9]+")
_DATE = re.compile(
    rb"(?:19|20)[0-9]{2}[-/. ]?[01][0-9][-/. ]?[0-3][0-9]|[0-3]?[0-9][-/. ][0-3]?[0-9][-/. ](?:19|20)[0-9]{2}"
)


def _email(data: bytes, start: int, end: int) -> Hit | None:
    if data[max(0, start - 1) : start] == b":" and _USERINFO.search(data[max(0, start - 96) : start]):
        return None  # the password of a URL, and its host
    local, _, domain = data[start:end].replace(b"%40", b"@").partition(b"@")
    if local == b"git" and data[end : end + 1] in (b":", b"/"):
        return None  # git@host:owner/repository is an address of no person
    if domain.rpartition(b".")[2].lower() in (b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"py", b"js", b"css"):
        return None  # logo@2x.png
    return "email", start, end, 0.95


def _international(data: bytes, start: int, end: int) -> Hit | None:
    if start and (data[max(0, start - 1) : start].isalnum() or data[start - 1] in b"+=&.-"):
        return None
    value = data[start:end]
    digits = _digits(value).decode()
    if value.startswith(b"00"):
        digits = digits[2:]
    rest = digits[1:] if digits[:1] in "17" else ""
    if not rest:
        rest = next((digits[length:] for length in (2, 3) if digits[:length] in _CALLING_CODES), "")
    if not len(rest) >= 6 or not 8 <= len(digits) <= 15:
        return None
    if digits[0] == "1" and (len(rest) != 10 or rest[0] in "01" or rest[3] in "01"):
        return None  # North American Numbering Plan
    is_written = b" " in value or b"-" in value or b"." in value or b"(" in value
    if _PHONE_WORDS.stand_before(data, start):
        return "phone", start, end, 0.95
    if value.startswith(b"00") and (not is_written or _follows_digits(data, start) or is_other_number(data, start)):
        return None
    if not is_written and len(digits) < 10:
        return None
    if value[1:2] == b" " or value[-2] in b" .-":
        return None  # a sum, or a number with a fraction
    return "phone", start, end, 0.9


def _follows_digits(data: bytes, start: int) -> bool:
    """Whether it is the rest of a longer number."""
    return start > 1 and data[start - 1] in b" -./" and data[max(0, start - 2) : max(0, start - 1)].isdigit()


def _north_american(data: bytes, start: int, end: int) -> Hit | None:
    if (start and data[start - 1] in b"+-.0123456789/") or data[end : end + 2].strip(b"-.")[:1].isdigit():
        return None
    if _PHONE_WORDS.stand_before(data, start):
        return "phone", start, end, 0.95
    is_row = _follows_digits(data, start) or (data[end : end + 1] == b" " and data[end + 1 : end + 2].isdigit())
    return None if is_row or is_other_number(data, start) else ("phone", start, end, 0.75)


def _named(data: bytes, start: int, end: int) -> Hit | None:
    """Named as a telephone number; of any form."""
    if not _PHONE_WORDS.stand_before(data, start, 24):
        return None
    value = data[start:end]
    if not 7 <= len(_digits(value)) <= 13:
        return None
    is_whole = is_alone(data, start, end) and not (start and data[start - 1] in b"+=.-/")
    return ("phone", start, end, 0.9) if is_whole and not _DATE.match(value) else None


def _national(data: bytes, start: int, end: int) -> Hit | None:
    """With a leading zero, and divided into groups."""
    value = data[start:end]
    if not is_alone(data, start, end) or (start and data[start - 1] in b"+=.-/"):
        return None
    digits = value.translate(None, _BETWEEN)
    groups = _GROUPS.findall(value)
    if not 9 <= len(digits) <= 12 or len(groups) < 2 or _DATE.match(value):
        return None
    if (
        digits.startswith(b"00")
        or _follows_digits(data, start)
        or max(map(len, groups)) > 8
        or is_other_number(data, start)
    ):
        return None
    # Groups of two as in France, or an area code and the rest: not a table of small numbers.
    is_usual = len(groups[0]) >= 3 or (all(len(group) == 2 for group in groups) and len(groups) == 5)
    return ("phone", start, end, 0.6) if is_usual else None


_EXTENSION = r"(?: {0,2}(?:x|ext\.?) ?[0-9]{1,6})?)\b"

PATTERNS = (
    Pattern(
        r"[A-Za-z0-9\xff](?:[A-Za-z0-9._%+\xff'-]{0,63})(?:@|%40)"
        r"(?:[A-Za-z0-9\xff](?:[A-Za-z0-9\xff-]{0,62})\.){1,5}(?:[A-Za-z\xff]{2,24}|xn--[a-z0-9-]{2,50})",
        _email,
        needles=any_of("@|%40"),
        reach=(441, 66),
        wider=r"[A-Za-z0-9._%+\xff'-](?:@|%40)[A-Za-z0-9\xff]",
    ),
    Pattern(
        r"((?:\+[ (]{0,2}[1-9][0-9]{0,2}(?:[ ()./-]{0,3}[0-9]){6,13}|\b00[1-9](?:[ ()./-]{0,3}[0-9]){7,13})"
        + _EXTENSION,
        _international,
        digits=8,
    ),
    Pattern(
        r"((?:\b1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}" + _EXTENSION,
        _north_american,
        digits=10,
        shapes=any_of("000-000-0000|000--000-0000"),
    ),
    Pattern(
        r"(\(0[0-9]{1,5}\)[ /-]{0,3}[0-9]{2,8}(?:[ /-]{1,3}[0-9]{2,8}){0,4}"
        r"|\b0[0-9]{1,5}(?:[ /-]{1,3}[0-9]{2,8}){1,5})\b",
        _national,
        digits=9,
    ),
    Pattern(
        r"((?:\([0-9]{2,5}\)[ /.-]{0,3}[0-9]{2,8}(?:[ /.-]{1,3}[0-9]{2,8}){0,4}"
        r"|\b[0-9]{2,6}(?:[ /.-]{1,3}[0-9]{2,8}){1,5}|\b[0-9]{7,13})" + _EXTENSION,
        _named,
        digits=7,
        needles=any_of(
            "tel|phone|fon|mobil|movil|cel|portable|handy|fax|call|ring|sms|text|whatsapp|contact|reach|"
            "dial|hotline|gsm|komorka|puhelin|rufnummer|kontakt|msisdn"
        ),
    ),
)
