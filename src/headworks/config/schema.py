"""The JSON Schema of `headworks.yaml`, for editors: made from the structs, so that it cannot differ from them."""

from typing import Any

import msgspec

from headworks.config.shape import Config

SCHEMA_FILE = "headworks.schema.json"
"""The name that the schema has beside a `headworks.yaml`."""


def json_schema() -> dict[str, Any]:
    """The schema (JSON Schema draft 2020-12) that an editor completes and checks `headworks.yaml` with.

    It states types, bounds, choices and descriptions. What holds between fields (`kind: openai` needs `api_key`, a
    model's provider must exist) and the finer forms of text are checked on loading only.
    """
    (_, components) = msgspec.json.schema_components([Config], ref_template="#/$defs/{name}")
    model = components.pop("Model")
    components["Model"] = {
        "description": model.pop("description"),
        "anyOf": [{"type": "string", "pattern": "^[^/]+/.+$", "examples": ["openai/gpt-6-luna"]}, model],
    }
    provider = components["Provider"]["properties"]
    for name in ("base_url", "speaks"):  # their defaults depend on the kind: the description says how
        provider[name].pop("default", None)
    root = components.pop("Config")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "headworks.yaml",
        **{key: value for key, value in root.items() if key != "title"},
        "$defs": dict(sorted(components.items())),
    }


def json_schema_text() -> str:
    """The schema as a file holds it: indented, with a line's end at the end."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"
