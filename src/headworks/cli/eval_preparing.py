"""Arms made ready to be asked: each compiled as its calls need it, with what tells equal requests apart."""

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from headworks.cli.eval_arms import ArmSpec
from headworks.cli.parsing import UsageError
from headworks.compiled import CompiledWorkload, Published, compile_workload
from headworks.config import LOCK_FILE, Project, Workload, model_of_rung, read_lock, target_of_rung
from headworks.config.contract import Retention
from headworks.config.data import why_not_to
from headworks.errors import CommandError, Refusal
from headworks.evals.golden import GoldenCase, GoldenFile, Wanted, indexes_of, part_of
from headworks.evals.retrieval import Way, way_of
from headworks.evals.runs import Arm
from headworks.evals.scorers import read_settings as evals_settings
from headworks.prompts import Prompt, Publication
from headworks.settings import Settings, read_settings

_ANY_MARKER = "0eval0eval0eval0"
"""Of the fences in what is hashed: a call's own is random, and no answer depends on it."""


class ArmSource(msgspec.Struct, frozen=True, eq=False):
    """What an arm is made of.

    Attributes:
        workload: as its folder has it, today or at another time.
        publication: a published version that goes before the folder's prompt; None for what `spec` says.
        is_earlier: its prompt is of another time than the golden set: variables that it does not have are left out.
    """

    workload: Workload
    spec: ArmSpec
    publication: Publication | None = None
    is_earlier: bool = False


class EvalArms(msgspec.Struct, frozen=True, eq=False):
    """The arms of a run, ready to be asked.

    Attributes:
        arms: as the run's manifest has them.
        settings: of a gateway that serves each arm under the name `workload@number`.
        prompts: of each arm, by its name.
        sent_beside: likewise, the hash of everything that an answer depends on but prompt and case.
        ways: of finding contexts, by the name of the arm; their owner closes them.
        variable: of the prompt, which a context is the value of.
        earlier: the names of arms whose prompts are of another time than the golden set.
    """

    arms: tuple[Arm, ...]
    settings: Settings
    prompts: Mapping[str, Prompt | None]
    sent_beside: Mapping[str, str]
    ways: Mapping[str, tuple[str, Way]] = {}
    variable: str = ""
    earlier: frozenset[str] = frozenset()

    def variables_of(self, arm: Arm, case: GoldenCase) -> Mapping[str, object]:
        """What an arm's prompt is given of a case: all, or of an earlier prompt what it knows."""
        prompt = self.prompts[arm.name]
        if prompt is None or arm.name not in self.earlier:
            return case.variables
        return {name: value for name, value in case.variables.items() if name in prompt.variables}

    def unfit(self, arm: Arm, case: GoldenCase) -> str:
        """Why an arm's prompt does not take a case; "" where it does. Names variables, and no value."""
        prompt = self.prompts[arm.name]
        if prompt is None:
            return ""
        context = {self.variable: ""} if arm.name in self.ways else {}
        try:
            prompt.render({**self.variables_of(arm, case), **context}, marker=_ANY_MARKER)
        except Refusal as error:
            return error.message
        return ""

    def request_hash(self, arm: Arm, case: GoldenCase) -> str:
        """What tells one request from another: equal where an arm is sent the same bytes for a case, whatever else has
        changed in the prompt's source."""
        prompt = self.prompts[arm.name]
        try:
            rendered = "" if prompt is None else prompt.render(self.variables_of(arm, case), marker=_ANY_MARKER).hash
        except Refusal:
            return arm.identity  # it is refused, whenever it is asked
        return hashlib.sha256(f"{self.sent_beside[arm.name]} {rendered}".encode()).hexdigest()


def prepare_arms(project: Project, workload: Workload, specs: Sequence[ArmSpec], state: Path) -> EvalArms:
    """Compile arms of a workload as its folder has it. As `prepare_sources`."""
    return prepare_sources(project, workload.name, [ArmSource(workload, spec) for spec in specs], state)


