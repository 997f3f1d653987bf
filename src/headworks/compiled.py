"""A workload as its calls need it: whatever can be known when it is loaded is worked out here, once."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from headworks.calls import DEFERRED_PRIORITY, Budget, Endpoint
from headworks.composing import PromptReference, fixed_fields, response_tool
from headworks.config import DETERMINISTIC, Contract, Workload
from headworks.config.budgets import budget_of
from headworks.config.contract import OutputLimits
from headworks.config.document import Mark
from headworks.config.injection import Injection
from headworks.config.privacy import Privacy
from headworks.deterministic import LastAnswer, last_answer
from headworks.errors import ConfigError, Problem, Refusal
from headworks.prefix_marking import PrefixEnd, prefix_end
from headworks.prompts import Prompt, Publication, parse
from headworks.routing import Target
from headworks.screening import ActionPolicy, AnswerRunner, OutputSchema, RulesRunner, ToolSet
from headworks.screening.injection import Embed, InjectionPolicy
from headworks.screening.privacy import PrivacyPolicy
from headworks.stations import Station


class WorkloadVersion(msgspec.Struct, frozen=True, eq=False):
    """What changes from one version of a workload to another: what it sends, and what it takes for an answer.

    Attributes:
        prompt: None where callers bring the whole conversation.
        schema: what answers must satisfy.
        tools: what the model may call.
        fixed: what each call is given, by dialect.
        limit: the bound on output tokens.
        stop: the stop sequences, for a dialect that has no place for them.
        deterministic: the answer at the chain's end; None where there is none, or where it breaks this version's
            schema or needs other variables than its prompt has.
        cache_key: by which calls whose prefix is the same meet in one prompt cache, as JSON.
        prefix: the end of what is the same in all of its calls; None where it is not to be marked.
    """

    prompt: Prompt | None
    schema: OutputSchema | None
    tools: ToolSet | None
    fixed: Mapping[Endpoint, Mapping[str, msgspec.Raw]]
    limit: int | None
    stop: tuple[str, ...]
    deterministic: LastAnswer | None
    cache_key: msgspec.Raw
    prefix: PrefixEnd | None


class CompiledWorkload(WorkloadVersion, frozen=True, eq=False, kw_only=True):
    """What a workload's calls run on: the version in use, and what is the same for all of them.

    Attributes:
        name: what callers send as `model`.
        chain: where a call goes: the rung in use, then the fallbacks; empty until the targets are there.
        chain_names: the same, as the contract names them.
        find_version: a published version by `1`, `1.2` or `1.2.3`; None if there is none.
        canary: the version on trial.
        rules: asks the rules; None until somebody runs it.
        answerer: asks the function of `fallback.py`; None until somebody runs it.
        first: asks the function of `first.py`, before any model; None until somebody runs it, or where there is none.
        privacy: screens what goes up and comes down; None where the contract does not ask for it.
        injection: looks for instructions in data; None where the contract does not ask for it.
        keeping: screens what is kept of calls; None where that is nothing, or all of it.
        static_headers: a header block that names the workload in answers.
        priority: the class of its calls; None where that is their caller's.
        budget: what its calls may cost together.
        check_model: the name of the model that is asked about untrusted text; empty where none is, or until the targets
            are there.
    """

    name: str
    contract: Contract
    chain: tuple[Target[Station], ...]
    chain_names: tuple[str, ...]
    find_version: Callable[[str], WorkloadVersion | None]
    canary: WorkloadVersion | None
    policy: ActionPolicy
    rules: RulesRunner | None
    answerer: AnswerRunner | None
    privacy: PrivacyPolicy | None
    injection: InjectionPolicy | None
    keeping: PrivacyPolicy | None
    static_headers: bytes
    priority: int | None
    budget: Budget
    check_model: str = ""
    first: AnswerRunner | None = None

    @property
    def judges_output(self) -> bool:
        """Whether answers are looked at before they go on."""
        return self.schema is not None or self.rules is not None or self.tools is not None

    def for_call(self, reference: PromptReference, *, is_canary: bool) -> "CompiledWorkload":
        """The workload in the version that one call is of.

        Raises:
            Refusal: 404 `prompt_version_not_found`; 400 `parameter_fixed` for another prompt than the workload's, and
                `unknown_prompt_variable` where there is no prompt that variables could go into.
        """
        if reference.id not in ("", self.name):
            raise Refusal(
                400,
                "parameter_fixed",
                f"The prompt of `{self.name}` is its own: leave `prompt.id` out, or send the workload's name.",
                param="prompt.id",
            )
        wanted = reference.version
        if wanted is None:
            if self.prompt is None and reference.variables:
                message = f"The workload `{self.name}` has no prompt that variables could go into: leave them out."
                raise Refusal(400, "unknown_prompt_variable", message, param="prompt.variables")
            return self.at(self.canary) if is_canary and self.canary is not None else self
        if self.prompt is not None and _fits(self.prompt.version, wanted):
            return self
        canary = self.canary
        if canary is not None and canary.prompt is not None and _fits(canary.prompt.version, wanted):
            return self.at(canary)
        found = self.find_version(wanted)
        if found is None:
            raise Refusal(
                404,
                "prompt_version_not_found",
                f"The workload `{self.name}` has no published prompt version {wanted[:32]}; "
                + ("it has no prompt." if self.prompt is None else f"in use is {self.prompt.version}."),
                param="prompt.version",
            )
        return self.at(found)

    def at(self, version: WorkloadVersion) -> "CompiledWorkload":
        """The workload in another version."""
        return msgspec.structs.replace(self, **{name: getattr(version, name) for name in _OF_VERSION})

    def tries_canary(self, call_id: str, user: str, key_id: str) -> bool:
        """Whether a call is among those that the version on trial takes; the same each time for who is to stay."""
        canary = self.contract.canary
        if canary is None or canary.share <= 0:
            return False
        sticky = {"call": call_id, "user": user, "key": key_id}[canary.key] or call_id
        return stable_share(f"{self.name}\0{canary.version}\0{sticky}") < canary.share


_MOST_CACHE_KEY = 64
"""Characters of a `prompt_cache_key` (OpenAI API reference, 2026-11)."""

_OF_VERSION = WorkloadVersion.__struct_fields__


class Published:
    """The prompts of one workload as the registry has them.

    Arguments:
        publications: every published version, the lowest first.
        active: the one that was activated last.
    """

    def __init__(self, publications: Sequence[Publication] = (), active: Publication | None = None) -> None:
        self._newest_first = tuple(reversed(publications))
        self.active = active

    def find(self, version: str) -> Publication | None:
        """The newest version that fits `1`, `1.2` or `1.2.3`."""
        return next((one for one in self._newest_first if _fits(one.version, version)), None)

    def of(self, version: str) -> Publication | None:
        """The publication with exactly this number."""
        return next((one for one in self._newest_first if one.version == version), None)


def stable_share(key: str) -> float:
    """A number from 0 to 1 that is always the same for a key, and evenly spread over keys."""
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") / 2**64


def compile_workload(
    workload: Workload,
    *,
    locked_model: str,
    published: Published,
) -> CompiledWorkload:
    """Compile one, but for its targets and its rules' process.

    Arguments:
        locked_model: the rung that headworks.lock decided on; "" for none.
        published: what the registry has; its active version goes before the folder's.

    Raises:
        ConfigError: a file cannot be used, with the place of each problem.
    """
    contract = workload.contract
    rung = contract.model or locked_model or contract.ladder[0]
    names = [rung, *(name for name in contract.fallback if name not in (rung, DETERMINISTIC))]
    privacy = keeping = None
    if contract.screening.privacy is not None or contract.retention.content == "redacted":
        settings = contract.screening.privacy or Privacy()
        policy = PrivacyPolicy.compile(settings, file=str(workload.file))
        keeping = policy if contract.retention.content == "redacted" else None
        privacy = None if contract.screening.privacy is None else policy
    injection = contract.screening.injection
    tainted = injection.taint if injection is not None and injection.taint in ("hold", "deny") else None
    versions = _Versions(workload, published)
    canary = None
    if contract.canary is not None:
        canary = versions.find(contract.canary.version)
        if canary is None:
            raise ConfigError(workload.problem(("canary", "version"), "no such version of the prompt is published"))
    in_use = versions.own if published.active is None else versions.of(published.active)
    return CompiledWorkload(
        **{name: getattr(in_use, name) for name in _OF_VERSION},
        name=workload.name,
        contract=contract,
        chain=(),
        chain_names=tuple(names),
        find_version=versions.find,
        canary=canary,
        policy=ActionPolicy.compile(contract.actions, tainted=tainted),
        rules=None,
        answerer=None,
        privacy=privacy,
        injection=None if injection is None else injection_policy(injection, str(workload.file)),
        keeping=keeping,
        static_headers=f"x-headworks-workload: {workload.name}\r\n".encode("ascii"),
        priority=_priority(contract),
        budget=budget_of(contract.budget),
    )


def _priority(contract: Contract) -> int | None:
    if contract.priority is None and contract.urgency == "deferred":
        return DEFERRED_PRIORITY
    return contract.priority


class _Versions:
    """The versions of one workload, each compiled when it is first asked for: while a published one is active, nothing
    in the folder can keep its calls from being made."""

    def __init__(self, workload: Workload, published: Published) -> None:
        self._workload = workload
        self._published = published
        self._compiled: dict[str, WorkloadVersion] = {}
        self._is_deterministic = DETERMINISTIC in workload.contract.fallback

    @cached_property
    def own(self) -> WorkloadVersion:
        """What lies in the folder. Raises ConfigError."""
        return self._with_folder(own_prompt(self._workload, self._published))

    def _with_folder(self, prompt: Prompt | None) -> WorkloadVersion:
        """A prompt with the schema and the parameters of the folder.

        Raises:
            ConfigError: a file cannot be used, or the answer at the chain's end breaks the schema.
        """
        workload, files = self._workload, self._workload.files
        schema = None if files.schema is None else _schema(workload.name, read_file(files.schema), str(files.schema))
        tools = None if files.tools is None else read_file(files.tools)
        if self._is_deterministic:
            last_answer(workload, {} if prompt is None else prompt.variables, schema)  # what is wrong with it is told
        return self._compile(prompt, schema, tools, str(files.tools), workload.contract.output)

    def find(self, version: str) -> WorkloadVersion | None:
        """The newest published version that fits."""
        found = self._published.find(version)
        return None if found is None else self.of(found)

    def of(self, publication: Publication) -> WorkloadVersion:
        """A published version, with what it was published with; what was not kept of it is the folder's."""
        known = self._compiled.get(publication.version)
        if known is not None:
            return known
        file = f"the published prompt of {publication.workload} {publication.version}"
        prompt = parse(publication.source, name=publication.workload, file=file)
        beside = publication.companions
        if beside is None:
            made = self._with_folder(prompt)
        else:
            schema = _schema(self._workload.name, beside.schema.encode(), file) if beside.schema else None
            sent = _decode_sent(beside.parameters)
            tools = None if sent.tools is None else msgspec.json.encode([response_tool(tool) for tool in sent.tools])
            output = OutputLimits(sent.max_tokens, sent.stop, sent.verbosity, sent.reasoning_effort, sent.temperature)
            made = self._compile(prompt, schema, tools, file, output)
        self._compiled[publication.version] = made
        return made

    def _compile(
        self,
        prompt: Prompt | None,
        schema: OutputSchema | None,
        tools: bytes | None,
        tools_file: str,
        output: OutputLimits,
    ) -> WorkloadVersion:
        schema_format = (
            None
            if schema is None
            else {"name": schema.name, "schema": msgspec.Raw(schema.canonical), "strict": schema.is_strict}
        )
        return WorkloadVersion(
            prompt=prompt,
            schema=schema,
            tools=None if tools is None else ToolSet.compile(tools, file=tools_file),
            fixed={
                endpoint: fixed_fields(output, endpoint, schema_format=schema_format, tools=tools)
                for endpoint in (Endpoint.RESPONSES, Endpoint.CHAT)
            },
            limit=output.max_tokens,
            stop=output.stop,
            deterministic=self._last_answer(prompt, schema),
            cache_key=_cache_key(self._workload.name, prompt),
            prefix=prefix_end(prompt, self._workload.contract.volume.calls_per_day),
        )

    def _last_answer(self, prompt: Prompt | None, schema: OutputSchema | None) -> LastAnswer | None:
        if not self._is_deterministic:
            return None
        try:
            return last_answer(self._workload, {} if prompt is None else prompt.variables, schema)
        except ConfigError:
            return None  # it was written for another version; `headworks check` tells


