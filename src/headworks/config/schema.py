"""The JSON Schemas of our files, for editors: made from the structs, so that they cannot differ from them."""

from typing import Any

import msgspec

from headworks.config.contract import Contract
from headworks.config.sections.base import Section
from headworks.config.shape import Config

SCHEMA_FILE = "headworks.schema.json"
"""The name that the schema has beside a `headworks.yaml`."""

WORKLOAD_SCHEMA_FILE = "workload.schema.json"
"""The name that the schema of a `workload.yaml` has where it is published."""


def json_schema() -> dict[str, Any]:
    """The schema (JSON Schema draft 2020-12) that an editor completes and checks `headworks.yaml` with.

    It states types, bounds, choices and descriptions. What holds between fields (`kind: openai` needs `api_key`, a
    model's provider must exist) and the finer forms of text are checked on loading only.
    """
    components = _components(Config)
    for name in ("provider", "model", "targets"):  # the first two are needed, or the third is: none has a default
        components["Model"]["properties"][name].pop("default", None)
    for name in ("Model", "ModelTarget"):
        whole = components.pop(name)
        components[name] = {
            "description": whole.pop("description"),
            "anyOf": [{"type": "string", "pattern": "^[^/]+/.+$", "examples": ["openai/gpt-6-luna"]}, whole],
        }
    provider = components["Provider"]["properties"]
    for name in ("base_url", "speaks"):  # their defaults depend on the kind: the description says how
        provider[name].pop("default", None)
    return _schema(components, Config, "headworks.yaml")


def workload_schema() -> dict[str, Any]:
    """The schema (JSON Schema draft 2020-12) that an editor completes and checks `workload.yaml` with.

    Which models and tiers exist, which files lie beside it, and what holds between fields is checked on loading only.
    """
    return _schema(_components(Contract), Contract, "workload.yaml")


def json_schema_text() -> str:
    """The schema of `headworks.yaml` as a file holds it: indented, with a line's end at the end."""
    return _text(json_schema())


def workload_schema_text() -> str:
    """The schema of `workload.yaml` as a file holds it."""
    return _text(workload_schema())


def _components(root: type[Section]) -> dict[str, Any]:
    (_, components) = msgspec.json.schema_components([root], ref_template="#/$defs/{name}")
    for component in components.values():
        _as_written(component)
    return components


def _as_written(schema: Any) -> None:
    """Make exact decimals the plain numbers that a file has (msgspec has them as text), and tuples lists."""
    if isinstance(schema, list):
        for each in schema:
            _as_written(each)
    if not isinstance(schema, dict):
        return
    if schema.get("format") == "decimal":
        schema["type"] = "number"
        del schema["format"]
        if "default" in schema:
            schema["default"] = int(schema["default"])  # ours are whole
    if isinstance(schema.get("default"), tuple):
        schema["default"] = list(schema["default"])
    for each in schema.values():
        _as_written(each)


def _schema(components: dict[str, Any], root: type[Section], title: str) -> dict[str, Any]:
    top = components.pop(root.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **{key: value for key, value in top.items() if key != "title"},
        "$defs": dict(sorted(components.items())),
    }


def _text(schema: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"
