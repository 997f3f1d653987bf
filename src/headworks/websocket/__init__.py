"""WebSocket (RFC 6455) without a socket: bytes become frames, frames become bytes, and a handshake is checked.

Both roles are here, for a gateway is a server to its callers and a client to its upstreams. Extensions are neither
offered nor taken: compressed frames (`permessage-deflate`) could be neither looked at nor bounded cheaply, and what
they would save is sound that is compressed already. May import `errors` and the standard library.
"""

from headworks.websocket.frames import (
    CloseCode,
    ClosingWords,
    Frame,
    FrameReader,
    Opcode,
    ProtocolError,
    closing_words,
    frame,
)
from headworks.websocket.handshake import Offer, accept_key, answer_headers, check_answer, read_offer, request_headers
from headworks.websocket.messages import MessageReader, TextCheck

__all__ = [
    "CloseCode",
    "ClosingWords",
    "Frame",
    "FrameReader",
    "MessageReader",
    "Offer",
    "Opcode",
    "ProtocolError",
    "TextCheck",
    "accept_key",
    "answer_headers",
    "check_answer",
    "closing_words",
    "frame",
    "read_offer",
    "request_headers",
]
