"""What every command prints lines with: values for machines, words for the person at the terminal."""

import sys

from headworks.cli.tables import plain


def json_line(value: dict[str, object]) -> str:
    """A value as one line of JSON."""
    import msgspec

    return msgspec.json.encode(value).decode()


def note(text: str, command: str = "calls") -> None:
    """Say something that is not the answer, on standard error."""
    print(f"headworks {command}: {plain(text)}", file=sys.stderr)
