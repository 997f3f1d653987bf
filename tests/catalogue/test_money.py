from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.catalogue.money import (
    MTOK,
    PICO_PER_USD,
    decimal_usd,
    dollars,
    mean_pico,
    per_mtok_text,
    pico_usd,
    scaled,
    usd_text,
)


@given(st.integers(-(10**20), 10**20))
def test_amounts_are_written_exactly(pico):
    assert Decimal(usd_text(pico)) * PICO_PER_USD == pico


@given(st.decimals(0, 10**6, places=6))
def test_prices_per_million_tokens_of_six_digits_are_whole(usd):
    assert Decimal(per_mtok_text(pico_usd(usd, per=MTOK))) == usd


@pytest.mark.parametrize(("text", "pico"), [("0.0000000000005", 0), ("0.0000000000015", 2), ("0.00000000000149", 1)])
def test_what_is_finer_than_a_pico_dollar_is_rounded_once_and_halves_go_to_even(text, pico):
    assert pico_usd(decimal_usd(text)) == pico


def test_a_factor_that_is_no_whole_number_is_rounded_to_a_whole_price():
    assert scaled(1_000_001, Decimal("0.5")) == 500_000
    assert scaled(1_000_003, Decimal("0.5")) == 500_002


@pytest.mark.parametrize("text", ["", "-1", "1e3", "NaN", "Infinity", "1,5", " 1", "٣", "0x1", "1."])
def test_only_plain_numbers_are_dollars(text):
    with pytest.raises(ValueError, match="plain decimal"):
        decimal_usd(text)


@pytest.mark.parametrize(
    ("pico", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.000000000001"),
        (123_456_789, "$0.000123"),
        (999_600_000_000, "$1"),
        (1_234_567_890_000_000, "$1,234.57"),
        (-500_000_000_000, "-$0.5"),
        (-2 * PICO_PER_USD, "-$2.00"),
        (-12_340_000_000, "-$0.0123"),
        (95_000_000, "$0.000095"),
    ],
)
def test_dollars_for_people_have_three_digits_that_count_or_cents(pico, shown):
    assert dollars(pico) == shown


@given(st.integers(0, 10**20), st.integers(1, 10**6))
def test_a_mean_is_off_by_half_a_pico_dollar_at_most(pico, count):
    assert abs(mean_pico(pico, count) * count - pico) * 2 <= count
