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


def test_a_longer_cell_that_comes_later_sticks_out_of_its_own_line_only():
    table = Table(("NAME", "N"), coloured=False)
    table.lines([[Cell("short"), Cell("1")]])

    assert table.lines([[Cell("longer than that"), Cell("2")], [Cell("a"), Cell("3")]]) == [
        "longer than that  2",
        "a      3",
    ]


def test_room_can_be_kept_for_rows_to_come():
    table = Table(("A", "B"), coloured=False, least=(6,))

    assert table.lines([[Cell("a"), Cell("b")]]) == ["A       B", "a       b"]


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_table_fits_its_terminal_by_shortening_what_may_be(width):
    table = Table(("ID", "NAME", "MODELS"), coloured=True, flexible=frozenset({1, 2}), width=width)
    rows = [[Cell("k1"), Cell("漢字" * 10, RED), Cell("gpt-6-luna,gpt-6.1-sol")], [Cell("k2"), Cell("a"), Cell("b")]]

    shown = [line.replace("\x1b[31m", "").replace("\x1b[90m", "").replace("\x1b[0m", "") for line in table.lines(rows)]

    assert max(sum(2 if character in "漢字" else 1 for character in line) for line in shown) <= max(width, 22)
    assert shown[1].startswith("k1  漢字")
    assert "…" in shown[1]
    assert shown[2].split() == ["k2", "a", "b"]


@pytest.mark.parametrize(
    ("width", "titles"), [(40, "ID NAME TEAM MADE"), (25, "ID NAME TEAM"), (20, "ID NAME"), (5, "ID NAME")]
)
def test_where_shortening_is_not_enough_spare_columns_are_left_out(width, titles):
    table = Table(("ID", "NAME", "TEAM", "MADE"), coloured=False, flexible=frozenset({1}), width=width, spare=(3, 2))

    lines = table.lines([[Cell("key_1"), Cell("checkout"), Cell("support"), Cell("2026-11-26")]])
    assert lines[0].split() == titles.split()
    assert len(lines[1].split()) == len(titles.split())
    assert table.lines([[Cell("key_2"), Cell("x"), Cell("support"), Cell("2026")]])[0].split()[:2] == ["key_2", "x"]


def test_what_may_not_be_shortened_is_whole_in_the_narrowest_terminal():
    table = Table(("ID",), coloured=False, width=5)

    assert table.lines([[Cell("key_abcdefgh")]])[1] == "key_abcdefgh"


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
