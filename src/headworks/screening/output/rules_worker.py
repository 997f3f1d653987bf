"""The process that rules run in, and functions that answer in a model's place. Its arguments: the user's file, a
descriptor for progress, a bound on memory in bytes.

Frames (a length in four bytes, then JSON) come in on standard input and go out on standard output; the first to go out
says how loading went. Whatever the rules print goes nowhere: it could hold what the answer holds.

It ends when its input is closed, a thread sees to that even while a rule sleeps; and by an alarm of the kernel's when a
rule takes longer than it may, for a rule in C code lets no thread run. So no worker outlives who started it.
"""

import mmap
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from headworks.screening.bounded import LENGTH, end_with_input, limit, send, set_alarm, take_pipes
from headworks.screening.output.answer_file import ANSWER, load_answer
from headworks.screening.output.rules_file import LoadProblem, RulesFile, load_rules
from headworks.screening.output.verdicts import RuleFinding

_LOAD_S = 60.0
"""The same for loading: longer than any parent waits for it."""


class Question(msgspec.Struct, array_like=True):
    """An answer to be judged, as JSON, and what is known of its call."""

    timeout_s: float
    output: msgspec.Raw
    context: msgspec.Raw


class Loaded(msgspec.Struct):
    """The first frame: the functions' names, or why there are none."""

    rules: tuple[str, ...] = ()
    problem: LoadProblem | None = None


class AnswerQuestion(msgspec.Struct, array_like=True):
    """What a function is to answer, and what is known of its call."""

    timeout_s: float
    asked: str
    context: msgspec.Raw


def main() -> int:
    """Load the rules, then judge until the input ends."""
    decoder = msgspec.json.Decoder(Question)

    def load(path: Path) -> LoadProblem | tuple[tuple[str, ...], Work]:
        loaded = load_rules(path)
        if isinstance(loaded, LoadProblem):
            return loaded

        def judge(data: bytes, progress: mmap.mmap) -> bytes:
            question = decoder.decode(data)
            set_alarm(question.timeout_s)
            return msgspec.json.encode(_judge(loaded, question, progress))

        return tuple(name for name, _ in loaded.rules), judge

    return _serve(load)


def answers_main() -> int:
    """Load the function that answers, then let it until the input ends."""
    decoder = msgspec.json.Decoder(AnswerQuestion)

    def load(path: Path) -> LoadProblem | tuple[tuple[str, ...], Work]:
        loaded = load_answer(path)
        if isinstance(loaded, LoadProblem):
            return loaded

        def answer(data: bytes, progress: mmap.mmap) -> bytes:
            question = decoder.decode(data)
            set_alarm(question.timeout_s)
            progress[:] = LENGTH.pack(1)
            said = loaded.say(question.asked, msgspec.json.decode(question.context))
            progress[:] = LENGTH.pack(0)
            return msgspec.json.encode(said)

        return (ANSWER,), answer

    return _serve(load)


Work = Callable[[bytes, mmap.mmap], bytes]
"""Makes the answer to one question; says in the second which function it is in."""


def _serve(load: Callable[[Path], LoadProblem | tuple[tuple[str, ...], Work]]) -> int:
    """Load a file, then work until the input ends."""
    path, progress_descriptor, memory_bytes = sys.argv[1:]
    questions, answers = take_pipes()
    limit(int(memory_bytes))
    threading.Thread(target=end_with_input, args=(questions.fileno(),), daemon=True).start()
    set_alarm(_LOAD_S)
    loaded = load(Path(path))
    signal.setitimer(signal.ITIMER_REAL, 0)
    if isinstance(loaded, LoadProblem):
        send(answers, msgspec.json.encode(Loaded(problem=loaded)))
        return 0
    names, work = loaded
    send(answers, msgspec.json.encode(Loaded(rules=names)))
    with mmap.mmap(int(progress_descriptor), LENGTH.size) as progress:
        while head := questions.read(LENGTH.size):
            (length,) = LENGTH.unpack(head)
            answer = work(questions.read(length), progress)
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(answers, answer)
    return 0


def _judge(rules: RulesFile, question: Question, progress: mmap.mmap) -> tuple[RuleFinding, ...]:
    findings = []
    for index in range(len(rules.rules)):
        progress[:] = LENGTH.pack(index + 1)
        # Decoded anew for each rule, so that none sees what another has changed.
        output, context = msgspec.json.decode(question.output), msgspec.json.decode(question.context)
        if finding := rules.judge(index, output, context):
            findings.append(finding)
    progress[:] = LENGTH.pack(0)
    return tuple(findings)
