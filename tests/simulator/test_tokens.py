import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.simulator import tokens


@given(st.text())
def test_the_tokens_of_a_text_give_the_text_again(text):
    assert "".join(tokens.split(text)) == text


@given(st.text())
def test_counting_is_splitting(text):
    assert tokens.count(text) == len(tokens.split(text))


@given(st.text(), st.integers(0, 50))
def test_the_first_tokens_of_a_text_are_its_beginning(text, limit):
    assert text.startswith(tokens.first(text, limit))
    assert tokens.count(tokens.first(text, limit)) <= limit


def test_english_prose_has_about_four_bytes_a_token():
    prose = (
        "The structure at the head of a waterway takes the water in, screens it, measures it, regulates its flow, "
        "and spills it safely when something breaks. This one stands between an application and what it calls."
    )
    assert 3.5 < len(prose) / tokens.count(prose) < 5.5


@pytest.mark.parametrize("text", ["", "a", "日本語のテキスト", "\n\n\n", "x" * 100])
def test_every_text_has_a_count(text):
    assert tokens.count(text) >= bool(text)
