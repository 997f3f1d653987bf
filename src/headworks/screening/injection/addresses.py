"""Where an answer points to: addresses in every form that a browser or a chat window would follow.

Markdown inline and by reference, autolinks, bare addresses, HTML attributes and styles; with entities, backslashes,
line breaks, user names, ports and escapes as browsers read them (WHATWG URL). What has no host points to nowhere else.
"""

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator
from typing import Literal
from urllib.parse import unquote

import msgspec

AddressKind = Literal["image", "link"]

_SCHEME = r"(?:https?|ftps?|wss?)"
_BARE = re.compile(rf"(?:{_SCHEME}:(?:\\?/|\\)+|www\.)(?:\\?/|[^\s<>\"'`\\])+", re.IGNORECASE)
_TARGET = r"\s{0,99}+(<[^<>\n]{0,4096}>?|(?:[^\s<>\]]|\](?![(:])){1,4096})"
_INLINE = re.compile(rf"\]\({_TARGET}")
_DEFINED = re.compile(rf"\]:{_TARGET}")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
"""What a backslash stands before in Markdown (CommonMark 0.31, 2.4)."""
_AUTOLINK = re.compile(r"<([a-zA-Z][a-zA-Z0-9+.-]{1,31}:[^\s<>]{0,4096}|[^\s<>@]{1,64}@[^\s<>]{1,255})>")
_ATTRIBUTE = re.compile(
    r"[\s/\"'](src|href|srcset|action|formaction|poster|data|background|cite|ping|manifest|content|style|xlink:href|srcdoc"
    r"|longdesc|lowsrc|dynsrc|imagesrcset)\s{0,99}+=\s{0,99}+(\"[^\"]{0,8192}\"|'[^']{0,8192}'|[^\s\"'>]{1,8192})",
    re.IGNORECASE,
)
_STYLE = re.compile(r"(?:\burl\(|\bimage-set\(|@import)\s{0,99}+([\"']?[^\s\"')]{1,4096})", re.IGNORECASE)
_CLICKED = re.compile(r"<(?:a|area)\s{0,99}\Z", re.IGNORECASE)
"""Before an `href` that is followed only when somebody clicks. Of others that is not certain."""

_SPLIT = re.compile(r"^[\x00-\x20]*(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?([/\\]*)([^/\\?#]*)", re.DOTALL)
_NESTED = re.compile(
    r"(?:https?|ftp):[/\\]*([^/\\?#&\s\"'<>]+)|=[/\\]{2}([^/\\?#&\s\"'<>]+)|[=&?](www\.[^/\\?#&\s]+)", re.IGNORECASE
)
_WITH_HOSTS = frozenset({"http", "https", "ftp", "ftps", "ws", "wss"})
_WITHOUT_HOSTS = frozenset(
    {"javascript", "data", "vbscript", "file", "blob", "tel", "sms", "intent", "skype", "callto", "whatsapp", "magnet"}
)
"""Schemes that lead out without a host, or run something."""


class Address(msgspec.Struct, frozen=True):
    """An address in a text that leads to a host.

    Attributes:
        start: of the address in the text; `end` is behind it.
        hosts: where it leads: its host, and those in its path and query, to which it may send on. A scheme with a colon
            where it is none that has hosts (`data:`).
    """

    kind: AddressKind
    start: int
    end: int
    hosts: tuple[str, ...]


def find_addresses(text: str, *, has_image: bool = False) -> list[Address]:
    """The addresses of a text, in order, none within another.

    Arguments:
        has_image: whether a reference style image stands before this text: a definition may be its address.
    """
    if not _may_have(text):
        return []
    images: list[Address] = []
    links: list[Address] = []
    known: dict[str, tuple[str, ...]] = {}  # the same address often stands in a text more than once
    for kind, start, end in _places(text, has_image=has_image):
        written = text[start:end]
        hosts = known.get(written)
        if hosts is None:
            hosts = known[written] = _hosts(written)
        if hosts:
            (images if kind == "image" else links).append(Address(kind, start, end, hosts))
    links = _apart(links)
    if not images:
        return links
    images = _apart(images)
    return sorted([*images, *_beside(links, images)], key=_start)


def _start(address: Address) -> int:
    return address.start


def _longest_first(address: Address) -> tuple[int, int]:
    return address.start, -address.end


def _apart(found: list[Address]) -> list[Address]:
    """Of those that overlap the first, and of those the longest."""
    found.sort(key=_longest_first)
    kept: list[Address] = []
    end = 0
    for one in found:
        if one.start >= end:
            kept.append(one)
            end = one.end
    return kept


def _beside(links: list[Address], images: list[Address]) -> Iterator[Address]:
    """Links without what is an image's: what is loaded goes first, and nothing around it hides it."""
    starts = [one.start for one in images]
    for link in links:
        at = bisect_right(starts, link.start)
        if at and images[at - 1].end > link.start:
            continue
        yield msgspec.structs.replace(link, end=starts[at]) if at < len(starts) and starts[at] < link.end else link


def is_listed(hosts: Collection[str], listed: Collection[str]) -> bool:
    """Whether all of these hosts are on a list, on which `*.example.com` stands for all below it."""
    return all(host in listed or any(one[:2] == "*." and host.endswith(one[1:]) for one in listed) for host in hosts)


def _may_have(text: str) -> bool:
    return (
        ":" in text
        or "//" in text
        or "\\\\" in text
        or "www." in text.lower()
        or "/\\" in text
        or "&" in text
        or "@" in text
    )


