from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Usage
from headworks.catalogue import Machine, Period, PriceBook, Prices, Rates, Terms, machine_prices, shipped
from headworks.catalogue.money import usd_text

NOON_US = 1_795_608_000_000_000
USAGE = Usage(1_000_000, 0, 0, 1_000_000, source="provider")


def usd(terms, model="gpt-6.1-sol", **more):
    cost = PriceBook(shipped(), {"p": terms}).for_target("p", model).cost(USAGE, at_us=NOON_US, **more)
    return cost and usd_text(cost.total)


def own(price):
    return Prices(periods=(Period(rates=Rates(input=price, output=price)),))


def test_a_provider_without_terms_has_no_price():
    target = PriceBook(shipped(), {}).for_target("p", "gpt-6-luna")

    assert not target.is_known
    assert target.cost(USAGE, at_us=NOON_US) is None


def test_a_pool_has_the_prices_of_its_provider():
    book = PriceBook(shipped(), {"p": Terms(catalogue="openai")})

    assert book.for_target("p:eu", "gpt-6-luna").prices == book.for_target("p", "gpt-6-luna").prices
    assert book.for_target("p:eu", "gpt-6-luna").is_known


def test_a_model_that_the_catalogue_does_not_know_has_no_price():
    assert usd(Terms(catalogue="openai"), "gpt-none") is None


def test_a_discount_comes_off_every_price_of_every_tier():
    assert usd(Terms(catalogue="openai")) == "19"  # beyond 272,000 tokens: 4 + 15
    assert usd(Terms(catalogue="openai", discount_percent=Decimal(10))) == "17.1"
    assert usd(Terms(catalogue="openai", discount_percent=Decimal(10)), tier="batch") == "8.55"


def test_a_negative_discount_is_a_surcharge():
    assert usd(Terms(catalogue="openai", discount_percent=Decimal(-10))) == "20.9"


def test_own_prices_hold_alone():
    terms = Terms(catalogue="openai", discount_percent=Decimal(50), models={"gpt-6.1-sol": own(1_000_000)})

    assert usd(terms) == "2"
    assert PriceBook(shipped(), {"p": terms}).for_target("p", "gpt-6.1-sol").model.name == "gpt-6.1-sol"


def test_a_machine_has_prices_for_every_model():
    machine = Machine(
        gpu_hour_usd=Decimal("3.60"), gpus=2, input_tokens_per_s=Decimal(8000), output_tokens_per_s=Decimal(1000)
    )

    # $7.20 an hour is $0.002 a second: 125 s for the input, 1000 s for the output
    assert usd(Terms(every=machine_prices(machine)), "anything") == "2.25"


def test_idle_hours_are_paid_for_by_the_tokens():
    machine = Machine(gpu_hour_usd=Decimal("3.60"), output_tokens_per_s=Decimal(1000), busy_percent=Decimal(50))

    assert usd(Terms(every=machine_prices(machine)), "anything") == "2"


@given(st.decimals(0, 100, places=3))
def test_a_discount_never_makes_anything_dearer(percent):
    listed = shipped().find("openai", "gpt-6.1-terra").prices
    less = Terms(discount_percent=percent).discounted(listed)

    for before, after in zip((listed.periods[0],), (less.periods[0],), strict=True):
        for name, rate in after.rates.set_rates().items():
            assert 0 <= rate <= getattr(before.rates, name)


def test_the_version_names_the_catalogue_and_the_terms():
    one = PriceBook(shipped(), {"p": Terms(catalogue="openai")})
    same = PriceBook(shipped(), {"p": Terms(catalogue="openai")})
    other = PriceBook(shipped(), {"p": Terms(catalogue="openai", discount_percent=Decimal(1))})

    assert one.version.startswith(f"{shipped().version}.")
    assert one.version == same.version != other.version
    assert one.for_target("p", "gpt-6-luna").cost(USAGE, at_us=NOON_US).version == one.version


@pytest.mark.parametrize("days", [-1, 0, 1, 181])
def test_a_shutdown_is_seen_coming(days):
    import datetime as dt

    from headworks.catalogue import retirement_of

    model = shipped().find("openai", "gpt-5")
    today = dt.date(2026, 12, 11) - dt.timedelta(days=days)
    found = retirement_of(model, today)

    if days > 180:
        assert found is None
    else:
        assert (found.days_left, found.is_gone, found.successor) == (days, days <= 0, "gpt-6.1-sol")
