from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.catalogue.money import MTOK, PICO_PER_USD, decimal_usd, per_mtok_text, pico_usd, scaled, usd_text


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
