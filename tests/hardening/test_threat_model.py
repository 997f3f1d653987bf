"""The page that says what is met names, in each row, tests that exist; and no row is missing."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text("utf-8")
INCIDENTS = PAGE.partition("## Incidents of others")[2].partition("\n## ")[0]
THIRTY = PAGE.partition("## Thirty tests")[2]
TEST = r"`(tests/[\w/]+\.py)::(test_\w+)`"


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def test_every_row_is_shown_by_tests_that_exist():
    named = re.findall(TEST, PAGE)
    files = {file: (ROOT / file).read_text("utf-8") for file in {file for file, _ in named}}

    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in files[file]]
    assert missing == []
    assert [row for row in rows(INCIDENTS) + rows(THIRTY) if re.search(TEST, row) is None] == []


def test_no_incident_and_no_number_is_missing():
    known = (
        "CVE-2024-6587 CVE-2026-42208 CVE-2026-35030 CVE-2026-42271 CVE-2026-48710 CVE-2026-49468 CVE-2026-48746 "
        "CVE-2026-47101 CVE-2026-47102 CVE-2026-40217 CVE-2026-12773 CVE-2026-12796 CVE-2026-30886 CVE-2026-33626 "
        "CVE-2026-22815 CVE-2026-34519 CVE-2026-34525 1.82.7 31620"
    )

    assert [name for name in known.split() if name not in INCIDENTS] == []
    assert [int(row.split("|")[1]) for row in rows(THIRTY)] == list(range(1, 31))


def test_each_of_the_thirty_says_what_it_comes_to():
    assert [row for row in rows(THIRTY) if len(row.split(" | ")) != 4 or not row.split(" | ")[2].strip()] == []


def test_a_row_that_names_no_test_or_one_that_is_not_there_is_noticed():
    """The check itself, on a page that is wrong in both ways."""
    wrong = "| 1 | x | 0 | `tests/hardening/test_threat_model.py::test_that_nobody_has_written` |\n| 2 | x | 0 | none |"
    (named,) = re.findall(TEST, wrong)
    assert f"def {named[1]}(" not in (ROOT / named[0]).read_text("utf-8").replace(wrong, "")
    assert re.search(TEST, wrong.splitlines()[1]) is None


def test_each_of_owasps_ten_has_a_row_that_says_what_is_left_to_the_user():
    table = PAGE.partition("## OWASP Top 10")[2].partition("\n## ")[0]

    assert [row.split()[1] for row in rows(table)] == [f"LLM{number:02}" for number in range(1, 11)]
    assert all(len(row.split(" | ")) == 3 for row in rows(table))


def test_what_answers_without_a_key_is_what_the_page_says():
    from headworks.endpoints import ROUTES

    (listed,) = re.findall(r"without\s+a key but (.*?)\.", PAGE, re.DOTALL)
    assert set(re.findall(r"`(/[^`]+)`", listed)) == {route.path for route in ROUTES if not route.needs_key}
