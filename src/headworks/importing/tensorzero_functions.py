"""TensorZero's functions: each becomes a workload, a contract with the first variant's model, prompt and parameters.

Their templates are MiniJinja with roles of their own, ours have fixed roles and typed variables: one without variables
is taken over as it stands, any other is left to a person.
"""

from collections.abc import Callable
from pathlib import Path

from headworks.config import read_text
from headworks.errors import ConfigError
from headworks.importing.draft import Composed, slug
from headworks.importing.ledger import Ledger, leaves
from headworks.importing.source import Place, Source, Value
from headworks.importing.texts import whole
from headworks.importing.writing import text as as_yaml

_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh"})
_VERBOSITY = frozenset({"low", "medium", "high"})
_SENT = "callers send it; a contract has no field for it"
_FUNCTION = {
    "system_schema": "variables of a prompt are declared in `prompt.md`",
    "user_schema": "variables of a prompt are declared in `prompt.md`",
    "assistant_schema": "variables of a prompt are declared in `prompt.md`",
    "schemas": "variables of a prompt are declared in `prompt.md`",
    "tools": "write them into the workload's `tools.json`, as the Responses API has them",
    "tool_choice": "callers send it, with the tools",
    "parallel_tool_calls": "callers send it, with the tools",
    "evaluators": "golden sets and scorers are a workload's: docs/how-to/evals.md",
}
_VARIANT = {
    "retries": "further attempts are counted for all providers alike: `defaults.retries`",
    "timeouts": "the time of a whole call: `latency.total_s` of the contract",
    "extra_body": "callers send it",
    "extra_headers": "`headers` of the provider",
    "thinking_budget_tokens": "`output.reasoning_effort` of the contract",
}
_NO_DRAFTS = "our prompts have fixed roles and typed variables: write it into `prompt.md` (docs/how-to/workloads.md)"


class _Workload:
    """A workload in the making."""

    def __init__(self, name: str, line: int, description: str) -> None:
        self.name = name
        self.line = line
        self.description = description
        self.models: list[str] = []
        self.output: dict[str, str] = {}
        self.schema: str | None = None
        self.prompt: str | None = None


