"""What `headworks check` looks at beside a contract: prompt and version, schema, tools, rules, static answer, lock."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import msgspec

from headworks.cli.prompt_release import as_named, companions_of, registry_of, schema_digest, step_to
from headworks.compiled import Published, injection_policy, own_prompt, read_file
from headworks.composing import FIXABLE
from headworks.config import (
    DETERMINISTIC,
    LOCK_FILE,
    Check,
    Examination,
    Locked,
    Project,
    Workload,
    locked_model_problem,
    model_of_rung,
    read_lock,
)
from headworks.config.document import Mark
from headworks.config.walk import suggestion
from headworks.deterministic import known_fault, read_template, template_problem
from headworks.errors import ConfigError, Problem, Refusal, StorageError
from headworks.evals.golden import MOST_SHOWN, CaseReader, check_cases
from headworks.prompts import Prompt, PromptRegistry, Publication, Release, parse
from headworks.screening import OutputSchema, ToolSet, check_answers, check_rules
from headworks.screening.output.places import place_of
from headworks.workloads import check_files

_LEAST_RESPONSES_TOKENS = 16
"""The least `max_output_tokens` that the Responses API takes (OpenAI API reference, 2026-10)."""

_ANY_MARKER = "0check0check0000"


def workload_checks(project: Project) -> tuple[Check, ...]:
    """The checks of this project's workloads.

    Raises:
        ConfigError: headworks.lock cannot be read.
    """
    locked = read_lock(project.folder / LOCK_FILE).workloads
    return (
        partial(_named, _files),
        partial(_named, partial(_prompt, project)),
        partial(_named, _schema),
        partial(_named, _rules),
        partial(_named, _last_answer),
        partial(_named, _golden),
        _may_set,
        partial(_limit, project),
        partial(_model, project, locked),
        _screening,
        partial(_semantic, project, locked),
        partial(_lock, project, locked),
    )


def _named(check: Check, workload: Workload) -> Examination:
    """What the check finds, with files named from where the reader is."""
    try:
        found = check(workload)
    except ConfigError as error:
        found = error.problems
    if not isinstance(found, Examination):
        found = Examination(tuple(found))
    return Examination(
        tuple(as_named(workload, problem) for problem in found.problems),
        tuple(as_named(workload, warning) for warning in found.warnings),
    )


def _files(workload: Workload) -> Sequence[Problem]:
    """Golden set, tools and static answer, by themselves; then whether the tools' own schemas can be used."""
    golden, tools = workload.files.golden, workload.files.tools
    found = (*check_files(workload), *(check_cases(golden) if golden is not None else ()))
    if tools is not None and not found:
        ToolSet.compile(read_file(tools), file=str(tools))
    return found


def _prompt(project: Project, workload: Workload) -> Examination:
    """The prompt itself; whether its version says what was published under it, and is raised enough."""
    if workload.files.prompt is None:
        return Examination()
    try:
        with registry_of(project) as registry:
            return _against(registry, workload)
    except StorageError as error:
        return Examination((project.problem(("storage", "path"), str(error)),))


def _against(registry: PromptRegistry | None, workload: Workload) -> Examination:
    publications = [] if registry is None else registry.list(workload.name)
    active = None if registry is None else registry.active(workload.name)
    published = Published(publications, active)
    prompt = own_prompt(workload, published)
    assert prompt is not None, "who asks has looked"
    canary = workload.contract.canary
    problems: list[Problem] = []
    if canary is not None and published.find(canary.version) is None:
        message = f"the prompt has no published version {canary.version}: calls cannot be made before there is one"
        problems.append(workload.problem(("canary", "version"), message))
    warnings = [] if active is None else list(_static_faults(active, workload))
    if active is None:
        return Examination(tuple(problems), tuple(warnings))
    fault = _version_fault(registry, workload, prompt)
    if fault is not None:
        problems.append(_at_version(prompt, f"{fault} (`headworks prompts bump {workload.name}`)"))
    if problems or (active.version, active.hash) == (prompt.version, prompt.hash):
        return Examination(tuple(problems), tuple(warnings))
    message = (
        f"calls are made with {active.version}, the active version, and not with this one: "
        f"`headworks prompts publish {workload.name}` makes it active"
    )
    return Examination(warnings=(_at_version(prompt, message), *warnings))


