"""What screening for personal data costs, and how often it is wrong on text that holds none.

    .venv/bin/python -m benchmarks.privacy
    .venv/bin/python -m benchmarks.privacy --text-folder ~/src/project --show ip

Prints microseconds per KB on clean prose, code and a prompt with entities, milliseconds on 200 KB of hostile text, both
with RE2 and without, the cost of a streamed chunk, and findings per MB on the standard library's code, on its prose
(docstrings and documents), and on made-up logs, by kind. E-mail addresses of authors in the standard library are right.
Bars: docs/explanation/performance.md, "PII + injection screen of a 2 KB prompt".
"""

import argparse
import ast
import json
import platform
import random
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from headworks.config.privacy import Privacy
from headworks.screening.privacy import AnswerScreen, Finder, PrivacyPolicy, Redactor, Restorer, TokenBook
from headworks.screening.privacy.engines import re2

PROSE = (
    "The committee met on a rainy afternoon to discuss what the new library should hold, and whether the reading room "
    "could be kept open later. Several members thought that three more shelves would do for the next 10 years. Others "
    "asked for chapter 4 of the plan from 2024 to be read again, since costs had grown by 12.5 % in the meantime. "
)
ENTITIES = (
    "Please reply to jane.roe@example.org or call +44 20 7946 0958. Her card 4111 1111 1111 1111 was charged twice, "
    "and IBAN DE89 3704 0044 0532 0130 00 is where the refund goes. SSN 219-09-9998, seen from client 81.2.69.160. "
)
HOSTILE = {
    "digits": "1", "spaced digits": "1 2 3 4 5 ", "at signs": "a@", "dots": "a.", "card groups": "4111 ",
    "wrong cards": "4111111111111112 ", "IBAN starts": "GB82", "IBAN words": "GB82 WEST ", "versions": "1.2.3.4.",
    "key starts": "-----BEGIN PRIVATE KEY-----", "passwords": "password=", "tokens": "token: ", "prefixes": "sk-",
    "base 58": "1A", "nine digits": "123456789 ", "hex": "0xaB", "MACs": "aa:bb:", "dates": "born on ",
    "urls": "http://a:", "letters": "a", "dashes": "-", "accents": "é",
}  # fmt: skip
HOSTILE_CHARACTERS = 200_000


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__.partition("\n")[0])
    parser.add_argument("--text-folder", type=Path, help="a folder of text files to count findings in as well")
    parser.add_argument("--show", metavar="KIND", help="show what was found of this kind, to judge whether it is right")
    parser.add_argument("--quick", action="store_true", help="a tenth of the standard library, and fewer runs")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {sysconfig.get_config_var('CONFIG_ARGS') or 'unknown build'}")
    finders = {"re2": Finder()} if re2 is not None else {}
    finders["python"] = Finder(prefers_re2=False)
    _costs(finders, runs=50 if options.quick else 300)
    _hostile(finders)
    _calls(runs=200 if options.quick else 2000)
    best = next(iter(finders.values()))
    for name, texts in corpora(options.text_folder, step=10 if options.quick else 1).items():
        _mistakes(best, name, texts, options.show)
    return 0


def _best_us(run: Callable[[], object], runs: int) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(runs):
            run()
        best = min(best, (time.perf_counter() - start) / runs)
    return best * 1e6


def _costs(finders: dict[str, Finder], runs: int) -> None:
    code = Path(argparse.__file__).read_text()[20_000:22_048]
    texts = {
        "clean prose, 2 KB": (PROSE * 8)[:2048],
        "clean prose, accents": (PROSE.replace("e", "é", 3) * 8)[:2048],
        "code, 2 KB": code,
        "6 entities, 2 KB": (ENTITIES + PROSE * 8)[:2048],
    }
    print("\nus a text (us per KB)      " + "".join(f"{name:>20}" for name in finders))
    for name, text in texts.items():
        figures = [_best_us(lambda finder=finder, text=text: finder.find(text), runs) for finder in finders.values()]
        print(f"{name:26} " + "".join(f"{us:>11.1f} ({us / 2:>5.1f})" for us in figures))


