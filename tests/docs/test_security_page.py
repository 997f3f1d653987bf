"""SECURITY.md names only tests that exist, and no guard or header that is not the code's."""

import re
from pathlib import Path

from headworks.admission import FORWARDED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def test_every_test_that_stands_for_a_threat_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)

    missing = [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"^\s*(?:async )?def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    ]

    assert named
    assert not missing


def test_every_threat_is_shown_to_be_met_by_a_test():
    table = PAGE.partition("| threat |")[2].partition("\n\n")[0].splitlines()[2:]

    assert table
    assert [row for row in table if "::test_" not in row] == []


def test_the_headers_that_go_upstream_are_those_of_the_code():
    (listed,) = re.findall(r"Of a caller's headers three go upstream \((.*?)\)", PAGE)

    assert sorted(name.lower() for name in re.findall(r"`([^`]+)`", listed)) == sorted(
        name.decode() for name in FORWARDED
    )
