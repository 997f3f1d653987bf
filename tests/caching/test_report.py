import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.caching import BLOCK_BYTES, CacheRules, SeenCall, Use, cache_report, rules_of
from headworks.calls import Usage
from headworks.catalogue import CacheFacts, PriceBook, Terms, shipped

BOOK = PriceBook(shipped(), {"openai": Terms(catalogue="openai")})
LUNA = BOOK.for_target("openai", "gpt-6-luna")
RULES = rules_of("simulator", LUNA.model.cache)
AT_US = 1_795_435_200_000_000


def charge(calls):
    def of(place: int, use: Use) -> int:
        cost = LUNA.cost(Usage(calls[place].input_tokens, use.cached, use.written, source="provider"), at_us=AT_US)
        return cost.total

    return of


def call(at_s, path, *, cached=0, written=0, key=b""):
    """A call whose blocks of 128 tokens have these names."""
    blocks = tuple(path[: place + 1].encode() for place in range(len(path)))
    return SeenCall(AT_US + at_s * 1_000_000, blocks, len(path) * BLOCK_BYTES, len(path) * 128, cached, written, key)


def report(calls, rules=RULES, **fields):
    return cache_report(calls, rules, charge(calls), **fields)


def test_a_cache_that_is_used_well_leaves_nothing_to_gain():
    calls = [call(0, "a" * 10, written=1280), *[call(n, "a" * 10, cached=1280) for n in range(1, 9)]]

    found = report(calls)

    assert found.hit_rate == found.achievable_rate == 8 / 9
    assert found.money.between == 0
    assert found.money.saved == 8 * 1280 * 90_000 - 1280 * 25_000


def test_writes_that_nobody_reads_lose_money_and_no_cache_is_the_cheapest():
    calls = [call(n, chr(97 + n) * 10, written=1280) for n in range(6)]

    found = report(calls)

    assert found.money.saved == -6 * 1280 * 25_000
    assert found.money.best == ("none", found.money.without)
    assert found.money.between == 6 * 1280 * 25_000
    assert (found.achievable_tokens, found.marked_blocks) == (0, 0)


def test_a_breakpoint_behind_what_is_shared_gains_what_the_rest_costs_to_write():
    # 8 blocks that all share, and 20 of each call's own, which a cache that takes everything writes for no one.
    calls = [
        call(n, "s" * 8 + chr(97 + n) * 20, cached=1024 * (n > 0), written=28 * 128 - 1024 * (n > 0)) for n in range(9)
    ]

    found = report(calls)

    assert (found.marked_blocks, found.marked_tokens) == (8, 8 * 1024)
    assert found.money.best == ("marked", found.money.marked)
    assert found.money.between == 9 * 20 * 128 * 25_000


def test_a_provider_that_needs_marks_has_no_automatic_way():
    rules = rules_of("anthropic", CacheFacts(minimum_tokens=1024, ttl_s=300, bills_writes=True))
    calls = [call(n, "s" * 8 + chr(97 + n) * 2) for n in range(9)]

    found = report(calls, rules)

    assert found.money.automatic is None
    assert found.achievable_tokens == found.marked_tokens == 8 * 1024
    assert found.money.between > 0


def test_keys_of_callers_that_split_one_prefix_are_counted():
    calls = [call(n, "s" * 10, key=b"%d" % n) for n in range(5)]

    found = report(calls)

    assert (found.keys, found.split_tokens) == (5, 4 * 1280)


def test_keys_that_spare_a_machine_are_not_held_against_callers():
    # Two prefixes that begin alike: with one key, the sixteenth call of the minute goes where nobody knows it.
    rules = msgspec.structs.replace(RULES, most_per_minute=15)
    calls = [call(0, "ss" + name * 8, key=name.encode()) for _ in range(8) for name in "ab"]

    found = report(calls, rules)

    assert (found.split_tokens, found.achievable_tokens) == (0, 14 * 1280)


def test_without_a_price_there_is_no_money_and_all_else():
    calls = [call(n, "s" * 10) for n in range(5)]

    found = cache_report(calls, RULES, None)

    assert found.money is None
    assert (found.achievable_tokens, found.marked_blocks) == (4 * 1280, 10)


@given(
    st.lists(
        st.tuples(st.integers(0, 4_000), st.integers(0, 12), st.text("ab", max_size=3), st.integers(0, 2_000)),
        max_size=9,
    )
)
def test_what_was_measured_is_never_more_than_what_is_achievable_and_the_best_way_is_no_dearer(drawn):
    calls = []
    for at_s, shared, rest, cached in sorted(drawn):
        path = "s" * shared + rest
        calls.append(call(at_s, path, cached=min(cached, len(path) * 128)))

    found = report(calls)

    assert found.cached_tokens <= found.achievable_tokens <= found.input_tokens
    assert found.money.best[1] <= found.money.without
    assert found.money.between >= 0


OPENAI = CacheRules(most_per_minute=15, knows_keys=True, assumed=("time to live",))
ANTHROPIC = CacheRules(4096, 1, 300, bills_writes=True, needs_mark=True)


@pytest.mark.parametrize(
    ("kind", "facts", "expected"),
    [
        ("openai", CacheFacts(minimum_tokens=1024, step_tokens=128), OPENAI),
        ("gemini", None, CacheRules(assumed=("minimum", "step", "time to live"))),
        ("anthropic", CacheFacts(minimum_tokens=4096, ttl_s=300, bills_writes=True), ANTHROPIC),
    ],
)
def test_rules_say_what_is_assumed(kind, facts, expected):
    assert rules_of(kind, facts) == expected


def test_prefixes_end_at_the_minimum_or_whole_steps_behind_it():
    assert [CacheRules().ends_at(tokens) for tokens in (0, 1023, 1024, 1151, 1152, 5000)] == [
        0,
        0,
        1024,
        1024,
        1152,
        4992,
    ]
