"""Stop sequences in a request that is written already, wherever its dialect has them."""

from collections.abc import Sequence

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.reading import read_fields

STOPPABLE = (Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE)
"""Dialects that have a place for them."""

_TOP = {Endpoint.CHAT: "stop", Endpoint.MESSAGES: "stop_sequences"}
_INNER = {Endpoint.GENERATE_CONTENT: "generationConfig", Endpoint.CONVERSE: "inferenceConfig"}

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def with_stop(body: bytes, spoken: Endpoint, stop: Sequence[str]) -> bytes:
    """The body with these sequences, which take the place of its own."""
    fields = read_fields(body)
    if spoken in _TOP:
        return _encode({**fields, _TOP[spoken]: stop})
    name = _INNER[spoken]
    inner = _decode_fields(fields[name]) if name in fields else {}
    return _encode({**fields, name: {**inner, "stopSequences": stop}})
