"""The schema that a workload's answers must satisfy, compiled once and asked at every answer.

JSON Schema draft 2020-12, judged by jsonschema-rs with its linear-time regular expressions: no pattern and no answer
makes a check run away. Formats are judged too (the draft leaves that open; who writes `"format": "date"` means it).
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Protocol, TypedDict

import jsonschema_rs

from headworks.errors import ConfigError, Problem
from headworks.screening.output.canonical import canonical_json
from headworks.screening.output.faults import OutputFault, masked_pointer, pointer_of
from headworks.screening.output.judging import describe
from headworks.screening.output.places import place_of, place_of_break
from headworks.screening.output.reading import JsonValue, read_json
from headworks.screening.output.shape import Shape, Shapes, depends_on_its_place, names_in
from headworks.screening.output.strict import SchemaProblem, strict_problems

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES = ("$ref", "$dynamicRef")


class _Validator(Protocol):
    def validate(self, _instance: object, /) -> None: ...


class _Options(TypedDict):
    pattern_options: jsonschema_rs.RegexOptions
    validate_formats: bool
    offline: bool


class OutputSchema:
    """One compiled schema. Immutable, and shared by all calls of a workload.

    Attributes:
        name: what it is called upstream.
        canonical: the schema without white space, its key order kept: models write properties in that order.
        hash: the SHA-256 of `canonical`, in hexadecimal.
        strict_problems: what keeps it out of OpenAI's strict subset.
    """

    __slots__ = (
        "_document",
        "_fields",
        "_known_names",
        "_validator",
        "canonical",
        "hash",
        "name",
        "shape",
        "strict_problems",
    )

    def __init__(
        self,
        name: str,
        canonical: bytes,
        document: JsonValue,
        validator: _Validator,
        fields: Mapping[str, _Validator],
    ) -> None:
        self.name = name
        self.canonical = canonical
        self.hash = hashlib.sha256(canonical).hexdigest()
        self.strict_problems: tuple[SchemaProblem, ...] = tuple(strict_problems(document))
        self._validator = validator
        self._known_names = names_in(document)
        self._document = document
        self._fields = fields
        self.shape: Shape = Shapes(document).root

    @classmethod
    def compile(cls, text: bytes, *, name: str, file: str = "", asserts_formats: bool = True) -> "OutputSchema":
        """The schema that this text says.

        Arguments:
            text: JSON in UTF-8. A boolean is a schema, too.
            name: what it is called upstream.
            file: where it was read, for problems; the name where there is none.
            asserts_formats: False makes `format` a remark, as the draft has it by default.

        Raises:
            ConfigError: it is not JSON, has a name twice, is of another draft, is no valid schema, needs more than
                itself to be resolved, or has a pattern that cannot be matched in linear time.
        """
        file = file or name
        document = read_json(text)
        if isinstance(document, OutputFault):
            line, column = place_of_break(text)
            raise ConfigError(Problem(file, line, column, f"the schema {document.message}"))
        if not isinstance(document, dict | bool):
            raise ConfigError(Problem(file, 1, 1, "a schema must be an object (or a boolean)"))
        if isinstance(document, dict) and document.get("$schema", DRAFT) not in (DRAFT, f"{DRAFT}#"):
            message = f"`$schema` must be {DRAFT} (or be left out): answers are validated by draft 2020-12"
            raise ConfigError(_problem(file, text, "/$schema", message))
        options: _Options = {
            "pattern_options": jsonschema_rs.RegexOptions(),
            "validate_formats": asserts_formats,
            "offline": True,
        }
        try:
            validator = jsonschema_rs.Draft202012Validator(document, **options)
            fields = _field_validators(document, options)
        except jsonschema_rs.ValidationError as error:
            raise ConfigError(_invalid(file, text, document, error)) from None
        canonical = canonical_json(text, sorts_keys=False).encode()
        return cls(name, canonical, document, validator, fields)

    @property
    def is_strict(self) -> bool:
        """Whether it is within OpenAI's strict subset of JSON Schema."""
        return not self.strict_problems

    @property
    def known_names(self) -> frozenset[str]:
        """The property names that it speaks of."""
        return self._known_names

    def check(self, text: str | bytes) -> OutputFault | None:
        """What is wrong with an answer; None if it is right. The first fault counts."""
        value = read_json(text, self._known_names)
        return value if isinstance(value, OutputFault) else self.check_value(value)

    def check_value(self, value: JsonValue) -> OutputFault | None:
        """What is wrong with an answer that has been read already."""
        return self._judge(self._validator, value)

    def check_field(self, name: str, value: JsonValue) -> OutputFault | None:
        """What is wrong with a property of the answer, as far as its own sub-schema says.

        What is found is certain. None means that there is nothing to say yet: rules about the whole may still break.
        """
        validator = self._fields.get(name)
        if validator is None:
            return None
        fault = self._judge(validator, value)
        return None if fault is None else fault.below(pointer_of([name]))

    def _judge(self, validator: _Validator, value: JsonValue) -> OutputFault | None:
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            path, rule, message = describe(error, self._document)
            return OutputFault(masked_pointer(path, self._known_names), rule, message)
        return None


def _field_validators(document: JsonValue, options: _Options) -> Mapping[str, _Validator]:
    """A validator for each property of the root, where its sub-schema means the same when it is taken alone.

    `properties` of the root apply to every answer, whatever stands beside them.
    """
    properties = document.get("properties") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(properties, dict) or depends_on_its_place(document):
        return {}
    all_validators = jsonschema_rs.validator_map_for(document, **options)
    found = {name: all_validators.get(f"#{pointer_of(['properties', name])}") for name in properties}
    return {name: validator for name, validator in found.items() if validator is not None}


def _problem(file: str, text: bytes, pointer: str, message: str) -> Problem:
    line, column = place_of(text, pointer)
    return Problem(file, line, column, f"{pointer or 'the whole schema'}: {message}")


def _invalid(file: str, text: bytes, document: JsonValue, error: jsonschema_rs.ValidationError) -> Problem:
    pointer = pointer_of(error.instance_path)
    if error.kind.name == "pattern" or (error.instance_path and error.instance_path[-1] == "pattern"):
        return _problem(
            file,
            text,
            pointer,
            "is no regular expression that can be matched in linear time; do without look-around and back-references",
        )
    if not isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
        return _problem(file, text, pointer, f"the schema is not valid: {error.message}")
    for place, reference in _references(document, ()):
        if reference.partition("#")[0] in error.message and reference.partition("#")[2] in error.message:
            message = f"{reference!r} cannot be resolved: nothing is fetched; put what it means under `$defs`"
            return _problem(file, text, pointer_of(place), message)
    return _problem(file, text, "", f"a reference cannot be resolved: {error.message}")


def _references(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for part, child in children:
        if part in _REFERENCES and isinstance(child, str):
            yield (*path, part), child
        else:
            yield from _references(child, (*path, part))