def _places(text: str, *, has_image: bool) -> Iterator[tuple[AddressKind, int, int]]:
    of_reference: AddressKind = "image" if has_image or "![" in text else "link"
    marks = [match.start() for match in re.finditer(r"!\[", text)]
    breaks = [match.start() for match in re.finditer(r"\n\n", text)]
    for match in _ATTRIBUTE.finditer(text):
        start, end = match.span(2)
        if text[start] in "\"'":
            start, end = start + 1, end - 1
        is_clicked = match[1].lower() == "href" and _CLICKED.search(text, max(0, match.start() - 8), match.start() + 1)
        yield from _in_value(text, "link" if is_clicked else "image", start, end)
    for match in _INLINE.finditer(text):
        start, end = _bare_span(text, *match.span(1))
        # An image's description may hold links, and not a blank line.
        is_image = has_image or (bool(marks) and _last(marks, start) > _last(breaks, start))
        yield ("image" if is_image else "link", start, start + len(_trimmed(text[start:end])))
    for match in _DEFINED.finditer(text):
        yield (of_reference, *_bare_span(text, *match.span(1)))
    for match in _AUTOLINK.finditer(text):
        yield ("link", *match.span(1))
    for match in _STYLE.finditer(text):
        start, end = match.span(1)
        yield ("image", start + (text[start] in "\"'"), end)
    for match in _BARE.finditer(text):
        yield ("link", match.start(), match.start() + len(_trimmed(match[0])))


def _last(places: list[int], before: int) -> int:
    at = bisect_left(places, before)
    return places[at - 1] if at else -1


def _in_value(text: str, kind: AddressKind, start: int, end: int) -> Iterator[tuple[AddressKind, int, int]]:
    """The addresses of an attribute's value: of a `srcset`, a `style` or a `content` there are several, or it is not at
    the beginning."""
    yield (kind, start, end)
    for match in re.finditer(r"[^\s,;=()\"']{2,}", text[start:end]):
        if match.start():
            yield (kind, start + match.start(), start + match.end())


def _bare_span(text: str, start: int, end: int) -> tuple[int, int]:
    if text[start] != "<":
        return start, end
    return start + 1, end - (text[end - 1] == ">")


def _trimmed(address: str) -> str:
    """Without what ends a sentence, and a parenthesis that was opened before (GitHub Flavored Markdown 6.9)."""
    address = address.rstrip(".,;:!?*_~")
    while address.endswith((")", "]", "}")) and address.count(address[-1]) > address.count(_OPENS[address[-1]]):
        address = address[:-1].rstrip(".,;:!?*_~")
    return address


_OPENS = {")": "(", "]": "[", "}": "{"}


def _hosts(written: str) -> tuple[str, ...]:
    """The hosts that an address leads to; empty if it stays where it is. A backslash is read in both ways: as a slash,
    which it is to browsers, and as what Markdown takes away."""
    read = _hosts_as_read(written)
    if "\\" not in written:
        return read
    return tuple(dict.fromkeys([*read, *_hosts_as_read(_ESCAPED.sub(r"\1", written))]))


def _hosts_as_read(written: str) -> tuple[str, ...]:
    # What next to no address has is looked for before it is undone: there may be tens of thousands of them.
    address = html.unescape(written) if "&" in written else written
    if not address.isprintable():
        address = address.translate(_NOT_READ)
    if "\\" in address:
        address = address.replace("\\/", "/")
    if address[:4].lower() == "www.":
        address = f"https://{address}"
    match = _SPLIT.match(address)
    assert match is not None, "it matches whatever there is"
    scheme, slashes, authority = (match[1] or "").lower(), match[2], match[3]
    rest = address[match.end() :]
    if scheme in _WITH_HOSTS or (len(slashes) >= 2 and scheme not in _WITHOUT_HOSTS):
        host = _host(authority)
        return tuple(dict.fromkeys([host, *_nested(rest)])) if _may_nest(rest) else (host,)
    if scheme == "mailto" or (not scheme and "@" in authority):
        return (_host(authority.partition("?")[0].rpartition("@")[2]),)
    if scheme == "view-source":
        return _hosts(address.partition(":")[2])
    if scheme in _WITHOUT_HOSTS:
        return (f"{scheme}:",)
    rest = f"{slashes}{authority}{rest}"
    return tuple(dict.fromkeys(_nested(rest))) if _may_nest(rest) else ()


_NOT_READ = dict.fromkeys(map(ord, "\t\r\n"))
"""What browsers take out of an address (WHATWG URL, 4.4)."""


def _host(authority: str) -> str:
    """As DNS has it; what it cannot have stays as it is, and is on no list."""
    name = authority.rpartition("@")[2]
    if "%" in name:
        name = unquote(name)
    if ":" in name and not name.endswith("]"):
        name = name.partition(":")[0]
    name = name.strip().rstrip(".").casefold()
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode().casefold()
    except UnicodeError:
        return f"{name}?"


def _may_nest(rest: str) -> bool:
    """Whether it is worth looking for addresses in it."""
    return ":" in rest or "=" in rest or "%" in rest or "www." in rest.lower()


def _nested(rest: str) -> Iterator[str]:
    """Hosts of addresses within a path or a query, escaped up to three times."""
    for _ in range(4):
        for match in _NESTED.finditer(rest):
            host = _host(match[1] or match[2] or match[3])
            if "." in host:
                yield host
        further = unquote(rest) if "%" in rest else rest
        if further == rest:
            return
        rest = further
