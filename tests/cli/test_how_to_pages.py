"""The samples of the how-to pages on keys and records run, in their order."""

import io
import json
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from headworks.calls import Opened, Outcome, Settled
from headworks.cli import main
from headworks.records import JOURNAL_FOLDER
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
CONFIG = """
providers: {openai: {kind: openai-compatible, base_url: "http://127.0.0.1:1/v1"}}
models: {fast: openai/gpt-6-luna}
"""


def commands(page: str) -> list[list[str]]:
    """Every `$ headworks ...` of a page, as arguments; a redirection is left in."""
    samples = re.findall(r"^```console\n(.*?)^```", (PAGES / page).read_text(), re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("$ headworks ") for sample in samples for line in sample.splitlines()]
    return [shlex.split(line) for line in lines]


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_on_keys(project, capsys, monkeypatch):
    page = commands("keys.md")
    main(["keys", "create", "found", "--json"])
    found = json.loads(capsys.readouterr().out)["key"]

    for command in page:
        monkeypatch.setattr("sys.stdin", io.StringIO(found + "\n"))
        words = command[: command.index("<")] if "<" in command else command
        assert main(words) == 0, (command, capsys.readouterr().err)

    assert len(page) >= 7


def test_the_page_on_records(project, capsys):
    folder = project / ".headworks" / JOURNAL_FOLDER
    folder.mkdir(parents=True)
    call = Settled(Opened("call_19f3a", 1_795_435_200_000_000, "responses", "fast"), "answered", 200, 5)
    (folder / Segment("worker-1", 1, 0).name).write_bytes(MAGIC + frame(call))
    page = commands("records.md")

    for command in page:
        assert main(command) == 0, (command, capsys.readouterr().err)

    assert len(page) >= 9


def test_the_page_on_records_explains_every_outcome():
    listed = re.findall(r"^\| `(\w+)` \|", (PAGES / "records.md").read_text(), re.MULTILINE)

    assert set(get_args(Outcome)) <= set(listed)
