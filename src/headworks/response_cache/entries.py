"""One answer as it is kept: the bytes that went to a caller, when each piece went, and what a record says of it."""

import msgspec

from headworks.errors import StorageError


class CachedAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer that was judged good. Fields may be added at the end only: stores outlive releases.

    Attributes:
        stored_us, expires_us: microseconds since the Unix epoch.
        model, served_model: that gave it.
        finish_reason, verdict: as in the record of the call that it was given to.
        cost_pico: what that call cost, in pico-dollars; -1 where that is not known.
        echo: fields of the request that the answer repeats, and that another call may have differently, as JSON.
        pieces: microseconds since the first piece, and the piece; one piece where it is not a stream.
        price_version: of the table that the cost was computed with.
    """

    stored_us: int
    expires_us: int
    model: str
    served_model: str
    finish_reason: str
    verdict: str
    cost_pico: int
    echo: dict[str, bytes]
    pieces: tuple[tuple[int, bytes], ...]
    price_version: str = ""

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return sum(len(piece) + 16 for _, piece in self.pieces) + 256

    def age_s(self, now_s: float) -> int:
        """Whole seconds since it was given; 0 where clocks disagree."""
        return max(0, int(now_s - self.stored_us / 1e6))


encode_entry = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CachedAnswer).decode


def decode_entry(data: bytes) -> CachedAnswer:
    """The answer that was written so.

    Raises:
        StorageError: it was not.
    """
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise StorageError("an entry of the response cache is not in a form that this release knows") from None