def _static_faults(active: Publication, workload: Workload) -> Iterator[Problem]:
    """The answer at the chain's end, where it does not fit the version that calls are made with: then there is none."""
    path, beside = workload.files.fallback, active.companions
    if path is None or beside is None or DETERMINISTIC not in workload.contract.fallback:
        return
    try:
        template = read_template(path, parse(active.source, name=workload.name, file=active.version).variables)
        schema = OutputSchema.compile(beside.schema.encode(), name=workload.name) if beside.schema else None
        fault = None if schema is None else known_fault(template, schema)
    except ConfigError:
        message = f"does not fit {active.version}, the active version: its calls have no answer without a model"
        yield Problem(str(path), 0, 0, message)
        return
    if fault is not None:
        message = (
            f"breaks the schema of {active.version}, the active version ({fault.pointer or 'the answer'}: "
            f"{fault.message}): its calls have no static answer"
        )
        yield Problem(str(path), 0, 0, message)


def _version_fault(registry: PromptRegistry | None, workload: Workload, prompt: Prompt) -> str | None:
    try:
        step = step_to(workload, Release(prompt, companions_of(workload)), registry)
    except ConfigError:
        return None  # schema, tools or golden set: the checks of those tell
    return None if step is None else step.fault


def _at_version(prompt: Prompt, message: str) -> Problem:
    mark = prompt.places.get(("version",), Mark(1, 1))
    return Problem(prompt.file, mark.line, mark.column, message)


def _schema(workload: Workload) -> Examination:
    """Whether the schema can be used, and what keeps it out of the strict subset."""
    path = workload.files.schema
    if path is None:
        return Examination()
    text = read_file(path)
    schema = OutputSchema.compile(text, name=workload.name, file=str(path))
    warnings = []
    for problem in schema.strict_problems:
        line, column = place_of(text, problem.pointer)
        what = f"{problem.pointer or 'the root'}: {problem.message}"
        message = f"{what} (rule `{problem.rule}`); until then the provider is not held to the schema, only answers are"
        warnings.append(Problem(str(path), line, column, message))
    return Examination(warnings=tuple(warnings))


def _rules(workload: Workload) -> Sequence[Problem]:
    """Whether the rules can be loaded; they are, in a process of their own."""
    if workload.files.rules is not None:
        check_rules(workload.files.rules)
    return ()


def _last_answer(workload: Workload) -> Sequence[Problem]:
    """Whether the answer that needs no model can be given, and is one that the schema lets through."""
    files = workload.files
    for code in (files.fallback_code, files.first_code):
        if code is not None:
            check_answers(code)
    path = files.fallback
    if path is None:
        return ()
    try:
        prompt, schema = own_prompt(workload, Published()), None
        if files.schema is not None:
            schema = OutputSchema.compile(read_file(files.schema), name=workload.name, file=str(files.schema))
    except ConfigError:
        return ()  # the checks of these files tell
    template = read_template(path, {} if prompt is None else prompt.variables)
    fault = None if schema is None or path.suffix != ".json" else known_fault(template, schema)
    if fault is None:
        problem = template_problem(path, template, schema)
        return () if problem is None else (problem,)
    assert files.schema is not None, "a fault is one of a schema"
    text = read_file(path)
    line, column = (0, 0) if text.lstrip().startswith(b'"') else place_of(text, fault.pointer)
    where = f"{fault.pointer}: " if fault.pointer else ""
    return (Problem(str(path), line, column, f"{where}breaks {files.schema.name}: {fault.message}"),)


def _golden(workload: Workload) -> Examination:
    """Golden cases that no call could be; what is wrong with many of them alike is told once."""
    alike: dict[str, list[Problem]] = {}
    for problem in unfit_cases(workload):
        alike.setdefault(problem.message, []).append(problem)
    warnings = [
        msgspec.structs.replace(first, message=f"{message} (and {len(more):,} more)") if more else first
        for message, (first, *more) in alike.items()
    ]
    return Examination(warnings=tuple(warnings[:MOST_SHOWN]))


def unfit_cases(workload: Workload) -> list[Problem]:
    """Each golden case that no call could be: its variables do not fit, or the schema lets no such answer through.

    Raises:
        ConfigError: the golden set cannot be read.
    """
    path, schema_path = workload.files.golden, workload.files.schema
    if path is None:
        return []
    try:
        prompt = own_prompt(workload, Published())
        schema = None
        if schema_path is not None:
            schema = OutputSchema.compile(read_file(schema_path), name=workload.name, file=str(schema_path))
    except ConfigError:
        return []  # the checks of these files tell
    warnings: list[Problem] = []
    for found in CaseReader(path):
        number, case = found.line, found.case
        if prompt is not None:
            try:
                prompt.render(case.variables, marker=_ANY_MARKER)
            except Refusal as error:
                warnings.append(Problem(str(path), number, 1, error.message))
        expected = case.expected
        fault = None if schema is None or isinstance(expected, msgspec.UnsetType) else schema.check(bytes(expected))
        if fault is not None:
            where = f"{fault.pointer}: " if fault.pointer else ""
            warnings.append(Problem(str(path), number, 1, f"`expected` breaks the schema: {where}{fault.message}"))
    return warnings


