"""The provider's prompt cache: which prefix of a prompt was seen before, by real arithmetic.

State: digests of prefixes with the time at which each is forgotten. A prefix is cached where it is long enough
(1,024 tokens) and ends on a step of 128 tokens, or at an explicit breakpoint. Entries are kept apart by model
and `prompt_cache_key`: two keys are two machines.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from headworks.simulator.plan import PromptCache

_CONSIDERED_BREAKPOINTS = 80
_WRITTEN_BREAKPOINTS = 4
"""OpenAI prompt-caching guide, gpt-5.6 and later: the latest 80 breakpoints are matched, four are written."""


class CacheUse(msgspec.Struct, frozen=True):
    """What the cache did for one prompt, in tokens: how many were read, how many newly written."""

    cached_tokens: int = 0
    write_tokens: int = 0


NO_CACHE_USE = CacheUse()


class CacheableText(msgspec.Struct, frozen=True):
    """A prompt as the cache sees it: `pieces` are its tokens; `breakpoints` are the lengths, in tokens, of the
    prefixes that the request marks; without `is_implicit` only those count."""

    pieces: Sequence[str]
    breakpoints: tuple[int, ...] = ()
    is_implicit: bool = True


class PrefixMemory:
    """The prompt cache of all models. At most `capacity` prefixes; the one unused for longest goes first."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._forgotten_at: dict[bytes, float] = {}  # least recently used first

    def __len__(self) -> int:
        return len(self._forgotten_at)

    def use(self, route: str, text: CacheableText, policy: PromptCache, ttl_s: float, now: float) -> CacheUse:
        """Look up the longest known prefix of a prompt, and remember the prompt's own prefixes for `ttl_s`."""
        if not policy.minimum_tokens or len(text.pieces) < policy.minimum_tokens:
            return NO_CACHE_USE
        written, considered = _boundaries(text, policy)
        if not considered:
            return NO_CACHE_USE
        digests = _digests(route, text.pieces, considered)
        cached = next((length for length in reversed(considered) if self._is_known(digests[length], now)), 0)
        for length in written:
            self._remember(digests[length], now + ttl_s, now)
        if cached and cached not in written:
            self._remember(digests[cached], now + ttl_s, now)
        newly = max(0, max(written, default=0) - cached) if policy.bills_writes else 0
        return CacheUse(cached, newly)

    def forget_all(self) -> None:
        self._forgotten_at.clear()

    def _is_known(self, key: bytes, now: float) -> bool:
        return self._forgotten_at.get(key, now) > now

    def _remember(self, key: bytes, forgotten_at: float, now: float) -> None:
        previous = self._forgotten_at.pop(key, now)
        self._forgotten_at[key] = max(previous, forgotten_at)
        if len(self._forgotten_at) > self._capacity:
            del self._forgotten_at[next(iter(self._forgotten_at))]


def _boundaries(text: CacheableText, policy: PromptCache) -> tuple[list[int], list[int]]:
    """The prefix lengths to write, and those to look for, both ascending."""
    size = len(text.pieces)
    marked = [length for length in text.breakpoints if policy.minimum_tokens <= length <= size]
    if not policy.bills_writes:
        marked = []  # older models know no breakpoints
    steps = list(range(policy.minimum_tokens, size + 1, policy.step_tokens)) if text.is_implicit else []
    kept = _WRITTEN_BREAKPOINTS - 1 if text.is_implicit else _WRITTEN_BREAKPOINTS
    return (
        sorted({*steps, *marked[-kept:]}),
        sorted({*steps, *marked[-_CONSIDERED_BREAKPOINTS:]}),
    )


def _digests(route: str, pieces: Sequence[str], lengths: Iterable[int]) -> dict[int, bytes]:
    """The digest of every prefix; it depends on the prefix alone, not on the other lengths."""
    state = hashlib.blake2b(route.encode("utf-8", "surrogatepass"), digest_size=16)
    digests: dict[int, bytes] = {}
    start = 0
    for length in lengths:
        block = "\x1f".join(pieces[start:length])
        state.update(f"{block}\x1f".encode("utf-8", "surrogatepass"))
        digests[length] = state.copy().digest()
        start = length
    return digests
