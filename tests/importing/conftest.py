from pathlib import Path

import pytest
import yaml

from headworks.config import load
from headworks.importing import import_file

FILES = Path(__file__).parent / "files"


class Import:
    """A file imported, and our project that came of it."""

    def __init__(self, made, folder):
        self.made = made
        self.text = made.files["headworks.yaml"]
        for name, text in made.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.folder = folder
        self.config = load(folder).config

    def fate(self, setting):
        """What became of one setting: its fate and the words."""
        found = [(one.fate, one.text) for one in self.made.findings if one.setting == setting]
        assert len(found) == 1, (setting, found)
        return found[0]


@pytest.fixture
def imported(tmp_path):
    """Imports a text or a file of the fixtures."""

    def run(gateway, source, *, environment=None, simulator=None):
        if isinstance(source, str) and len(source) < 100 and (FILES / source).exists():
            path = FILES / source
        else:
            suffix = {"litellm": "yaml", "portkey": "json", "tensorzero": "toml"}[gateway]
            path = tmp_path / f"source.{suffix}"
            path.write_text(source if isinstance(source, str) else yaml.safe_dump(source, sort_keys=False))
        made = import_file(gateway, path, environment=environment or {}, simulator=simulator)
        return Import(made, tmp_path / "made")

    return run