def _may_set(workload: Workload) -> Examination:
    """Whether what callers may set is something that a contract can fix."""
    warnings = [
        workload.problem(("caller_may_set", index), f"no contract fixes `{name}`{suggestion(name, FIXABLE)}")
        for index, name in enumerate(workload.contract.caller_may_set)
        if name not in FIXABLE
    ]
    return Examination(warnings=tuple(warnings))


def _limit(project: Project, workload: Workload) -> Examination:
    """Whether the most output tokens are so few that a provider refuses the call where it serves the Responses API."""
    contract, config = workload.contract, project.config
    limit = contract.output.max_tokens
    if limit is None or limit >= _LEAST_RESPONSES_TOKENS:
        return Examination()
    models = [model_of_rung(config, name) for name in (*contract.ladder, *contract.fallback)]
    names = [name for model in models if model is not None for name, _ in model.pairs]
    providers = {name: config.providers[name] for name in names}
    refusing = [name for name, provider in providers.items() if "responses" in provider.speaks]
    if not refusing:
        return Examination()
    message = (
        f"calls of /v1/responses will be refused by {', '.join(sorted(refusing))}: that API takes no fewer than "
        f"{_LEAST_RESPONSES_TOKENS} output tokens"
    )
    return Examination(warnings=(workload.problem(("output", "max_tokens"), message),))


def _lock(project: Project, locked: Mapping[str, Locked], workload: Workload) -> Examination:
    """Whether calls are made with the prompt and the schema that the lock names."""
    lock = locked.get(workload.name)
    if lock is None or workload.files.prompt is None:
        return Examination()
    try:
        with registry_of(project) as registry:
            active = None if registry is None else registry.active(workload.name)
        prompt = own_prompt(workload, Published())
        beside = None if active is None else active.companions
        schema = (beside or companions_of(workload)).schema
    except (ConfigError, StorageError):
        return Examination()  # other checks tell
    assert prompt is not None, "its file is there"
    used, digest = (prompt.version, prompt.hash) if active is None else (active.version, active.hash)
    faults = []
    if lock.prompt_hash and lock.prompt_hash != f"sha256:{digest}":
        faults.append(f"prompt {lock.prompt_version}, and calls are made with another, {used}")
    if lock.schema_hash != schema_digest(schema) and lock.prompt_hash:
        faults.append("another schema than answers must satisfy")
    what = " and to ".join(faults)
    file, advice = str(project.file.parent / LOCK_FILE), f"`headworks prompts publish {workload.name}` writes it anew"
    return Examination(
        warnings=(Problem(file, 0, 0, f"{workload.name} is locked to {what}: {advice}"),) if what else ()
    )


def _model(project: Project, locked: Mapping[str, Locked], workload: Workload) -> Sequence[Problem]:
    """Whether the model that the lock has decided on is still there."""
    model = locked[workload.name].model if workload.name in locked else ""
    problem = locked_model_problem(project, workload, model)
    return () if problem is None else (problem,)


def _semantic(project: Project, locked: Mapping[str, Locked], workload: Workload) -> Examination:
    """Whether its semantic cache was measured, as it is now."""
    cache = workload.contract.cache
    if cache is None or cache.semantic is None:
        return Examination()
    from headworks.semantic_caches import (
        prompt_in_use,
        semantic_problem,
    )  # the model: only who has such a cache loads it

    try:
        with registry_of(project) as registry:
            publications = [] if registry is None else registry.list(workload.name)
            active = None if registry is None else registry.active(workload.name)
        prompt = prompt_in_use(workload, Published(publications, active))
    except (ConfigError, StorageError):
        return Examination()  # told by the check of the prompt
    evidence = locked[workload.name].semantic_cache if workload.name in locked else None
    problem = semantic_problem(workload, prompt, evidence)
    return Examination(() if problem is None else (problem,))


def _screening(workload: Workload) -> Examination:
    """Whether what the contract says of personal data and of injection can be used."""
    screening = workload.contract.screening
    problems: list[Problem] = []
    if screening.privacy is not None:
        from headworks.screening.privacy import PrivacyPolicy

        try:
            PrivacyPolicy.compile(screening.privacy, file=str(workload.file))
        except ConfigError as error:
            problems += error.problems
    if screening.injection is not None and screening.injection.classifier != "off":
        try:
            injection_policy(screening.injection, str(workload.file))
        except ConfigError as error:
            problems += error.problems
    return Examination(tuple(problems))
