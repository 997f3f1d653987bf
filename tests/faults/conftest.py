"""What the fault suite shares: the modules beside it, and the processes of the end-to-end tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "e2e")]

from faults_stage import Stage  # noqa: E402  (its folder is on the path from here on)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as made:
        yield made
