"""What lies beside a contract, in numbers. Tokens are counted by the tokenizer of the model in use, where there is one
(`catalogue.tokenizer_for`), else to within about a fifth."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from headworks.catalogue import Certainty, tokenizer_for
from headworks.config import DETERMINISTIC, LOCK_FILE, Project, Workload, model_of_rung, read_lock
from headworks.errors import ConfigError, Problem

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n.*?^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_ROLE = re.compile(r"^\{%-?\s*(?:developer|system|user|assistant)\s*-?%\}[ \t]*\n?", re.MULTILINE)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_VARIABLE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


class ModelFact(msgspec.Struct, frozen=True):
    """What a rung stands for: a model at a provider of this kind, the parts of the API that it serves, and what
    headworks.yaml says of where it processes data and what is agreed with it."""

    provider: str
    model: str
    kind: str
    speaks: tuple[str, ...]
    regions: tuple[str, ...] = ()
    agreements: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a workload beyond its contract.

    Attributes:
        models: what each rung and each fallback stands for, by its name in the contract.
        prompt_tokens: tokens of the prompt that are the same in every call, wherever they stand.
        prefix_tokens: those of them before the first variable: what a provider's cache can hold.
        tools_tokens: tokens of the tools' definitions, which stand before the prompt.
        schema_tokens: tokens of the output schema, likewise.
        golden_cases: cases of the golden set.
        tools: names of the tools.
        locked_model: the rung that headworks.lock has decided on, "" for none.
        certainty: how right the counts are.
    """

    models: Mapping[str, ModelFact] = {}
    prompt_tokens: int = 0
    prefix_tokens: int = 0
    tools_tokens: int = 0
    schema_tokens: int = 0
    golden_cases: int = 0
    tools: tuple[str, ...] = ()
    locked_model: str = ""
    certainty: Certainty = "estimated"
    has_prompt: bool = False
    has_schema: bool = False
    has_rules: bool = False
    has_fallback: bool = False
    has_fallback_code: bool = False
    fallback_name: str = "fallback.json"

    @property
    def static_tokens(self) -> int:
        """Everything that goes with every call: tools, schema and the prompt's own text."""
        return self.prompt_tokens + self.tools_tokens + self.schema_tokens

    @property
    def cacheable_tokens(self) -> int:
        """What every call begins with. Tools and schema go before the messages (OpenAI prompt-caching guide)."""
        return self.prefix_tokens + self.tools_tokens + self.schema_tokens


def read_facts(project: Project, workload: Workload) -> Facts:
    """Look at the workload's files and at the models that its contract names.

    Raises:
        ConfigError: a file, or the project's lock, cannot be read.
    """
    files = workload.files
    prompt = _text(files.prompt)
    locked = read_lock(project.folder / LOCK_FILE).workloads.get(workload.name)
    models = _models(project, workload)
    locked_model = locked.model if locked is not None else ""
    rungs = (workload.contract.model, locked_model, *workload.contract.ladder)
    model = next((models[rung].model for rung in rungs if rung in models), "")
    tokenizer = tokenizer_for(model)
    return Facts(
        models=models,
        prompt_tokens=tokenizer.count_all(_VARIABLE.split(_body(prompt))),
        prefix_tokens=tokenizer.count(_VARIABLE.split(_body(prompt), maxsplit=1)[0]),
        tools_tokens=tokenizer.count(_text(files.tools)),
        schema_tokens=tokenizer.count(_text(files.schema)),
        golden_cases=sum(1 for line in _text(files.golden).splitlines() if line.strip()),
        tools=tool_names(_text(files.tools)),
        locked_model=locked_model,
        certainty=tokenizer.certainty,
        has_prompt=files.prompt is not None,
        has_schema=files.schema is not None,
        has_rules=files.rules is not None,
        has_fallback=files.fallback is not None or files.fallback_code is not None,
        has_fallback_code=files.fallback_code is not None,
        fallback_name=", then ".join(path.name for path in (files.fallback_code, files.fallback) if path is not None),
    )


def tool_names(text: str) -> tuple[str, ...]:
    """Names of the function tools in a tools file; those that are not well formed are `check_files`' matter."""
    try:
        tools = msgspec.json.decode(text) if text else []
    except msgspec.DecodeError:
        return ()
    found = [tool.get("name") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return tuple(name for name in found if isinstance(name, str))


def _models(project: Project, workload: Workload) -> dict[str, ModelFact]:
    config = project.config
    found: dict[str, ModelFact] = {}
    for name in (*workload.contract.ladder, *workload.contract.fallback):
        model = model_of_rung(config, name) if name != DETERMINISTIC else None
        if model is not None:
            provider = config.providers[model.provider]
            found[name] = ModelFact(
                model.provider, model.model, provider.kind, provider.speaks, provider.regions, provider.agreements
            )
    return found


def _body(prompt: str) -> str:
    """The template without what no model sees: front matter, comments, the lines that begin a role."""
    return _ROLE.sub("", _COMMENT.sub("", _FRONT_MATTER.sub("", prompt, count=1)))


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(str(path), 0, 0, "is not UTF-8")) from None