def prepare_sources(project: Project, name: str, sources: Sequence[ArmSource], state: Path) -> EvalArms:
    """Compile each arm.

    Arguments:
        name: of the workload.
        state: a folder for what the gateway keeps.

    Raises:
        CommandError: an arm names a model or a prompt that there is not.
        ConfigError: a file cannot be used.
        SecretError: a provider's key cannot be read.
    """
    from headworks.cli.prompt_release import registry_of

    settings = read_settings(project, os.environ, demands_evidence=False)
    with registry_of(project) as registry:
        publications = () if registry is None else tuple(registry.list(name))
        active = None if registry is None else registry.active(name)
    locked = read_lock(project.folder / LOCK_FILE).workloads.get(name)
    arms, variants = list[Arm](), list[tuple[Workload, CompiledWorkload]]()
    prompts, sent_beside = dict[str, Prompt | None](), dict[str, str]()
    ways, ways_of = dict[str, tuple[str, Way]](), dict[str, Way]()
    rungs = [
        source.spec.model
        or source.workload.contract.model
        or (locked.model if locked is not None else "")
        or source.workload.contract.ladder[0]
        for source in sources
    ]
    for number, (source, rung, arm_name) in enumerate(zip(sources, rungs, _names(sources, rungs), strict=True)):
        spec, workload = source.spec, source.workload
        contract = workload.contract
        model = model_of_rung(project.config, rung)
        if model is None:
            raise CommandError(f"--arm: `{rung[:80]}` is no model: name a role (nano), a public name or provider/model")
        reason = why_not_to(project.config, contract.data, target_of_rung(project.config, rung) or rung)
        if reason:
            raise CommandError(f"the cases of {name} must not go to `{rung[:80]}`: {reason}")
        changed = msgspec.structs.replace(
            contract,
            ladder=(rung,),
            model=rung,
            fallback=(),
            canary=None,
            cache=None,  # every answer is to be the model's own
            actions={},
            retention=Retention(content="full"),  # sealed, for a moment: see `EvalGateway`
            output=msgspec.structs.replace(contract.output, **spec.parameters),
        )
        in_place = source.publication or (active if spec.prompt == "active" else None)
        # A prompt that is being worked on may say something else than what is published under its version.
        is_folder = in_place is None and spec.prompt == "folder"
        work = compile_workload(
            msgspec.structs.replace(workload, contract=changed),
            locked_model="",
            published=Published(() if is_folder else publications, in_place),
        )
        if source.publication is None:
            work = _at_version(work, spec, name)
        target = f"{model.provider}/{model.model}"
        beside = _sent_beside(work, target, workload, project)
        identity: list[object] = [beside, "" if work.prompt is None else work.prompt.hash]
        if spec.retrieval:
            way = _way(ways_of, workload, work, spec.retrieval)
            ways[arm_name] = spec.retrieval, way
            identity.append(way.identity)
        arm = Arm(
            name=arm_name,
            model=target,
            identity=_digest(identity),
            prompt_version="" if work.prompt is None else work.prompt.version,
            prompt_hash="" if work.prompt is None else work.prompt.hash,
            parameters=spec.as_given(),
        )
        arms.append(arm)
        prompts[arm.name], sent_beside[arm.name] = work.prompt, beside
        named = msgspec.structs.replace(workload, name=served_name(name, number), contract=changed)
        variants.append((named, work))
    if len({arm.name for arm in arms}) != len(arms):
        raise UsageError("two arms have one name: give one of them another with name=…")
    storage = msgspec.structs.replace(project.config.storage, path=str(state))
    records = msgspec.structs.replace(project.config.records, bodies=False)
    secret = settings.secret or secrets.token_bytes(32)
    quiet = msgspec.structs.replace(
        project, config=msgspec.structs.replace(project.config, storage=storage, records=records)
    )
    return EvalArms(
        tuple(arms),
        msgspec.structs.replace(settings, project=quiet, workloads=tuple(variants), secret=secret),
        prompts,
        sent_beside,
        ways,
        _variable(sources) if ways else "",
        frozenset(
            arm.name
            for arm, source in zip(arms, sources, strict=True)
            if source.is_earlier or source.publication is not None or source.spec.prompt != "folder"
        ),
    )


