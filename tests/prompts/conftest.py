import pytest

from headworks.prompts import PromptRegistry, parse

MARKER = "0123456789abcdef"


def make(template, variables="", version="1.0.0", more=""):
    """A prompt of this template; `variables` is the YAML below that word."""
    declared = "variables:\n" + "".join(f"  {line}\n" for line in variables.splitlines()) if variables else ""
    return parse(f"---\nversion: {version}\n{declared}{more}---\n{template}", name="triage", file="prompt.md")


@pytest.fixture
def registry(tmp_path):
    registry = PromptRegistry(tmp_path / "prompts.db")
    yield registry
    registry.close()
