"""What a session uses, response by response, and whether there is money for the next.

Of a session under a budget there is always a *slot* set aside for one response more than are under way: a caller that
falls silent may have the model answer without asking for it. A slot is the most that one response can cost. Where
there is none to be had, the session ends with what is under way; what that costs was set aside before. One further
slot is got ahead, where there is money for it, so that nobody waits for it when a response begins.

State: the slots of the responses under way, those responses that were asked for and have not begun, and the sums of
what was used.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from headworks.calls import NO_USAGE, Extras, Failure, FailureKind, Usage, both_extras
from headworks.catalogue import Cost, TargetPrice
from headworks.realtime.events import ClientEvent, EventError, EventUsage
from headworks.realtime.usage import Used, used_by_response, used_by_transcription

_SHORT = Failure(FailureKind.BUDGET, "money for one more response is being set aside: ask again in a moment")

_NOTHING = Extras()

_MOST_WAITING = 64
"""Responses that may be asked for ahead. What is beyond is refused: each is money."""


class Slot(Protocol):
    """The most that one response can cost, set aside."""

    def settle(self, cost_pico: int) -> None:
        """The response came to so much, in pico-dollars; -1: nobody knows."""
        ...


class Purse(Protocol):
    """Where slots are. `free` is how many are set aside and not taken; `failure` why there are no more to be had, None
    where there are, or may be in a moment."""

    @property
    def free(self) -> int: ...
    @property
    def failure(self) -> Failure | None: ...
    def want(self, slots: int) -> None:
        """Have so many free, now or as soon as may be."""
        ...

    def take(self) -> Slot | None:
        """One of the free ones, for a response that has begun; None where there is none."""
        ...

    def count(self, cost_pico: int) -> None:
        """So much was spent beside responses."""
        ...

    def close(self) -> None:
        """Give back what is free, and want nothing more."""
        ...


class Sums(msgspec.Struct):
    """What was used so far. `cost_pico` is -1 as soon as a part of it is not known; `is_told` says that the provider
    told of something."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_pico: int = 0
    price_version: str = ""
    responses: int = 0
    is_told: bool = False
    extras: Extras | None = None

    def usage(self) -> Usage:
        """As a record has it."""
        if not self.is_told:
            return NO_USAGE
        return Usage(self.input_tokens, self.cached_tokens, 0, self.output_tokens, 0, "provider", extras=self.extras)


class Meter:
    """Meters one session.

    Arguments:
        price: of the session's model.
        price_of: what another model at the same provider costs, which transcribes.
        at_us: when the session began, in microseconds since the Unix epoch.
        purse: where money is set aside, one slot at first; None where it is under no budget.
    """

    def __init__(
        self, price: TargetPrice, price_of: Callable[[str], TargetPrice], at_us: int, purse: Purse | None = None
    ) -> None:
        self._price = price
        self._price_of = price_of
        self._at_us = at_us
        self._purse = purse
        self._asked: deque[str | None] = deque()
        self._slots: deque[Slot | None] = deque()
        self._transcription = ""
        self.sums = Sums()

    @property
    def under_way(self) -> int:
        """Responses that have begun and not ended."""
        return len(self._slots)

    @property
    def is_busy(self) -> bool:
        """Whether the provider may be at work on something that is not told of yet."""
        return bool(self._slots or self._asked)

    @property
    def is_covered(self) -> bool:
        """Whether there is a slot for whatever may begin next."""
        return self._purse is None or self._purse.free >= max(1, len(self._asked))

    @property
    def spent_up(self) -> Failure | None:
        """Why nothing may begin any more; None where it may, or may in a moment."""
        return None if self._purse is None or self.is_covered else self._purse.failure

    def begin(self) -> None:
        """The session begins."""
        self._want()

    def transcribes_with(self, model: str) -> None:
        """What the caller says is written down by this model from now on; "" for none."""
        self._transcription = model

    def may_ask(self, event: ClientEvent) -> Failure | None:
        """Take note that the caller asks for a response; why it may not, if it may not."""
        if len(self._asked) >= _MOST_WAITING:
            detail = f"{_MOST_WAITING} responses were asked for and have not begun: wait for them"
            return Failure(FailureKind.LIMITED, detail)
        self._asked.append(event.event_id)
        self._want()
        if self._purse is None or self.is_covered:
            return None
        self._asked.pop()
        return self._purse.failure or _SHORT

    def began(self) -> None:
        """A response has begun."""
        if self._asked:
            self._asked.popleft()
        self._slots.append(None if self._purse is None else self._purse.take())
        self._want()

    def refused(self, error: EventError) -> bool:
        """The provider has found something wrong; whether it is a response that was asked for. Whoever gives its events
        no names is told of none."""
        if error.event_id not in self._asked:
            return False
        self._asked.remove(error.event_id)
        return True

    def ended(self, usage: EventUsage | None) -> Used:
        """A response has ended: what it used."""
        used = used_by_response(usage)
        cost = self._add(used, self._price)
        self.sums.responses += 1
        slot = self._slots.popleft() if self._slots else None
        if slot is not None:
            slot.settle(cost)
        elif self._purse is not None:
            self._purse.count(cost)
        self._want()
        return used

    def transcribed(self, usage: EventUsage | None) -> Used:
        """Something that the caller said was written down: what that used. It is paid for out of a slot, so that a
        session in which nothing else happens ends with its budget, too."""
        used = used_by_transcription(usage)
        cost = self._add(used, self._price_of(self._transcription))
        if self._purse is not None and cost > 0:
            slot = self._purse.take()
            if slot is None:
                self._purse.count(cost)
            else:
                slot.settle(cost)
            self._want()
        return used

    def close(self) -> None:
        """The session has ended. What was under way or asked for is not told of, and counts as the most that it can
        cost; what was set aside beyond that comes back."""
        if self.is_busy:
            self.sums.cost_pico = -1
        if self._purse is None:
            return
        for slot in (*self._slots, *(self._purse.take() for _ in self._asked)):
            if slot is not None:
                slot.settle(-1)
        self._purse.close()

    def _want(self) -> None:
        """A slot for what may begin next, and one ahead."""
        if self._purse is not None:
            self._purse.want(max(1, len(self._asked)) + 1)

    def _add(self, used: Used, price: TargetPrice) -> int:
        """Sum up; returns what it cost in pico-dollars, -1 where that is not known."""
        sums, usage = self.sums, used.usage
        sums.is_told = sums.is_told or used.is_told
        sums.input_tokens += usage.input_tokens
        sums.cached_tokens += min(usage.cached_tokens, usage.input_tokens)
        sums.output_tokens += usage.output_tokens
        if used.extras != _NOTHING:
            sums.extras = both_extras(sums.extras, used.extras)
        cost = self._cost(used, price)
        if cost is None or not cost.is_complete:
            sums.cost_pico = -1
            return -1
        sums.price_version = cost.version
        if sums.cost_pico >= 0:
            sums.cost_pico += cost.total
        return cost.total

    def _cost(self, used: Used, price: TargetPrice) -> Cost | None:
        prices = price.prices
        if used.extras.audio_s and not (prices and any(one.rates.audio_hour for one in prices.periods)):
            return None  # it has no price by the hour, and by tokens it would come to nothing
        return price.cost(used.usage, at_us=self._at_us, extras=used.extras)
