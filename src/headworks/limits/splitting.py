"""Quotas that count what is read and what is written apart, as Anthropic's do. Pure, as `holding` is.

    tokens = Tokens(1_200, read=1_000, written=200)
    limits = SplitLimitSet(requests=(rpm,), inputs=(itpm,), outputs=(otpm,))
    reservation = limits.reserve(tokens, now_s)

All that stands between a call and its quotas, the queue for one, passes tokens on and asks only how many they are.
Here it is asked what they are made of. Where nobody has said, all of them may be either.
"""

from collections.abc import Iterable

from headworks.limits.holding import LimitSet, QuotaMeter, Reservation
from headworks.limits.tokens import TokenCount, Tokens


def _parts(tokens: TokenCount) -> tuple[int, int]:
    return (tokens.read, tokens.written) if isinstance(tokens, Tokens) else (tokens, tokens)


class SplitLimitSet(LimitSet):
    """The quotas that one kind of call is under, some of which count input or output alone.

    Arguments:
        inputs: quotas that count what is read, but for what is read from a cache.
        outputs: quotas that count what is written.
    """

    __slots__ = ("_inputs", "_outputs")

    def __init__(
        self,
        requests: Iterable[QuotaMeter] = (),
        tokens: Iterable[QuotaMeter] = (),
        inputs: Iterable[QuotaMeter] = (),
        outputs: Iterable[QuotaMeter] = (),
    ) -> None:
        super().__init__(requests, tokens)
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)

    @property
    def inputs(self) -> tuple[QuotaMeter, ...]:
        """Those that count what is read."""
        return self._inputs

    @property
    def outputs(self) -> tuple[QuotaMeter, ...]:
        """Those that count what is written."""
        return self._outputs

    @property
    def meters(self) -> tuple[QuotaMeter, ...]:
        """All of them."""
        return super().meters + self._inputs + self._outputs

    def reserve(self, tokens: TokenCount, now_s: float) -> Reservation | None:
        """See `LimitSet`."""
        read, written = _parts(tokens)
        for meters, units in ((self._inputs, read), (self._outputs, written)):
            for meter in meters:
                if meter.balance < units or now_s >= meter.expires_s:
                    self._lack(meter, tokens, now_s)
                    return None
        if super().reserve(tokens, now_s) is None:
            return None
        for meters, units in ((self._inputs, read), (self._outputs, written)):
            for meter in meters:
                meter.balance -= units
        return SplitReservation(self, tokens)

    def _wanted(self, tokens: TokenCount) -> Iterable[tuple[QuotaMeter, int]]:
        read, written = _parts(tokens)
        yield from super()._wanted(tokens)
        yield from ((meter, read) for meter in self._inputs)
        yield from ((meter, written) for meter in self._outputs)

    def wait_s(self, tokens: TokenCount, now_s: float, calls_ahead: float = 0.0, tokens_ahead: float = 0.0) -> float:
        """See `LimitSet`. Of those ahead is not known what they read and write: all of it may be either."""
        read, written = _parts(tokens)
        waits = [meter.wait_s(read, now_s, tokens_ahead) for meter in self._inputs]
        waits += [meter.wait_s(written, now_s, tokens_ahead) for meter in self._outputs]
        return max([super().wait_s(tokens, now_s, calls_ahead, tokens_ahead), *waits])

    def begin_waiting(self, tokens: TokenCount) -> None:
        """See `LimitSet`."""
        super().begin_waiting(tokens)
        read, written = _parts(tokens)
        for meters, units in ((self._inputs, read), (self._outputs, written)):
            for meter in meters:
                meter.waiting += units
                if meter.balance < units:
                    meter.lack(units)

    def end_waiting(self, tokens: TokenCount) -> None:
        """See `LimitSet`."""
        super().end_waiting(tokens)
        read, written = _parts(tokens)
        for meter in self._inputs:
            meter.waiting -= read
        for meter in self._outputs:
            meter.waiting -= written

    def correct(self, reserved: TokenCount, real: TokenCount) -> None:
        """See `LimitSet`."""
        super().correct(reserved, real)
        for at, meters in enumerate((self._inputs, self._outputs)):
            for meter in meters:
                meter.correct(_parts(reserved)[at], _parts(real)[at])


class SplitReservation(Reservation):
    """What one call has taken of such quotas."""

    __slots__ = ()

    def settle(self, real_tokens: TokenCount) -> None:
        """See `Reservation`."""
        if self.is_open:
            self.is_open = False
            self._limits.correct(self._tokens, real_tokens)

    def cancel(self) -> None:
        """See `Reservation`."""
        if self.is_open:
            self.is_open = False
            for meter in self._limits.requests:
                meter.correct(1, 0)
            self._limits.correct(self._tokens, 0)
