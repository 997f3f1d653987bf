"""Addresses of machines: public IPv4 and IPv6, and hardware addresses. Private and reserved ones tell of nobody."""

import ipaddress
import re

from headworks.screening.privacy.judging import Words, is_other_number
from headworks.screening.privacy.patterns import EDGE, Hit, Pattern, any_of

_IP_WORDS = Words(r"ip|ipv4|address|addr|host|client|remote|server|peer|from|src|dst|source|login|connect\w*")
_VERSION_WORDS = Words(
    r"version|versions|ver|v|build|release|sections?|chapters?|clauses?|articles?|schema|firmware|driver|kernel"
    r"|python|java|chrome"
    r"|safari|firefox|edge|webkit|applewebkit|mozilla|oid|revision|upgrade|upgraded|update|updated|package|pkg"
)
_WELL_KNOWN = frozenset({b"8.8.8.8", b"8.8.4.4", b"1.1.1.1", b"1.0.0.1", b"9.9.9.9", b"4.4.4.4", b"1.2.3.4"})
"""Public name servers, and the example that everyone writes."""


_LEADING_ZERO = re.compile(rb"\b0[0-9]").search

_RESERVED = frozenset({0, 10, 127, *range(224, 256)})
_SOMETIMES_RESERVED = {
    100: range(64, 128),
    169: (254,),
    172: range(16, 32),
    192: (0, 168),
    198: (18, 19, 51),
    203: (0,),
}
"""First octets of which all addresses are nobody's in the public net; and those of which some are, with second ones
(IANA IPv4 special-purpose address registry). For speed only."""


def _is_public(address: ipaddress.IPv4Address) -> bool:
    return address.is_global and not address.is_multicast


def _ipv4(data: bytes, start: int, end: int) -> Hit | None:
    if data[end : end + 1] == b"." and data[end + 1 : end + 2].isdigit():
        return None
    if start and data[start - 1] in b".-" and data[max(0, start - 2) : max(0, start - 1)].isalnum():
        return None
    if data[end : end + 1] == b"-" and data[end + 1 : end + 2].isalnum() and not data[end + 1 : end + 2].isdigit():
        return None  # 5.10.102.1-generic
    text = data[start:end]
    octets = list(map(int, text.split(b".")))
    most = max(octets)
    if most > 255 or text in _WELL_KNOWN or (b".0" in text and _LEADING_ZERO(text)) or text[:1] == b"0":
        return None  # octal to some programs (RFC 6943, section 3.1.1)
    first = octets[0]
    if first in _RESERVED:
        return None
    if octets[1] in _SOMETIMES_RESERVED.get(first, ()) and not _is_public(ipaddress.IPv4Address(text.decode())):
        return None
    if not data[max(0, start - 24) : start].upper().isupper():  # no letters, no words
        return ("ip", start, end, 0.75) if most >= 64 and octets[3] else None
    is_named = _IP_WORDS.stand_before(data, start, 24)
    if _VERSION_WORDS.stand_before(data, start, 24) or is_other_number(data, start):
        return None
    if not is_named and (most < 64 or not octets[3]):
        return None  # a version of a program, more likely
    return "ip", start, end, 0.9 if is_named else 0.75


def _ipv6(data: bytes, start: int, end: int) -> Hit | None:
    if start and (data[max(0, start - 1) : start].isalnum() or data[start - 1] in b":."):
        return None
    text = data[start:end].decode().rstrip(":")
    if text.endswith("::") or data[start + len(text) : start + len(text) + 1].isalnum():
        return None
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return ("ip", start, start + len(text), 0.9) if address.is_global else None


def _mac(data: bytes, start: int, end: int) -> Hit | None:
    if (start > 1 and data[start - 1] in b":-." and data[max(0, start - 2) : max(0, start - 1)].isalnum()) or (
        data[end : end + 1] in (b":", b"-") and data[end + 1 : end + 2].isalnum()
    ):
        return None  # a part of a longer fingerprint
    digits = data[start:end].translate(None, b":-.").lower()
    if len(set(digits)) < 3 or len(set(data[start:end].translate(None, b"0123456789abcdefABCDEF"))) > 1:
        return None
    return "mac", start, end, 0.85


PATTERNS = (
    Pattern(EDGE + r"((?:[0-9]{1,3}\.){3}[0-9]{1,3})" + EDGE, _ipv4, digits=4),
    Pattern(
        r"([23][0-9a-fA-F]{3}:(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4})",
        _ipv6,
        digits=1,
        needles=any_of(":"),
        reach=(39, 24),
    ),
    Pattern(
        EDGE + r"((?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}|[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4})" + EDGE,
        _mac,
        needles=any_of(":|-|."),
        reach=(19, 24),
        hex_shapes=any_of("00-00-00-00-00-00|0000.0000.0000"),
    ),
)
