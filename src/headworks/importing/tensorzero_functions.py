"""TensorZero's functions: each becomes a workload, a contract with one variant's model, prompt and parameters.

Variants that differ in their model only serve the workload equally well: they become targets of one name, with their
shares. Of others, that with the largest share is in use.

Their templates are MiniJinja with roles of their own, ours have fixed roles and typed variables: one without variables
is taken over as it stands, any other is left to a person.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from headworks.config import read_text
from headworks.errors import ConfigError
from headworks.importing.draft import Composed, slug
from headworks.importing.ledger import Ledger, leaves
from headworks.importing.schemas import in_our_draft
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


_ALIKE = frozenset({"type", "model", "weight"})
"""In what variants may differ that serve a workload equally well."""


_OLD_DRAFT = (
    "it is of an older draft, with references that cannot be rewritten: write it by draft 2020-12 and put it beside "
    "the contract as schema.json"
)


class Names(Protocol):
    """The public names of models."""

    def named(self, text: str, place: Place) -> str | None:
        """That for what a variant calls its model, given with its place; None if there is none."""
        ...

    def spread(self, wished: str, parts: Sequence[tuple[str, float, Place]]) -> str:
        """A new one for several, each with its share and the place of what names it."""
        ...


class _Workload:
    """A workload in the making."""

    def __init__(self, name: str, line: int, description: str) -> None:
        self.name = name
        self.line = line
        self.description = description
        self.models: list[str] = []
        self.spread = ""
        self.output: dict[str, str] = {}
        self.schema: str | None = None
        self.prompt: str | None = None


class Functions:
    """Reads `functions`. Mutable: the workloads so far.

    Arguments:
        source: the file.
        ledger: where findings go.
        folder: from which templates and schemas are named.
        names: the public names of models.
    """

    def __init__(self, source: Source, ledger: Ledger, folder: Path, names: Names) -> None:
        self._source = source
        self._ledger = ledger
        self._folder = folder
        self._names = names
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
        shares = _shares(value, variants)
        said = value.get("experimentation")
        experiment = [] if said is None else [at for at, _ in leaves(said, (*place, "experimentation"))]
        kept = self._kept(variants, sorted(variants, key=lambda name: -shares[name]), place)
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
        if _are_alike([variants[variant] for variant, _ in kept if shares[variant]]):
            kept = self._spread(job, kept, shares, place)
        for index, (variant, named) in enumerate(kept):
            self._variant(variants[variant], (*place, "variants", variant), job, named, index, shares[variant])
        for at in experiment:
            self._experiment(at, place, job, len(kept))
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
            named = self._names.named(model.text, at) if model is not None and model.text else None
            if named is None:
                text = "its model could not be taken over: add the model, and then name it in a contract"
                self._ledger.missing(at, text)
                continue
            kept.append((variant, named))
        return kept

    def _spread(
        self, job: _Workload, kept: Sequence[tuple[str, str]], shares: Mapping[str, float], place: Place
    ) -> list[tuple[str, str]]:
        """The variants that have a share under one name."""
        sharing = [(variant, named) for variant, named in kept if shares[variant]]
        parts = [(named, shares[variant], (*place, "variants", variant, "model")) for variant, named in sharing]
        job.spread = self._names.spread(f"{job.name}-models", parts)
        return [(variant, job.spread if shares[variant] else named) for variant, named in kept]

    def _experiment(self, at: Place, place: Place, job: _Workload, variants: int) -> None:
        if not self._ledger.is_free(at):
            return
        where, spread = f"workloads/{job.name}", job.spread
        field = at[len(place) + 1] if len(at) > len(place) + 1 else ""
        if spread and field in ("candidate_variants", "type"):
            self._ledger.mapped(at, f"models.{spread}.targets, with their shares")
        elif field == "fallback_variants":
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

    def _variant(self, value: Value, place: Place, job: _Workload, named: str, index: int, share: float) -> None:
        where = f"workloads/{job.name}"
        is_spread = named == job.spread
        if named not in job.models:
            job.models.append(named)
        for field, one in (value.fields or {}).items():
            at = (*place, field)
            if field == "model":
                self._models.append((at, f"{where}: {'fallback' if index else 'model'} {named}"))
            elif field == "type":
                self._ledger.needless(at, "a call of a workload is one")
            elif field == "weight":
                self._weight(at, job.spread if is_spread else "", index, share)
            elif index and is_spread:
                self._ledger.mapped(at, f"{where}: the same in all variants that have a share")
            elif index:
                text = f"a contract has one prompt and one set of parameters: {where} has another variant's"
                self._ledger.missing(at, text)
            else:
                self._parameter(field, one, at, job)

    def _weight(self, place: Place, spread: str, index: int, share: float) -> None:
        if spread:
            self._ledger.mapped(place, f"models.{spread}.targets, with its share")
        elif not share:
            self._ledger.mapped(place, "it is asked when the others fail: `fallback`")
        elif not index:
            self._ledger.needless(place, "it has the largest share, and is in use")
        else:
            text = "variants that differ in more than their model are tried by their prompts: publish this one's, and "
            text += "write `canary: { version: ..., share: N }` (docs/how-to/prompts.md)"
            self._ledger.missing(place, text)

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
        job.schema = in_our_draft(content)
        if job.schema is None:
            self._ledger.missing((*place, "output_schema"), _OLD_DRAFT)
            return
        more = "" if job.schema == content else ", in draft 2020-12, by which answers are validated here"
        self._ledger.mapped((*place, "output_schema"), f"workloads/{job.name}/schema.json{more}")

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


def _shares(value: Value, variants: Mapping[str, Value]) -> dict[str, float]:
    """The share of each variant, 0 for what is asked only after the others. Where nothing is said, all have the same
    one (TensorZero's guide to experiments, 2026-11)."""
    experiment = value.get("experimentation") or Value(0)
    candidates, fallback = experiment.get("candidate_variants"), experiment.get("fallback_variants")
    weights = {name: one.get("weight") for name, one in variants.items()}
    said: dict[str, float]
    if candidates is not None and candidates.fields is not None:
        said = {name: one.number or 0.0 for name, one in candidates.fields.items()}
    elif candidates is not None:
        said = dict.fromkeys(candidates.texts(), 1.0)
    elif any(weight is not None for weight in weights.values()):
        said = {name: 0.0 if weight is None else weight.number or 0.0 for name, weight in weights.items()}
    else:
        last = fallback.texts() if fallback is not None else []
        said = {name: 0.0 if name in last else 1.0 for name in variants}
    return {name: max(0.0, said.get(name, 0.0)) for name in variants}


def _are_alike(variants: Sequence[Value]) -> bool:
    """Whether there are several, and they differ in their model only."""
    said = [
        [(field, leaves(one, (field,))) for field, one in (value.fields or {}).items() if field not in _ALIKE]
        for value in variants
    ]
    plain = [{(at, one.text) for _, found in fields for at, one in found} for fields in said]
    return len(variants) > 1 and all(one == plain[0] for one in plain)
