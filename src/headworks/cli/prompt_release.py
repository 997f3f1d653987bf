"""What `headworks prompts` and `headworks check` both look at: a workload's prompt in its folder, what is sent beside
it, what is published of it, and whether its version is high enough."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from headworks.calls import Endpoint
from headworks.compiled import Published, own_prompt, read_file
from headworks.composing import fixed_fields
from headworks.config import Project, Workload
from headworks.errors import CommandError, ConfigError, Problem
from headworks.evals.golden import read_cases
from headworks.prompts import (
    PROMPTS_FILE,
    Companions,
    Prompt,
    PromptRegistry,
    Publication,
    Release,
    RequiredBump,
    check_bump,
    parse,
    release_bump,
)
from headworks.screening import OutputSchema, ToolSet


class Step(msgspec.Struct, frozen=True):
    """From what is published to what the folder holds.

    Attributes:
        base: what the folder's version is held against: the same version, else the newest.
        required: by how much the version must rise from there.
        fault: what is wrong with the folder's version; None if it will do.
    """

    base: Publication
    required: RequiredBump
    fault: str | None


@contextmanager
def registry_of(project: Project, *, is_made: bool = False) -> Iterator[PromptRegistry | None]:
    """The project's registry; None where nothing was ever published, unless it is to be made.

    Raises:
        StorageError: it cannot be used.
    """
    if not is_made and not (project.storage / PROMPTS_FILE).exists():
        yield None
        return
    registry = PromptRegistry.below(project.storage, PROMPTS_FILE)
    try:
        yield registry
    finally:
        registry.close()


def folder_release(workload: Workload) -> Release:
    """What lies in the workload's folder.

    Raises:
        CommandError: it has no prompt.
        ConfigError: a file cannot be used; every problem with its place.
    """
    return Release(prompt_of(workload), companions_of(workload))


def prompt_of(workload: Workload) -> Prompt:
    """The prompt in the folder, whatever is published under its version. Raises as `folder_release` does."""
    prompt = own_prompt(workload, Published())
    if prompt is None:
        raise CommandError(f"`{workload.name}` has no prompt.md: its callers send whole conversations")
    return prompt


def published(registry: PromptRegistry | None, name: str, version: str) -> Publication:
    """The published version that fits.

    Raises:
        CommandError: there is none; says which there are.
    """
    if registry is None:
        raise CommandError(f"no prompt of `{name}` is published; `headworks prompts publish` does it")
    return registry.resolve(name, version)


def published_release(publication: Publication) -> Release:
    """What was published."""
    place = f"{publication.workload} {publication.version}"
    return Release(parse(publication.source, name=publication.workload, file=place), publication.companions)


def companions_of(workload: Workload) -> Companions:
    """The output's schema and the parameters that go with every call.

    Raises:
        ConfigError: the schema or the tools cannot be used.
    """
    output, tools = workload.contract.output, tools_of(workload)
    fixed = fixed_fields(output, Endpoint.CHAT, schema_format=None, tools=tools)
    parameters = {name: msgspec.json.decode(raw) for name, raw in fixed.items() if name != "tools"}
    if tools is not None:
        parameters["tools"] = msgspec.json.decode(tools)
    if output.max_tokens is not None:
        parameters["max_tokens"] = output.max_tokens
    schema = schema_of(workload)
    return Companions("" if schema is None else schema.canonical.decode(), msgspec.json.encode(parameters).decode())


def schema_digest(schema: str) -> str:
    """How headworks.lock names an output's schema, in its canonical form; "" for none."""
    return f"sha256:{hashlib.sha256(schema.encode()).hexdigest()}" if schema else ""


def schema_of(workload: Workload) -> OutputSchema | None:
    """The output's schema; None if there is none. Raises ConfigError."""
    path = workload.files.schema
    return None if path is None else OutputSchema.compile(read_file(path), name=workload.name, file=str(path))


def tools_of(workload: Workload) -> bytes | None:
    """The tools as they are sent; None if there are none. Raises ConfigError."""
    path = workload.files.tools
    if path is None:
        return None
    text = read_file(path)
    ToolSet.compile(text, file=str(path))
    return text


def release_digest(prompt_hash: str, companions: Companions | None) -> str:
    """What tells releases apart: prompt, schema and parameters, whatever the version is called."""
    beside = companions or Companions()
    return hashlib.sha256(msgspec.json.encode([prompt_hash, beside.schema, beside.parameters])).hexdigest()


def golden_variables(workload: Workload) -> list[Mapping[str, object]]:
    """The variables of each golden case. Raises ConfigError."""
    return [] if workload.files.golden is None else [case.variables for case in read_cases(workload.files.golden)]


def step_to(workload: Workload, release: Release, registry: PromptRegistry | None) -> Step | None:
    """Whether the folder's version is raised enough; None where nothing is published.

    Raises:
        ConfigError: the golden set cannot be read.
    """
    published = [] if registry is None else registry.list(workload.name)
    if not published:
        return None
    version = release.prompt.version
    base = next((one for one in published if one.version == version), published[-1])
    required = release_bump(published_release(base), release, golden_variables(workload))
    return Step(base, required, check_bump(base.version, version, required))


def shown_file(workload: Workload, file: str) -> str:
    """A file of the workload's folder named from where the reader is, as the contract is; others as they are."""
    path = Path(file)
    if not path.is_relative_to(workload.folder):
        return file
    return str(workload.file.parent / path.relative_to(workload.folder))


def as_named(workload: Workload, problem: Problem) -> Problem:
    """The problem with its file named from where the reader is."""
    return msgspec.structs.replace(problem, file=shown_file(workload, problem.file))


@contextmanager
def named_from_here(workload: Workload) -> Iterator[None]:
    """Has the problems of a ConfigError name their files from where the reader is."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(*(as_named(workload, problem) for problem in error.problems)) from None
