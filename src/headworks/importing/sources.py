"""The gateways whose files can be imported, by the name that the command line has for them."""

from collections.abc import Mapping
from pathlib import Path

from headworks.importing.litellm import import_litellm
from headworks.importing.result import Imported
from headworks.importing.source import read_yaml

GATEWAYS = {
    "litellm": "LiteLLM's proxy configuration, YAML",
}
"""What each one's file is."""


def import_file(gateway: str, path: Path, *, environment: Mapping[str, str], simulator: str | None = None) -> Imported:
    """Our files in the place of another gateway's.

    Arguments:
        gateway: one of `GATEWAYS`.
        path: its file.
        environment: where a variable is looked up that stands for an address.
        simulator: an origin such as `http://127.0.0.1:4010`, which then stands in for all providers.

    Raises:
        ConfigError: the file cannot be read.
    """
    return import_litellm(read_yaml(path), environment=environment, simulator=simulator)
