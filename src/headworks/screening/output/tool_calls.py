"""The tools that a model may call, and the check of what it calls them with."""

from collections.abc import Mapping

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.screening.output.faults import OutputFault
from headworks.screening.output.places import place_of
from headworks.screening.output.reading import read_json
from headworks.screening.output.schema import OutputSchema
from headworks.screening.output.words import listed

_NO_PARAMETERS = b'{"type":"object"}'


class _Function(msgspec.Struct):
    name: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"null")
    strict: bool | None = None


class _Tool(_Function):
    type: str = "function"
    function: _Function | None = None
    custom: _Function | None = None


class ToolSet:
    """The tools of a workload: those with arguments by their schemas; immutable.

    Tools that run at the provider (`web_search` and the like) are never called through us, and are passed over.
    """

    __slots__ = ("_free_text", "_schemas")

    def __init__(self, schemas: Mapping[str, OutputSchema], free_text: frozenset[str]) -> None:
        self._schemas = schemas
        self._free_text = free_text

    @classmethod
    def compile(cls, tools: bytes, *, file: str = "tools.json") -> "ToolSet":
        """The tools of a JSON array as the Responses API has it, or Chat's with `function` around each.

        Arguments:
            file: where it was read, for problems.

        Raises:
            ConfigError: it is not such an array, two tools share a name, a schema is not valid, or a tool says
                `strict` and its schema is outside the strict subset. Names every tool that has a problem.
        """
        fault = read_json(tools)
        if isinstance(fault, OutputFault):
            raise ConfigError(Problem(file, 0, 0, f"the list of tools {fault.message}"))
        try:
            decoded = msgspec.json.decode(tools, type=list[_Tool])
        except msgspec.ValidationError as error:
            raise ConfigError(
                Problem(file, 0, 0, f"not a list of tools as the Responses API has it: {error}")
            ) from None
        schemas: dict[str, OutputSchema] = {}
        free_text: set[str] = set()
        problems: list[Problem] = []
        for index, tool in enumerate(decoded):
            if tool.type not in ("function", "custom"):
                continue
            nested = tool.function if tool.type == "function" else tool.custom
            function = nested or tool
            pointer = f"/{index}/{tool.type}" if nested else f"/{index}"
            line, column = place_of(tools, pointer)
            if not function.name:
                problems.append(Problem(file, line, column, f"{pointer}: a tool of type {tool.type} needs a `name`"))
            elif function.name in schemas or function.name in free_text:
                problems.append(Problem(file, line, column, f"{pointer}: there are two tools {function.name!r}"))
            elif tool.type == "custom":
                free_text.add(function.name)
            else:
                found, schema = _compiled(function, function.name, Problem(file, line, column, pointer))
                problems.extend(found)
                if schema is not None:
                    schemas[function.name] = schema
        if problems:
            raise ConfigError(*problems)
        return cls(schemas, frozenset(free_text))

    @property
    def names(self) -> tuple[str, ...]:
        """The names that may be called."""
        return (*self._schemas, *sorted(self._free_text))

    def check_call(self, name: str, arguments: str) -> OutputFault | None:
        """What is wrong with a call; None if it is right. A custom tool takes any text."""
        schema = self._schemas.get(name)
        if schema is not None:
            return schema.check(arguments)
        if name in self._free_text:
            return None
        known = f"; there are {listed(self.names)}" if self.names else ""
        return OutputFault("", "unknown-tool", f"calls a tool that there is not{known}")


def _compiled(function: _Function, name: str, at: Problem) -> tuple[list[Problem], OutputSchema | None]:
    """The schema of a tool's arguments, and what is wrong with it. `at` is the tool's place, its message a pointer."""
    raw = bytes(function.parameters)
    try:
        schema = OutputSchema.compile(_NO_PARAMETERS if raw == b"null" else raw, name=name, file=at.file)
    except ConfigError as error:
        # Lines within a tool's own schema would be those of another text.
        return [
            Problem(at.file, at.line, at.column, f"{at.message}/parameters of {name!r}: {problem.message}")
            for problem in error.problems
        ], None
    if not function.strict:
        return [], schema
    return [
        Problem(at.file, at.line, at.column, f"{at.message}/parameters{problem.pointer} of {name!r}: {problem.message}")
        for problem in schema.strict_problems
    ], schema
