"""Recent calls once more, in their order, through a cache that works as the provider documents: what it would have
read and written. Pure, and exact but for one estimate: where in a request a token lies is reckoned from its bytes.
"""

from collections.abc import Callable, Sequence

import msgspec

from headworks.caching.fingerprint import BLOCK_BYTES
from headworks.caching.rules import ROUTE_TOKENS, CacheRules

_S_US = 1_000_000
_MINUTE_US = 60 * _S_US


class SeenCall(msgspec.Struct, frozen=True, gc=False):
    """A call whose prefix is known.

    Attributes:
        at_us: when it was opened, in microseconds since the Unix epoch.
        blocks: `blocks[n - 1]` stands for its first n blocks (`Fingerprint`).
        whole_bytes: how long what the model read is.
        key: stands for the caller's own cache key; b"" for none.
        input_tokens: as the provider counted them; of these, `cached_tokens` were read from the cache and
            `written_tokens` written to it.
    """

    at_us: int
    blocks: tuple[bytes, ...]
    whole_bytes: int
    input_tokens: int
    cached_tokens: int = 0
    written_tokens: int = 0
    key: bytes = b""

    def tokens_in(self, blocks: int) -> int:
        """How many tokens the first blocks have, taken as spread evenly over the bytes; to the nearest whole one."""
        whole = max(1, self.whole_bytes)
        return (2 * blocks * BLOCK_BYTES * self.input_tokens + whole) // (2 * whole)


class Use(msgspec.Struct, frozen=True, gc=False):
    """What a cache would have done for one call, in tokens."""

    cached: int = 0
    written: int = 0


NO_USE = Use()


def replay(calls: Sequence[SeenCall], rules: CacheRules, *, by_key: bool) -> list[Use]:
    """What a cache does that takes every prefix by itself, for each call.

    Arguments:
        calls: in the order of time.
        by_key: calls with other keys of their own share nothing; or all are taken to have the same key.
    """
    memory = _Memory(rules)
    found = []
    for call in calls:
        first = next(
            (n for n in range(1, len(call.blocks) + 1) if call.tokens_in(n) >= rules.minimum_tokens),
            len(call.blocks) + 1,
        )
        machine = memory.machine_of(call, by_key=by_key)
        depths = range(len(call.blocks), first - 1, -1)
        hit = next((n for n in depths if memory.has(machine, call.blocks[n - 1], call.at_us)), 0)
        for n in depths:
            memory.keep(machine, call.blocks[n - 1], call.at_us)
        cached = rules.ends_at(call.tokens_in(hit)) if hit else 0
        written = max(0, rules.ends_at(call.input_tokens) - cached) if rules.bills_writes else 0
        found.append(Use(cached, written))
    return found


def replay_marked(calls: Sequence[SeenCall], rules: CacheRules, blocks: int) -> list[Use]:
    """What a cache does that keeps one prefix of each call: the first blocks, whose end every request marks.

    Arguments:
        calls: in the order of time.
    """
    memory = _Memory(rules)
    found = []
    for call in calls:
        tokens = call.tokens_in(blocks)
        if len(call.blocks) < blocks or tokens < rules.minimum_tokens:
            found.append(NO_USE)
            continue
        machine = memory.machine_of(call, by_key=False)
        prefix = call.blocks[blocks - 1]
        is_there = memory.has(machine, prefix, call.at_us)
        memory.keep(machine, prefix, call.at_us)
        if is_there:
            found.append(Use(tokens, 0))
        else:
            found.append(Use(0, tokens if rules.bills_writes else 0))
    return found


_Machine = tuple[bytes, bytes, int]


class _Memory:
    """State: until when each machine keeps each prefix, and how many requests each route had in its last minute."""

    def __init__(self, rules: CacheRules) -> None:
        self._rules = rules
        self._until_us: dict[tuple[_Machine, bytes], int] = {}
        self._minutes: dict[tuple[bytes, bytes], tuple[int, int]] = {}

    def machine_of(self, call: SeenCall, *, by_key: bool) -> _Machine:
        """Where a call goes: by its beginning and key, and on to the next machine when one has had its share of the
        minute."""
        key = call.key if by_key and self._rules.knows_keys else b""
        if not self._rules.most_per_minute:
            return b"", key, 0
        first = next((n for n in range(1, len(call.blocks)) if call.tokens_in(n) >= ROUTE_TOKENS), len(call.blocks))
        route = (call.blocks[first - 1] if first else b"", key)
        minute, count = self._minutes.get(route, (0, 0))
        now = call.at_us // _MINUTE_US
        count = count if minute == now else 0
        self._minutes[route] = (now, count + 1)
        return (*route, count // self._rules.most_per_minute)

    def has(self, machine: _Machine, prefix: bytes, at_us: int) -> bool:
        return self._until_us.get((machine, prefix), at_us) > at_us

    def keep(self, machine: _Machine, prefix: bytes, at_us: int) -> None:
        self._until_us[machine, prefix] = at_us + self._rules.ttl_s * _S_US


Charge = Callable[[int, Use], int]
"""What the input of a call would cost with this use of the cache, in pico-dollars; calls by their place."""


def cost_of_uses(uses: Sequence[Use], charge: Charge) -> int:
    """What the input of all calls would cost."""
    return sum(charge(place, use) for place, use in enumerate(uses))
