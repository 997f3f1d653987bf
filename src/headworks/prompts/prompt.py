"""A prompt: `prompt.md`, read, judged and compiled.

prompt = parse(text, name="support-triage", file="workloads/support-triage/prompt.md")
rendered = prompt.render({"ticket": "..."}, marker="3f9a41c07be2d586")
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec
from jinja2 import TemplateError, nodes

from headworks.config.document import Fault, Mark
from headworks.errors import ConfigError, Problem
from headworks.prompts import grammar
from headworks.prompts.filters import MARKER_FORM, MAX_OUTPUT, sandbox
from headworks.prompts.front_matter import Front, read_front
from headworks.prompts.parsing import Malformed
from headworks.prompts.parsing import parse as parse_source
from headworks.prompts.rendering import (
    Message,
    Program,
    Rendered,
    Step,
    Stream,
    assemble,
    compile_section,
    render_static,
    run,
)
from headworks.prompts.shape import FrontMatter, Variable
from headworks.prompts.source import Division, Misshapen, Role, Stretch, divide, mark_at
from headworks.prompts.variables import fill

MAX_CHARACTERS = 1_048_576
"""Length of a prompt's file, as of every file of configuration."""


class Piece(msgspec.Struct, frozen=True):
    """A part of a section in the order of the text: fixed text, or what depends on the variables in `names`.

    An `if` or a `for` is one piece, whatever is in it. `unfenced` are the variables whose values stand in it as they
    are.
    """

    line: int
    column: int
    text: str = ""
    names: tuple[str, ...] = ()
    unfenced: tuple[str, ...] = ()


class Section(msgspec.Struct, frozen=True):
    """The source of one message, and where in the file it begins."""

    role: Role
    source: str
    line: int
    column: int
    pieces: tuple[Piece, ...]

    @property
    def is_static(self) -> bool:
        """Whether it is the same with every call."""
        return not any(piece.names for piece in self.pieces)


class Prompt(msgspec.Struct, frozen=True, eq=False):
    """A compiled prompt. Prompts are the same when their hashes are.

    Attributes:
        name: the workload's.
        version: as the front matter states it.
        hash: SHA-256 in hexadecimal over variables, sections, the place of the input and the cache's setting. Not over
            the version: the same content under another number has the same hash. Not over YAML's comments and order.
        file: what problems name as the file.
        variables: by name, as declared.
        sections: in the order of the file.
        static_prefix: the text before the first thing that changes from call to call; what a provider can cache.
        input_at: how many sections stand before the caller's own messages.
        input_mark: where `{% input %}` stands; None if it is left out, which means the end.
        breakpoint: the cache's setting; None if it is left out, which means where it pays.
        places: line and column of each variable's declaration and of the front matter's other fields.
    """

    name: str
    version: str
    hash: str
    file: str
    variables: Mapping[str, Variable]
    sections: tuple[Section, ...]
    static_prefix: str
    input_at: int
    input_mark: Mark | None
    breakpoint: Literal["auto", "off"] | None
    places: Mapping[tuple[str | int, ...], Mark]
    program: Program

    def __repr__(self) -> str:
        """Without the text, for logs and tracebacks."""
        return f"Prompt({self.name!r}, {self.version!r}, hash={self.hash[:12]!r})"

    def render(self, values: Mapping[str, object], *, marker: str) -> Rendered:
        """The messages for the values of one call. The same values and marker always give the same bytes.

        Arguments:
            values: by variable; those with a default may be left out.
            marker: 8 to 64 small letters and digits that whoever chose the values could not foresee: random, 16 or
                more. Fences are marked with it, or, where a value holds it, with one derived from it. Keep it with the
                call where it is to be rendered again.

        Raises:
            Refusal: 400, names every variable that is missing, unknown or unfit, and quotes no value.
            ValueError: the marker does not have this form.
        """
        if MARKER_FORM.fullmatch(marker) is None:
            raise ValueError("a marker is 8 to 64 small letters and digits")
        return run(self.program, fill(self.variables, values, self.name), marker)


