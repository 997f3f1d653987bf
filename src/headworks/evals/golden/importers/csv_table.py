"""A table (CSV with a head line): one case a row, columns are the prompt's variables."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.evals.golden.cases import GoldenCase
from headworks.evals.golden.importers.imported import Ids, Imported, raw, read_source, text_or_json

csv.field_size_limit(8_000_000)

_DIVIDERS = (",", ";", "\t")
"""Of cells; spreadsheets take the second where a comma stands in numbers. What the head line has most of counts."""


class Columns(msgspec.Struct, frozen=True):
    """Which columns mean what; "" for none. All others are variables.

    `tags` are divided by `;` in their cell.
    """

    expected: str = "expected"
    id: str = "id"
    input: str = "input"
    tags: str = "tags"
    cluster: str = "cluster"


def read_csv(path: Path, columns: Columns | None = None, *, prefix: str = "row") -> Imported:
    """The cases of a table. A cell that is a JSON object or list becomes one, everything else is text.

    Arguments:
        columns: which columns mean what. Of those that are named by default, only `expected` must be there; where
            it is "", no case says what is right.
        prefix: of ids, where no column gives them.

    Raises:
        ConfigError: not a table, or a column that was asked for is not there.
    """
    wanted = columns or Columns()
    ids = Ids(prefix)
    cases: list[GoldenCase] = []
    for line, row in table_rows(path):
        if not cases:
            missing = [
                name
                for name, usual in zip(msgspec.structs.astuple(wanted), Columns.__struct_defaults__, strict=True)
                if name and name != usual and name not in row
            ]
            if missing:
                names = ", ".join(f"`{name}`" for name in missing)
                raise ConfigError(Problem(str(path), line, 1, f"there is no column {names}; {_columns(row)}"))
            if wanted.expected and wanted.expected not in row:
                message = (
                    f"no column is called `{wanted.expected}`: say with --expected which one says what is right, or "
                    f"--expected '' where only a judge, a schema or rules decide; {_columns(row)}"
                )
                raise ConfigError(Problem(str(path), 1, 1, message))
        own = set(msgspec.structs.astuple(wanted))
        cases.append(
            GoldenCase(
                ids.next(row.get(wanted.id, "")),
                {name: value for name, value in row.items() if name not in own},
                raw(text_or_json(row[wanted.input])) if row.get(wanted.input) else raw([]),
                raw(text_or_json(row[wanted.expected])) if wanted.expected in row else msgspec.UNSET,
                tuple(tag for part in row.get(wanted.tags, "").split(";") if (tag := part.strip())),
                row.get(wanted.cluster, ""),
            )
        )
    if not cases:
        raise ConfigError(Problem(str(path), 0, 0, "holds no row below its head line"))
    return Imported(tuple(cases))


def _columns(row: Mapping[str, str]) -> str:
    return f"there are {', '.join(f'`{name[:40]}`' for name in row)}"


def table_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row by its columns' names, after its line.

    Raises:
        ConfigError: a row with more cells than the head line, two columns of one name, or no CSV.
    """
    text = read_source(path)
    head = text.lstrip("\r\n").partition("\n")[0]
    divider = max(_DIVIDERS, key=head.count)  # the first of equals
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=divider, strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                if len(set(names)) != len(names) or "" in names:
                    raise ConfigError(Problem(str(path), 1, 1, "the head line has an empty name, or one name twice"))
                continue
            if len(cells) > len(names):
                message = f"has {len(cells)} cells, and the head line names {len(names)}"
                raise ConfigError(Problem(str(path), reader.line_num, 1, message))
            yield reader.line_num, dict(zip(names, [*cells, *[""] * (len(names) - len(cells))], strict=True))
    except csv.Error as error:
        raise ConfigError(Problem(str(path), reader.line_num, 1, f"is not CSV: {error}")) from None
