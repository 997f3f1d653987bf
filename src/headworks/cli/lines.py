"""What every command prints lines with: values for machines, words for the person at the terminal."""

import sys

from headworks.cli.tables import plain
from headworks.errors import CommandError


def json_line(value: dict[str, object]) -> str:
    """A value as one line of JSON."""
    import msgspec

    return msgspec.json.encode(value).decode()


def note(text: str, command: str = "calls") -> None:
    """Say something that is not the answer, on standard error."""
    print(f"headworks {command}: {plain(text)}", file=sys.stderr)


def no_golden_set(workload: str) -> CommandError:
    """The error of a command that needs a workload's golden set, where there is none; says how to get one."""
    return CommandError(
        f"`{workload}` has no golden set: golden.jsonl beside its contract, a case a line, such as "
        f'{{"id": "1", "input": "...", "expected": "..."}}'
        f"; `headworks golden import {workload} FILE --from csv` makes one of a "
        "table, and others are read, too (`headworks golden --help`)"
    )
