"""The refusals of translating: each names the field at fault, and never repeats what stands in it."""

import re

import msgspec

from headworks.calls import Endpoint
from headworks.errors import Refusal

_AT = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_TYPES = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,100}")

_NAMES = {
    None: "another API",
    Endpoint.RESPONSES: "the Responses API",
    Endpoint.CHAT: "the Chat Completions API",
    Endpoint.COMPLETIONS: "the Completions API",
    Endpoint.MESSAGES: "Anthropic's Messages API",
    Endpoint.GENERATE_CONTENT: "Google's Gemini API",
    Endpoint.EMBED_CONTENT: "Google's Gemini API",
    Endpoint.CONVERSE: "Amazon Bedrock's Converse API",
    Endpoint.INVOKE_MODEL: "Amazon Bedrock's InvokeModel API",
}


def unsupported(param: str, target: Endpoint | None, hint: str = "") -> Refusal:
    """The refusal of something that an upstream of the dialect `target` could not honour; None for what none could
    that speaks another dialect than the caller."""
    shown = shown_name(param)
    more = f" {hint}" if hint else ""
    return Refusal(
        400,
        "unsupported_parameter",
        f"'{shown}' cannot be translated: this model's provider is reached through {_NAMES[target]}, which has nothing "
        f"that means the same.{more} Leave it out, or call a model whose provider serves your API itself.",
        param=shown,
    )


def top_k_name(dialect: Endpoint) -> str:
    """What a caller of this dialect calls the number of tokens that are chosen among."""
    return "generationConfig.topK" if dialect is Endpoint.GENERATE_CONTENT else "top_k"


def wrong_shape(error: msgspec.ValidationError, param: str) -> Refusal:
    """What msgspec found wrong in the value of `param`, in the API's words."""
    text = str(error)
    at = _AT.search(text)
    path = shown_name(param + (at[1] if at is not None else ""))
    unknown = _UNKNOWN.match(text)
    if unknown is not None:
        inner = shown_name(f"{path}.{unknown[1]}")
        return Refusal(
            400,
            "unsupported_parameter",
            f"'{inner}' is not known here and so cannot be translated for this model's provider. Leave it out, or call "
            "a model whose provider serves your API itself.",
            param=inner,
        )
    missing = _MISSING.match(text)
    if missing is not None:
        inner = shown_name(f"{path}.{missing[1]}")
        return Refusal(400, "missing_required_parameter", f"Missing required parameter: '{inner}'.", param=inner)
    types = _TYPES.match(text)
    if types is not None:
        return Refusal(
            400,
            "invalid_type",
            f"Invalid type for '{path}': expected {types[1].replace(' | ', ' or ')}, but got {types[2]} instead.",
            param=path,
        )
    if path.endswith(".type"):
        return Refusal(
            400,
            "unsupported_parameter",
            f"'{path}' has a value that cannot be translated for this model's provider.",
            param=path,
        )
    return Refusal(400, "invalid_value", f"Invalid value for '{path}'.", param=path)


def undecodable(param: str) -> Refusal:
    """The refusal of a value that is JSON by its form only: not UTF-8, half a surrogate pair, nested too deeply."""
    return Refusal(400, "invalid_value", f"Invalid value for '{param}': it cannot be decoded.", param=param)


def shown_name(name: str) -> str:
    """`name`, if it is one: what comes from a caller may be anything."""
    return name if _PLAIN_NAME.fullmatch(name) else "(a field with an unusual name)"
