"""Takes addresses of hosts that are not listed out of what a model says, or notes them; in streams, too."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from headworks.screening.injection.addresses import AddressKind, find_addresses, is_listed

EgressMode = Literal["off", "monitor", "sanitise", "block"]

TAKEN_OUT = "about:blank"
"""What stands in the place of an address: it loads nothing (WHATWG URL, 3.6)."""

_OPEN = re.compile(
    r"""(?:
      !
    | \](?:\(\s*+(?:<[^<>\n]*+|[^\s<>]*+) | :\s*+(?:<[^<>\n]*+|[^\s<>]*+))?  # where a link leads
    | <(?:[a-z/!](?:[^<>"']++|"[^"]*+"|'[^']*+')*+(?:"[^"]*+|'[^']*+)?+)?+  # a tag, or an autolink
    | (?:https?|ftps?|wss?):?(?:\\?/|\\)*+(?:\\/|[^\s<>"'`\\])*+\\?+ | www\.?[^\s<>"'`]*+  # a bare address
    | (?:\burl\(|@import)[^)\n]*+ | @[a-z]{0,6}+ | \bu(?:rl?)?+
    | h(?:tt?)?+ | f(?:tp?)?+ | ww?+
    )\Z""",
    re.IGNORECASE | re.VERBOSE,
)
_MOST_HELD = 4096
"""Characters: what is open for longer is made harmless."""


class Egress:
    """What becomes of addresses. Compiled once, shared by calls.

    Arguments:
        modes: by the kind of address.
        hosts: that may be pointed to.
    """

    def __init__(self, modes: Mapping[AddressKind, EgressMode], hosts: Sequence[str]) -> None:
        self._modes = dict(modes)
        self._hosts = frozenset(hosts)

    @property
    def is_on(self) -> bool:
        """Whether anything is looked for."""
        return any(mode != "off" for mode in self._modes.values())

    def judge(self, text: str, *, has_image: bool = False) -> "Judged":
        """A text as it may go on, and what was found in it."""
        pieces: list[str] = []
        found: dict[AddressKind, int] = {}
        known: dict[tuple[str, ...], bool] = {}
        done, is_blocked = 0, False
        for address in find_addresses(text, has_image=has_image):
            mode = self._modes[address.kind]
            if mode == "off":
                continue
            is_known = known.get(address.hosts)
            if is_known is None:
                is_known = known[address.hosts] = is_listed(address.hosts, self._hosts)
            if is_known:
                continue
            found[address.kind] = found.get(address.kind, 0) + 1
            is_blocked = is_blocked or mode == "block"
            if mode == "sanitise":
                pieces += (text[done : address.start], TAKEN_OUT)
                done = address.end
        return Judged("".join([*pieces, text[done:]]) if pieces else text, found, is_blocked)

    def stream(self) -> "EgressStream":
        """For a text that comes in pieces."""
        return EgressStream(self)


class Judged(msgspec.Struct, frozen=True):
    """What was found in a text.

    Attributes:
        text: as it may go on.
        found: how many addresses of hosts that are not listed, by kind.
        is_blocked: whether it may not go on at all.
    """

    text: str
    found: Mapping[AddressKind, int]
    is_blocked: bool


class EgressStream:
    """Holds back what may become an address until it is one. State: that piece, and what stood before it.

    Attributes:
        found: as in `Judged`, in all so far.
        is_blocked: whether nothing may go on any more.
    """

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._held = ""
        self._has_image = False
        self._is_resumed = False
        self.found: dict[AddressKind, int] = {}
        self.is_blocked = False

    @property
    def holds(self) -> bool:
        """Whether anything is held back."""
        return self._held != ""

    def feed(self, text: str) -> str:
        """What may go on."""
        if len(text) > _MOST_HELD:
            return "".join([self.feed(text[at : at + _MOST_HELD]) for at in range(0, len(text), _MOST_HELD)])
        if self._is_resumed and text:
            text = f" {text}"  # with what went out before the pause it could be an address
            self._is_resumed = False
        self._held += text
        at = _opening(self._held)
        piece, self._held = self._held[:at], self._held[at:]
        out = self._judged(piece) if piece else ""
        return out + self._given_up() if len(self._held) >= _MOST_HELD else out

    def pause(self) -> str:
        """What was held back, where something else comes between. What comes next is kept apart from it."""
        if not self._held:
            return ""
        self._is_resumed = True
        out = self.end().replace("]", "] ").replace("@", "@ ")
        return f"&lt;{out[1:]}" if out[0:1] == "<" else out

    def end(self) -> str:
        """What was held back."""
        piece, self._held = self._held, ""
        return self._judged(piece)

    def _given_up(self) -> str:
        """What has been open for too long, as something that it cannot become any more: no tag, and no link's end."""
        piece, self._held = self._held, ""
        out = self._judged(piece)
        return {"<": "&lt;", "]": "] "}.get(out[:1], out[:1]) + out[1:]

    def _judged(self, piece: str) -> str:
        judged = self._egress.judge(piece, has_image=self._has_image)
        self._has_image = self._has_image or "![" in piece
        for kind, count in judged.found.items():
            self.found[kind] = self.found.get(kind, 0) + count
        self.is_blocked = self.is_blocked or judged.is_blocked
        return "" if self.is_blocked else judged.text


def _opening(text: str) -> int:
    """Where something is open at the end of a text; its length if nothing is."""
    match = _OPEN.search(text)
    return len(text) if match is None else match.start()