def parse(text: str, *, name: str, file: str) -> Prompt:
    """The prompt of this text.

    Arguments:
        text: what `prompt.md` holds.
        name: the prompt's name, which is its workload's.
        file: what problems name as the file.

    Raises:
        ConfigError: carries every problem found.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(Problem(file, 0, 0, f"is longer than {MAX_CHARACTERS} characters"))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        mark = mark_at(text, error.start)
        what = "half of a surrogate pair stands here, which is no character"
        raise ConfigError(Problem(file, mark.line, mark.column, what)) from None
    try:
        division = divide(text)
        front = read_front(division.front)
    except (Misshapen, Fault) as error:
        mark = error.mark or Mark(1, 1)
        raise ConfigError(Problem(file, mark.line, mark.column, error.message)) from None
    problems = [*front.problems, *((division.mark(offset), message) for offset, message in division.complaints)]
    reader = _SectionReader(division, _scope(front), problems)
    read = [reader.read(stretch) for stretch in division.sections]
    matter = front.matter
    if problems:
        ordered = sorted(dict.fromkeys(problems), key=lambda found: (found[0].line, found[0].column))
        raise ConfigError(*(Problem(file, mark.line, mark.column, message) for mark, message in ordered))
    assert matter is not None, "what could not be read has left a problem"
    sections = tuple(section for section, _ in read)
    steps = [_step(section, stream, matter.variables) for section, stream in read]
    return Prompt(
        name=name,
        version=matter.version,
        hash=_hash(matter, sections, division.input_at),
        file=file,
        variables=matter.variables,
        sections=sections,
        static_prefix=_static_prefix(sections, steps, division.input_at),
        input_at=division.input_at,
        input_mark=None if division.input_marker is None else division.mark(division.input_marker),
        breakpoint=None if matter.cache is None else matter.cache.breakpoint,
        places=front.places,
        program=assemble(name, steps, division.input_at),
    )


def _scope(front: Front) -> dict[str, grammar.Known]:
    """What templates may name; nothing more is said of a variable whose declaration is wrong."""
    variables = {} if front.matter is None else front.matter.variables
    return dict.fromkeys(front.names, grammar.ANYTHING) | {
        name: grammar.known(variable) for name, variable in variables.items()
    }


class _SectionReader:
    """Reads section after section; what is wrong goes to `problems`."""

    def __init__(self, division: Division, scope: dict[str, grammar.Known], problems: list[tuple[Mark, str]]) -> None:
        self._division = division
        self._scope = scope
        self._problems = problems

    def read(self, stretch: Stretch) -> tuple[Section, Stream | None]:
        """The section, and what renders it; None if there was a problem."""
        start = self._division.mark(stretch.start)
        empty = Section(stretch.role, stretch.source, start.line, start.column, ())
        before = len(self._problems)
        try:
            tree = parse_source(sandbox(), stretch.source)
        except Malformed as malformed:
            self._note(stretch, malformed.offset, malformed.message)
            return empty, None
        grammar.check(tree, self._scope, lambda offset, message: self._note(stretch, offset, message))
        if len(self._problems) > before:
            return empty, None
        pieces = tuple(piece for node in tree.body for piece in self._pieces(stretch, node))
        section = msgspec.structs.replace(empty, pieces=pieces)
        stream = compile_section(tree)
        if section.is_static:
            try:
                render_static(stream)
            except OverflowError:
                self._note(stretch, 0, f"this section is longer than {MAX_OUTPUT} characters")
            except (TemplateError, TypeError):
                self._note(stretch, 0, "this section cannot be rendered: it applies a filter to what does not fit it")
        return section, stream

    def _note(self, stretch: Stretch, offset: int, message: str) -> None:
        self._problems.append((self._division.mark(stretch.start + offset), message))

    def _pieces(self, stretch: Stretch, node: nodes.Node) -> list[Piece]:
        parts = node.nodes if isinstance(node, nodes.Output) else [node]
        made = []
        for part in parts:
            mark = self._division.mark(stretch.start + part.lineno)
            if isinstance(part, nodes.TemplateData):
                made.append(Piece(mark.line, mark.column, part.data))
            else:
                made.append(Piece(mark.line, mark.column, "", self._names(part), self._unfenced(part)))
        return made

    def _names(self, node: nodes.Node) -> tuple[str, ...]:
        found = [node] if isinstance(node, nodes.Name) else list(node.find_all(nodes.Name))
        return tuple(sorted({name.name for name in found} & self._scope.keys()))

    def _unfenced(self, node: nodes.Node) -> tuple[str, ...]:
        """The variables that are written out, not only tested; those of a loop's list, where its items are."""
        if isinstance(node, nodes.If | nodes.For):
            outputs = [part for output in node.find_all(nodes.Output) for part in output.nodes]
            written = {name for part in outputs for name in self._written(part)}
            for loop in (*([node] if isinstance(node, nodes.For) else ()), *node.find_all(nodes.For)):
                if isinstance(loop.target, nodes.Name) and isinstance(loop.iter, nodes.Name):
                    written |= {loop.iter.name} if loop.target.name in written else set()
            return tuple(sorted(written & self._scope.keys()))
        return tuple(sorted(self._written(node) & self._scope.keys()))

    def _written(self, node: nodes.Node) -> set[str]:
        if isinstance(node, nodes.Compare | nodes.Test | nodes.Not):
            return set()
        if isinstance(node, nodes.Filter) and node.name in ("fence", "length", "round"):
            return set()
        found = [node] if isinstance(node, nodes.Name) else list(node.find_all(nodes.Name))
        return {name.name for name in found}


def _step(section: Section, stream: Stream | None, variables: Mapping[str, Variable]) -> Step:
    assert stream is not None, "a section that cannot be compiled has left a problem"
    if section.is_static:
        return Step(section.role, Message(section.role, render_static(stream)), None, (), section.line)
    names = tuple(dict.fromkeys(name for piece in section.pieces for name in piece.names))
    with_insides = tuple(name for name in names if _has_inside(variables[name]))
    return Step(section.role, None, stream, with_insides or names, section.line)


def _has_inside(variable: Variable) -> bool:
    return variable.type == "object" or (variable.type == "list" and _has_inside(variable.item))


def _static_prefix(sections: tuple[Section, ...], steps: list[Step], input_at: int) -> str:
    parts: list[str] = []
    for number, (section, step) in enumerate(zip(sections, steps, strict=True)):
        if number == input_at:
            break
        if step.message is not None:
            parts.append(step.message.text)
            continue
        leading = []
        for piece in section.pieces:
            if not piece.text:
                break
            leading.append(piece.text)
        parts.append("".join(leading))
        break
    return "\n".join(part for part in parts if part)


def _hash(matter: FrontMatter, sections: tuple[Section, ...], input_at: int) -> str:
    content = [
        "prompt 1",
        {name: _fields(variable) for name, variable in matter.variables.items()},
        [[section.role, section.source] for section in sections],
        input_at,
        None if matter.cache is None else matter.cache.breakpoint,
    ]
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def _fields(variable: Variable) -> dict[str, object]:
    """All fields, defaults too: a release that changes one of those changes the prompt."""
    fields = {name: value for name, value in msgspec.structs.asdict(variable).items() if value is not msgspec.UNSET}
    return fields | ({} if variable.items is None else {"items": _fields(variable.items)})
