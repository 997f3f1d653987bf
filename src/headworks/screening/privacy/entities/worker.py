"""The process that a model runs in. Its arguments: the adapter, the model, a bound on memory in bytes.

The first frame to go out says how loading went; then one goes out for each that comes in (`bounded`). It ends when its
input is closed, and by an alarm of the kernel's when a question takes longer than it may.
"""

import signal
import sys
import threading

import msgspec

from headworks.screening.bounded import LENGTH, end_with_input, limit, send, set_alarm, take_pipes
from headworks.screening.privacy.entities.code import CodeLines
from headworks.screening.privacy.entities.models import EntityModel, Span, load_model, pieces, tidied

LOAD_S = 90.0
"""Seconds that loading may take: longer than any parent waits for it."""


class Question(msgspec.Struct, array_like=True):
    """Texts, and the seconds that they may take together."""

    timeout_s: float
    texts: tuple[str, ...]


class Ready(msgspec.Struct):
    """The first frame. A model that cannot be loaded says which kind of error that was: its text could say anything."""

    error: str = ""


Answer = tuple[tuple[Span, ...], ...]
"""What was found, by text."""


def main() -> int:
    """Load the model, then answer until the input ends."""
    adapter, name, memory_bytes = sys.argv[1:]
    questions, answers = take_pipes()
    limit(int(memory_bytes))
    threading.Thread(target=end_with_input, args=(questions.fileno(),), daemon=True).start()
    set_alarm(LOAD_S)
    try:
        model = load_model(adapter, name)
        found_in(model, "Ada Lovelace lives in London.")  # what is made at the first text is made now
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told, and tells
        send(answers, msgspec.json.encode(Ready(type(error).__name__)))
        return 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    send(answers, msgspec.json.encode(Ready()))
    decoder = msgspec.json.Decoder(Question)
    while head := questions.read(LENGTH.size):
        (length,) = LENGTH.unpack(head)
        question = decoder.decode(questions.read(length))
        set_alarm(question.timeout_s)
        answer: Answer = tuple([found_in(model, text) for text in question.texts])
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(answers, msgspec.json.encode(answer))
    return 0


def found_in(model: EntityModel, text: str) -> tuple[Span, ...]:
    """What a model finds in a text that may be long."""
    found = []
    for at, piece in pieces(text):
        spans = [tidy for span in model.find(piece) if (tidy := tidied(piece, span)) is not None]
        code = CodeLines(piece) if spans else None
        for start, end, kind, score in spans:
            if code is None or not code.have_identifier(start, end):
                found.append((at + start, at + end, kind, score))
    return tuple(found)
