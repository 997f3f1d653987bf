"""Arguments as people type them: help that fits into the terminal, and errors that know what was meant."""

import argparse
import difflib
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from headworks.errors import CommandError

_WIDEST = 118
_INVALID = re.compile(
    r"argument (?P<name>.+?): invalid choice: '(?P<word>.*?)' \(choose from (?P<valid>.*)\)", re.DOTALL
)
_FLAG = r"--[a-z][a-z-]*"
_UNKNOWN = re.compile(r"unrecognized arguments: (?P<words>.*)", re.DOTALL)


class UsageError(CommandError):
    """Words and flags that cannot be meant together; says which ones are. The command ends with 2."""


class Formatter(argparse.HelpFormatter):
    """Fills each paragraph of a description to the terminal's width; one with indented lines stays as it is written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(self._filled(paragraph, min(width, _WIDEST), indent) for paragraph in paragraphs)

    def _filled(self, paragraph: str, width: int, indent: str) -> str:
        if re.search(r"^\s", paragraph, re.MULTILINE):
            return textwrap.indent(paragraph, indent)
        return textwrap.fill(
            " ".join(paragraph.split()),
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=False,
        )


class Parser(argparse.ArgumentParser):
    """A parser whose errors name what is nearest to what was typed; parsers of its commands and actions are alike.

    Attributes:
        default_action: the sub-command that is meant where none is named first; empty: none is.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": Formatter, **settings})
        self.default_action = ""
        self._typed: tuple[str, ...] = ()

    def parse_known_args(  # type: ignore[override]  # its overloads are for namespaces of callers' own, and we have none
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; what is not known is an error of the innermost parser, whose flags were meant."""
        self._typed = tuple(args or ())
        if self.default_action and not {*self._typed[:1]} & {*self._action_names(), "-h", "--help"}:
            if self._typed[:1] and self._typed[0].startswith("-"):
                for word in self._typed:
                    if word in self._action_names():
                        self.error(f"an action comes first: {self.prog} {word} ...")
            self._typed = (self.default_action, *self._typed)
        options, unknown = super().parse_known_args(self._typed, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, []

    def _action_names(self) -> Iterator[str]:
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  (there is no public way to list them)
                yield from action.choices

    def error(self, message: str) -> NoReturn:
        """Print usage and what is wrong, and exit with 2."""
        super().error(self._nearest(message))

    def _nearest(self, message: str) -> str:
        if (found := _INVALID.fullmatch(message)) is not None:
            before = self._typed[self._typed.index(found["word"]) - 1] if found["word"] in self._typed[1:] else ""
            if before.startswith("--") and before not in re.findall(_FLAG, self.format_usage()):
                return self._nearest(f"unrecognized arguments: {before}")  # whose value was taken for an action
            near = difflib.get_close_matches(found["word"], re.findall(r"[\w-]+", found["valid"]), 1)
            if near:
                return f"argument {found['name']}: there is no '{found['word']}'; did you mean `{near[0]}`?"
            if found["name"] == "COMMAND":
                return f"there is no command '{found['word']}'; `{self.prog} --help` lists them"
        if (found := _UNKNOWN.fullmatch(message)) is not None:
            flags = re.findall(_FLAG, self.format_usage())
            near = difflib.get_close_matches(found["words"].split()[0].partition("=")[0], flags, 1)
            return f"{message}; " + (f"did you mean `{near[0]}`?" if near else f"`{self.prog} --help` lists its flags")
        return message
