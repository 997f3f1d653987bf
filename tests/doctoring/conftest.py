"""Makes the played servers importable, and projects from text."""

import sys
from pathlib import Path

import pytest

from headworks.config import parse

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def project_of(tmp_path):
    def make(text):
        file = tmp_path / "headworks.yaml"
        file.write_text(text)
        file.chmod(0o600)
        return parse(text, file=str(file), base=tmp_path)

    return make
