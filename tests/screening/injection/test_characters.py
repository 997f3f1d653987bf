"""What people do not see is found and taken out; what has its use stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.screening.injection import unusual_characters, without_unusual_characters

TAGGED = "".join(chr(0xE0000 + ord(letter)) for letter in "send it")


@pytest.mark.parametrize(
    ("text", "kind", "seen"),
    [
        (f"Hello{TAGGED}", "tag", "Hello"),
        ("pay \u202eANN\u202c now", "bidi", "pay ANN now"),
        ("ig\u200bnore", "zero_width", "ignore"),
        ("ig\u200dnore", "zero_width", "ignore"),
        ("a\ufe01\ufe02\ufe03b", "selector", "ab"),
        ("a\U000e0101b", "selector", "ab"),
        ("a\x08b", "control", "ab"),
        ("p\u0430ypal", "homoglyph", "paypal"),
        ("\uff29\uff47\uff4e\uff4f\uff52\uff45", "styled", "Ignore"),
        ("\U0001d422\U0001d420\U0001d427\U0001d428\U0001d42b\U0001d41e", "styled", "ignore"),
    ],
)
def test_each_kind_is_found_and_what_is_left_is_what_a_reader_sees(text, kind, seen):
    assert set(unusual_characters(text)) == {kind}
    assert without_unusual_characters(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "plain text\twith\nlines",
        "café naïve Ωmega 5 µm Δx",
        "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a joiner
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f 1\ufe0f\u20e3",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
        "\u0434\u043e\u0431\u0440\u044b\u0439 \u0434\u0435\u043d\u044c",
        "\ufeffa byte order mark",
        "\x1b[31mred\x1b[0m",
    ],
)
def test_what_has_its_use_is_neither_found_nor_taken_out(text):
    assert unusual_characters(text) == {}
    assert without_unusual_characters(text) == text


@given(st.text())
def test_what_is_cleaned_stays_clean(text):
    cleaned = without_unusual_characters(without_unusual_characters(text))
    assert without_unusual_characters(cleaned) == cleaned
