import json

import pytest


@pytest.fixture
def golden(tmp_path):
    """Writes a golden set of these cases (or raw lines) and returns its path."""

    def do(*cases, name="golden.jsonl"):
        path = tmp_path / name
        path.write_text("".join((case if isinstance(case, str) else json.dumps(case)) + "\n" for case in cases))
        return path

    return do
