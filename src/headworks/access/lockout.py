"""How often an address may come with a bad key. Pure; the clock is passed in.

It does not keep good keys out: many callers may share one address, and whoever sends bad keys there must not be able to
lock out the others. Guessing a key is hopeless in any case (192 bits); what this bounds is the noise, and the
audit log then says who makes it.
"""

from collections.abc import Callable
from math import ceil

from headworks.access.networks import Address, site_of
from headworks.errors import Refusal

MOST_ADDRESSES = 10_000
"""Addresses that are remembered, about 2 MB: those who send bad keys choose them, so there must be a bound."""


class Lockout:
    """Counts the bad keys of each address. State: per address how many, since when, and until when it is locked out.

    Arguments:
        tries: bad keys in `window_s` after which an address is locked out; 0 for never.
        window_s: seconds in which they count together.
        lockout_s: seconds for which it is.
        clock: monotonic seconds.
    """

    __slots__ = ("_addresses", "_clock", "_lockout_s", "_tries", "_window_s")

    def __init__(self, tries: int, window_s: float, lockout_s: float, clock: Callable[[], float]) -> None:
        self._tries = tries
        self._window_s = window_s
        self._lockout_s = lockout_s
        self._clock = clock
        self._addresses: dict[object, tuple[int, float]] = {}

    def note(self, address: Address | None) -> None:
        """A bad key has come from an address. One that is not known is counted with all such.

        Raises:
            Refusal: 429, it is locked out.
        """
        if not self._tries:
            return
        who = site_of(address)
        now_s = self._clock()
        # A count above the most means locked out, and the time is then when that ends; else it is when counting began.
        count, since_s = self._addresses.pop(who, (0, now_s))
        if count > self._tries and now_s < since_s:
            self._addresses[who] = (count, since_s)
            raise _locked_out(since_s - now_s)
        if count > self._tries or now_s - since_s >= self._window_s:
            count, since_s = 0, now_s
        count += 1
        is_over = count > self._tries
        if len(self._addresses) >= MOST_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]  # who has been quiet for longest
        self._addresses[who] = (count, now_s + self._lockout_s if is_over else since_s)
        if is_over:
            raise _locked_out(self._lockout_s)


def _locked_out(left_s: float) -> Refusal:
    return Refusal(
        429,
        "too_many_bad_keys",
        "Too many incorrect API keys have come from this address. Good keys are still taken; this one is not.",
        kind="rate_limit_error",
        # Clients of the OpenAI API try a 429 again unless they are told not to, and this key will not get better.
        headers=(("retry-after", str(max(1, ceil(left_s)))), ("x-should-retry", "false")),
    )
