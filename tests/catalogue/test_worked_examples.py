"""Calls whose cost can be worked out by hand from what the providers publish, as of November 2026."""

import pytest

from headworks.calls import Usage
from headworks.catalogue import Extras, shipped
from headworks.catalogue.money import usd_text

NOON_US = 1_795_608_000_000_000


@pytest.mark.parametrize(
    ("model", "usage", "tier", "usd"),
    [
        # $0.10 in, $0.50 out per million
        ("gpt-6-luna", Usage(1_000, output_tokens=200, source="provider"), "standard", "0.0002"),
        # cached input costs 10 %, and 5 % from 6.1 on
        ("gpt-6-luna", Usage(2_000, 1_500, 0, 300, source="provider"), "standard", "0.000215"),
        ("gpt-6.1-terra", Usage(2_000, 1_500, 0, 300, source="provider"), "standard", "0.002075"),
        # cache writes cost 1.25 x: 500 x $2 + 1500 x $2.5
        ("gpt-6.1-sol", Usage(2_000, 0, 1_500, 0, source="provider"), "standard", "0.00475"),
        # $10 and $50
        ("gpt-6-astra", Usage(10_000, output_tokens=1_000, source="provider"), "standard", "0.15"),
        # above 272,000 tokens of input the whole call: 2 x input, 1.5 x output
        ("gpt-6.1-terra", Usage(272_000, output_tokens=1_000, source="provider"), "standard", "0.277"),
        ("gpt-6.1-terra", Usage(272_001, output_tokens=1_000, source="provider"), "standard", "0.551502"),
        # ultrafast costs six times the standard price, fast twice: $60, $6, $75 and $300 of Astra's $10, $1, $12.5, $50
        ("gpt-6-astra", Usage(4_000, 1_000, 1_000, 1_000, source="provider"), "ultrafast", "0.501"),
        ("gpt-6.1-sol", Usage(1_000, output_tokens=1_000, source="provider"), "ultrafast", "0.072"),
        ("gpt-6.1-sol", Usage(1_000, output_tokens=1_000, source="provider"), "fast", "0.024"),
        # batch jobs are half price; their long-context step stays
        ("gpt-6.1-sol", Usage(1_000_000, source="provider"), "batch", "2"),
        ("gpt-6-luna", Usage(1_000, output_tokens=200, source="provider"), "batch", "0.0001"),
        ("text-embedding-3-small", Usage(1_000_000, source="provider"), "batch", "0.01"),
        # of a fine-tuned model; cached input costs a quarter; batch jobs are half price
        (
            "ft:gpt-4.1-mini-2025-04-14:us::x",
            Usage(1_000, 400, output_tokens=100, source="provider"),
            "standard",
            "0.00088",
        ),
        ("ft:gpt-4.1-nano-2025-04-14:us::x", Usage(1_000, output_tokens=100, source="provider"), "batch", "0.00014"),
        # moderation is free
        ("omni-moderation-latest", Usage(500, source="provider"), "standard", "0"),
    ],
)
def test_openai(book, model, usage, tier, usd):
    cost = book.for_target("openai", model).cost(usage, at_us=NOON_US, tier=tier)

    assert usd_text(cost.total) == usd


def test_anthropic_reads_cost_a_tenth_and_writes_more_by_how_long_they_live(book):
    price = book.for_target("anthropic", "claude-sonnet-5-20260801")  # $2 a million in

    def usd(usage, **more):
        return usd_text(price.cost(usage, at_us=NOON_US, extras=Extras(**more)).total)

    assert usd(Usage(1_000_000, 1_000_000, 0, source="provider")) == "0.2"
    assert usd(Usage(1_000_000, 0, 1_000_000, source="provider")) == "2.5"
    assert usd(Usage(1_000_000, 0, 1_000_000, source="provider"), long_cache_write_tokens=1_000_000) == "4"


