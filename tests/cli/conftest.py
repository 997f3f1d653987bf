import shutil
from pathlib import Path

import pytest

from headworks.cli import main

DESK = Path(__file__).parents[2] / "examples" / "support-desk"


class Desk:
    """A copy of the support desk, and the command line in front of it."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self.triage = folder / "workloads" / "ticket-triage"
        self._capsys = capsys

    def run(self, *words):
        """A command's exit code, output and errors."""
        code = main([*words, "--config", str(self.folder / "headworks.yaml")])
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    def edit(self, name, old, new):
        """Change a file of ticket-triage."""
        path = self.triage / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def desk(tmp_path, capsys):
    folder = tmp_path / "desk"
    shutil.copytree(DESK, folder, ignore=shutil.ignore_patterns(".headworks"))
    return Desk(folder, capsys)
