"""Changes that a machine makes to the text of `prompt.md`: the version, and not a byte beside it."""

import re

from headworks.config.document import Mark
from headworks.errors import CommandError
from headworks.prompts.prompt import Prompt, parse

_LINE_END = re.compile(r"\r\n|\r|\n")


def with_version(text: str, prompt: Prompt, version: str) -> str:
    """The same text with another version in its front matter. Comments, order and line ends stay.

    Arguments:
        text: what `prompt.md` holds.
        prompt: what was read from it.
        version: a semantic version.

    Raises:
        CommandError: the version is written in a way that is not changed safely; says where to change it by hand.
    """
    mark = prompt.places[("version",)]
    start = _offset(text, mark)
    written = re.compile(rf"[\"']?{re.escape(prompt.version)}(?![0-9.])").match(text, start)
    if written is not None:
        quote = text[start] if text[start] in "\"'" else ""
        changed = f"{text[:start]}{quote}{version}{text[written.end() :]}"
        again = parse(changed, name=prompt.name, file=prompt.file)
        if (again.version, again.hash) == (version, prompt.hash):
            return changed
    raise CommandError(
        f"{prompt.file}:{mark.line}:{mark.column}: the version is not written plainly here; change it to {version} by "
        "hand"
    )


def _offset(text: str, mark: Mark) -> int:
    """Where a place of the file is in its text; a byte-order mark and the line ends are still in it."""
    start = 1 if text.startswith("\ufeff") else 0
    ends = [start, *(found.end() for found in _LINE_END.finditer(text))]
    return ends[min(mark.line, len(ends)) - 1] + mark.column - 1
