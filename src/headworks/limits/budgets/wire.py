"""Claims and allowances as bytes, between a worker and whoever keeps the books on its machine: in frames like those of
leases, on the same socket."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from headworks.limits.budgets.accounts import Account, Allowance, Claim
from headworks.limits.wire import BUDGETS, Declined, FrameError, framed

_MOST_CLAIMS = 10_000

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Moment = Annotated[int, msgspec.Meta(ge=0)]
_Claims = Annotated[tuple["_Claim", ...], msgspec.Meta(max_length=_MOST_CLAIMS)]


class _Claim(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    name: _Name
    cap: Annotated[int, msgspec.Meta(ge=0)]
    is_hard: bool
    alert_at: tuple[int, ...]
    begins_us: _Moment
    ends_us: _Moment
    spent: Annotated[int, msgspec.Meta(ge=0)]
    reserved: Annotated[int, msgspec.Meta(ge=0)]
    wanted: Annotated[int, msgspec.Meta(ge=0)]
    least: Annotated[int, msgspec.Meta(ge=0)]


class _Allowance(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    held: Annotated[int, msgspec.Meta(ge=0)]
    spent: int
    reserved: int
    is_short: bool


class Claims(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="claims"):
    """What a worker claims. `number` rises with every exchange of a holder; `due_s` is when it has given up, by the
    clock that all processes of a machine share."""

    number: int
    due_s: float
    holder: _Name
    claims: _Claims

    def values(self) -> tuple[Claim, ...]:
        """The claims."""
        return tuple(
            Claim(
                Account(one.name, one.cap, one.is_hard, one.alert_at, one.begins_us, one.ends_us),
                one.spent,
                one.reserved,
                one.wanted,
                one.least,
            )
            for one in self.claims
        )


class Settling(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="settle"):
    """What was set aside for a batch has come to so much; -1: nobody knows. The answer allows nothing."""

    number: int
    due_s: float
    batch: _Name
    spent: Annotated[int, msgspec.Meta(ge=-1)]


class Allowed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="allowed"):
    """The answer: one allowance for each claim, in their order."""

    number: int
    allowances: Annotated[tuple[_Allowance, ...], msgspec.Meta(max_length=_MOST_CLAIMS)]

    def values(self) -> list[Allowance]:
        """The allowances."""
        return [Allowance(one.held, one.spent, one.reserved, one.is_short) for one in self.allowances]


_encode = msgspec.msgpack.Encoder().encode
_decode_claims = msgspec.msgpack.Decoder(Claims | Settling).decode
_decode_answer = msgspec.msgpack.Decoder(Allowed | Declined).decode


def frame_claims(number: int, due_s: float, holder: str, claims: Sequence[Claim]) -> bytes:
    """The frame of claims.

    Raises:
        FrameError: too many for one frame.
    """
    rows = tuple(
        _Claim(
            account.name,
            account.cap,
            account.is_hard,
            account.alert_at,
            account.begins_us,
            account.ends_us,
            claim.spent,
            claim.reserved,
            claim.wanted,
            claim.least,
        )
        for claim in claims
        for account in (claim.account,)
    )
    return framed(BUDGETS, _encode(Claims(number, due_s, holder, rows)))


def frame_settling(number: int, due_s: float, batch: str, spent: int) -> bytes:
    """The frame that says what a batch has come to."""
    return framed(BUDGETS, _encode(Settling(number, due_s, batch, spent)))


def frame_allowed(number: int, allowances: Sequence[Allowance]) -> bytes:
    """The frame of an answer that allows."""
    rows = tuple(_Allowance(one.held, one.spent, one.reserved, one.is_short) for one in allowances)
    return framed(BUDGETS, _encode(Allowed(number, rows)))


def frame_unavailable(number: int, reason: str) -> bytes:
    """The frame of an answer that does not; a reason that is too long is cut."""
    return framed(BUDGETS, _encode(Declined(number, reason[:2000])))


def read_claims(body: bytes) -> Claims | Settling:
    """The claims of a frame's body, or what a batch has come to.

    Raises:
        FrameError: it holds something else, or figures that cannot be.
    """
    try:
        found: Claims | Settling = _decode_claims(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError("a frame that holds no claims") from error
    return found


def read_allowed(body: bytes) -> Allowed | Declined:
    """The answer of a frame's body.

    Raises:
        FrameError: it holds something else, or figures that cannot be.
    """
    try:
        answer: Allowed | Declined = _decode_answer(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError("a frame that holds no allowances") from error
    return answer
