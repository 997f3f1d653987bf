from hypothesis import given
from hypothesis import strategies as st

from headworks.simulator.plan import PromptCache
from headworks.simulator.prefix_cache import CacheableText, PrefixMemory

POLICY = PromptCache()


def prompt(length, *, tail="", breakpoints=(), is_implicit=True):
    """`length` tokens, the last of which is `tail` if there is one."""
    pieces = [f"t{index}" for index in range(length)]
    if tail:
        pieces[-1] = tail
    return CacheableText(pieces, tuple(breakpoints), is_implicit)


def use(memory, text, *, route="m", policy=POLICY, now=0.0, ttl_s=1800.0):
    return memory.use(route, text, policy, ttl_s, now)


@given(st.integers(0, 4000))
def test_a_repeated_prompt_is_cached_in_steps_of_128_from_1024_tokens_on(length):
    memory = PrefixMemory()
    first, second = use(memory, prompt(length)), use(memory, prompt(length))
    expected = 0 if length < 1024 else 1024 + (length - 1024) // 128 * 128
    assert (first.cached_tokens, first.write_tokens) == (0, expected)
    assert (second.cached_tokens, second.write_tokens) == (expected, 0)


@given(st.integers(1024, 3000), st.integers(0, 2999), st.integers(1024, 3000))
def test_only_the_common_beginning_of_two_prompts_is_cached(first_length, differs_at, second_length):
    memory = PrefixMemory()
    first, second = prompt(first_length), prompt(second_length)
    differs_at = min(differs_at, second_length - 1)
    second.pieces[differs_at] = "other"
    use(memory, first)
    result = use(memory, second)
    common = min(differs_at, first_length, second_length)
    assert result.cached_tokens == (0 if common < 1024 else 1024 + (common - 1024) // 128 * 128)
    assert result.cached_tokens + result.write_tokens <= second_length


def test_another_cache_key_is_another_machine():
    memory = PrefixMemory()
    use(memory, prompt(1500), route="model key-a")
    assert use(memory, prompt(1500), route="model key-b").cached_tokens == 0


def test_a_prefix_is_forgotten_after_its_time_to_live():
    memory = PrefixMemory()
    use(memory, prompt(1100), now=0.0, ttl_s=300.0)
    assert use(memory, prompt(1100), now=299.0, ttl_s=300.0).cached_tokens == 1024
    assert use(memory, prompt(1100), now=598.0, ttl_s=300.0).cached_tokens == 1024  # each use keeps it longer
    assert use(memory, prompt(1100), now=898.0, ttl_s=300.0).cached_tokens == 0


def test_a_shorter_time_to_live_does_not_shorten_a_longer_one():
    memory = PrefixMemory()
    use(memory, prompt(1100), now=0.0, ttl_s=43_200.0)
    use(memory, prompt(1100), now=0.0, ttl_s=1800.0)
    assert use(memory, prompt(1100), now=40_000.0).cached_tokens == 1024


def test_an_explicit_breakpoint_ends_a_prefix_exactly():
    memory = PrefixMemory()
    marked = prompt(1500, breakpoints=[1111], is_implicit=False)
    assert use(memory, marked).write_tokens == 1111
    again = prompt(1500, tail="other", breakpoints=[1111], is_implicit=False)
    assert use(memory, again).cached_tokens == 1111


def test_without_implicit_caching_and_breakpoints_nothing_is_cached():
    memory = PrefixMemory()
    for _ in range(2):
        result = use(memory, prompt(2000, is_implicit=False))
        assert (result.cached_tokens, result.write_tokens) == (0, 0)


def test_only_the_latest_four_explicit_breakpoints_are_written():
    memory = PrefixMemory()
    use(memory, prompt(2000, breakpoints=[1100, 1200, 1300, 1400, 1500], is_implicit=False))
    assert use(memory, prompt(1150, breakpoints=[1100], is_implicit=False)).cached_tokens == 0
    assert use(memory, prompt(1250, breakpoints=[1200], is_implicit=False)).cached_tokens == 1200


def test_a_model_that_does_not_bill_writes_reports_none_and_knows_no_breakpoints():
    memory = PrefixMemory()
    older = PromptCache(bills_writes=False)
    assert use(memory, prompt(1500, breakpoints=[1111]), policy=older).write_tokens == 0
    assert use(memory, prompt(1500, breakpoints=[1111]), policy=older).cached_tokens == 1408


def test_memory_is_bounded_and_the_least_recently_used_prefix_goes_first():
    memory = PrefixMemory(capacity=10)
    for route in range(100):
        use(memory, prompt(1024), route=str(route))
    assert len(memory) == 10
    assert use(memory, prompt(1024), route="99").cached_tokens == 1024
    assert use(memory, prompt(1024), route="89").cached_tokens == 0


def test_usage_of_both_apis_shows_the_cache(desk):
    text = "lighthouse keeper " * 800
    first = desk.respond(text, prompt_cache_key="k")
    second = desk.respond(text, prompt_cache_key="k")
    written = first["usage"]["input_tokens_details"]
    assert written["cached_tokens"] == 0
    assert written["cache_write_tokens"] == written["cache_write_tokens_details"]["ttl_30m_tokens"] > 1024
    assert second["usage"]["input_tokens_details"]["cached_tokens"] == written["cache_write_tokens"]
    desk.chat(text)
    details = desk.chat(text)["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] > 1024
    assert details["cache_write_tokens"] == 0


def test_a_conversation_that_grows_reads_what_it_wrote(desk):
    first = desk.respond("lighthouse keeper " * 800)
    second = desk.respond("And then?", previous_response_id=first["id"])
    written = first["usage"]["input_tokens_details"]["cache_write_tokens"]
    assert second["usage"]["input_tokens_details"]["cached_tokens"] == written
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"] + first["usage"]["output_tokens"] // 2


def test_a_breakpoint_in_the_content_is_obeyed(desk):
    def body(tail):
        shared = {
            "type": "input_text",
            "text": "lighthouse keeper " * 800,
            "prompt_cache_breakpoint": {"type": "explicit"},
        }
        return [{"role": "user", "content": [shared, {"type": "input_text", "text": tail}]}]

    options = {"prompt_cache_options": {"mode": "explicit", "ttl": "12h"}}
    first = desk.respond(body("one"), **options)["usage"]["input_tokens_details"]
    second = desk.respond(body("two"), **options)["usage"]["input_tokens_details"]
    assert first["cache_write_tokens_details"]["ttl_12h_tokens"] == first["cache_write_tokens"] > 1024
    assert second["cached_tokens"] == first["cache_write_tokens"]


def test_warming_the_cache_makes_no_output(desk):
    text = "lighthouse keeper " * 800
    warmed = desk.respond(text, prompt_cache_options={"prewarm": True})
    assert warmed["output"] == []
    assert warmed["usage"]["output_tokens"] == 0
    assert desk.respond(text)["usage"]["input_tokens_details"]["cached_tokens"] > 1024
