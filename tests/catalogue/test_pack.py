import hashlib
import itertools
import json

import pytest

from headworks.catalogue import Catalogue, CatalogueError, deck_of, read_catalogue, shipped
from headworks.object_money import LONG_WRITE_FACTOR


def file(**changes):
    """A catalogue of one provider with one model, as a file's bytes."""
    model = {
        "name": "m-1",
        "prices": {"periods": [{"rates": {"input": 5}}]},
        "shutdown_on": "2026-12-31",
        "own_lives": {"m-old": ["2026-01-01", "m-1"]},
        "citations": [{"of": "shutdown_on", "source": "page", "seen_on": ""}],
    } | changes.pop("model", {})
    provider = {
        "title": "P",
        "api": r"https://api\.p\.example",
        "urls": [],
        "fallbacks": [],
        "source": "list",
        "count": 1,
    }
    content = {
        "format": 1,
        "published": "2026-11-25",
        "sources": {
            "list": {"title": "The list", "seen_on": "2026-11-20", "url": "https://p.example/prices"},
            "page": {"title": "The page", "seen_on": "2026-11-21"},
        },
        "providers": {"p": provider | {"models": [["m-1", ["=m-1", "=m-old", "^m-1-"], model]]}},
    }
    return json.dumps(content | changes).encode()


def test_the_version_is_the_day_and_the_content():
    one, other = Catalogue(file()), Catalogue(file(published="2026-11-26"))

    assert one.version == "2026-11-25-" + hashlib.sha256(file()).hexdigest()[:12]
    assert one.version != other.version


def test_every_price_has_a_source_and_a_day():
    found = Catalogue(file()).find("p", "M-1-2026")

    told = {each.of: (each.source, each.seen_on, each.url) for each in found.citations}
    assert told == {
        "prices": ("The list", "2026-11-20", "https://p.example/prices"),
        "shutdown_on": ("The page", "2026-11-21", ""),
    }


def test_every_price_of_the_shipped_catalogue_has_a_source_and_a_day():
    for provider in shipped().provider_names:
        for model in shipped().models(provider):
            for each in model.citations:
                assert each.source
                assert each.seen_on
            assert model.prices is None or any(each.of == "prices" for each in model.citations)


def test_what_a_tier_may_use_has_a_source_and_a_day_of_its_own():
    rows = [
        {"tier": "1", "requests_per_minute": 5, "source": "page"},
        {"tier": "2", "at": "cloud", "input_tokens_per_minute": 7, "source": "told"},
        {"tier": "3"},  # as of a catalogue whose tiers were cited with the model alone
    ]
    told = {"title": "A friend", "seen_on": "2026-11-22", "standing": "account"}
    content = json.loads(file(model={"limits": rows}))
    content["sources"]["told"] = told

    found = Catalogue(json.dumps(content).encode()).find("p", "m-1")

    one, other, bare = found.limits
    assert (one.source, one.seen_on, one.standing) == ("The page", "2026-11-21", "page")
    assert (other.source, other.seen_on, other.standing) == ("A friend", "2026-11-22", "account")
    assert (one.figures(), other.figures(), bare.figures()) == (
        {"requests_per_minute": 5}, {"input_tokens_per_minute": 7}, {}
    )  # fmt: skip
    assert (found.limits_at("p"), found.limits_at("cloud")) == ((one, bare), (other,))


def test_a_tier_with_a_source_that_is_not_there_is_no_catalogue():
    with pytest.raises(CatalogueError, match="unknown source 'nowhere'"):
        read_catalogue(file(model={"limits": [{"tier": "1", "source": "nowhere"}]}))


def test_every_tier_of_the_shipped_catalogue_has_a_source_a_day_and_figures():
    count = 0
    for provider in shipped().provider_names:
        for model in shipped().models(provider):
            cited = {each.source for each in model.citations if each.of == "limits"}
            assert {row.source for row in model.limits} == cited
            for row in model.limits:
                assert row.seen_on, model.name
                assert row.figures(), model.name
            count += len(model.limits)
            keys = [(row.at, row.tier) for row in model.limits]
            assert len(set(keys)) == len(keys)

    assert count > 300


