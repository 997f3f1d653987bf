"""Asks and leases as bytes, between a worker and the authority of its own machine.

A frame is a head of eight bytes (three that say whose it is, one for the version, four for the length, big-endian)
and a MessagePack array. Worker and authority are of one installation but may be of two releases for a moment, so a
frame of another version is told from one that is no frame at all.
"""

import struct
from collections.abc import Sequence
from typing import Annotated

import msgspec

from headworks.limits.leases import Ask, Lease, Quota

VERSION = 1
"""Raised with every change of what a frame holds."""

HEAD_BYTES = 8
MOST_BYTES = 1024 * 1024
"""Some ten thousand asks; a longer frame is not one of ours."""

_MOST_ASKS = 10_000
_HEAD = struct.Struct(">3sBI")
LEASES, BUDGETS = b"HWL", b"HWB"
"""Whose frames they are: of leases, or of budgets (`budgets.wire`)."""

_MOST_UNITS = 2**53
"""Whole numbers up to here are exact in the doubles that Valkey's scripts count in."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST_UNITS)]
_Change = Annotated[int, msgspec.Meta(ge=-_MOST_UNITS, le=_MOST_UNITS)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Window = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
_Delay = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class FrameError(ValueError):
    """Bytes that are no frame of ours. The message says what is wrong with them, and holds none of them."""


class _Ask(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    name: _Name
    amount: _Count
    window_s: _Window
    spent: _Change
    wanted: _Count
    remaining: _Count | None


class _Lease(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    amount: _Count
    expires_s: _Delay
    wait_s: _Delay


class _Renewal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="renew"):
    number: _Count
    due_s: float
    holder: _Name
    asks: Annotated[tuple[_Ask, ...], msgspec.Meta(max_length=_MOST_ASKS)]


class _Granted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="granted"):
    number: _Count
    leases: Annotated[tuple[_Lease, ...], msgspec.Meta(max_length=_MOST_ASKS)]


class Declined(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="declined"):
    """The answer of an authority that grants nothing, with its reason."""

    number: _Count
    reason: Annotated[str, msgspec.Meta(max_length=2000)]


class Renewal(msgspec.Struct, frozen=True):
    """What a worker asks.

    Attributes:
        number: rises with every renewal of a holder; the answer bears the same, so that no late answer is taken for
            another, and no late renewal for news.
        due_s: by the clock that all processes of a machine share (`time.monotonic`), in seconds: when the worker has
            given up. Nothing may be granted after that, for nobody would hear of it.
        holder: the worker's name.
    """

    number: int
    due_s: float
    holder: str
    asks: tuple[Ask, ...]


class Granted(msgspec.Struct, frozen=True):
    """The answer: one lease for each ask, in their order."""

    number: int
    leases: tuple[Lease, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode_renewal = msgspec.msgpack.Decoder(_Renewal).decode
_decode_answer = msgspec.msgpack.Decoder(_Granted | Declined).decode


def frame_renewal(renewal: Renewal) -> bytes:
    """The frame of a renewal.

    Raises:
        FrameError: too many asks for one frame.
    """
    asks = tuple(
        _Ask(quota.name, quota.amount, quota.window_s, ask.spent, ask.wanted, ask.remaining)
        for ask in renewal.asks
        for quota in (ask.quota,)
    )
    return _frame(_Renewal(renewal.number, renewal.due_s, renewal.holder, asks))


def frame_granted(number: int, leases: Sequence[Lease]) -> bytes:
    """The frame of an answer that grants."""
    return _frame(_Granted(number, tuple(_Lease(lease.amount, lease.expires_s, lease.wait_s) for lease in leases)))


def frame_declined(number: int, reason: str) -> bytes:
    """The frame of an answer that does not; a reason that is too long is cut."""
    return _frame(Declined(number, reason[:2000]))


def body_bytes(head: bytes) -> int:
    """How many bytes follow a frame's first `HEAD_BYTES`.

    Raises:
        FrameError: not a frame, one of another version, or one that is too long.
    """
    mark, version, size = _HEAD.unpack(head)
    if mark not in (LEASES, BUDGETS):
        raise FrameError("not a frame of leases")
    if version != VERSION:
        raise FrameError(f"a frame of version {version}, and this release of Headworks speaks version {VERSION}")
    if size > MOST_BYTES:
        raise FrameError(f"a frame of {size} bytes, over the bound of {MOST_BYTES}")
    return int(size)


def read_renewal(body: bytes) -> Renewal:
    """The renewal of a frame's body.

    Raises:
        FrameError: it holds something else, or figures that cannot be.
    """
    try:
        form = _decode_renewal(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError("a frame that holds no renewal") from error
    asks = tuple(
        Ask(Quota(ask.name, ask.amount, ask.window_s), ask.spent, ask.wanted, ask.remaining) for ask in form.asks
    )
    return Renewal(form.number, form.due_s, form.holder, asks)


def read_answer(body: bytes) -> Granted | Declined:
    """The answer of a frame's body.

    Raises:
        FrameError: it holds something else, or figures that cannot be.
    """
    try:
        form = _decode_answer(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError("a frame that holds no answer") from error
    if isinstance(form, Declined):
        return form
    return Granted(form.number, tuple(Lease(lease.amount, lease.expires_s, lease.wait_s) for lease in form.leases))


def framed(mark: bytes, body: bytes) -> bytes:
    """A body with its head.

    Raises:
        FrameError: it is too long.
    """
    if len(body) > MOST_BYTES:
        raise FrameError(f"a frame of {len(body)} bytes, over the bound of {MOST_BYTES}: too much at once")
    return _HEAD.pack(mark, VERSION, len(body)) + body


def _frame(form: _Renewal | _Granted | Declined) -> bytes:
    return framed(LEASES, _encode(form))
