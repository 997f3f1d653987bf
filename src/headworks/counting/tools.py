"""How many tokens tools' definitions are. Always an estimate: no provider says how it writes them for its model."""

from collections.abc import Mapping

import msgspec

from headworks.catalogue import Tokenizer

_A_FUNCTION = 7
_PROPERTIES = 3
_A_PROPERTY = 3
_ENUM = -3
_A_CHOICE = 3
_THE_END = 12
"""OpenAI cookbook, "How to count tokens with tiktoken", 7, "Counting tokens for tool calls": of gpt-4o."""

_DEEPEST = 16


def tools_tokens(tools: object, tokenizer: Tokenizer) -> int:
    """About how many tokens these definitions are, of any dialect; other things than functions count as their JSON."""
    if not isinstance(tools, list) or not tools:
        return 0
    total = 0
    for tool in tools:
        total += sum(_function(each, tokenizer) for each in _functions(tool))
    return total + _THE_END


def json_text(value: object) -> str:
    """A decoded value as compact JSON again, "" for one that is nested too deep to be written."""
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        return ""


def _functions(tool: object) -> list[object]:
    """Chat wraps its functions, Gemini lists them; Responses and Anthropic have them as they are."""
    if isinstance(tool, dict):
        inner = tool.get("function")
        listed = tool.get("functionDeclarations", tool.get("function_declarations"))
        if isinstance(inner, dict):
            return [inner]
        if isinstance(listed, list):
            return listed
    return [tool]


def _function(function: object, tokenizer: Tokenizer) -> int:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return tokenizer.count(json_text(function))
    text = f"{function['name']}:{_line(function.get('description'))}"
    schema = function.get("parameters", function.get("input_schema"))
    return _A_FUNCTION + tokenizer.count(text) + _properties(schema, tokenizer, 0)


def _properties(schema: object, tokenizer: Tokenizer, depth: int) -> int:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return 0
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return _properties(schema.get("items"), tokenizer, depth + 1)
    return _PROPERTIES + sum(_property(name, value, tokenizer, depth) for name, value in properties.items())


def _property(name: object, value: object, tokenizer: Tokenizer, depth: int) -> int:
    if not isinstance(value, Mapping):
        return _A_PROPERTY + tokenizer.count(str(name))
    choices = value.get("enum")
    total = _A_PROPERTY + tokenizer.count(f"{name}:{value.get('type', 'any')}:{_line(value.get('description'))}")
    if isinstance(choices, list):
        total += _ENUM + sum(_A_CHOICE + tokenizer.count(str(choice)) for choice in choices)
    return total + _properties(value, tokenizer, depth + 1)


def _line(text: object) -> str:
    return text.removesuffix(".") if isinstance(text, str) else ""