def _hostile(finders: dict[str, Finder]) -> None:
    print(f"\nms for {HOSTILE_CHARACTERS // 1000} KB, first time " + "".join(f"{name:>12}" for name in finders))
    for name, piece in HOSTILE.items():
        text = (piece * (HOSTILE_CHARACTERS // len(piece) + 1))[:HOSTILE_CHARACTERS]
        row = []
        for finder in finders.values():
            start = time.perf_counter()
            finder.find(text)
            row.append((time.perf_counter() - start) * 1e3)
        print(f"{name:25} " + "".join(f"{ms:>12.1f}" for ms in row))


def _calls(runs: int) -> None:
    policy = PrivacyPolicy.compile(Privacy(answer="report"))
    redactor = Redactor(policy)
    clean = json.dumps({"model": "m", "messages": [{"role": "user", "content": (PROSE * 8)[:2048]}]}).encode()
    full = json.dumps({"model": "m", "messages": [{"role": "user", "content": (ENTITIES + PROSE * 8)[:2048]}]}).encode()

    def a_book() -> TokenBook:
        return TokenBook(b"t" * 32)

    print("\na call                                     us")
    print(f"redact a clean body of 2 KB        {_best_us(lambda: redactor.redact(clean, a_book()), runs):>10.1f}")
    print(f"redact one with 6 entities         {_best_us(lambda: redactor.redact(full, a_book()), runs // 4):>10.1f}")
    book = a_book()
    text, _ = redactor.redact_text(ENTITIES, book)
    pieces = [text[place : place + 20] for place in range(0, len(text), 20)] * 4

    def restore() -> None:
        stream = Restorer(book, policy.form).stream()
        for piece in pieces:
            stream.feed(piece)

    def screen() -> None:
        stream = AnswerScreen(policy, book).stream()
        for piece in pieces:
            stream.feed(piece)

    print(f"restore a chunk of 20 characters   {_best_us(restore, runs // 10) / len(pieces):>10.2f}")
    print(f"screen a chunk of 20 characters    {_best_us(screen, runs // 10) / len(pieces):>10.2f}")


def corpora(folder: Path | None, step: int) -> dict[str, list[str]]:
    """Texts that hold next to no personal data, by what they are; `step` is each how manieth file is read."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)[::step]
    code = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    prose = [text for source in code for text in _docstrings(source)]
    # Beside the docstrings, whatever documents lie around: read-me files and the like.
    documents = [path for end in ("rst", "txt", "md") for path in library.rglob(f"*.{end}")]
    documents = sorted(path for path in documents if "site-packages" not in path.parts)[::step]
    prose += [path.read_text(encoding="utf-8", errors="replace") for path in documents]
    corpora = {"code": code, "prose": prose, "logs": list(_logs(20_000 // step))}
    if folder is not None:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        corpora[str(folder)] = [path.read_text(encoding="utf-8", errors="ignore") for path in files]
    return corpora


def _docstrings(source: str) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text


def _logs(lines: int) -> Iterator[str]:
    """Lines full of numbers that are nobody's: ids, versions, hashes, epochs, sizes. Private addresses only."""
    rng = random.Random(11)

    def number(most: int) -> int:
        return rng.randrange(most)

    for _ in range(lines):
        version = ".".join(str(number(100)) for _ in range(4))
        moment = f"2026-11-2{number(10)}T10:{10 + number(50)}:01.{number(10**6):06}Z"
        yield rng.choice(
            [
                f"{moment} INFO request id={number(10**16):016}",
                f"order {number(10**12)} shipped, invoice no. {number(10**9):09}, total {rng.random() * 1000:.2f}",
                f"[{number(2**31)}] upgrade to version {version}",
                f"commit {rng.randbytes(20).hex()} by build {number(10**6)}",
                f"trace={rng.randbytes(16).hex()} span={rng.randbytes(8).hex()} ts={1732540000 + number(10**6)}",
                f"10.{number(256)}.{number(256)}.7 - - GET /items/{number(10**10)}?page={number(99)} 200",
                f"kernel: [{rng.random() * 10000:.6f}] eth0: mtu 1500, {number(10**11)} bytes, seq {number(10**10)}",
                f"{number(10**13)} uuid 123e4567-e89b-12d3-a456-{rng.randbytes(6).hex()} retry {number(6)}/5",
            ]
        )


def _mistakes(finder: Finder, name: str, texts: list[str], shown: str | None) -> None:
    counts: Counter[str] = Counter()
    characters = 0
    start = time.perf_counter()
    for text in texts:
        characters += len(text)
        for finding in finder.find(text):
            counts[finding.kind] += 1
            if finding.kind == shown:
                around = text[max(0, finding.start - 30) : finding.end + 10].replace("\n", " ")
                print(f"    {text[finding.start : finding.end]!r} in {around!r}")
    took = time.perf_counter() - start
    megabytes = characters / 1e6
    rate = sum(counts.values()) / megabytes
    print(f"\n{name}: {megabytes:.1f} MB, {rate:.1f} findings a MB, {took * 1e3 / megabytes:.0f} ms a MB")
    for kind, count in counts.most_common():
        print(f"    {kind:20} {count:>6} {count / megabytes:>8.2f} a MB")


if __name__ == "__main__":
    sys.exit(main())
