"""The gateways whose files can be imported, by the name that the command line has for them."""

from collections.abc import Mapping
from pathlib import Path

from headworks.importing.litellm import import_litellm
from headworks.importing.portkey import import_portkey
from headworks.importing.result import Imported
from headworks.importing.source import read_toml, read_yaml
from headworks.importing.tensorzero import import_tensorzero

GATEWAYS = ("litellm", "portkey", "tensorzero")
"""LiteLLM's `config.yaml`, a config of Portkey's or its `conf.json`, `tensorzero.toml`."""


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
    if gateway == "litellm":
        return import_litellm(read_yaml(path), environment=environment, simulator=simulator)
    if gateway == "portkey":
        return import_portkey(read_yaml(path), simulator=simulator)
    return import_tensorzero(read_toml(path), folder=path.parent, simulator=simulator)
