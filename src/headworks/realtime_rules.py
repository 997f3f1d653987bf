"""What a Realtime session may do: its quotas, its money, its settings, and whether its key is still good."""

from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter

import msgspec

from headworks.answering import UpstreamRefusal
from headworks.budgeting import LONGEST_WAIT_S, CallMoney
from headworks.calls import Failure
from headworks.catalogue import TargetPrice
from headworks.limiting import limited
from headworks.limits import LimitSet, Reservation
from headworks.realtime import ClientEvent

_MOMENT_S = 0.15
"""What will be there within so long is taken now, and charged when it has been used: a lease takes a tenth of a second
(`limits.keeping`), and a session cannot wait for it without holding up what is said."""

_PLENTY = 1 << 30

_FIRST_TOKENS = 512
"""What a response is expected to take before there was one."""


def _nobody() -> None:
    """Who is told when nobody is there."""


class SessionPurse:
    """Implements `realtime.Purse`: each slot is the money of a call of its own, so that it is of the day in which it is
    taken, and is waited for as calls wait for theirs.

    State: the slots that are free, the one that is waited for, how many are wanted, why there are no more, and whether
    there is no budget any more.

    Arguments:
        first: what the session was admitted with.
        make: the money of one more response.
        price: of the session's model.
        count: counts what was spent otherwise.

    Attributes:
        changed: called when a slot has come that was waited for, or will not.
    """

    def __init__(
        self,
        first: CallMoney,
        make: Callable[[], CallMoney | None],
        price: TargetPrice,
        count: Callable[[int], None],
    ) -> None:
        self._free: deque[CallMoney] = deque([first])
        self._make = make
        self._price = price
        self._count = count
        self._waiting: CallMoney | None = None
        self._wanted = 1
        self._is_unbound = False
        self.failure: Failure | None = None
        self.changed: Callable[[], None] = _nobody

    @property
    def free(self) -> int:
        """See `realtime.Purse`."""
        return _PLENTY if self._is_unbound else len(self._free)

    def want(self, slots: int) -> None:
        """See `realtime.Purse`."""
        self._wanted, self._is_unbound = slots, False
        while len(self._free) < self._wanted and self._waiting is None:
            money = self._make()
            if money is None:
                self._is_unbound = True  # the budget was taken away meanwhile
                return
            amount = money.bound(self._price) or 0
            due_s = perf_counter() + LONGEST_WAIT_S
            if money.begin(amount, due_s, partial(self._came, money), self._came_not) is not None:
                self._waiting = money
                return
            self._free.append(money)
            self.failure = None

    def take(self) -> CallMoney | None:
        """See `realtime.Purse`."""
        return self._free.popleft() if self._free else None

    def count(self, cost_pico: int) -> None:
        """See `realtime.Purse`."""
        if cost_pico > 0:
            self._count(cost_pico)

    def close(self) -> None:
        """See `realtime.Purse`."""
        self._wanted = 0
        self.changed = _nobody
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.leave()
        while self._free:
            self._free.popleft().settle(0)

    def _came(self, money: CallMoney) -> None:
        self._waiting, self.failure = None, None
        self._free.append(money)
        self.want(self._wanted)
        self.changed()

    def _came_not(self, refusal: UpstreamRefusal) -> None:
        self._waiting, self.failure = None, refusal.failure
        self.changed()


class SessionRules:
    """Implements `realtime_relay.Rules`. Each response counts as a request, with its tokens.

    State: the reservations of responses that were asked for and of those that have begun (None for one that did so
    where there was no room, which is charged at its end), what the last one took, and what is held ahead for the next:
    a response cannot wait for its lease, as a call can.

    Arguments:
        limits: the quotas that each response is under; None for none.
        wake: has more of them got.
        is_hard: a budget may not be exceeded, so that nothing may be used whose price is not known.
        price_of: of a model that transcribes.
        may_use: whether the key may use a model.
        asked_model, model: what the caller calls the session's model, and what its provider does.
        is_revoked: whether the caller's key is not good any more.
    """

    def __init__(
        self,
        limits: LimitSet | None,
        wake: Callable[[], None],
        *,
        is_hard: bool,
        price_of: Callable[[str], TargetPrice],
        may_use: Callable[[str], bool],
        asked_model: str,
        model: str,
        is_revoked: Callable[[], bool],
    ) -> None:
        self._limits = limits
        self._wake = wake
        self._is_hard = is_hard
        self._price_of = price_of
        self._may_use = may_use
        self._asked_model = asked_model
        self._model = model
        self.is_revoked = is_revoked
        self._asked: deque[Reservation | None] = deque()
        self._begun: deque[Reservation | None] = deque()
        self._expected = _FIRST_TOKENS
        self._ahead: int | None = None

    def hold_ahead(self) -> None:
        """From now on have room for a response held here, of the size of the last one, until `let_go`."""
        if self._limits is not None:
            self.let_go()
            self._ahead = self._expected
            self._limits.begin_waiting(self._ahead)

    def let_go(self) -> None:
        """Hold nothing any more. Harmless to call twice."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and self._limits is not None:
            self._limits.end_waiting(ahead)

    def may_ask(self) -> Failure | None:
        """See `Rules`."""
        limits = self._limits
        if limits is None:
            return None
        now_s = perf_counter()
        reservation = limits.reserve(self._expected, now_s)
        if reservation is None:
            self._wake()
            wait_s = limits.wait_s(self._expected, now_s)
            if wait_s > _MOMENT_S:
                return limited(limits, self._expected, now_s, wait_s)
        self._asked.append(reservation)
        return None

    def take_back(self) -> None:
        """See `Rules`."""
        reservation = self._asked.pop() if self._asked else None
        if reservation is not None:
            reservation.cancel()

    def may_set(self, event: ClientEvent) -> str:
        """See `Rules`."""
        session = event.session
        if session is None:
            return ""
        if session.model is not None and session.model not in (self._asked_model, self._model):
            return "The model of a session cannot be changed: open another session with that model."
        transcribes_with = session.transcribes_with
        if transcribes_with and not self._may_use(transcribes_with):
            return "This key may not use the model that is to transcribe; ask its owner for one that may."
        if self._is_hard and transcribes_with and not self._price_of(transcribes_with).is_known:
            return (
                "What the model that is to transcribe costs is not known, and this session is under a budget: the "
                "gateway's operator must give it `prices` in headworks.yaml, or name another model."
            )
        return ""

    def named(self, message: bytes) -> bytes:
        """See `Rules`."""
        fields = _fields(message)
        session = _fields(fields["session"])
        session["model"] = msgspec.Raw(msgspec.json.encode(self._model))
        fields["session"] = msgspec.Raw(msgspec.json.encode(session))
        return msgspec.json.encode(fields)

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
        if self._ahead is not None:
            self.hold_ahead()
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


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