@pytest.mark.parametrize(
    ("model", "usage", "tier", "usd"),
    [
        # platform.claude.com, Pricing: from $0.10 and $0.50 up to 100,000 tokens of input, $0.50 and $2.50 above
        ("claude-haiku-5-5", Usage(100_000, output_tokens=1_000, source="provider"), "standard", "0.0105"),
        ("claude-haiku-5-5", Usage(100_001, output_tokens=1_000, source="provider"), "standard", "0.0525005"),
        # reads cost 2.5 % of Fable 5.1's $10, 5 % of Opus 5.5's $4, and $0.10 of Sonnet 5.5 since 2026-10-07
        ("claude-fable-5-1", Usage(1_000_000, 1_000_000, source="provider"), "standard", "0.25"),
        ("claude-opus-5-5", Usage(1_000_000, 1_000_000, source="provider"), "standard", "0.2"),
        ("claude-sonnet-5-5", Usage(1_000_000, 1_000_000, source="provider"), "standard", "0.1"),
        # half price in batches
        ("claude-opus-4-5", Usage(1_000_000, output_tokens=1_000_000, source="provider"), "batch", "15"),
        # in, 5-minute write, out of the table of 2026-08
        ("claude-haiku-4-5", Usage(3_000_000, 0, 1_000_000, 1_000_000, source="provider"), "standard", "8.25"),
    ],
)
def test_anthropic(book, model, usage, tier, usd):
    cost = book.for_target("anthropic", model).cost(usage, at_us=NOON_US, tier=tier)

    assert usd_text(cost.total) == usd


@pytest.mark.parametrize(
    ("model", "tier", "is_known"),
    [
        ("gpt-6.1-terra", "ultrafast", False),  # it is not offered, so nobody says what it costs
        ("gpt-6-astra", "ultrafast", True),
        ("gpt-5.4-nano", "priority", False),
        ("gpt-5.4-nano", "scale", True),  # bought ahead: a word for nothing dearer
        ("gpt-6.1-terra", "default", True),
    ],
)
def test_a_dearer_tier_without_a_price_is_not_taken_for_the_standard_one(book, model, tier, is_known):
    price = book.for_target("openai", model)

    for extras in (None, Extras(web_searches=1)):
        cost = price.cost(Usage(1_000, source="provider"), at_us=NOON_US, tier=tier, extras=extras)
        assert cost.is_complete is is_known


def test_terra_writes_for_twelve_hours_cost_two_and_a_half_times_the_input(book):
    price = book.for_target("openai", "gpt-6.1-terra")
    usage = Usage(1_000, 0, 1_000, source="provider")

    cost = price.cost(usage, at_us=NOON_US, extras=Extras(long_cache_write_tokens=1_000))

    assert usd_text(cost.cache_write) == "0.0025"


@pytest.mark.parametrize(
    "model",
    ["gpt-6-luna-2026-08-20", "gpt-6.1-terra-2026-10-06", "gpt-6.1-sol-2026-10-06", "gpt-image-1", "gpt-4o-mini-tts",
     "gpt-4o-mini-transcribe", "text-embedding-3-small", "omni-moderation-latest"],
)  # fmt: skip
def test_every_model_of_the_simulator_has_a_price(book, model):
    assert book.for_target("openai", model).is_known


@pytest.mark.parametrize(
    ("model", "day", "successor"),
    [
        ("gpt-5", "2026-12-11", "gpt-6.1-sol"),
        ("gpt-5-mini-2025-08-07", "2026-12-11", "gpt-6.1-terra"),
        ("gpt-5-nano", "2026-12-11", "gpt-6-luna"),
        ("o3", "2026-12-11", "gpt-5.6-sol"),
        ("gpt-4o", "2027-01-14", "gpt-6-luna"),
        ("gpt-4.1-2025-04-14", "2027-01-14", "gpt-6-luna"),
        ("gpt-5.1", "2027-04-01", ""),
        ("gpt-4o-mini-tts", "2027-01-06", ""),
        ("gpt-6-luna", "", ""),
    ],
)
def test_shutdowns_are_known_with_what_comes_after_and_where_it_says_so(model, day, successor):
    found = shipped().find("openai", model)

    assert (found.shutdown_on, found.successor) == (day, successor)
    if day:
        (told,) = [each for each in found.citations if each.of == "shutdown_on"]
        assert told.source
        assert told.seen_on
        assert told.url


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-4.1-2025-04-14", "25"),
        ("gpt-4.1-mini-2025-04-14", "5"),
        ("gpt-4.1-nano-2025-04-14", "1.5"),
        ("gpt-4o-mini-2024-07-18", "3"),
    ],
)
def test_a_million_tokens_of_training_cost_what_the_price_list_says(book, model, usd):
    assert usd_text(book.for_target("openai", model).training(1_000_000, at_us=NOON_US)) == usd


def test_what_nobody_can_train_has_no_price_of_training(book):
    assert book.for_target("openai", "gpt-6-luna").training(1_000_000, at_us=NOON_US) is None