@pytest.mark.parametrize(
    ("provider", "name", "tier", "figures", "standing"),
    [
        # developers.openai.com/api/docs/models/gpt-6-luna, in a copy of 2026-10-05
        ("openai", "gpt-6-luna", "5", (30_000, 180_000_000, None, None, 15_000_000_000), "copy"),
        # developers.openai.com/api/docs/models/gpt-6.1-sol, the same day: it names no queue
        ("openai", "gpt-6.1-sol", "1", (500, 500_000, None, None, None), "copy"),
        # platform.claude.com/docs/en/api/rate-limits, in a copy of 2026-08
        ("anthropic", "claude-haiku-4-5-20251001", "build", (5_000, None, 5_000_000, 1_000_000, None), "copy"),
        # the same, as read by others on 2026-10-17
        ("anthropic", "claude-fable-5-1", "scale", (4_000, None, 4_000_000, 800_000, None), "account"),
        # learn.microsoft.com, Azure OpenAI quotas, tier 1 of 2026-08-20
        ("azure", "gpt-6-astra", "data-zone-1", (333, 333_000, None, None, None), "page"),
        ("azure", "o3-mini", "global-6", (8_000, 80_000_000, None, None, None), "page"),
    ],
)
def test_what_a_tier_may_use_is_as_the_provider_documents_it(provider, name, tier, figures, standing):
    (row,) = (each for each in shipped().find(provider, name).limits_at(provider) if each.tier == tier)

    assert row.standing == standing
    assert figures == (
        row.requests_per_minute,
        row.tokens_per_minute,
        row.input_tokens_per_minute,
        row.output_tokens_per_minute,
        row.queued_tokens,
    )


def test_a_name_may_go_before_the_model_that_it_is_priced_as():
    catalogue = Catalogue(file())

    assert catalogue.find("p", "m-1").shutdown_on == "2026-12-31"
    assert catalogue.find("p", "m-old").shutdown_on == "2026-01-01"


def test_an_unknown_provider_or_model_is_none():
    assert Catalogue(file()).find("q", "m-1") is None
    assert Catalogue(file()).find("p", "m-2") is None


def test_a_provider_is_known_by_its_address():
    assert Catalogue(file()).provider_at("https://api.p.example/v1") == "p"
    assert Catalogue(file()).provider_at("https://api.q.example/v1") is None
    assert shipped().provider_at("https://api.groq.com/openai/v1") == "groq"
    assert shipped().provider_at("https://my.openai.azure.com/openai/v1") == "azure"
    assert shipped().provider_at("http://127.0.0.1:8000/v1") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a catalogue"),
        (b"[]", "not a catalogue"),
        (file(format=2), "format 2"),
        (file(model={"prices": {"periods": []}}), "without a period"),
        (file(model={"prices": {"periods": [{"rates": {"input": 0.5}}]}}), "not as it must be"),
        (file(model={"citations": [{"of": "x", "source": "none", "seen_on": ""}]}), "unknown source"),
    ],
)
def test_what_is_no_catalogue_is_refused_with_the_reason(content, words):
    with pytest.raises(CatalogueError, match=words):
        read_catalogue(content)


def test_the_shipped_catalogue_is_good_in_every_part():
    assert read_catalogue(shipped().content).version == shipped().version


def test_long_lived_writes_cost_no_more_than_twice_the_dearest_other_input():
    """What batches are bounded by (`object_money.LONG_WRITE_FACTOR`)."""
    for provider in shipped().provider_names:
        for model in shipped().models(provider):
            deck = None if model.prices is None else deck_of(model.prices)
            for card in itertools.chain.from_iterable(() if deck is None else deck.tiers.values()):
                for tariff in (card.base, *(step for _, step in card.steps)):
                    others = (tariff.input, tariff.cache_write, tariff.cached_input)
                    assert tariff.cache_write_long <= LONG_WRITE_FACTOR * max(others), model.name
