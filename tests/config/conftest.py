from collections.abc import Callable
from pathlib import Path

import pytest

from headworks.config import Project, parse
from headworks.errors import ConfigError

SIMULATOR = "providers: {sim: {kind: simulator}}\n"


@pytest.fixture
def project(tmp_path) -> Callable[[str], Project]:
    """Reads a configuration's text as if it stood in a folder of its own."""
    return lambda text: parse(text, file=str(tmp_path / "headworks.yaml"), base=tmp_path)


@pytest.fixture
def problems() -> Callable[[str], list[str]]:
    """The problems of a configuration's text, each as `line:column: message`."""

    def find(text: str) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            parse(text, file="headworks.yaml", base=Path("/nowhere"))
        return [str(problem).removeprefix("headworks.yaml:") for problem in raised.value.problems]

    return find
