"""The rule of characters, held against the real encoding."""

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headworks.gateway
from headworks.catalogue import count_tokens

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the oracle reads its data in a way that importlib calls old
    import bpe_openai

    _ORACLE = bpe_openai.get_encoding("o200k_base")

PROSE = (
    "A prototype calls a model with one endpoint, one prompt and one function call. In production the same feature is "
    "cost, rate limits, error handling, versions of prompts, observability, and choosing between models. "
)
GERMAN = "Übung macht den Meister, und wer rastet, der rostet; größer ist nicht immer besser, sagen die Leute. "
JSON = json.dumps([{"id": index, "name": f"user {index}", "scores": [1.5 * index] * 3} for index in range(40)])
SOURCE = Path(headworks.gateway.__file__).read_text()


@pytest.mark.parametrize("text", [PROSE * 5, GERMAN * 5, JSON, SOURCE], ids=["prose", "german", "json", "source"])
def test_the_rule_is_within_a_quarter_of_the_encoding(text: str) -> None:
    exact = len(_ORACLE.encode_ordinary(text))
    assert 0.75 <= count_tokens(text) / exact <= 1.25


@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    assert 0 <= count_tokens(text) <= count_tokens(f"{text}\n{more}") + 1


def test_no_text_is_no_tokens() -> None:
    assert count_tokens("") == 0
