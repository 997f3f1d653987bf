"""What end-to-end tests share: a simulator, and gateways that are stopped at the end."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from e2e_desk import Desk
from e2e_processes import Gateway, Process


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("simulator")
    process = Process("simulate", "--port", "0", "--pace", "0", ready="headworks simulator ready on ", cwd=folder)
    yield process
    assert process.stop() == 0


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def make(config: str, *flags: str) -> Gateway:
        gateway = Gateway(tmp_path, config, *flags)
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        assert gateway.process.stop() == 0, gateway.process.said


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A copy of the support desk; who uses it starts it."""
    made = Desk(tmp_path_factory.mktemp("desk"))
    yield made
    made.stop()
