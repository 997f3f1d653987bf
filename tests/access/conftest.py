import pytest

from headworks.access import KeyStore

SECRET = b"5" * 64


class Clock:
    """Unix seconds that stand still until told."""

    def __init__(self) -> None:
        self.now = 1_795_435_200.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path):
    store = KeyStore(tmp_path / "keys.db")
    yield store
    store.close()


@pytest.fixture
def other_store(tmp_path, store):
    """The same file, as another process has it open."""
    other = KeyStore(tmp_path / "keys.db")
    yield other
    other.close()


@pytest.fixture
def make(other_store, clock):
    """Makes a key as an administrator does, in another process than the ring's."""

    def create(**fields: object):
        return other_store.create(**({"secret": SECRET, "now": clock()} | fields))

    return create
