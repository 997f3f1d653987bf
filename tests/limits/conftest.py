"""A real Valkey for the tests of this room."""

import pytest

from valkey_process import ValkeyProcess


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory):
    """A server for tests that leave it running; each uses keys of its own."""
    server = ValkeyProcess(tmp_path_factory.mktemp("valkey"))
    yield server
    server.kill()


@pytest.fixture
def start_valkey(tmp_path):
    """Starts servers for one test."""
    started = []

    def start(*options):
        folder = tmp_path / f"valkey-{len(started)}"
        folder.mkdir()
        started.append(ValkeyProcess(folder, *options))
        return started[-1]

    yield start
    for server in started:
        server.resume()
        server.kill()
