import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.cli.tables import RED, Cell, Table, plain, tokens


def test_columns_are_aligned_and_numbers_to_the_right():
    table = Table(("NAME", "N"), right=frozenset({1}), coloured=False)

    assert table.lines([[Cell("a"), Cell("1")], [Cell("longer"), Cell("12,345")]]) == [
        "NAME         N",
        "a            1",
        "longer  12,345",
    ]


def test_rows_that_come_later_fit_below_the_first_without_another_head():
    table = Table(("NAME", "N"), coloured=False)
    table.lines([[Cell("longer"), Cell("1")]])

    assert table.lines([[Cell("a"), Cell("2")]]) == ["a       2"]


def test_wide_and_combining_characters_keep_the_columns_aligned():
    table = Table(("A", "B"), coloured=False)

    assert table.lines([[Cell("漢字"), Cell("x")], [Cell("e\u0301"), Cell("x")]])[1:] == ["漢字  x", "e\u0301     x"]


def test_colours_do_not_count_as_width():
    table = Table(("A", "B"), coloured=True)

    assert table.lines([[Cell("no", RED), Cell("x")]])[1] == "\x1b[31mno\x1b[0m  x"


@given(st.text())
def test_plain_text_is_printable_whatever_it_was_and_stays_itself_if_it_was_already(text):
    shown = plain(text)

    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0"), (9_999, "9,999"), (12_345, "12.3k"), (999_600, "1.00M"), (4_560_000, "4.56M"), (10**15, "1,000,000G")],
)
def test_counts_are_shown_to_about_three_digits(count, shown):
    assert tokens(count) == shown
