"""What scorers need from a project: its schema, its rules, a judge's model and an embeddings model, both remembered."""

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, cast

import msgspec

from headworks._version import __version__
from headworks.cli.lines import note
from headworks.compiled import read_file
from headworks.config import Project, Workload
from headworks.errors import CommandError
from headworks.evals.answer_cache import AnswerCache
from headworks.evals.golden import CaseReader, GoldenCase, GoldenFile, Wanted, indexes_of, part_of
from headworks.evals.runs import Arm, Climb, Manifest, Reply, RunFolder
from headworks.evals.scorers import (
    Answer,
    Calibration,
    Combined,
    EvalSettings,
    FoundScorer,
    Judge,
    JudgeReply,
    Means,
    ScorerFactory,
    ScoringFailed,
    build_scorer,
    calibrate,
    calibration_key,
    judge_of,
    read_labels,
    read_settings,
    scorer_hash,
)
from headworks.screening import OutputSchema, RulesRunner

CallModel = Callable[[str, Mapping[str, object]], Awaitable[Reply]]
"""Makes a call of the API: a path and a body."""

EmbedTexts = Callable[[str, Sequence[str]], Awaitable[Sequence[Sequence[float]]]]


def _installed(name: str) -> FoundScorer:
    """The scorer of an installed package. Raises ExtensionError."""
    from headworks.extending import SCORERS, find_extension, load_extension  # only who names one loads it

    distribution = find_extension(SCORERS, name).dist
    make = cast("ScorerFactory", load_extension(SCORERS, name))
    package, version = ("an unknown package", "") if distribution is None else (distribution.name, distribution.version)
    return FoundScorer(make, package, version)


