"""The document that describes the admin API, written from its table (OpenAPI 3.1)."""

import re
from functools import cache
from typing import Any

import msgspec

from headworks._version import __version__
from headworks.admin.api.operation import Operation
from headworks.admin.api.table import OPERATIONS

_REF = "#/components/schemas/{name}"

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What happened, and what to do."},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field that is at fault."},
                "code": {"type": "string", "description": "For programs."},
            },
        }
    },
}

_STATUSES = {
    "400": "The question is not one.",
    "401": "Nobody knows who asks.",
    "403": "None of their roles may do it.",
    "404": "It does not exist, or not for them.",
    "409": "It cannot be done as things are.",
    "412": "It has changed since they looked (`If-Match`).",
    "429": "Too many requests, or bad keys; `retry-after` says when to go on.",
    "503": "The state cannot be read or written, or the gateway does not run.",
}


@cache
def document() -> bytes:
    """The document, as JSON."""
    return msgspec.json.format(msgspec.json.encode(build()), indent=2) + b"\n"


def build() -> dict[str, Any]:
    """The document."""
    kinds = [kind for one in OPERATIONS for kind in (one.asked, one.answer)]
    _, components = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=_REF, schema_hook=_any)
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, components)
    used = _reached(paths, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headworks admin API", "version": __version__},
        "security": [{"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {name: components[name] for name in sorted(used)} | {"Error": _ERROR},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A virtual key that has a role, or a token of an identity provider.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-headworks-session",
                    "description": "What /login gives a browser. Changes need the header `x-csrf-token`, too.",
                },
            },
        },
    }


def _any(_: type) -> dict[str, Any]:
    """The schema of what may be anything: the configuration has its own."""
    return {"description": "Anything."}


def _operation(one: Operation, components: dict[str, Any]) -> dict[str, Any]:
    asked = components[one.asked.__name__]
    fields: dict[str, Any] = asked.get("properties", {})
    required = asked.get("required", [])
    parameters = [{"name": name, "in": "path", "required": True, "schema": fields[name]} for name in one.path_fields]
    rest = {name: schema for name, schema in fields.items() if name not in one.path_fields}
    found: dict[str, Any] = {
        "operationId": re.sub(r"[._](\w)", lambda match: match[1].upper(), one.name),
        "summary": one.summary,
        "tags": [one.name.partition(".")[0]],
    }
    if one.right is not None:
        found["description"] = f"Takes the right `{one.right.value}`."
        found["x-right"] = one.right.value
    if one.method == "GET":
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in rest.items()
        ]
    elif rest:
        schema = {name: value for name, value in asked.items() if name not in ("properties", "required", "title")}
        schema |= {"properties": rest, "required": [name for name in required if name in rest]}
        found["requestBody"] = {
            "required": bool(schema["required"]),
            "content": {"application/json": {"schema": schema}},
        }
    if one.is_repeatable:
        text = {"type": "string", "maxLength": 128}
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": text,
                "description": "A repeat within a day does nothing, and answers the same without the key.",
            }
        )
    if one.method == "PATCH":
        described = "The `etag` of an earlier answer: the change is refused if it has changed since."
        parameters.append({"name": "If-Match", "in": "header", "schema": {"type": "string"}, "description": described})
    if parameters:
        found["parameters"] = parameters
    error = {"content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}}}
    answer = {"$ref": _REF.format(name=one.answer.__name__)}
    found["responses"] = {
        str(one.status): {"description": one.summary, "content": {"application/json": {"schema": answer}}},
        **{status: {"description": text, **error} for status, text in _STATUSES.items()},
    }
    return found


def _reached(paths: dict[str, Any], components: dict[str, Any]) -> set[str]:
    """The components that something refers to: those of questions stand where they are asked."""
    found: set[str] = set()
    waiting = [paths]
    while waiting:
        value: Any = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name in components and name not in found:
                found.add(name)
                waiting.append(components[name])
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return found
