"""The encodings, held against another implementation of them."""

import functools
import importlib
import subprocess
import sys
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.catalogue import RULE, load_tokenizer, loaded_tokenizer_for, tokenizer_for
from headworks.catalogue.tokenizers import has_tokenizers


@functools.cache
def oracle(name: str) -> Any:
    """Read when it is first asked: that takes a second or two."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it reads its data in a way that importlib calls old
        return importlib.import_module("bpe_openai").get_encoding(name)


TEXTS = [
    "",
    "A prototype calls a model with one endpoint, one prompt and one function call.",
    "Übung macht den Meister; größer ist nicht immer besser.",
    "日本語のテキスト、そして العربية и русский 👩🏽‍🚀",
    '{"a": [1, 2.5, 10000000], "b": "x\\ny"}',
    "    def f(x):\n\t\treturn x  \n\n\n",
    "a" * 3000,
    " " * 3000,
    "<|endoftext|>",
]


@pytest.mark.parametrize(("model", "encoding"), [("gpt-4o-mini", "o200k_base"), ("gpt-4-turbo", "cl100k_base")])
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_two_implementations_agree(model: str, encoding: str, text: str) -> None:
    tokenizer = tokenizer_for(model)
    assert (tokenizer.name, tokenizer.certainty) == (encoding, "exact")
    assert tokenizer.count(text) == len(oracle(encoding).encode_ordinary(text))


@given(st.lists(st.text(max_size=60), max_size=4))
def test_two_implementations_agree_on_any_text(texts: list[str]) -> None:
    encode = oracle("o200k_base").encode_ordinary
    assert tokenizer_for("gpt-5").count_all(texts) == sum(len(encode(text)) for text in texts)


def test_half_a_surrogate_pair_is_counted_as_the_character_that_stands_for_it() -> None:
    tokenizer = tokenizer_for("gpt-5")
    assert tokenizer.count("a\ud83db") == tokenizer.count("a\ufffdb")


@pytest.mark.parametrize(
    ("model", "name", "certainty"),
    [
        ("openai/gpt-5-nano", "o200k_base", "exact"),
        ("gpt-oss-20b", "o200k_harmony", "exact"),
        ("GPT-4.1-mini", "o200k_base", "exact"),
        ("gpt-4", "cl100k_base", "exact"),
        ("gpt-6-luna", "o200k_base", "presumed"),
        ("claude-sonnet-4-5", "estimate", "estimated"),
        ("gemini-3-pro", "estimate", "estimated"),
    ],
)
def test_a_model_has_the_encoding_that_its_provider_names(model: str, name: str, certainty: str) -> None:
    tokenizer = tokenizer_for(model)
    assert (tokenizer.name, tokenizer.certainty) == (name, certainty)


def test_without_the_extra_the_rule_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer_for.cache_clear()
    monkeypatch.setattr("headworks.catalogue.tokenizers.has_tokenizers", lambda: False)
    assert tokenizer_for("gpt-4o") is RULE
    assert tokenizer_for("gpt-4o").count_all(["one two", "three"]) == 3
    tokenizer_for.cache_clear()


def test_nothing_is_loaded_before_something_is_counted() -> None:
    code = (
        "import sys\n"
        "from headworks.catalogue import tokenizer_for\n"
        "tokenizer = tokenizer_for('gpt-4o')\n"
        "print('toktok' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
    assert has_tokenizers()


def test_the_rule_stands_in_until_an_encoding_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headworks.catalogue.tokenizers._loaded", set())
    assert loaded_tokenizer_for("gpt-4o") is RULE

    load_tokenizer("claude-sonnet-4-5")
    load_tokenizer("gpt-4o")

    assert loaded_tokenizer_for("gpt-4.1-mini").name == "o200k_base"
    assert loaded_tokenizer_for("gpt-4") is RULE
    assert loaded_tokenizer_for("claude-sonnet-4-5") is RULE
