"""Every price that the catalogue took from genai-prices, against what genai-prices itself calculates."""

import datetime as dt
import importlib.util
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from headworks.calls import Usage
from headworks.catalogue import Extras, TargetPrice, shipped
from headworks.catalogue.money import PICO_PER_USD

genai_types = pytest.importorskip("genai_prices.types")
from genai_prices.data import providers as genai_providers  # noqa: E402

TOOL = Path(__file__).parents[2] / "tools" / "catalogue"
CONTEXTS = {
    "standard": None,
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
MOMENTS = [
    dt.datetime(2024, 6, 1, 12, 0, tzinfo=dt.UTC),
    dt.datetime(2026, 9, 1, 2, 30, tzinfo=dt.UTC),
    dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC),
    dt.datetime(2026, 11, 25, 7, 0, tzinfo=dt.UTC),
]
VECTORS = [(1, 0, 0, 1, 0), (2000, 1500, 100, 300, 120), (131_072, 1024, 2048, 64, 0), (700_001, 600_000, 50_000, 9, 3)]
"""Input, cached, cache writes, output, reasoning; the last beyond every long-context bound."""

OVERLAID = {("openai", "moderation")} | {
    ("openai", name)
    for name in (
        *("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"),
        *("gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5", "gpt-image-2", "chatgpt-image-latest"),
    )
}
"""Where our overlay says more of other tiers than genai-prices does."""

CACHE_OVERLAID = {("openai", "ft:gpt-4o"), ("openai", "ft:gpt-4o-mini")}
"""Where it says more of cached input."""


def target(provider, model):
    """Our prices of one of their models, found by its place: a name may mean an earlier model."""
    ours = next(each for each in shipped().models(provider.id) if each.name == model.id)
    return TargetPrice(ours.prices, shipped().version, ours)


def prices_of(model):
    given = model.prices if isinstance(model.prices, list) else [genai_types.ConditionalPrice(prices=model.prices)]
    sets = [each.prices for each in given] + [variant.prices for variant in model.price_variants or ()]
    return [amounts for prices in sets if (amounts := {k: v for k, v in vars(prices).items() if v is not None})]


def is_whole(model):
    """Whether every token price of a model is a whole number of pico-dollars."""
    amounts = [amount for prices in prices_of(model) for key, amount in prices.items() if key.endswith("_mtok")]
    flat = [
        each
        for amount in amounts
        for each in ([amount] if isinstance(amount, Decimal) else [amount.base, *(t.price for t in amount.tiers)])
    ]
    return all(each * 1_000_000 == int(each * 1_000_000) for each in flat)


def expected(provider, model, vector, moment, context):
    whole, cached, written, output, reasoning = vector
    charged = set().union(*prices_of(model))
    parts = (
        ("cache_read_mtok", "cache_read_tokens", cached),
        ("cache_write_mtok", "cache_write_tokens", written),
        ("output_reasoning_mtok", "output_reasoning_tokens", reasoning),
    )
    given = {"input_tokens": whole, "output_tokens": output}
    given |= {name: count for key, name, count in parts if key in charged}
    found = model.calc_price(
        genai_types.Usage(**given), provider, genai_request_timestamp=moment, price_context=context
    )
    return found.total_price * PICO_PER_USD


@pytest.mark.uncounted
@pytest.mark.parametrize("provider", genai_providers, ids=lambda provider: provider.id)
def test_every_model_costs_what_genai_prices_says(provider):
    wrong = []
    for model in provider.models:
        if not prices_of(model):
            continue
        price = target(provider, model)
        exact = is_whole(model)
        for vector in VECTORS:
            if vector[1] and (provider.id, model.id) in CACHE_OVERLAID:
                continue
            usage = Usage(*vector, source="provider")
            for tier, context in CONTEXTS.items():
                if tier != "standard" and (provider.id, model.id) in OVERLAID:
                    continue
                for moment in MOMENTS:
                    cost = price.cost(usage, at_us=int(moment.timestamp()) * 1_000_000, tier=tier)
                    wanted = expected(provider, model, vector, moment, context)
                    # genai-prices holds a few float artefacts (0.0833333333333333): we round these prices.
                    allowed = 0 if exact else Decimal(usage.input_tokens + usage.output_tokens) / 2
                    if cost is None or abs(cost.total - wanted) > allowed:
                        wrong.append((model.id, vector, tier, str(moment), cost, wanted))

    assert not wrong, wrong[:5]


