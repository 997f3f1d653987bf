"""Jinja source to Jinja's syntax tree, in which every node knows its offset.

Jinja's own trees know lines only. Here the tokens carry offsets where Jinja puts line numbers, and its parser copies
them into the nodes: `node.lineno` of these trees is an offset into the section's source.
"""

import re
from collections.abc import Iterator

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

_QUOTED = re.compile(r"(?<=got ).*|(?<=char ).*(?= at)", re.DOTALL)
_UNKNOWN_TAG = "Encountered unknown tag"
_END_OF_TEMPLATE = "Unexpected end of template"
_ROLES = ("developer", "system", "user", "assistant", "input")
_INNER = ("else", "elif", "endif", "endfor")

Token = tuple[int, str, str]


class Malformed(Exception):
    """The source is not a template; `offset` is where."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


def parse(environment: Environment, source: str) -> nodes.Template:
    """The syntax tree of a section's source.

    Raises:
        Malformed: it has none.
    """
    tokens = list(_tokens(environment, source))
    parser = Parser(environment, "")
    try:
        parser.stream = TokenStream(environment.lexer.wrap(tokens), None, None)
        return parser.parse()
    except TemplateSyntaxError as error:
        raise Malformed(min(error.lineno, len(source)), _words(error.message or "", source, error.lineno)) from None
    except RecursionError:
        raise Malformed(0, "the template is nested too deeply: pass what it works out as a variable") from None
    except ValueError:
        raise Malformed(0, "the template holds a number that is too long") from None


def _tokens(environment: Environment, source: str) -> Iterator[Token]:
    """Jinja's tokens with their offsets. Blanks that Jinja leaves out of them are skipped by the search."""
    position = 0
    try:
        for _, kind, text in environment.lexer.tokeniter(source, None):
            offset = source.find(text, position)
            assert offset >= 0, "a token stands in the source that it was read from"
            if kind == "raw_begin":
                raise Malformed(offset, "`raw` is not part of templates here: write `{{ '{{' }}` for literal braces")
            position = offset + len(text)
            yield offset, kind, text
    except TemplateSyntaxError as error:
        words = _QUOTED.sub("something else", error.message or "")
        raise Malformed(position, f"not a template from here on: {words}") from None


def _words(message: str, source: str, offset: int) -> str:
    """Jinja's words without what they quote from the template, and the way out where there is one."""
    if message.startswith(_UNKNOWN_TAG):
        rest = source[offset:]
        if rest.startswith(_ROLES):
            return "a role's marker must stand alone on its line, outside of `if` and `for`"
        if rest.startswith(_INNER):
            return "there is no `if` or `for` in this section that this belongs to"
        return "there is no such tag; there are `if`, `for` and, alone on a line, " + ", ".join(_ROLES)
    if message.startswith(_END_OF_TEMPLATE):
        return (
            "an `if` or `for` is not closed in its section: a role's marker ends whatever is open, so repeat the "
            "condition in the next section"
        )
    return "not a template: " + _QUOTED.sub("something else", message)
