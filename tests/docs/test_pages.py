"""What the pages say is true: every sample of the README, the tutorial and the how-to guides runs."""

import shutil
import subprocess
from pathlib import Path

import pytest
from doc_reader import Reader
from doc_samples import read_page

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),  # first, for it takes longest: the others run beside it
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_can_be_followed(tmp_path, page):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns(".headworks"))
    reader = Reader(tmp_path)
    try:
        reader.follow(read_page((ROOT / page).read_text("utf-8")))
    finally:
        reader.close()


def test_make_run_starts_what_the_readme_is_followed_with():
    command = ["make", "--no-print-directory", "--dry-run", "run"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    (started,) = read_page((ROOT / "README.md").read_text("utf-8")).run_first
    assert planned.stdout.splitlines()[-1].endswith(f"bin/{started}")
