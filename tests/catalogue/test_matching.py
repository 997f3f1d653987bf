import re

import pytest

from headworks.catalogue.matching import is_meant, literal_beginning, with_dashed_day


@pytest.mark.parametrize(
    ("clause", "holds", "fails"),
    [
        ("=gpt-5", "gpt-5", "gpt-5-mini"),
        ("^gpt-5", "gpt-5-mini", "my-gpt-5"),
        ("$-mini", "gpt-5-mini", "gpt-5-mini-2026"),
        ("*moderation", "omni-moderation-latest", "omni"),
        (r"/^gpt-6-luna-\d{4}-\d{2}-\d{2}$", "gpt-6-luna-2026-08-20", "gpt-6-luna-large"),
        (("^gemini", r"/^(?!.*-tts)"), "gemini-4", "gemini-4-tts"),
    ],
)
def test_a_clause_says_what_a_name_must_be(clause, holds, fails):
    assert is_meant(holds, (clause,))
    assert not is_meant(fails, (clause,))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^gpt-6\.1-terra-\d{4}$",
        r"^a\-?b",
        "^ab*c",
        "^(x|y)",
        "^a|b",
        "^a{2}",
        r"^\d",
        "^",
        "x",
        r"^claude-5[-@]\d{8}$",
    ],
)
def test_no_match_is_missed_for_its_literal_beginning(pattern):
    beginning = literal_beginning(pattern)
    for name in ("gpt-6.1-terra-2026", "ab", "a-b", "ac", "abbc", "x1", "b", "aa", "7", "", "claude-5-20261231"):
        if re.search(pattern, name):
            assert name.startswith(beginning)


def test_a_compact_day_is_spelt_out_and_other_digits_are_left():
    assert with_dashed_day("gpt-5.2-20251211") == "gpt-5.2-2025-12-11"
    assert with_dashed_day("gpt-5.2-20251399") == "gpt-5.2-20251399"
    assert with_dashed_day("model-7") == "model-7"
