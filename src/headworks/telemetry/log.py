"""The operator's log: one line on standard error for what a person must know. Never a line per call, never a prompt,
a key or a personal value."""

import sys


def report(text: str) -> None:
    """Write one line; control characters are shown as escapes, so that no text can forge a second one."""
    line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    sys.stderr.write(f"headworks: {line}\n")
    sys.stderr.flush()
