"""The sentences of faults, made of the schema's words and never of the answer's."""

import json
from collections.abc import Sequence

_LONGEST = 300
"""Characters of a list of choices that are shown: enough to choose from, little enough for a log line."""


def type_message(types: Sequence[str]) -> str:
    """A value of another type than those."""
    return f"must be of type {' or '.join(types)}" if types else "must not stand here, or not as this type"


def enum_message(options: Sequence[object]) -> str:
    """A value that is none of those."""
    return f"must be {'one of ' if len(options) > 1 else ''}{listed(options)}"


def required_message(name: str) -> str:
    """An object without one of its properties."""
    return f"must have the property {json.dumps(name, ensure_ascii=False)}, which is missing"


def unknown_property_message(allowed: Sequence[str]) -> str:
    """An object with a property of a name that it may not have."""
    known = f"; allowed are {listed(allowed)}" if allowed else ""
    return f"has a property that the schema does not allow{known}"


def listed(options: Sequence[object]) -> str:
    """The options as JSON, cut where they become too many to read."""
    shown: list[str] = []
    length = 0
    for option in options:
        text = json.dumps(option, ensure_ascii=False)
        length += len(text)
        if shown and length > _LONGEST:
            return f"{', '.join(shown)}, ... ({len(options)} in all)"
        shown.append(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
    return ", ".join(shown)