def check_fit(arms: EvalArms, workload: Workload, wanted: Wanted) -> None:
    """Refuse cases that a prompt does not take: no model would be asked, and that says nothing of it.

    Raises:
        CommandError: there are such.
    """
    golden = workload.files.golden
    assert golden is not None, "who runs has looked"
    with GoldenFile(golden) as cases:
        asked = indexes_of(cases, part_of(cases, wanted))
        for arm in arms.arms:
            unfit = [found for index in asked if (found := arms.unfit(arm, cases[index]))]
            if unfit:
                raise CommandError(
                    f"{len(unfit):,} of {len(asked):,} cases do not fit the prompt of the arm `{arm.name}`, so that "
                    f"nothing was asked. {unfit[0]} Mend the cases or the prompt: `headworks golden lint "
                    f"{workload.name}` names those that do not fit the prompt of the folder"
                )


def served_name(workload: str, number: int) -> str:
    """What the gateway of a run calls an arm. No workload's name has an `@`."""
    return f"{workload}@{number}"


def _names(sources: Sequence[ArmSource], rungs: Sequence[str]) -> list[str]:
    """What reports call the arms: as they are asked to, else by the model, and several of one by their prompts, too."""
    names = [
        source.spec.name or (f"{rung}+{source.spec.retrieval}" if source.spec.retrieval else rung)
        for source, rung in zip(sources, rungs, strict=True)
    ]
    return [
        f"{name}@{source.spec.prompt}" if names.count(name) > 1 and not source.spec.name else name
        for source, name in zip(sources, names, strict=True)
    ]


def _way(known: dict[str, Way], workload: Workload, work: CompiledWorkload, name: str) -> Way:
    """The way of finding contexts of this name; one for all arms that have it.

    Raises:
        CommandError: there is none, or the prompt has no place for what it finds.
    """
    settings = evals_settings(workload.folder).retrieval
    if settings is None:
        raise CommandError(f"--arm: retrieval={name[:40]} needs `retrieval` in evals.yaml beside the contract")
    if work.prompt is None or settings.variable not in work.prompt.variables:
        raise CommandError(
            f"--arm: the prompt has no variable `{settings.variable}`, which what is found would go into"
        )
    if name not in known:
        known[name] = way_of(settings, name, workload.folder)
    return known[name]


def _variable(sources: Sequence[ArmSource]) -> str:
    settings = evals_settings(sources[0].workload.folder).retrieval
    assert settings is not None, "a way was found"
    return settings.variable


def _at_version(work: CompiledWorkload, spec: ArmSpec, name: str) -> CompiledWorkload:
    """The workload with the prompt that an arm names."""
    if spec.prompt != "folder" and spec.parameters:
        raise UsageError("--arm: a published version brings its parameters along: leave them out, or prompt=…")
    if spec.prompt in ("folder", "active"):
        return work
    found = work.find_version(spec.prompt)
    if found is None:
        raise CommandError(f"--arm: no version {spec.prompt[:40]} of the prompt of `{name}` is published")
    return work.at(found)


def _sent_beside(work: CompiledWorkload, target: str, workload: Workload, project: Project) -> str:
    """The hash of what an answer depends on but prompt and case."""
    contract, rules = work.contract, workload.files.rules
    provider = project.config.providers[target.partition("/")[0]]
    return _digest(
        [
            target,
            provider.base_url,
            "" if work.schema is None else work.schema.hash,
            hashlib.sha256(rules.read_bytes()).hexdigest() if rules is not None else "",
            {endpoint.value: fields for endpoint, fields in work.fixed.items()},
            work.limit,
            contract.latency,
            contract.validation,
            contract.screening,
            _simulated(project, target.partition("/")[0]),
        ]
    )


def _simulated(project: Project, name: str) -> object:
    """What a simulator in this process answers by; None for any other provider."""
    provider = project.config.providers[name]
    if provider.kind != "simulator":
        return None
    from headworks.simulator import load_plan  # only where a simulator is: it is large

    return [provider.seed, None if provider.plan is None else load_plan(project.path(provider.plan))]


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
