"""A workload as its calls need it: whatever can be known when it is loaded is worked out here, once."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from headworks.calls import Endpoint
from headworks.composing import PromptReference, fixed_fields
from headworks.config import DETERMINISTIC, Contract, Workload
from headworks.config.document import Mark
from headworks.config.privacy import Privacy
from headworks.errors import ConfigError, Problem, Refusal
from headworks.planning import Station
from headworks.prompts import Prompt, Publication, parse
from headworks.routing import Target
from headworks.screening import ActionPolicy, OutputSchema, RulesRunner, ToolSet
from headworks.screening.privacy import PrivacyPolicy


class CompiledWorkload(msgspec.Struct, frozen=True, eq=False):
    """What a workload's calls run on.

    Attributes:
        name: what callers send as `model`.
        chain: where a call goes: the rung in use, then the fallbacks; empty until the targets are there.
        chain_names: the same, as the contract names them.
        rules: asks the rules; None until somebody runs it.
        deterministic: the text of the static answer at the chain's end; None if there is none.
        prompt: the version in use; None where callers bring the whole conversation.
        find_prompt: a published version by `1`, `1.2` or `1.2.3`; None if there is none.
        canary: the version on trial.
        privacy: screens what goes up and comes down; None where the contract does not ask for it.
        keeping: screens what is kept of calls; None where that is nothing, or all of it.
        fixed: what the contract gives each call, by dialect.
        limit: the contract's bound on output tokens.
        static_headers: a header block that names the workload in answers.
    """

    name: str
    contract: Contract
    chain: tuple[Target[Station], ...]
    chain_names: tuple[str, ...]
    deterministic: str | None
    prompt: Prompt | None
    find_prompt: Callable[[str], Prompt | None]
    canary: Prompt | None
    schema: OutputSchema | None
    tools: ToolSet | None
    policy: ActionPolicy
    rules: RulesRunner | None
    privacy: PrivacyPolicy | None
    keeping: PrivacyPolicy | None
    fixed: Mapping[Endpoint, Mapping[str, msgspec.Raw]]
    limit: int | None
    static_headers: bytes

    @property
    def judges_output(self) -> bool:
        """Whether answers are looked at before they go on."""
        return self.schema is not None or self.rules is not None or self.tools is not None

    def prompt_for(self, reference: PromptReference, *, is_canary: bool) -> Prompt | None:
        """The prompt of one call; None where callers bring the whole conversation.

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
        version = reference.version
        if version is None:
            if self.prompt is None and reference.variables:
                message = f"The workload `{self.name}` has no prompt that variables could go into: leave them out."
                raise Refusal(400, "unknown_prompt_variable", message, param="prompt.variables")
            return self.canary if is_canary and self.canary is not None else self.prompt
        for own in (self.prompt, self.canary):
            if own is not None and _fits(own.version, version):
                return own
        found = self.find_prompt(version)
        if found is None:
            raise Refusal(
                404,
                "prompt_version_not_found",
                f"The workload `{self.name}` has no published prompt version {version[:32]}; "
                + ("it has no prompt." if self.prompt is None else f"in use is {self.prompt.version}."),
                param="prompt.version",
            )
        return found

    def tries_canary(self, call_id: str, user: str, key_id: str) -> bool:
        """Whether a call is among those that the version on trial takes; the same each time for who is to stay."""
        canary = self.contract.canary
        if canary is None or canary.share <= 0:
            return False
        sticky = {"call": call_id, "user": user, "key": key_id}[canary.key] or call_id
        return stable_share(f"{self.name}\0{canary.version}\0{sticky}") < canary.share


class Published:
    """The prompts of one workload as the registry has them.

    Arguments:
        publications: every published version, the lowest first.
        active: the one that was activated last.
    """

    def __init__(self, publications: Sequence[Publication] = (), active: Publication | None = None) -> None:
        self._newest_first = tuple(reversed(publications))
        self._parsed: dict[str, Prompt] = {}
        self.active = None if active is None else self._parse(active)

    def find(self, version: str) -> Prompt | None:
        """The newest version that fits `1`, `1.2` or `1.2.3`."""
        for publication in self._newest_first:
            if _fits(publication.version, version):
                return self._parse(publication)
        return None

    def of(self, version: str) -> Publication | None:
        """The publication with exactly this number."""
        return next((one for one in self._newest_first if one.version == version), None)

    def _parse(self, publication: Publication) -> Prompt:
        known = self._parsed.get(publication.version)
        if known is None:
            name = f"the published prompt of {publication.workload} {publication.version}"
            known = self._parsed[publication.version] = parse(publication.source, name=publication.workload, file=name)
        return known


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
    contract, files = workload.contract, workload.files
    schema = None
    if files.schema is not None:
        schema = OutputSchema.compile(read_file(files.schema), name=_schema_name(workload.name), file=str(files.schema))
    tools_text = None if files.tools is None else read_file(files.tools)
    rung = contract.model or locked_model or contract.ladder[0]
    names = [rung, *(name for name in contract.fallback if name not in (rung, DETERMINISTIC))]
    schema_format = (
        None
        if schema is None
        else {"name": schema.name, "schema": msgspec.Raw(schema.canonical), "strict": schema.is_strict}
    )
    canary = None
    if contract.canary is not None:
        canary = published.find(contract.canary.version)
        if canary is None:
            raise ConfigError(workload.problem(("canary", "version"), "no such version of the prompt is published"))
    privacy = keeping = None
    if contract.screening.privacy is not None or contract.retention.content == "redacted":
        settings = contract.screening.privacy or Privacy()
        policy = PrivacyPolicy.compile(settings, file=str(workload.file))
        keeping = policy if contract.retention.content == "redacted" else None
        privacy = None if contract.screening.privacy is None else policy
    fixed = {
        endpoint: fixed_fields(contract, endpoint, schema_format=schema_format, tools=tools_text)
        for endpoint in (Endpoint.RESPONSES, Endpoint.CHAT)
    }
    return CompiledWorkload(
        name=workload.name,
        contract=contract,
        chain=(),
        chain_names=tuple(names),
        deterministic=None
        if files.fallback is None or DETERMINISTIC not in contract.fallback
        else _static_answer(files.fallback, schema),
        prompt=published.active or own_prompt(workload, published),
        find_prompt=published.find,
        canary=canary,
        schema=schema,
        tools=None if tools_text is None else ToolSet.compile(tools_text, file=str(files.tools)),
        policy=ActionPolicy.compile(contract.actions),
        rules=None,
        privacy=privacy,
        keeping=keeping,
        fixed=fixed,
        limit=contract.output.max_tokens,
        static_headers=f"x-headworks-workload: {workload.name}\r\n".encode("ascii"),
    )


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


def _static_answer(path: Path, schema: OutputSchema | None) -> str:
    """The text of the answer in `fallback.json`: a JSON string is the text itself, anything else is written as JSON."""
    try:
        value = msgspec.json.decode(read_file(path))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(Problem(str(path), 0, 0, "is not JSON")) from None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    fault = None if schema is None else schema.check(text)
    if fault is not None:
        message = f"breaks the workload's schema, as no answer may: {fault.pointer or 'the answer'}: {fault.message}"
        raise ConfigError(Problem(str(path), 0, 0, message))
    return text


def _fits(version: str, wanted: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")


def _schema_name(name: str) -> str:
    return name.replace("-", "_")
