"""What a session uses, response by response, and whether there is money for the next.

Of a session under a budget so much is set aside at all times as its responses can cost at most: those that are under
way, and one more, for a caller that falls silent may have the model answer without asking for it. When there is not
enough for one more, the session ends with what is under way; what it has cost by then was set aside before.

State: the responses under way, those that were asked for and have not begun, the sums of what was used, and how many
responses are set aside for.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from headworks.calls import NO_USAGE, Failure, FailureKind, Usage
from headworks.catalogue import Cost, TargetPrice
from headworks.realtime.events import ClientEvent, EventError, EventUsage
from headworks.realtime.usage import Used, used_by_response, used_by_transcription

_MOST_WAITING = 64
"""Responses that may be asked for ahead. What is beyond is refused: each is money."""


class Purse(Protocol):
    """Where money is set aside, in pico-dollars."""

    def extend(self, amount: int) -> Failure | None:
        """Set aside so much more; why it cannot be, if it cannot."""
        ...

    def spend(self, reserved: int, cost_pico: int) -> None:
        """A part of that is done with, and came to so much; -1: nobody knows."""
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

    def usage(self) -> Usage:
        """As a record has it."""
        if not self.is_told:
            return NO_USAGE
        return Usage(self.input_tokens, self.cached_tokens, 0, self.output_tokens, 0, "provider")


class Meter:
    """Meters one session.

    Arguments:
        price: of the session's model.
        price_of: what another model at the same provider costs, which transcribes.
        at_us: when the session began, in microseconds since the Unix epoch.
        purse: where money is set aside; None where it is under no budget.
        each: the most that a response can cost, in pico-dollars; so much is set aside for one already.
    """

    def __init__(
        self,
        price: TargetPrice,
        price_of: Callable[[str], TargetPrice],
        at_us: int,
        purse: Purse | None = None,
        each: int = 0,
    ) -> None:
        self._price = price
        self._price_of = price_of
        self._at_us = at_us
        self._purse = purse
        self._each = each
        self._held = 1
        self._asked: deque[str | None] = deque()
        self._transcription = ""
        self.under_way = 0
        """Responses that have begun and not ended."""
        self.sums = Sums()

    @property
    def is_busy(self) -> bool:
        """Whether the provider may be at work on something that is not told of yet."""
        return bool(self.under_way or self._asked)

    def transcribes_with(self, model: str) -> None:
        """What the caller says is written down by this model from now on; "" for none."""
        self._transcription = model

    def may_ask(self, event: ClientEvent) -> Failure | None:
        """Take note that the caller asks for a response; why it may not, if it may not."""
        if len(self._asked) >= _MOST_WAITING:
            detail = f"{_MOST_WAITING} responses were asked for and have not begun: wait for them"
            return Failure(FailureKind.LIMITED, detail)
        self._asked.append(event.event_id)
        failure = self._hold()
        if failure is not None:
            self._asked.pop()
        return failure

    def began(self) -> Failure | None:
        """A response has begun; why it is to be the last, if it is."""
        if self._asked:
            self._asked.popleft()
        self.under_way += 1
        return self._hold()

    def refused(self, error: EventError) -> bool:
        """The provider has found something wrong; whether it is a response that was asked for. Whoever gives its events
        no names is told of none."""
        if error.event_id not in self._asked:
            return False
        self._asked.remove(error.event_id)
        return True

    def ended(self, usage: EventUsage | None) -> tuple[Used, Failure | None]:
        """A response has ended: what it used, and why there is none after it, if there is none."""
        self.under_way = max(0, self.under_way - 1)
        used = used_by_response(usage)
        cost = self._add(used, self._price)
        self.sums.responses += 1
        if self._purse is not None:
            self._purse.spend(self._each if self._held else 0, cost)
            self._held = max(0, self._held - 1)
        return used, self._hold()

    def transcribed(self, usage: EventUsage | None) -> Used:
        """Something that the caller said was written down: what that used."""
        used = used_by_transcription(usage)
        cost = self._add(used, self._price_of(self._transcription))
        if self._purse is not None and cost > 0:
            self._purse.spend(0, cost)
        return used

    def close(self) -> None:
        """The session has ended. What was under way or asked for is not told of, and counts as the most that it can
        cost; what was set aside beyond that comes back."""
        open_ended = self.under_way + len(self._asked)
        if open_ended:
            self.sums.cost_pico = -1
        if self._purse is not None:
            untold = min(self._held, open_ended)
            self._purse.spend(self._each * untold, -1)
            self._purse.spend(self._each * (self._held - untold), 0)
        self._held = 0

    def _hold(self) -> Failure | None:
        """Have enough set aside; why it is not, if it is not."""
        if self._purse is None:
            return None
        missing = self.under_way + max(1, len(self._asked)) - self._held
        if missing <= 0:
            return None
        failure = self._purse.extend(self._each * missing)
        if failure is None:
            self._held += missing
        return failure

    def _add(self, used: Used, price: TargetPrice) -> int:
        """Sum up; returns what it cost in pico-dollars, -1 where that is not known."""
        sums, usage = self.sums, used.usage
        sums.is_told = sums.is_told or used.is_told
        sums.input_tokens += usage.input_tokens
        sums.cached_tokens += min(usage.cached_tokens, usage.input_tokens)
        sums.output_tokens += usage.output_tokens
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
