"""Tables and colours for terminals; plain text for everything else."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence

import msgspec

RED, GREEN, YELLOW, GREY = 31, 32, 33, 90

_GAP = "  "
_NARROWEST = 6
"""Columns that a text keeps at least when a table is fitted: with less of it nobody knows what it was."""
_READABLE = 14
"""Columns that a text keeps while there are spare columns to leave out instead: most names are whole then."""


class Cell(msgspec.Struct, frozen=True):
    """One field of a table. `colour` is an ANSI colour number, 0 for none."""

    text: str
    colour: int = 0


def has_colours() -> bool:
    """Whether standard output is a terminal whose user has not asked for no colours (https://no-color.org)."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def plain(text: str) -> str:
    """Text as it may go to a terminal: what is not printable is shown as an escape.

    Callers choose some of what is recorded, such as model and user names; they must not steer an operator's terminal.
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def tokens(count: int) -> str:
    """A count to about three digits: `843`, `1,234`, `12.3k`, `4.56M`."""
    if count < 10_000:
        return f"{count:,}"
    for unit, size in (("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)):
        if count < 999.5 * size or unit == "G":
            value = count / size
            return (
                f"{value:.2f}{unit}"
                if value < 9.995
                else f"{value:.1f}{unit}"
                if value < 99.95
                else f"{value:,.0f}{unit}"
            )
    raise AssertionError("the last unit takes every count")


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None if it is none, and lines may be as long as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


class Table:
    """Lines of aligned columns. Their widths are settled by the first rows, so that more can be added below those that
    were printed: what does not fit later sticks out of its own line only.

    Arguments:
        head: the titles.
        right: which columns hold numbers and are aligned to the right.
        coloured: use the cells' colours.
        least: widths to begin with, for rows that are still to come; the first columns', none for the others.
        flexible: which columns may be shortened, names for example; of an id every character counts.
        width: what a line should fit into, such as `terminal_width()`; None for any length.
        spare: columns to leave out, the first one first, where shortening is not enough.
    """

    def __init__(
        self,
        head: Sequence[str],
        *,
        right: frozenset[int] = frozenset(),
        coloured: bool,
        least: Sequence[int] = (),
        flexible: frozenset[int] = frozenset(),
        width: int | None = None,
        spare: Sequence[int] = (),
    ) -> None:
        self._head = head
        self._right = right
        self._coloured = coloured
        self._flexible = flexible
        self._width = width
        self._widths = [max(_width(title), one) for title, one in zip(head, [*least, *[0] * len(head)], strict=False)]
        self._spare = spare
        self._left_out: set[int] = set()
        self._is_begun = False

    def lines(self, rows: Sequence[Sequence[Cell]]) -> list[str]:
        """The rows; the first time below their titles."""
        texts = [[plain(cell.text) for cell in row] for row in rows]
        is_first, self._is_begun = not self._is_begun, True
        if is_first:
            for row in texts:
                self._widths = [max(width, _width(text)) for width, text in zip(self._widths, row, strict=True)]
            self._fit()
        lines = [self._line(row, cells) for row, cells in zip(texts, rows, strict=True)]
        if is_first:
            lines.insert(0, self._line(self._head, [Cell("", GREY)] * len(self._head)))
        return lines

    def _fit(self) -> None:
        """Shorten what may be; where that is not enough, leave out one spare column after the other and begin again."""
        natural = list(self._widths)
        for place in self._spare:
            if self._shorten(_READABLE):
                return
            self._left_out.add(place)
            self._widths = list(natural)
        self._shorten(_NARROWEST)

    def _shorten(self, least: int) -> bool:
        """Take from the widest flexible column, as long as it is wider than `least`; whether lines fit then."""
        widths, shown = self._widths, [place for place in range(len(self._widths)) if place not in self._left_out]
        while (
            self._width is not None and sum(widths[one] for one in shown) + len(_GAP) * (len(shown) - 1) > self._width
        ):
            place = max(self._flexible - self._left_out, key=lambda one: widths[one], default=None)
            if place is None or widths[place] <= least:
                return False
            widths[place] -= 1
        return True

    def _line(self, texts: Sequence[str], cells: Sequence[Cell]) -> str:
        parts = []
        for place, (whole, cell, width) in enumerate(zip(texts, cells, self._widths, strict=True)):
            if place in self._left_out:
                continue
            text = _shortened(whole, width) if place in self._flexible and self._width is not None else whole
            filling = " " * (width - _width(text))
            shown = f"\x1b[{cell.colour}m{text}\x1b[0m" if self._coloured and cell.colour and text else text
            parts.append(filling + shown if place in self._right else shown + filling)
        return _GAP.join(parts).rstrip()


def _shortened(text: str, width: int) -> str:
    """The text, or as much of its beginning as fits with a sign that it goes on."""
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _width(text: str) -> int:
    """Columns that a text takes on a terminal: wide characters take two, combining ones none (Unicode UAX #11)."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
