"""What is answered without a model: first, by a workload's code, and last, from its fallback files.

`first.py` is a function of the call that is asked before any model; what it leaves is the model's.

`fallback.json` and `fallback.md` are templates over the call, of which one without a variable is a static answer;
`fallback.py` is a function of the call, and what it fails in they are there for. Whatever comes of them is held to the
workload's schema: an answer that breaks it is never passed on.
"""

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import msgspec

from headworks.config import FIRST_CODE_FILE, Workload
from headworks.errors import ConfigError, Problem
from headworks.exchange import last_answer_s
from headworks.prompts import AnswerTemplate, AnswerUnfit, Variable, parse_answer
from headworks.screening import NO_ANSWER, AnswerRunner, OutputFault, OutputSchema
from headworks.settlement import Work

LEAST_S = 0.05
"""Even where the call's time is used up, a function has so long: who waits gets an answer, or an error."""


class LastAnswer(msgspec.Struct, frozen=True, eq=False):
    """What one version of a workload answers without a model.

    Attributes:
        template: None where there is only a function.
        schema: what answers must satisfy.
        function_s: seconds that the function may take; 0 where there is none.
    """

    template: AnswerTemplate | None
    schema: OutputSchema | None
    function_s: float = 0.0

    def set_aside_s(self, left_s: float) -> float:
        """Of the seconds that a call has left for its last target, those that are kept for this answer."""
        return last_answer_s(left_s, self.function_s)

    async def say(
        self,
        asked: str,
        context: Mapping[str, object],
        values: Mapping[str, object],
        *,
        runner: AnswerRunner | None,
        due_s: float,
        record: Work,
        file: str = "fallback.py",
    ) -> str | None:
        """The answer's text; None if there is none that the schema lets through.

        Arguments:
            asked: the caller's last message.
            context: what the function gets to know of the call.
            values: of the prompt's variables.
            runner: asks the function.
            due_s: when the call must be over, of `time.perf_counter`.
            record: why there is none goes there.
            file: the name of the function's, for the record.
        """
        if runner is not None and self.function_s:
            within_s = max(LEAST_S, due_s - perf_counter())
            # In a task: the runner has a time limit of asyncio's, which a flow does not know.
            asking = asyncio.get_running_loop().create_task(runner.say(asked, context, within_s=within_s))
            said = await asking
            fault = "" if said.text is None else self._fault(said.text)
            if said.text is not None and not fault:
                return said.text
            if fault or said.reason != NO_ANSWER or file != FIRST_CODE_FILE:  # to leave it to a model is no fault
                record.note_attempt(file)
                record.note_end(fault or said.reason)
        if self.template is None:
            return None
        try:
            text = self.template.render(values, asked)
            fault = "" if self.template.is_static else self._fault(text)  # a static one was checked when it was loaded
        except AnswerUnfit as error:
            text, fault = "", str(error)
        if not fault:
            return text
        record.note_attempt("fallback template")
        record.note_end(fault)
        return None

    def _fault(self, text: str) -> str:
        found = None if self.schema is None else self.schema.check(text)
        return "" if found is None else f"breaks the schema at {found.pointer or 'the answer'}"


def last_answer(
    workload: Workload, variables: Mapping[str, Variable], schema: OutputSchema | None
) -> LastAnswer | None:
    """What a workload answers without a model; None where it has no file for it.

    Raises:
        ConfigError: the file cannot be used, or its answer breaks the schema whatever the values are.
    """
    files = workload.files
    function_s = workload.contract.validation.rules_timeout_s if files.fallback_code is not None else 0.0
    if files.fallback is None:
        return LastAnswer(None, schema, function_s) if function_s else None
    template = read_template(files.fallback, variables)
    problem = template_problem(files.fallback, template, schema)
    if problem is not None:
        raise ConfigError(problem)
    return LastAnswer(template, schema, function_s)


def read_template(path: Path, variables: Mapping[str, Variable]) -> AnswerTemplate:
    """The template in `fallback.json` or `fallback.md`.

    Raises:
        ConfigError: it cannot be read, or is none; with every problem and its place.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(str(path), 0, 0, "is not UTF-8")) from None
    return parse_answer(text, file=str(path), variables=variables, is_json=path.suffix == ".json")


def template_problem(path: Path, template: AnswerTemplate, schema: OutputSchema | None) -> Problem | None:
    """What is known to be wrong with an answer before there are values for it."""
    if schema is None:
        return None
    if path.suffix != ".json":
        message = "is text, and answers must satisfy the workload's schema: write it as `fallback.json`"
        return Problem(str(path), 0, 0, message)
    fault = known_fault(template, schema)
    if fault is None:
        return None
    place = fault.pointer or "the answer"
    return Problem(str(path), 0, 0, f"breaks the workload's schema, as no answer may: {place}: {fault.message}")


def known_fault(template: AnswerTemplate, schema: OutputSchema) -> OutputFault | None:
    """How an answer breaks the schema in what is the same for every call; None where it does not, or where only the
    values of a call can tell."""
    try:
        text = template.render({name: _any_value(variable) for name, variable in template.variables.items()}, "")
    except AnswerUnfit:
        return None
    fault = schema.check(text)
    if fault is None or any(fault.pointer == at or fault.pointer.startswith(f"{at}/") for at in template.templated):
        return None
    return fault


def _any_value(variable: Variable) -> object:
    """A value that fits a variable's declaration."""
    if not variable.is_required:
        return variable.default
    match variable.type:
        case "string":
            return "x"
        case "enum":
            return variable.values[0]
        case "boolean":
            return False
        case "list":
            return []
        case "object":
            return {}
        case "integer" | "number":
            least = variable.maximum if variable.minimum is None else variable.minimum
            return 0 if least is None or (variable.minimum is None and least >= 0) else math.ceil(least)
