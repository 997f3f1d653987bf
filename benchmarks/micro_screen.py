"""What the pattern layers cost: a prompt that goes up, hostile text, and a streamed chunk of an answer.

    .venv/bin/python -m benchmarks.micro_screen
    .venv/bin/python -m benchmarks.micro_screen --beside build/compiled     the same beside another copy of the package

Personal data and wordings of attacks are both looked for, as a workload that screens does. Each figure is processor
time, the best of several runs: noise only ever adds. With `--beside` the copies take turns in processes of their own,
so that whatever else the machine does falls on both.
Bars: docs/explanation/performance.md, "PII + injection screen of a 2 KB prompt".
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import headworks
from benchmarks.privacy import ENTITIES, HOSTILE, HOSTILE_CHARACTERS, PROSE
from headworks.config.injection import Injection
from headworks.config.privacy import Privacy
from headworks.screening.injection import CanaryWatch, Detector, InjectionPolicy, canary_of
from headworks.screening.privacy import AnswerScreen, Finder, PrivacyPolicy, Redactor, Restorer, TokenBook
from headworks.screening.privacy.engines import re2

_RUNS = 9
_RUN_S = 0.02
"""Processor time of one run of a short work: long enough that the clock's own steps do not show."""

_CHUNK = 20
"""Characters of a streamed chunk: some five tokens."""

Figures = dict[str, float]
"""Microseconds, by what they are of."""


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro_screen", description=__doc__.partition("\n")[0])
    parser.add_argument("--beside", type=Path, action="append", default=[], help="a folder with another `headworks`")
    parser.add_argument("--rounds", type=int, default=3, help="how often each copy has its turn")
    parser.add_argument("--json", action="store_true", help="print the figures of this copy as JSON")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(_figures()))
        return 0
    here = Path(headworks.__file__).parents[1]
    copies = [here, *(path.resolve() for path in options.beside)]
    print(f"Python {platform.python_version()}, {sys.executable}")
    best: list[Figures] = [{} for _ in copies]
    for _ in range(options.rounds):
        for figures, copy in zip(best, copies, strict=True):
            for name, us in _figures_of(copy).items():
                figures[name] = min(us, figures.get(name, us))
    print(f"{'us':<52}" + "".join(f"{copy.name:>14}" for copy in copies))
    for name in best[0]:
        print(f"{name:<52}" + "".join(f"{figures[name]:>14,.1f}" for figures in best))
    return 0


