"""Where a provider's cache holds what a request marks, the end of the prompt's unchanging prefix is marked in it.

Anthropic caches nothing else; OpenAI's models from gpt-5.6 on cache up to an end of their own choosing as well, but
only a mark is exact ("Prompt caching" of both, 2026-11). The mark is put into the request in the caller's dialect, for
the target that is asked: whoever translates it knows what the other dialect calls it. Pure.
"""

import math
from collections.abc import Iterator, Mapping

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.reading import Fields
from headworks.prompts import Piece, Prompt
from headworks.routing import Target
from headworks.stations import Station, spoken_by

_CONTENT = {Endpoint.RESPONSES: "input", Endpoint.CHAT: "messages"}
_PART = {Endpoint.RESPONSES: "input_text", Endpoint.CHAT: "text"}
_LOOKED_AT = 64
"""Messages from the first on among which the prefix's last one is looked for; a prompt has fewer."""

_MARK = b'"prompt_cache_breakpoint":{"mode":"explicit"}'
_END = b'"}'
_BYTES_A_TOKEN = 4

_ANTHROPIC_MINIMUM = 4096
_ANTHROPIC_TTL_S = 300.0
"""Of a model that the catalogue does not know: the longest least prefix that Anthropic has, and how long it is kept."""

_WORTH = 0.25 / (0.25 + 0.9)
"""A write costs a quarter more than reading the prefix afresh, a hit saves nine tenths: from this share of hits on, the
writes pay."""

_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class PrefixEnd(msgspec.Struct, frozen=True):
    """The end of a prompt's unchanging prefix.

    Attributes:
        heads: by dialect, how the message that it lies in begins, as JSON, up to the very end of the prefix.
        is_whole: that message ends there, too.
        prefix_bytes: of the whole prefix.
        is_wished: the prompt says so; else it is marked where that pays.
        calls_per_s: how often the prefix is expected to be asked for.
    """

    heads: Mapping[Endpoint, bytes]
    is_whole: bool
    prefix_bytes: int
    is_wished: bool
    calls_per_s: float

    def is_marked_at(self, target: Target[Station], endpoint: Endpoint) -> bool:
        """Whether a call in this dialect is to be marked for a target."""
        station = target.station
        model = station.price.model
        facts = None if model is None else model.cache
        if endpoint in target.speaks:
            if not station.provider.caches_by_key or facts is None or not facts.bills_writes:
                return False  # it knows no marks, or may not
        elif spoken_by(target.speaks, endpoint) is not Endpoint.MESSAGES:
            return False
        if self.is_wished:
            return True
        minimum = _ANTHROPIC_MINIMUM if facts is None else facts.minimum_tokens
        ttl_s = _ANTHROPIC_TTL_S if facts is None else float(facts.ttl_s)
        # Arrivals at random: a prefix is still there if another call came within its time to live.
        hits = 1 - math.exp(-self.calls_per_s * ttl_s)
        return self.prefix_bytes >= minimum * _BYTES_A_TOKEN and hits >= _WORTH

    def mark(self, fields: Fields, endpoint: Endpoint) -> Fields:
        """The fields with the mark; as they are where the prefix is not found in them (values of it were replaced)."""
        content, head = _CONTENT[endpoint], self.heads[endpoint]
        raw = bytes(fields.get(content, b""))
        if not raw.startswith(b"["):
            return fields
        items = _decode_items(raw)
        for place, item in enumerate(items[:_LOOKED_AT]):
            data = bytes(item)
            rest = data[len(head) :]
            if data.startswith(head) and rest.endswith(_END) and (rest == _END or not self.is_whole):
                items[place] = msgspec.Raw(_split(head, rest[: -len(_END)], endpoint))
                return {**fields, content: msgspec.Raw(_encode(items))}
        return fields


def prefix_end(prompt: Prompt | None, calls_per_day: int) -> PrefixEnd | None:
    """Where the prefix of a prompt ends; None where there is none, or it is never to be marked."""
    if prompt is None or prompt.breakpoint == "off":
        return None
    static = list(prompt.program.head[: prompt.input_at])
    found = next(((one.role, one.text) for one in reversed(static) if one.role != "assistant" and one.text), None)
    is_whole = True
    if len(static) < min(prompt.input_at, len(prompt.sections)):
        section = prompt.sections[len(static)]
        leading = "".join(_leading(section.pieces))
        if leading.strip() and section.role != "assistant":
            found, is_whole = (section.role, leading), False
    if found is None:
        return None
    role, text = found
    written = _encode(text)[:-1]
    return PrefixEnd(
        {
            Endpoint.RESPONSES: b'{"role":%b,"content":%b' % (_encode(role), written),
            # What `composing` calls a developer in Chat.
            Endpoint.CHAT: b'{"role":%b,"content":%b' % (_encode("system" if role == "developer" else role), written),
        },
        is_whole,
        len(prompt.static_prefix.encode()),
        prompt.breakpoint == "auto",
        calls_per_day / 86_400,
    )


def _leading(pieces: tuple[Piece, ...]) -> Iterator[str]:
    for piece in pieces:
        if piece.names or not piece.text:
            return
        yield piece.text


def _split(head: bytes, tail: bytes, endpoint: Endpoint) -> bytes:
    """The message with its text in two parts, the first of them marked; `tail` is the rest of the text, as JSON."""
    start, _, text = head.partition(b'"content":')
    kind = _PART[endpoint].encode()
    parts = b'{"type":"%b","text":%b",%b}' % (kind, text, _MARK)
    if tail:
        parts += b',{"type":"%b","text":"%b"}' % (kind, tail)
    return b'%b"content":[%b]}' % (start, parts)
