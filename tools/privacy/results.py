"""Measure how well personal data is found, and write the table of docs/explanation/privacy-results.md.

    .venv/bin/python tools/privacy/results.py            print it
    .venv/bin/python tools/privacy/results.py --write    write it into the page

Values come from seeded generators that are not ours where there are any (python-stdnum's check digits, Faker in ten
locales); texts without any are the standard library's code, its docstrings and documents, and made-up logs.
"""

import argparse
import platform
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from faker import Faker

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "screening" / "privacy")]

from corpus import BETWEEN, CHECKED, cases  # noqa: E402 - the corpus stands beside the tests

from benchmarks.privacy import corpora  # noqa: E402
from headworks.screening.privacy import KINDS, Finder  # noqa: E402

PAGE = ROOT / "docs" / "explanation" / "privacy-results.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "sv_SE", "pt_BR")
_CARDS = ("visa", "mastercard", "amex", "discover", "jcb15", "maestro")

Case = tuple[str, int, int]


def of_locales(count: int) -> Iterator[tuple[str, Case]]:
    """Values of Faker in each locale, by kind, in texts."""
    rng = random.Random(3)  # noqa: S311 - no secrets
    for locale in LOCALES:
        fake = Faker(locale)
        fake.seed_instance(7)
        for _ in range(count):
            for kind, lead, value in (
                ("email", "", fake.email()),
                ("iban", "", fake.iban()),
                ("phone", "Call me: ", fake.phone_number()),
                ("card", "Card: ", fake.credit_card_number(card_type=rng.choice(_CARDS))),
            ):
                text = rng.choice(BETWEEN).format(lead + value)
                start = text.rindex(value)
                yield kind, (text, start, start + len(value))


def measured(finder: Finder, kind: str, found_in: list[Case]) -> tuple[float, float, float]:
    """Recall and precision of spans, and the share of values that have the right kind."""
    found = right = named = 0
    for text, start, end in found_in:
        findings = finder.find(text)
        found += len(findings)
        hits = [one for one in findings if one.start <= start and one.end >= end]
        right += len(hits)
        named += any(one.kind == kind for one in hits)
    return right / len(found_in), right / max(found, 1), named / len(found_in)


def rows(count: int, step: int) -> Iterator[str]:
    """The lines of the table.

    Arguments:
        count: values of each kind.
        step: each how many files of the standard library are read.
    """
    finder = Finder()
    made: dict[str, list[Case]] = {kind: list(cases(kind, count)) for kind in CHECKED}
    for kind, case in of_locales(max(1, count // 10)):
        made.setdefault(f"{kind} (Faker)" if kind in CHECKED else kind, []).append(case)
    wrong, sizes = {}, {}
    for name, texts in corpora(None, step=step).items():
        wrong[name] = Counter(finding.kind for text in texts for finding in finder.find(text))
        sizes[name] = sum(map(len, texts)) / 1e6
    read = ", ".join(f"{size:.1f} MB of {name}" for name, size in sizes.items())
    yield f"{count:,} values a kind; {read}; Python {platform.python_version()}."
    yield ""
    yield "| kind | recall | precision | kind right | found a MB of code | of logs | of prose |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for kind in [*KINDS, *(name for name in made if name not in KINDS)]:
        bare = kind.partition(" ")[0]
        figures = [f"{share:.4f}" for share in measured(finder, bare, made[kind])] if kind in made else ["", "", ""]
        rates = [f"{wrong[name][kind] / sizes[name]:.2f}" for name in ("code", "logs", "prose")]
        yield f"| `{bare}`{kind[len(bare) :]} | {' | '.join(figures)} | {' | '.join(rates)} |"
    totals = [f"{sum(wrong[name].values()) / sizes[name]:.2f}" for name in ("code", "logs", "prose")]
    yield f"| all | | | | {' | '.join(totals)} |"


def main() -> int:
    """Print or write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="into docs/explanation/privacy-results.md")
    parser.add_argument("--count", type=int, default=3000, help="values of each kind")
    parser.add_argument("--step", type=int, default=1, help="read each so manieth file of the standard library")
    options = parser.parse_args()
    table = "\n".join(rows(options.count, options.step))
    if not options.write:
        print(table)
        return 0
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