class _Sent(msgspec.Struct, frozen=True):
    """`Companions.parameters`, as they were published: the contract's `output`, and the tools as Chat has them."""

    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    verbosity: Literal["low", "medium", "high"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    temperature: float | None = None
    tools: tuple[dict[str, object], ...] | None = None


_decode_sent = msgspec.json.Decoder(_Sent).decode


def injection_policy(settings: Injection, file: str = "workload.yaml") -> InjectionPolicy:
    """The layers against injection of a contract, with the local embedding where they need it.

    Raises:
        ConfigError: it is not installed.
    """
    return InjectionPolicy.compile(settings, _load_embed, file)


def _load_embed() -> Embed:
    from headworks.embedding import load_local_model  # 16 MB: only who classifies loads it

    return load_local_model().vectors


def own_prompt(workload: Workload, published: Published) -> Prompt | None:
    """The prompt in the workload's folder.

    Raises:
        ConfigError: it cannot be used, or it says something else than was published under its version.
    """
    path = workload.files.prompt
    if path is None:
        return None
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(Problem(str(path), 0, 0, "is not UTF-8")) from None
    prompt = parse(text, name=workload.name, file=str(path))
    there = published.of(prompt.version)
    if there is not None and there.hash != prompt.hash:
        mark = prompt.places.get(("version",), Mark(1, 1))
        raise ConfigError(
            Problem(
                str(path),
                mark.line,
                mark.column,
                f"version {prompt.version} is published with other content: raise it (`headworks prompts bump`)",
            )
        )
    return prompt


def read_file(path: Path) -> bytes:
    """The bytes of a file of a workload.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")) from None


def _cache_key(name: str, prompt: Prompt | None) -> msgspec.Raw:
    key = name if prompt is None else f"{name}-{prompt.version}"
    if len(key) > _MOST_CACHE_KEY:
        key = sha256(key.encode()).hexdigest()[:_MOST_CACHE_KEY]
    return msgspec.Raw(msgspec.json.encode(key))


def _fits(version: str, wanted: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")


def _schema(name: str, text: bytes, file: str) -> OutputSchema:
    return OutputSchema.compile(text, name=name.replace("-", "_"), file=file)