def test_only_what_has_no_price_there_has_none_here():
    unknown = {
        (provider.id, model.id)
        for provider in genai_providers
        for model in provider.models
        if not prices_of(model) and not model.id.endswith(":free")
    } - OVERLAID
    ours = {
        (name, model.name)
        for name in shipped().provider_names
        for model in shipped().models(name)
        if model.prices is None
    }

    assert ours == unknown


def test_media_and_services_cost_what_genai_prices_says():
    counts = {
        "input_audio_mtok": ("input_audio_tokens", "audio_input_tokens", 500),
        "cache_audio_read_mtok": ("cache_audio_read_tokens", "cached_audio_tokens", 200),
        "output_audio_mtok": ("output_audio_tokens", "audio_output_tokens", 90),
        "input_image_mtok": ("input_image_tokens", "image_input_tokens", 400),
        "cache_image_read_mtok": ("cache_image_read_tokens", "cached_image_tokens", 150),
        "output_image_mtok": ("output_image_tokens", "image_output_tokens", 80),
        "input_video_mtok": ("input_video_tokens", "video_input_tokens", 70),
        "output_video_mtok": ("output_video_tokens", "video_output_tokens", 60),
        "output_citation_mtok": ("output_citation_tokens", "citation_tokens", 50),
        "cache_write_1h_mtok": ("cache_write_1h_tokens", "long_cache_write_tokens", 40),
        "web_searches_kcount": ("web_searches", "web_searches", 3),
        "storage_searches_kcount": ("storage_searches", "file_searches", 2),
        "input_text_messages_kcount": ("input_text_messages", "messages", 4),
        "input_document_kpages": ("input_document_pages", "pages", 12),
        "input_annotated_document_kpages": ("input_annotated_document_pages", "annotated_pages", 5),
        "input_mchars": ("input_characters", "characters", 1234),
        "audio_hours": ("audio_seconds", "audio_s", 7),
        "input_audio_hours": ("input_audio_seconds", "audio_s", 7),
    }
    moment = MOMENTS[2]
    wrong, seen = [], set()
    for provider in genai_providers:
        for model in provider.models:
            charged = set().union(*prices_of(model), set())
            keys = charged & set(counts)
            if not keys or (provider.id, model.id) in OVERLAID or not is_whole(model):
                continue
            seen |= keys
            given = {"input_tokens": 3000, "output_tokens": 700} | {counts[key][0]: counts[key][2] for key in keys}
            if "cache_read_mtok" in charged:
                given["cache_read_tokens"] = 600
            if "cache_write_mtok" in charged:
                given["cache_write_tokens"] = 100
            found = model.calc_price(genai_types.Usage(**given), provider, genai_request_timestamp=moment)
            extras = Extras(**{counts[key][1]: counts[key][2] for key in keys})
            usage = Usage(
                3000, given.get("cache_read_tokens", 0), given.get("cache_write_tokens", 0), 700, source="provider"
            )
            cost = target(provider, model).cost(usage, at_us=int(moment.timestamp()) * 10**6, extras=extras)
            if cost is None or abs(cost.total - found.total_price * PICO_PER_USD) > Decimal("0.5"):
                wrong.append((provider.id, model.id, cost, found.total_price * PICO_PER_USD))

    assert not wrong, wrong[:5]
    assert seen == set(counts)


@pytest.mark.parametrize("provider", genai_providers, ids=lambda provider: provider.id)
def test_names_mean_the_models_that_genai_prices_takes_them_for(provider):
    names = [name for model in shipped().models(provider.id) for name in (model.name, *model.aliases)][:400]
    names += [f"{name}-2026-01-31" for name in names[:60]] + [f"{name}-20260131" for name in names[:60]]
    names += [f"us.{name}" for name in names[:20]] + ["", "no-such-model", "gpt-4o", "claude-sonnet-5-20261101"]
    for name in names:
        theirs = provider.find_model(name, all_providers=genai_providers)
        ours = shipped().find(provider.id, name)

        if theirs is None and ours is not None:
            assert ours.name.lower() == name.lower()  # the name of an entry, which its own clauses do not hold
        else:
            assert (ours and ours.name) == (theirs and theirs.id), name


def test_the_shipped_file_is_what_the_tool_makes():
    if str(TOOL) not in sys.path:
        sys.path.insert(0, str(TOOL))
    specification = importlib.util.spec_from_file_location("refresh_catalogue", TOOL / "refresh.py")
    refresh = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(refresh)

    made = refresh.packed(shipped().published)

    assert made == shipped().content, "run tools/catalogue/refresh.py and commit what it writes"