class Functions:
    """Reads `functions`. Mutable: the workloads so far.

    Arguments:
        source: the file.
        ledger: where findings go.
        folder: from which templates and schemas are named.
        model_named: the public name for what a variant calls its model, given with its place; None if none.
    """

    def __init__(
        self, source: Source, ledger: Ledger, folder: Path, model_named: Callable[[str, Place], str | None]
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._folder = folder
        self._model_named = model_named
        self._workloads: list[_Workload] = []
        self._models: list[tuple[Place, str]] = []

    def read(self) -> None:
        """Take over all functions that have a variant we can serve."""
        for name, value in ((self._source.root.get("functions") or Value(0)).fields or {}).items():
            self._function(name, value, ("functions", name))

    def settle_models(self) -> None:
        """Say where the variants' models went, but for those that a composed model has told of."""
        for place, text in self._models:
            if self._ledger.is_free(place):
                self._ledger.mapped(place, text)

    def files(self, composed: Composed) -> dict[str, str]:
        """The workloads' files, by path."""
        files: dict[str, str] = {}
        taken = {model.name for model in composed.models} | {"nano", "mini", "flagship", "deterministic"}
        taken |= {model for provider in composed.providers for model in provider.models or ()}
        for one in self._workloads:
            name = one.name if one.name not in taken else f"{one.name}-job"
            folder = f"workloads/{name}"
            files[f"{folder}/workload.yaml"] = self._contract(one)
            if one.schema is not None:
                files[f"{folder}/schema.json"] = one.schema
            if one.prompt is not None:
                head = "---\nversion: 1.0.0\n---\n{% developer %}\n"
                files[f"{folder}/prompt.md"] = f"{head}{one.prompt.strip()}\n{{% input %}}\n"
        return files

    def _contract(self, one: _Workload) -> str:
        first, *others = one.models
        lines = [f"# Made from {self._source.name}:{one.line} of TensorZero by `headworks import`."]
        lines += ["owner: unknown # the team that answers for it", f"description: {as_yaml(one.description)}"]
        lines.append(f"ladder: [{', '.join(as_yaml(name) for name in dict.fromkeys(one.models))}]")
        lines.append(f"model: {as_yaml(first)}")
        if others:
            lines.append(f"fallback: [{', '.join(as_yaml(name) for name in others)}]")
        if one.output:
            lines.append("output: { " + ", ".join(f"{field}: {said}" for field, said in one.output.items()) + " }")
        return "\n".join(lines) + "\n"

    def _function(self, name: str, value: Value, place: Place) -> None:
        variants = (value.get("variants") or Value(0)).fields or {}
        order, experiment = self._order(value, place, list(variants))
        kept = self._kept(variants, order, place)
        if not kept:
            for at, _ in leaves(value, place):
                if self._ledger.is_free(at):
                    self._ledger.missing(at, "no variant of this function could be taken over")
            return
        described = value.get("description")
        line = self._source.line(place)
        job = _Workload(slug(name), line, (described.text if described else None) or f"TensorZero's function {name}.")
        self._workloads.append(job)
        where = f"workloads/{job.name}"
        if described is not None:
            self._ledger.mapped((*place, "description"), f"{where}: description")
        if value.get("type") is not None:
            told = f"{where}; callers send `model: {job.name}`, without `tensorzero::function_name::`"
            self._ledger.mapped((*place, "type"), told)
        self._schema(value, place, job)
        for index, (variant, named) in enumerate(kept):
            self._variant(variants[variant], (*place, "variants", variant), job, named, index)
        for at in experiment:
            self._experiment(at, place, where, len(kept))
        for field, text in _FUNCTION.items():
            if value.get(field) is not None and self._ledger.is_free((*place, field)):
                self._ledger.missing((*place, field), text)

    def _kept(self, variants: dict[str, Value], order: list[str], place: Place) -> list[tuple[str, str]]:
        """The variants that we can serve, each with the public name of its model."""
        kept: list[tuple[str, str]] = []
        for variant in order:
            at = (*place, "variants", variant)
            kind, model = variants[variant].get("type"), variants[variant].get("model")
            if kind is not None and kind.text != "chat_completion":
                text = "one call goes to one model: several candidates, or examples by likeness, are the application's"
                self._ledger.missing(at, text)
                continue
            named = self._model_named(model.text, at) if model is not None and model.text else None
            if named is None:
                text = "its model could not be taken over: add the model, and then name it in a contract"
                self._ledger.missing(at, text)
                continue
            kept.append((variant, named))
        return kept

    def _order(self, value: Value, place: Place, variants: list[str]) -> tuple[list[str], list[Place]]:
        """Variants in the order in which they are asked, and the settings that say so."""
        experiment = value.get("experimentation")
        if experiment is None:
            return variants, []
        candidates, fallback = experiment.get("candidate_variants"), experiment.get("fallback_variants")
        first: list[str] = []
        if candidates is not None and candidates.fields is not None:
            shares = {name: one.number or 0.0 for name, one in candidates.fields.items()}
            first = sorted(shares, key=lambda name: -shares[name])
        elif candidates is not None:
            first = candidates.texts()
        named = [*first, *(fallback.texts() if fallback is not None else [])]
        order = [one for one in dict.fromkeys(named) if one in variants]
        return [*order, *(one for one in variants if one not in order)], [
            at for at, _ in leaves(experiment, (*place, "experimentation"))
        ]

    def _experiment(self, at: Place, place: Place, where: str, variants: int) -> None:
        if not self._ledger.is_free(at):
            return
        field = at[len(place) + 1]
        if field == "fallback_variants":
            self._ledger.mapped(at, f"{where}: fallback")
        elif field == "candidate_variants" and variants == 1:
            self._ledger.mapped(at, f"{where}: model")
        elif field == "type" and variants == 1:
            self._ledger.needless(at, "there is one variant")
        else:
            text = (
                "one model is in use and is chosen by evidence: `headworks select`; two prompts are tried by `canary`"
            )
            self._ledger.missing(at, text)

    def _variant(self, value: Value, place: Place, job: _Workload, named: str, index: int) -> None:
        where = f"workloads/{job.name}"
        if named not in job.models:
            job.models.append(named)
        for field, one in (value.fields or {}).items():
            at = (*place, field)
            if field == "model":
                self._models.append((at, f"{where}: {'fallback' if index else 'model'} {named}"))
            elif field == "type":
                self._ledger.needless(at, "a call of a workload is one")
            elif field == "weight":
                self._ledger.missing(at, "one model is in use and is chosen by evidence: `headworks select`")
            elif index:
                text = f"a contract has one prompt and one set of parameters: {where} has another variant's"
                self._ledger.missing(at, text)
            else:
                self._parameter(field, one, at, job)

    def _parameter(self, field: str, value: Value, place: Place, job: _Workload) -> None:
        """What the first variant says beside its model."""
        if field in ("system_template", "templates"):
            self._template(value, place, job)
        elif (said := _output(field, value)) is not None:
            job.output[said[0]] = said[1]
            self._ledger.mapped(place, f"workloads/{job.name}: output.{said[0]}")
        elif field == "json_mode":
            self._json_mode(value, place, job)
        elif field in _VARIANT:
            self._ledger.missing(place, _VARIANT[field])
        else:
            self._ledger.missing(place, _NO_DRAFTS if field.endswith("_template") else _SENT)

    def _json_mode(self, value: Value, place: Place, job: _Workload) -> None:
        if value.text in ("strict", "implicit_tool", "tool") and job.schema is not None:
            text = f"workloads/{job.name}: schema.json; `structured_output` of a provider says how it is asked"
            self._ledger.mapped(place, text)
        elif value.text == "off":
            self._ledger.needless(place, "callers ask for JSON")
        else:
            self._ledger.missing(place, "answers are held to `schema.json`, or callers ask for JSON")

    def _schema(self, value: Value, place: Place, job: _Workload) -> None:
        named = value.get("output_schema")
        if named is None or not named.text:
            return
        content = self._read(named.text)
        if content is None:
            self._ledger.missing(
                (*place, "output_schema"), "the file cannot be read: put it beside the contract as schema.json"
            )
            return
        job.schema = content
        self._ledger.mapped((*place, "output_schema"), f"workloads/{job.name}/schema.json")

    def _template(self, value: Value, place: Place, job: _Workload) -> None:
        """The system template, if it is plain text; templates by name are one below the other."""
        found = [(at, one) for at, one in leaves(value, place) if one.text is not None]
        for at, one in found:
            is_system = value.fields is None or at[len(place)] == "system"
            content = self._read(one.text or "") if is_system else None
            if content is None or any(mark in content for mark in ("{{", "{%", "{#")) or not content.strip():
                self._ledger.missing(at, _NO_DRAFTS)
                continue
            job.prompt = content
            self._ledger.mapped(at, f"workloads/{job.name}/prompt.md")

    def _read(self, name: str) -> str | None:
        """A file beside the source; None where it is not there, or elsewhere."""
        path = self._folder / name
        if not path.resolve().is_relative_to(self._folder.resolve()):
            return None
        try:
            return read_text(path)
        except ConfigError:
            return None


def _output(field: str, value: Value) -> tuple[str, str] | None:
    """A parameter of a variant as a field of `output`; None where it is none, or none that a contract takes."""
    number = value.number
    if field == "max_tokens" and (most := whole(value, 1, 10**9)) is not None:
        return field, str(most)
    if field == "temperature" and number is not None and 0 <= number <= 2:
        return field, f"{number:g}"
    if field == "verbosity" and value.text in _VERBOSITY:
        return field, value.text or ""
    if field == "reasoning_effort" and value.text in _EFFORTS:
        return field, value.text or ""
    if field == "stop_sequences" and value.items and len(value.items) <= 4 and all(one.text for one in value.items):
        return "stop", "[" + ", ".join(as_yaml(one.text or "") for one in value.items) + "]"
    return None
