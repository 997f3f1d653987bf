"""What is held against the incidents of other gateways: whole processes, sockets, the source itself."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
sys.path.insert(0, str(Path(__file__).parent))

from watching import Trap, Upstream, Watched


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched") / "project"
    folder.mkdir()
    running = Watched(folder, upstream)
    yield running
    assert running.stop() == 0


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    assert not made.was_entered
    made.close()
