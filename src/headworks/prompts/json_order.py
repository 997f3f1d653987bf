"""Whether a JSON text has one order: keys that stand once, tools sorted by name.

Tools and schema are sent before all messages, so that a byte that moves in them empties the cache. Keys are judged by
whether there are two orders to read them in, not by the alphabet: models answer in the order of a schema's properties.
"""

import json
import re

from headworks.config.document import Mark
from headworks.prompts.source import mark_at

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)

Disorder = tuple[Mark, str]


class _Open:
    """An object or a list whose end has not come; `keys` is None for a list."""

    def __init__(self, offset: int, *, is_object: bool) -> None:
        self.offset = offset
        self.keys: set[str] | None = set() if is_object else None


def disorders(text: bytes, *, are_tools: bool) -> list[Disorder]:
    """What is not in order, with its place."""
    try:
        decoded = text.decode()
        value = json.loads(decoded)
    except UnicodeDecodeError:
        return [(Mark(1, 1), "is not UTF-8")]
    except json.JSONDecodeError as error:
        return [(Mark(error.lineno, error.colno), "is not JSON from here on")]
    except RecursionError:
        return [(Mark(1, 1), "is nested too deeply")]
    repeated, elements = _scan(decoded)
    found = [
        (mark_at(decoded, offset), "this key stands here a second time: which one counts is up to the reader")
        for offset in repeated
    ]
    if are_tools:
        found += _unsorted(decoded, value, elements)
    return sorted(found, key=lambda each: (each[0].line, each[0].column))


def _scan(text: str) -> tuple[list[int], list[int]]:
    """Offsets of repeated keys, and of the objects in the outermost list. The text is valid JSON."""
    stack: list[_Open] = []
    repeated: list[int] = []
    elements: list[int] = []
    is_key_next = False
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in ("{", "["):
            if word == "{" and len(stack) == 1:
                elements.append(token.start())
            stack.append(_Open(token.start(), is_object=word == "{"))
            is_key_next = word == "{"
        elif word in ("}", "]"):
            stack.pop()
            is_key_next = False
        elif word == ",":
            is_key_next = stack[-1].keys is not None
        elif word == ":":
            is_key_next = False
        elif is_key_next:
            keys = stack[-1].keys
            assert keys is not None
            key = json.loads(word)
            if key in keys:
                repeated.append(token.start())
            keys.add(key)
            is_key_next = False
    return repeated, elements


def _unsorted(text: str, value: object, elements: list[int]) -> list[Disorder]:
    if not isinstance(value, list) or len(elements) != len(value):
        return [(Mark(1, 1), "expected a list of tools")]
    found = []
    names = [_name(tool) for tool in value]
    for before, name, offset in zip(names, names[1:], elements[1:], strict=False):
        if name < before:
            found.append((mark_at(text, offset), "the tools are not sorted by name from here on: sort them"))
            break
    for at, name in enumerate(names):
        if name in names[:at]:
            found.append((mark_at(text, elements[at]), "this tool has the name of an earlier one"))
    return found


def _name(tool: object) -> str:
    """A tool's name in the form of Responses or of Chat; hosted tools have their type for one."""
    if isinstance(tool, dict):
        inner = tool.get("function")
        for holder in (tool, inner if isinstance(inner, dict) else {}):
            if isinstance(name := holder.get("name"), str):
                return name
        return str(tool.get("server_label") or tool.get("type") or "")
    return ""
