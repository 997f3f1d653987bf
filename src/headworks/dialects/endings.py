"""How a stream that broke is ended honestly, in the words of the dialect that the caller reads.

Both forms carry an `error` object: it is what makes the official SDKs raise instead of going on as if all had come.
The flat fields beside it are those of `ResponseErrorEvent` in the SDK's types.
"""

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.sse import encode_event

_encode = msgspec.json.Encoder().encode


NUMBER_BEHIND_ALL = 2**31 - 1
"""A sequence number behind all others, for a stream whose own numbers are not known."""


def error_ending(endpoint: Endpoint, code: str, message: str, number: int = NUMBER_BEHIND_ALL) -> bytes:
    """The event that ends a broken stream; for Chat, no `[DONE]` follows it, since it is not done.

    Arguments:
        number: the event's sequence number; Chat has none.
    """
    error = {"message": message, "type": "upstream_error", "param": None, "code": code}
    if endpoint is Endpoint.RESPONSES:
        flat = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": number}
        return encode_event("error", _encode({**flat, "error": error}))
    return encode_event(None, _encode({"error": error}))
