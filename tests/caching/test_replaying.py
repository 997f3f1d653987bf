"""The replay beside the simulator's cache, which keeps prefixes token by token: with blocks of 128 tokens the two are
the same cache, so that what one reads, the other reads."""

from hypothesis import given
from hypothesis import strategies as st

from headworks.caching import BLOCK_BYTES, CacheRules, SeenCall, replay, replay_marked
from headworks.simulator.plan import PromptCache
from headworks.simulator.prefix_cache import CacheableText, PrefixMemory

BLOCK_TOKENS = 128
BYTES_PER_TOKEN = BLOCK_BYTES // BLOCK_TOKENS
TTL_S = 1800

drawn_calls = st.lists(
    st.tuples(
        st.integers(0, 1_000),  # seconds since the call before
        st.sampled_from(["", "one", "two"]),  # the caller's own key
        st.integers(0, 11),  # blocks of the beginning that all calls share
        st.lists(st.sampled_from("ab"), max_size=4),  # blocks that some share
        st.integers(0, BLOCK_TOKENS - 1),  # tokens behind the last whole block
    ),
    min_size=1,
    max_size=15,
)


def played(drawn, *, bills_writes, marks=()):
    """The calls as a provider of the simulator has counted them."""
    memory = PrefixMemory()
    policy = PromptCache(ttl_s=float(TTL_S), bills_writes=bills_writes)
    seen, now_s = [], 0
    for number, (pause_s, key, shared, further, tail) in enumerate(drawn):
        now_s += pause_s
        names = ["s"] * shared + further
        pieces = [f"{name} {place}" for place, name in enumerate(names) for _ in range(BLOCK_TOKENS)]
        pieces += [f"tail {number}"] * tail
        text = CacheableText(pieces, marks, is_implicit=not marks)
        use = memory.use(key, text, policy, TTL_S, now_s)
        seen.append(
            SeenCall(
                at_us=now_s * 1_000_000,
                blocks=tuple("".join(names[: n + 1]).encode() for n in range(len(names))),
                whole_bytes=len(pieces) * BYTES_PER_TOKEN,
                input_tokens=len(pieces),
                cached_tokens=use.cached_tokens,
                written_tokens=use.write_tokens,
                key=key.encode(),
            )
        )
    return seen


def rules(**fields):
    return CacheRules(**({"ttl_s": TTL_S, "bills_writes": True, "knows_keys": True} | fields))


@given(drawn_calls, st.booleans())
def test_a_replay_by_key_reads_and_writes_what_the_documented_cache_did(drawn, bills_writes):
    calls = played(drawn, bills_writes=bills_writes)

    uses = replay(calls, rules(bills_writes=bills_writes), by_key=True)

    assert [use.cached for use in uses] == [call.cached_tokens for call in calls]
    assert [use.written for use in uses] == [call.written_tokens for call in calls]


@given(drawn_calls)
def test_what_is_achievable_with_one_key_is_at_least_what_was_measured(drawn):
    calls = played(drawn, bills_writes=True)

    for use, call in zip(replay(calls, rules(), by_key=False), calls, strict=True):
        assert call.cached_tokens <= use.cached <= call.input_tokens


@given(drawn_calls, st.integers(8, 14))
def test_a_marked_replay_does_what_the_documented_cache_did_with_that_breakpoint(drawn, blocks):
    one_key = [(pause, "", shared, further, tail) for pause, _, shared, further, tail in drawn]
    calls = played(one_key, bills_writes=True, marks=(blocks * BLOCK_TOKENS,))

    uses = replay_marked(calls, rules(), blocks)

    assert [(use.cached, use.written) for use in uses] == [(call.cached_tokens, call.written_tokens) for call in calls]


def alike(times_s, *, key=b""):
    prefixes = tuple(b"%d" % n for n in range(10))
    return [SeenCall(at_s * 1_000_000, prefixes, 10 * BLOCK_BYTES, 10 * BLOCK_TOKENS, key=key) for at_s in times_s]


def test_a_prefix_is_forgotten_when_it_was_not_used_for_its_time_to_live():
    calls = alike([0, TTL_S - 1, 2 * TTL_S - 2, 3 * TTL_S - 2])

    assert [use.cached for use in replay(calls, rules(), by_key=False)] == [0, 1280, 1280, 0]


def test_more_calls_a_minute_than_a_machine_takes_spill_over_to_one_that_has_not_seen_the_prefix():
    calls = alike([60] * 32 + [120] * 16)

    uses = replay(calls, rules(most_per_minute=15), by_key=False)

    missed = [place for place, use in enumerate(uses) if not use.cached]
    assert missed == [0, 15, 30]  # the second machine still has it in the next minute


def test_calls_spill_over_by_key():
    calls = [call for n in range(20) for call in (*alike([60], key=b"one"), *alike([60], key=b"two"))]

    uses = replay(calls, rules(most_per_minute=15), by_key=True)

    assert sum(not use.cached for use in uses) == 4


def test_a_prefix_below_the_minimum_is_neither_read_nor_written():
    calls = [SeenCall(0, (b"1", b"2"), 2 * BLOCK_BYTES, 2 * BLOCK_TOKENS)] * 3

    assert all(use.cached == use.written == 0 for use in replay(calls, rules(), by_key=False))
    assert all(use.cached == use.written == 0 for use in replay_marked(calls, rules(), 2))
