"""What the validator says, in our words: the place, the rule and a sentence without anything of the answer."""

import jsonschema_rs

from headworks.screening.output.words import (
    enum_message,
    listed,
    required_message,
    type_message,
    unknown_property_message,
)

_Kinds = jsonschema_rs.ValidationErrorKind

_LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} properties",
    "maxProperties": "must have at most {} properties",
}


def describe(error: jsonschema_rs.ValidationError, document: object) -> tuple[list[str | int], str, str]:
    """Path in the answer, broken keyword, and message.

    Arguments:
        document: the schema; names that an object may have are looked up in it.
    """
    error = _innermost(error)
    if isinstance(error.kind, _Kinds.AdditionalProperties | _Kinds.UnevaluatedProperties):
        message = unknown_property_message(_names_beside(document, error.schema_path))
    else:
        message = _message(error.kind)
    return error.instance_path, error.kind.name, message


def _names_beside(document: object, keyword_path: list[str | int]) -> list[str]:
    """The names under `properties` beside a keyword; none where it is not in this document."""
    node = document
    for part in keyword_path[:-1]:
        if isinstance(node, dict):
            node = node.get(str(part))
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
    properties = node.get("properties") if isinstance(node, dict) else None
    return list(properties) if isinstance(properties, dict) else []


def _innermost(error: jsonschema_rs.ValidationError) -> jsonschema_rs.ValidationError:
    """Of the branches of `anyOf` and `oneOf`, what is wrong with the one that fits furthest, if one does."""
    while isinstance(error.kind, _Kinds.AnyOf | _Kinds.OneOfNotValid):
        first = [branch[0] for branch in error.kind.context if branch]
        deepest = max((len(each.instance_path) for each in first), default=0)
        nearest = [each for each in first if len(each.instance_path) == deepest]
        # At the place itself a branch is meant when it is the only one of the right type.
        right_type = [each for each in nearest if not isinstance(each.kind, _Kinds.Type | _Kinds.Constant)]
        if len(right_type) == 1:
            error = right_type[0]
        elif len(nearest) == 1 and deepest > len(error.instance_path):
            error = nearest[0]
        else:
            break
    return error


def _message(kind: jsonschema_rs.ValidationErrorKind) -> str:  # noqa: C901 - a table that looks into kinds
    match kind:
        case _Kinds.Type(types=types):
            return type_message(types)
        case _Kinds.Enum(options=options):
            return enum_message(options)
        case _Kinds.Constant(expected_value=value):
            return enum_message([value])
        case _Kinds.Required(property=name):
            return required_message(name)
        case _Kinds.Format(format=name):
            return f"must be of the format {listed([name])}"
        case _Kinds.Pattern(pattern=pattern):
            return f"must match the pattern {listed([pattern])}"
        case _Kinds.MultipleOf(multiple_of=factor):
            return f"must be a multiple of {factor}"
        case _Kinds.UniqueItems():
            return "must not have the same item twice"
        case _Kinds.AnyOf(context=context) | _Kinds.OneOfNotValid(context=context):
            return f"fits none of the {len(context)} forms that are allowed here"
        case _Kinds.OneOfMultipleValid():
            return "fits more than one of the forms of which it must fit exactly one"
        case _Kinds.FalseSchema():
            return "must not be there"
    if (limit := getattr(kind, "limit", None)) is not None and kind.name in _LIMITS:
        return _LIMITS[kind.name].format(limit)
    return f"breaks the schema's `{kind.name}`"