def _figures_of(copy: Path) -> Figures:
    """Those of one copy of the package, measured in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(copy), str(Path(__file__).parents[1])))}
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.micro_screen", "--json"],
        env=environment, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    figures: Figures = json.loads(made.stdout)
    return figures


def _figures() -> Figures:
    figures = dict(_first_texts())
    figures.update(_prompts(prefers_re2=re2 is not None))
    figures.update(_hostile(prefers_re2=re2 is not None))
    figures.update(_chunks())
    if re2 is not None:
        figures.update((f"{name}, without RE2", us) for name, us in _prompts(prefers_re2=False))
        figures.update((f"{name}, without RE2", us) for name, us in _hostile(prefers_re2=False))
    return figures


def best_us(work: Callable[[], object], runs: int = _RUNS) -> float:
    """Processor time of one piece of work, the best of several runs."""
    start = time.process_time()
    work()
    once = time.process_time() - start
    times = max(1, int(_RUN_S / max(once, 1e-7)))
    best = once
    for _ in range(runs):
        start = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - start) / times)
    return best * 1e6


def _first_texts() -> Iterator[tuple[str, float]]:
    """What the first text of each kind costs beyond the next ones, while RE2 builds its tables."""
    finder = Finder()
    for name, text in {"a first prompt with six values": _with_values(), "a first hostile text": _mixed()}.items():
        start = time.process_time()
        finder.find(text)
        yield name, (time.process_time() - start) * 1e6


def _clean() -> str:
    return (PROSE * 8)[:2048]


def _with_values() -> str:
    return (ENTITIES + PROSE * 8)[:2048]


def _code() -> str:
    return Path(argparse.__file__).read_text()[20_000:22_048]


def _prompts(*, prefers_re2: bool) -> Iterator[tuple[str, float]]:
    finder = Finder(prefers_re2=prefers_re2)
    detector = Detector(prefers_re2=prefers_re2)
    policy = InjectionPolicy(Injection(), detector)
    for name, text in {"clean": _clean(), "code": _code(), "six values": _with_values()}.items():
        yield f"2 KB, {name}: personal data", best_us(lambda text=text: finder.find(text))
        yield f"2 KB, {name}: injection", best_us(lambda text=text: policy.screen(text, "user"))
    if prefers_re2:
        redactor = Redactor(PrivacyPolicy.compile(Privacy()))
        for name, text in {"clean": _clean(), "six values": _with_values()}.items():
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
            yield f"2 KB, {name}: a body redacted", best_us(lambda body=body: redactor.redact(body, _a_book()))


def dense_texts() -> Iterator[tuple[str, str]]:
    """Texts that are made at random so that something begins every few characters, the same each time."""
    rng = random.Random(5)

    def repeated(make: Callable[[], str]) -> str:
        pieces, size = [], 0
        while size < HOSTILE_CHARACTERS:
            pieces.append(make())
            size += len(pieces[-1])
        return "".join(pieces)[:HOSTILE_CHARACTERS]

    def digits(count: int) -> str:
        return f"{rng.randrange(10**count):0{count}}"

    yield "random groups of four digits", repeated(lambda: digits(4) + " ")
    yield "random numbers of eleven digits", repeated(lambda: digits(11) + " ")
    yield "random numbers of nine to sixteen digits", repeated(lambda: digits(rng.randint(9, 16)) + " ")
    yield "bank accounts with wrong check digits", repeated(lambda: f"DE{digits(2)}{digits(18)} ")
    yield "IP addresses", repeated(lambda: ".".join(str(rng.randrange(256)) for _ in range(4)) + " ")
    yield "pieces of hostile shapes", _mixed()


def _mixed() -> str:
    rng = random.Random(6)
    shapes = [
        *HOSTILE.values(),
        "GB82 WEST 1234 5698 7654 32 ",
        "jane@example.org ",
        "219-09-9998 ",
        "+44 20 7946 0958 ",
    ]
    pieces, size = [], 0
    while size < HOSTILE_CHARACTERS:
        pieces.append(rng.choice(shapes) * rng.randint(1, 8))
        size += len(pieces[-1])
    return "".join(pieces)[:HOSTILE_CHARACTERS]


def _hostile(*, prefers_re2: bool) -> Iterator[tuple[str, float]]:
    finder = Finder(prefers_re2=prefers_re2)
    worst = 0.0
    for piece in HOSTILE.values():
        text = (piece * (HOSTILE_CHARACTERS // len(piece) + 1))[:HOSTILE_CHARACTERS]
        worst = max(worst, best_us(lambda text=text: finder.find(text), 3))
    yield f"200 KB, the worst of {len(HOSTILE)} shapes", worst
    for name, text in dense_texts():
        yield f"200 KB, {name}", best_us(lambda text=text: finder.find(text), 3)


def _a_book() -> TokenBook:
    return TokenBook(b"t" * 32)


def _chunks() -> Iterator[tuple[str, float]]:
    """A streamed chunk: tokens restored, a canary looked for, addresses judged, personal data looked for."""
    policy = PrivacyPolicy.compile(Privacy(answer="report"))
    book = _a_book()
    text, _ = Redactor(policy).redact_text(ENTITIES, book)
    texts = {"with tokens": text, "prose": PROSE[: len(text)]}
    watch = CanaryWatch(canary_of(b"\x01" * 16))
    egress = InjectionPolicy(Injection(), None).egress
    for name, one in texts.items():
        pieces = [one[place : place + _CHUNK] for place in range(0, len(one), _CHUNK)] * 4
        for what, stream in (
            ("restored", lambda: Restorer(book, policy.form).stream()),
            ("canary", watch.stream),
            ("addresses", egress.stream),
            ("screened", lambda: AnswerScreen(policy, book).stream()),
        ):

            def run(stream: Callable[[], object] = stream, pieces: list[str] = pieces) -> None:
                feed = stream().feed  # type: ignore[attr-defined]
                for piece in pieces:
                    feed(piece)

            yield f"a chunk, {name}: {what}", best_us(run) / len(pieces)


if __name__ == "__main__":
    sys.exit(main())
