"""From values to messages: what is left to do for a call once a prompt is compiled."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, Self

import msgspec
from jinja2 import TemplateError, nodes
from jinja2.runtime import Context

from headworks.prompts.filters import MARKER, MAX_OUTPUT, sandbox
from headworks.prompts.source import Role
from headworks.prompts.variables import refusal


class Digest(Protocol):
    """A hash that is under way, as `hashlib` makes them."""

    def update(self, data: bytes, /) -> None: ...
    def copy(self) -> Self: ...
    def hexdigest(self) -> str: ...


class Message(msgspec.Struct, frozen=True):
    """One message of a rendered prompt."""

    role: Role
    text: str


class Rendered(msgspec.Struct, frozen=True):
    """A prompt with the values of one call.

    `input_at` is how many of the messages stand before the caller's own. `hash` is a SHA-256 in hexadecimal over both:
    equal when a call would be sent the same bytes.
    """

    messages: tuple[Message, ...]
    input_at: int
    hash: str


Stream = Callable[[Context], Iterator[str]]


class Step(msgspec.Struct, frozen=True):
    """A section, ready to run. `message` is the whole of a static one.

    `objects` are the variables whose inside the section looks at: all that can fail in it once the values fit.
    """

    role: Role
    message: Message | None
    stream: Stream | None
    objects: tuple[str, ...]
    line: int


class Program(msgspec.Struct, frozen=True):
    """A compiled prompt. The leading static messages are made, and hashed, once."""

    name: str
    head: tuple[Message, ...]
    head_hash: Digest
    steps: tuple[Step, ...]
    input_at: int
    """Of all sections, those of the head included."""


def compile_section(tree: nodes.Template) -> Stream:
    """A checked section, compiled."""
    environment = sandbox()
    stream: Stream = environment.from_string(tree).root_render_func
    return stream


def render_static(stream: Stream) -> str:
    """The text of a section that depends on no variable.

    Raises:
        OverflowError: it is too long.
        TemplateError, TypeError: it cannot be rendered.
    """
    parts, _ = _run(stream, _context({}), MAX_OUTPUT)
    return parts


def render_with(stream: Stream, filled: dict[str, object]) -> str:
    """The text of one template for these values.

    Raises:
        OverflowError: it is too long.
        TemplateError, TypeError, ValueError: an object does not hold what it reads.
    """
    text, _ = _run(stream, _context(filled), MAX_OUTPUT)
    return text


def assemble(name: str, steps: Sequence[Step], input_at: int) -> Program:
    """The program of these sections; `input_at` counts sections."""
    head: list[Message] = []
    for step in steps:
        if step.message is None:
            break
        head.append(step.message)
    return Program(name, tuple(head), _hashed(hashlib.sha256(), head), tuple(steps[len(head) :]), input_at)


def run(program: Program, filled: dict[str, object], marker: str) -> Rendered:
    """The messages for these values, which must have passed `variables.fill`.

    A section that renders to nothing but blanks becomes no message: providers refuse empty ones.

    Raises:
        Refusal: an object does not hold what the template reads, or the messages are too long.
    """
    messages = list(program.head)
    input_at = min(program.input_at, len(messages))
    filled[MARKER] = marker
    context = _context(filled)
    room = MAX_OUTPUT
    for number, step in enumerate(program.steps, len(program.head)):
        if number == program.input_at:
            input_at = len(messages)
        if step.message is not None:
            messages.append(step.message)
            continue
        assert step.stream is not None
        try:
            text, room = _run(step.stream, context, room)
        except OverflowError:
            raise _too_long(program, step, filled) from None
        except (TemplateError, TypeError, ValueError):
            raise _unfit(program, step) from None
        if text and not text.isspace():
            messages.append(Message(step.role, text))
    if program.input_at >= len(program.head) + len(program.steps):
        input_at = len(messages)
    digest = _hashed(program.head_hash.copy(), messages[len(program.head) :])
    digest.update(b"input %d" % input_at)
    return Rendered(tuple(messages), input_at, digest.hexdigest())


def _context(values: dict[str, object]) -> Context:
    return Context(sandbox(), values, None, {})


def _run(stream: Stream, context: Context, room: int) -> tuple[str, int]:
    """The text, and how many characters of the room are left. Piece by piece, so that it stops in time."""
    parts = []
    for part in stream(context):
        room -= len(part)
        if room < 0:
            raise OverflowError
        parts.append(part)
    return "".join(parts), room


def _hashed(digest: Digest, messages: Sequence[Message]) -> Digest:
    for message in messages:
        content = message.text.encode()
        digest.update(b"%s %d\n" % (message.role.encode(), len(content)))
        digest.update(content)
    return digest


def _unfit(program: Program, step: Step) -> Exception:
    words = f"lacks what the prompt reads in the section on line {step.line}, or holds another type there"
    return refusal(
        program.name, [("invalid_prompt_variable", name, f"`{name}` {words}") for name in step.objects or ("…",)]
    )


def _too_long(program: Program, step: Step, filled: Mapping[str, object]) -> Exception:
    largest = max((name for name in filled if name != MARKER), key=lambda name: len(str(filled[name])))
    words = f"the messages are longer than {MAX_OUTPUT} characters in the section on line {step.line}; `{largest}` is"
    return refusal(program.name, [("invalid_prompt_variable", largest, f"{words} the longest value")])