class Scoring:
    """The scorer of a workload, made from its `evals.yaml`; an asynchronous context manager.

    Arguments:
        cache: what models have said before.
        call: asks a judge's model; None where no model may be called: what they have said before must do.
        embed: asks an embeddings model; likewise.
    """

    def __init__(
        self, workload: Workload, cache: AnswerCache, *, call: CallModel | None, embed: EmbedTexts | None
    ) -> None:
        self._workload = workload
        self._cache = cache
        self._call = call
        self._embed = embed
        self._rules: RulesRunner | None = None
        self.settings: EvalSettings = read_settings(workload.folder)
        self.scorer: Combined
        self.schema_hash = self.rules_hash = ""
        self.calibration: Calibration | None = None

    async def __aenter__(self) -> Self:
        workload, files = self._workload, self._workload.files
        schema = None
        if files.schema is not None:
            schema = OutputSchema.compile(read_file(files.schema), name=workload.name, file=str(files.schema))
            self.schema_hash = schema.hash
        if files.rules is not None:
            self.rules_hash = hashlib.sha256(read_file(files.rules)).hexdigest()
            self._rules = RulesRunner(files.rules, workload.contract.validation.rules_timeout_s)
        calibrations = await self._calibrations()
        means = Means(
            check_schema=None if schema is None else _checked_by(schema),
            schema_hash=self.schema_hash,
            run_rules=None if self._rules is None else self._run_rules,
            rules_hash=self.rules_hash,
            ask=self._ask,
            embed=self._vectors,
            load_local=_load_local,
            find=_installed,
            calibrations=calibrations,
        )
        expects = files.golden is not None and any(found.case.has_expected for found in CaseReader(files.golden))
        self.scorer = build_scorer(self.settings, workload.folder, means, expects=expects)
        self.calibration = self._of_the_only_one(calibrations)
        return self

    def judge(self) -> Judge:
        """The workload's judge, the first of several: `check_judge` has looked.

        Raises:
            ConfigError: its rubric cannot be read.
        """
        given = next(one.judge for one in self.settings.scorers if one.judge is not None)
        return judge_of(given, self._workload.folder, self._ask, may_gate=False)

    async def __aexit__(self, *_: object) -> None:
        if hasattr(self, "scorer"):
            await self.scorer.close()
        if self._rules is not None:
            await self._rules.close()

    async def _calibrations(self) -> dict[str, Calibration]:
        """Each judge against its human labels. What it has said of them before is not paid for again."""
        found: dict[str, Calibration] = {}
        for given in self.settings.scorers:
            if given.judge is None:
                continue
            if given.judge.labels is None:
                note(f"the judge {given.judge.model} has no human `labels`: it only warns", "eval")
                continue
            judge = judge_of(given.judge, self._workload.folder, self._ask, may_gate=False)
            labels = read_labels(self._workload.folder / given.judge.labels)
            try:
                calibration = await calibrate(judge, labels)
            except ScoringFailed as error:
                note(f"the judge {given.judge.model} cannot be calibrated, and only warns: {error}", "eval")
                continue
            found[calibration_key(judge)] = calibration
            shortcoming = calibration.shortcoming(given.judge.bar)
            note(f"the judge {given.judge.model} {_shown(calibration)}" + (
                f", and only warns: {shortcoming}" if shortcoming else ", and decides"), "eval")  # fmt: skip
        return found

    def _of_the_only_one(self, calibrations: Mapping[str, Calibration]) -> Calibration | None:
        """The judge's calibration, where the judge alone decides; None where something else does, or nothing."""
        deciding = [one for one in self.settings.scorers if one.gates]
        if not self.scorer.may_gate or len(deciding) != 1 or deciding[0].judge is None:
            return None
        judge = judge_of(deciding[0].judge, self._workload.folder, self._ask, may_gate=False)
        return calibrations.get(calibration_key(judge))

    async def _run_rules(self, case: GoldenCase, answer: Answer) -> str:
        assert self._rules is not None, "it is passed on only where there is one"
        value: object = answer.text
        if self._workload.files.schema is not None:
            try:
                value = msgspec.json.decode(answer.text)
            except (msgspec.DecodeError, UnicodeEncodeError):
                return "is not JSON, which rules could judge"
        context = {
            "call_id": "", "workload": self._workload.name, "model": "", "prompt_version": "",
            "variables": case.variables, "metadata": {},
        }  # fmt: skip
        outcome = await self._rules.run(value, context)  # type: ignore[arg-type]
        if outcome.code in ("rules_failed", "rules_timeout"):
            raise ScoringFailed(f"rules.py: {outcome.reason}")
        return "" if outcome.verdict in ("ok", "mark") else f"rule {outcome.rule}: {outcome.reason}"

    async def _ask(self, model: str, instructions: str, text: str) -> JudgeReply:
        key = _key("judge", model, instructions, text)
        known = self._cache.get(key)
        if known is not None and known.answer is not None:
            return JudgeReply(known.answer.text, 0)
        if self._call is None:
            raise ScoringFailed("the judge has not seen this answer, and is not asked now: `headworks eval` asks it")
        body = {"model": model, "instructions": instructions, "input": text, "store": False}
        reply = await self._call("/v1/responses", body)
        if reply.answer is None:
            raise ScoringFailed(f"the judge gave no answer ({'' if reply.error is None else reply.error.code})")
        self._cache.put(key, reply)
        return JudgeReply(reply.answer.text, reply.cost_pico_usd)

    async def _vectors(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        key = _key("embeddings", model, *texts)
        known = self._cache.get(key)
        if known is not None and known.answer is not None:
            return msgspec.json.decode(known.answer.text, type=list[list[float]])
        if self._embed is None:
            raise ScoringFailed("the embeddings model has not seen this answer, and is not asked now")
        vectors = await self._embed(model, texts)
        self._cache.put(key, Reply(answer=Answer(msgspec.json.encode(vectors).decode())))
        return vectors


def check_judge(workload: Workload) -> None:
    """See that a workload has a judge.

    Raises:
        CommandError: it has none.
        ConfigError: its evals.yaml cannot be used.
    """
    if not any(one.judge is not None for one in read_settings(workload.folder).scorers):
        raise CommandError(
            f"`{workload.name}` has no judge that could prefer an answer: name one in evals.yaml beside its contract, "
            "as a scorer; with `gates: false` it decides nothing"
        )


def eval_folder(storage: Path) -> Path:
    """Where runs and what models have answered are kept."""
    return storage / "evals"


def _checked_by(schema: OutputSchema) -> Callable[[str], str]:
    def check(text: str) -> str:
        fault = schema.check(text)
        return "" if fault is None else f"{fault.pointer or 'the answer'}: {fault.message}"

    return check


def _shown(calibration: Calibration) -> str:
    figures = (
        ("sensitivity", calibration.sensitivity),
        ("specificity", calibration.specificity),
        ("kappa", calibration.kappa),
    )
    return "has " + ", ".join(f"{name} {'-' if value is None else f'{value:.2f}'}" for name, value in figures)


def _load_local() -> tuple[str, EmbedTexts]:
    """The local embeddings model. Its vectors are not remembered: they cost less than a look into the memory."""
    from headworks.embedding import load_local_model  # only who scores with it loads it

    model = load_local_model()

    async def embed(_: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        found: list[list[float]] = model.vectors(texts).tolist()
        return found

    return model.identity, embed


def _key(*parts: str) -> bytes:
    return hashlib.sha256(msgspec.json.encode(parts)).digest()


def new_run(
    project: Project,
    workload: Workload,
    arms: Sequence[Arm],
    scoring: Scoring,
    *,
    price_version: str,
    repeats: int,
    seed: int,
    wanted: Wanted = "deciding",
    climb: Climb | None = None,
) -> RunFolder:
    """Begin a run of a part of a workload's golden set.

    Raises:
        CommandError: no case is of this part.
    """
    golden = workload.files.golden
    assert golden is not None, "who runs has looked"
    with GoldenFile(golden) as cases:
        now_us = time.time_ns() // 1000
        split = part_of(cases, wanted)
        manifest = Manifest(
            run=_run_id(now_us),
            workload=workload.name,
            created_us=now_us,
            arms=tuple(arms),
            cases=len(indexes_of(cases, split)),
            split=split,
            golden_hash=cases.hash,
            scorer_hash=scorer_hash(scoring.scorer),
            repeats=repeats,
            seed=seed,
            scorer=scoring.scorer.identity,
            gates=scoring.scorer.may_gate,
            calibration=scoring.calibration,
            schema_hash=scoring.schema_hash,
            rules_hash=scoring.rules_hash,
            bar=workload.contract.quality.bar,
            versions={"headworks": __version__, "prices": price_version},
            climb=climb,
        )
    return RunFolder.create(eval_folder(project.storage), manifest, golden)


def _run_id(now_us: int) -> str:
    """A name that sorts by time, also within a second: `last` goes by it."""
    second = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_us / 1e6))
    return f"{second}-{now_us % 1_000_000:05x}{secrets.token_hex(1)}"
