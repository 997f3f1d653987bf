"""What a Realtime session may do: its quotas, its money, its settings, and whether its key is still good."""

from collections import deque
from collections.abc import Callable
from time import perf_counter

from headworks.budgeting import CallMoney
from headworks.calls import Failure
from headworks.catalogue import TargetPrice
from headworks.limiting import limited
from headworks.limits import LimitSet, Reservation
from headworks.realtime import ClientEvent

_FIRST_TOKENS = 512
"""What a response is expected to take before there was one."""


class SessionPurse:
    """Implements `realtime.Purse` with what the session's call may spend."""

    def __init__(self, money: CallMoney) -> None:
        self._money = money

    def extend(self, amount: int) -> Failure | None:
        return self._money.extend(amount, perf_counter())

    def spend(self, reserved: int, cost_pico: int) -> None:
        self._money.spend(reserved, cost_pico)


class SessionRules:
    """Implements `realtime_relay.Rules`. Each response counts as a request, with its tokens.

    State: the reservations of responses that were asked for and of those that have begun (None for one that began
    where there was no room, which is charged at its end), and what the last one took.

    Arguments:
        limits: the quotas that each response is under; None for none.
        wake: has more of them got.
        is_hard: a budget may not be exceeded, so that nothing may be used whose price is not known.
        price_of: of a model that transcribes.
        model: that the session is of, as the provider calls it.
        is_revoked: whether the caller's key is not good any more.
    """

    def __init__(
        self,
        limits: LimitSet | None,
        wake: Callable[[], None],
        *,
        is_hard: bool,
        price_of: Callable[[str], TargetPrice],
        models: frozenset[str],
        is_revoked: Callable[[], bool],
    ) -> None:
        self._limits = limits
        self._wake = wake
        self._is_hard = is_hard
        self._price_of = price_of
        self._models = models
        self.is_revoked = is_revoked
        self._asked: deque[Reservation] = deque()
        self._begun: deque[Reservation | None] = deque()
        self._expected = _FIRST_TOKENS

    def may_ask(self) -> Failure | None:
        """See `Rules`."""
        limits = self._limits
        if limits is None:
            return None
        now_s = perf_counter()
        reservation = limits.reserve(self._expected, now_s)
        if reservation is None:
            self._wake()
            return limited(limits, self._expected, now_s)
        self._asked.append(reservation)
        return None

    def take_back(self) -> None:
        """See `Rules`."""
        if self._asked:
            self._asked.pop().cancel()

    def may_set(self, event: ClientEvent) -> str:
        """See `Rules`."""
        session = event.session
        if session is None:
            return ""
        if session.model is not None and session.model not in self._models:
            return "The model of a session cannot be changed: open another session with that model."
        transcribes_with = session.transcribes_with
        if self._is_hard and transcribes_with and not self._price_of(transcribes_with).is_known:
            return (
                "What the model that is to transcribe costs is not known, and this session is under a budget: the "
                "gateway's operator must give it `prices` in headworks.yaml, or name another model."
            )
        return ""

    def began(self) -> None:
        """See `Rules`."""
        if self._limits is None:
            return
        if self._asked:
            self._begun.append(self._asked.popleft())
            return
        reservation = self._limits.reserve(self._expected, perf_counter())
        if reservation is None:
            self._wake()
        self._begun.append(reservation)

    def ended(self, input_tokens: int, output_tokens: int) -> None:
        """See `Rules`."""
        used = input_tokens + output_tokens
        self._expected = max(_FIRST_TOKENS, used)
        if self._limits is None or not self._begun:
            return
        reservation = self._begun.popleft()
        if reservation is not None:
            reservation.settle(used)
            return
        for meter in self._limits.requests:
            meter.correct(0, 1)
        for meter in self._limits.tokens:
            meter.correct(0, used)
