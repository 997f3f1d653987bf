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
