"""From settings to the scorer of a run."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from headworks.errors import CommandError, ConfigError, Problem
from headworks.evals.scorers.calibration import Calibration
from headworks.evals.scorers.combining import ByExpected, Combined, OfField, Weighted
from headworks.evals.scorers.command import Command
from headworks.evals.scorers.contract import Rules, RunRules, Schema
from headworks.evals.scorers.embedding import Embed, Embedding
from headworks.evals.scorers.exact import Exact
from headworks.evals.scorers.fields import FieldRule, Fields
from headworks.evals.scorers.function import Function
from headworks.evals.scorers.judge import AskModel, Judge
from headworks.evals.scorers.label import Label
from headworks.evals.scorers.members import Collection
from headworks.evals.scorers.number import Number
from headworks.evals.scorers.plugged import FoundScorer, Plugged
from headworks.evals.scorers.regex import Regex
from headworks.evals.scorers.scoring import Scorer
from headworks.evals.scorers.settings import LOCAL_EMBEDDINGS, EvalSettings, JudgeSettings, ScorerSettings
from headworks.evals.scorers.tool_calls import ToolCalls

_T = TypeVar("_T")


class Means(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What scorers need and evals do not have: passed in by who runs them. None where there is none.

    Attributes:
        check_schema: what is wrong with a text by the workload's schema; "" if nothing.
        schema_hash: of it.
        run_rules: asks the workload's rules.
        rules_hash: of their file.
        ask: asks a judge's model.
        embed: asks an embeddings model.
        load_local: gives what vectors of the local model depend on, and the model. Raises CommandError: there is none.
        find: the scorer of an installed package, by its name. Raises HeadworksError.
        calibrations: of judges, by their prompt's hash and model (`calibration_key`).
    """

    check_schema: Callable[[str], str] | None = None
    schema_hash: str = ""
    run_rules: RunRules | None = None
    rules_hash: str = ""
    ask: AskModel | None = None
    embed: Embed | None = None
    load_local: Callable[[], tuple[str, Embed]] | None = None
    find: Callable[[str], FoundScorer] | None = None
    calibrations: Mapping[str, Calibration] = {}


def build_scorer(settings: EvalSettings, folder: Path, means: Means, *, expects: bool) -> Combined:
    """The scorer of a run.

    Without `scorers`: what fits the cases' `expected`; where they have none, schema and rules.

    Arguments:
        folder: the workload's.
        expects: whether cases say what is expected.

    Raises:
        ConfigError: a file cannot be read.
        CommandError: something is asked for that this workload or this run does not have, or nothing could be scored.
    """
    if settings.scorers:
        names: dict[str, int] = {}
        members = []
        for given in settings.scorers:
            scorer = _scorer(given, folder, means)
            name = given.kind if given.field is None else f"{given.kind} {given.field}"
            names[name] = names.get(name, 0) + 1
            shown = name if names[name] == 1 else f"{name} {names[name]}"
            whole = scorer if given.field is None else OfField(scorer, given.field)
            members.append(Weighted(whole, shown, given.weight, given.gates))
        return Combined(members)
    if expects:
        return Combined([Weighted(ByExpected(), "expected")])
    contract: list[Weighted] = []
    if means.check_schema is not None:
        contract.append(Weighted(Schema(means.check_schema, means.schema_hash), "schema"))
    if means.run_rules is not None:
        contract.append(Weighted(Rules(means.run_rules, means.rules_hash), "rules"))
    if not contract:
        raise CommandError(
            "nothing says what a right answer is: give the cases `expected`, the workload a schema or rules, or write "
            "an evals.yaml with `scorers` beside its contract"
        )
    return Combined(contract)


def judge_of(settings: JudgeSettings, folder: Path, ask: AskModel, *, may_gate: bool) -> Judge:
    """The judge that settings say.

    Raises:
        ConfigError: the rubric cannot be read.
    """
    path = folder / settings.rubric
    try:
        rubric = path.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(Problem(str(path), 0, 0, "cannot be read as text")) from None
    return Judge(ask, settings.model, rubric, at_least=settings.at_least, may_gate=may_gate)


def calibration_key(judge: Judge) -> str:
    """What a calibration holds for: this model, this prompt, this threshold."""
    return hashlib.sha256(msgspec.json.encode(judge.identity, order="deterministic")).hexdigest()


def _scorer(given: ScorerSettings, folder: Path, means: Means) -> Scorer:
    if given.label is not None:
        return Label(given.label.aliases)
    if given.number is not None:
        return Number(absolute=given.number.absolute, relative=given.number.relative)
    if given.regex is not None:
        return Regex(given.regex.patterns)
    if given.set is not None:
        return Collection("set", at_least=given.set.at_least)
    if given.list is not None:
        return Collection("list", at_least=given.list.at_least)
    if given.fields is not None:
        rules = {
            path: FieldRule(weight=one.weight, absolute=one.absolute, relative=one.relative, text=one.text)
            for path, one in given.fields.fields.items()
        }
        return Fields(rules, at_least=given.fields.at_least, allows_more=given.fields.allows_more)
    if given.tool_calls is not None:
        return ToolCalls(order=given.tool_calls.order, arguments=given.tool_calls.arguments)
    if given.function is not None:
        file, _, name = given.function.call.rpartition(":")
        return Function(folder / file, name, timeout_s=given.function.timeout_s)
    if given.command is not None:
        return Command(given.command.run, folder, timeout_s=given.command.timeout_s)
    if given.exact is not None:
        return Exact()
    return _with_means(given, folder, means)


def _with_means(given: ScorerSettings, folder: Path, means: Means) -> Scorer:
    if given.schema is not None:
        return Schema(_needed(means.check_schema, "schema", "the workload has no schema.json"), means.schema_hash)
    if given.rules is not None:
        return Rules(_needed(means.run_rules, "rules", "the workload has no rules.py"), means.rules_hash)
    if given.extension is not None:
        found = _needed(means.find, "extension", "no packages are looked at here")(given.extension.use)
        return Plugged(found, given.extension.use, given.extension.settings, timeout_s=given.extension.timeout_s)
    if given.embedding is not None:
        model = given.embedding.model
        if model == LOCAL_EMBEDDINGS:
            model, embed = _needed(means.load_local, "embedding", "no local model can be used here")()
        else:
            embed = _needed(means.embed, "embedding", "no embeddings model can be asked here")
        return Embedding(embed, model, at_least=given.embedding.at_least, may_gate=given.gates)
    assert given.judge is not None, "the kinds are all here"
    ask = _needed(means.ask, "judge", "no model can be asked here")
    judge = judge_of(given.judge, folder, ask, may_gate=False)
    calibration = means.calibrations.get(calibration_key(judge))
    judge.may_gate = calibration is not None and calibration.may_gate(given.judge.bar)
    return judge


def _needed(value: _T | None, scorer: str, otherwise: str) -> _T:
    if value is None:
        raise CommandError(f"evals.yaml asks for the scorer `{scorer}`, and {otherwise}")
    return value
