"""Templates of answers: what is said when no model says anything, over the variables of a prompt and what was asked.

They are written in the language of prompts, and checked like them when they are loaded: an unknown name, a filter that
does not fit, a call, all of that is a problem of configuration. A JSON template is JSON first: only its strings are
templates, so that no value can change the structure around it.
"""

import re
from collections.abc import Mapping

import msgspec
from jinja2 import TemplateError, nodes

from headworks.config.document import Mark
from headworks.errors import ConfigError, Problem, Refusal
from headworks.prompts import grammar
from headworks.prompts.filters import MAX_OUTPUT, sandbox
from headworks.prompts.parsing import Malformed
from headworks.prompts.parsing import parse as parse_source
from headworks.prompts.rendering import Stream, compile_section, render_with
from headworks.prompts.shape import Variable
from headworks.prompts.source import mark_at
from headworks.prompts.variables import fill

INPUT = "input"
"""What the caller's last message is called, unless the prompt has a variable of that name."""

_MAX_DEPTH = 64
_TEMPLATED = re.compile(r"\{\{|\{%|\{#")


class AnswerUnfit(Exception):
    """The template cannot be filled with these values; says where, and nothing of them."""


class _Text(msgspec.Struct, frozen=True):
    """One template. `bare` is the variable where it is nothing but one: then its value stands there as it is."""

    stream: Stream
    bare: str = ""


class AnswerTemplate(msgspec.Struct, frozen=True, eq=False):
    """An answer that may hold values of the call.

    Attributes:
        variables: those of the prompt.
        tree: JSON, in which a `_Text` stands for each template; of a text the one template, or the text.
        templated: JSON pointers of what is known only when there are values.
    """

    variables: Mapping[str, Variable]
    tree: object
    templated: frozenset[str]

    @property
    def is_static(self) -> bool:
        """Whether it is the same for every call."""
        return not self.templated

    def render(self, values: Mapping[str, object], asked: str) -> str:
        """The answer's text.

        Arguments:
            values: of the prompt's variables.
            asked: the caller's last message.

        Raises:
            AnswerUnfit: the values do not fit the prompt, or an object lacks what the template reads.
        """
        if self.is_static:
            return _written(self.tree)
        try:
            filled = {INPUT: asked, **fill(self.variables, values, "answer")}
            return _written(_rendered(self.tree, filled))
        except Refusal as refusal:
            raise AnswerUnfit(f"its variables do not fit ({refusal.code})") from None
        except OverflowError:
            raise AnswerUnfit(f"it would be longer than {MAX_OUTPUT} characters") from None
        except (TemplateError, TypeError, ValueError):
            raise AnswerUnfit("a value lacks what the template reads, or is of another type there") from None


def parse_answer(text: str, *, file: str, variables: Mapping[str, Variable], is_json: bool) -> AnswerTemplate:
    """The template of this text.

    Arguments:
        text: what the file holds.
        file: what problems name as the file.
        variables: those of the prompt.
        is_json: it is JSON, whose strings may be templates; else all of it is one.

    Raises:
        ConfigError: it is not JSON, or a template in it is none.
    """
    scope = {INPUT: grammar.known(Variable(type="string"))} | {
        name: grammar.known(variable) for name, variable in variables.items()
    }
    reader = _Reader(text, file, scope)
    if not is_json:
        tree: object = reader.text(text.rstrip("\n"), "")
    else:
        try:
            tree = reader.value(msgspec.json.decode(text), "", 0)
        except (msgspec.DecodeError, RecursionError):
            raise ConfigError(Problem(file, 0, 0, "is not JSON")) from None
    if reader.problems:
        raise ConfigError(*reader.problems)
    return AnswerTemplate(variables, tree, frozenset(reader.templated))


class _Reader:
    """Reads value after value; what is wrong goes to `problems`."""

    def __init__(self, source: str, file: str, scope: dict[str, grammar.Known]) -> None:
        self._source = source
        self._file = file
        self._scope = scope
        self.problems: list[Problem] = []
        self.templated: set[str] = set()

    def value(self, value: object, pointer: str, depth: int) -> object:
        if depth > _MAX_DEPTH:
            self.problems.append(Problem(self._file, 0, 0, f"is nested deeper than {_MAX_DEPTH} levels"))
        elif isinstance(value, dict):
            return {key: self.value(inner, f"{pointer}/{_escaped(key)}", depth + 1) for key, inner in value.items()}
        elif isinstance(value, list):
            return [self.value(inner, f"{pointer}/{index}", depth + 1) for index, inner in enumerate(value)]
        elif isinstance(value, str):
            return self.text(value, pointer)
        return value

    def text(self, source: str, pointer: str) -> object:
        if _TEMPLATED.search(source) is None:
            return source
        self.templated.add(pointer)
        try:
            tree = parse_source(sandbox(), source)
        except Malformed as malformed:
            self._note(source, pointer, malformed.offset, malformed.message)
            return source
        before = len(self.problems)
        grammar.check(tree, self._scope, lambda offset, message: self._note(source, pointer, offset, message))
        for found in tree.find_all(nodes.Filter):
            if found.name == "fence":
                self._note(source, pointer, found.lineno, "`fence` is for what a model reads: an answer needs none")
        if len(self.problems) > before:
            return source
        return _Text(compile_section(tree), _bare(tree))

    def _note(self, source: str, pointer: str, offset: int, message: str) -> None:
        at = self._source.find(source)
        mark = Mark(0, 0) if at < 0 else mark_at(self._source, at + offset)
        where = f"{pointer}: " if pointer else ""
        self.problems.append(Problem(self._file, mark.line, mark.column, where + message))


def _bare(tree: nodes.Template) -> str:
    match tree.body:
        case [nodes.Output(nodes=[nodes.Name(name=name)])]:
            return str(name)
        case _:
            return ""


def _rendered(tree: object, filled: dict[str, object]) -> object:
    if isinstance(tree, _Text):
        return filled[tree.bare] if tree.bare else render_with(tree.stream, filled)
    if isinstance(tree, dict):
        return {key: _rendered(inner, filled) for key, inner in tree.items()}
    return [_rendered(inner, filled) for inner in tree] if isinstance(tree, list) else tree


def _written(value: object) -> str:
    """A JSON string is the text itself, anything else is written as JSON."""
    if isinstance(value, str):
        return value
    text = msgspec.json.encode(value).decode()
    if len(text) > MAX_OUTPUT:
        raise OverflowError
    return text


def _escaped(key: str) -> str:
    """A key in a JSON pointer (RFC 6901 §3)."""
    return key.replace("~", "~0").replace("/", "~1")
