"""A run's folder: everything that was asked, answered and scored, kept so that nothing is paid for twice.

    <state>/evals/<run>/
      run.json            what was run on what: arms, seed, order, every hash, versions
      golden.jsonl        the cases, as they were
      log.jsonl           append-only: what was asked, and the raw answer to it; each answer is on the disk (fsync)
                          before it counts
      scores-<hash>.jsonl what these scorers said; others write a file of their own, from the same answers

Whatever is killed when: a line that was not written whole is cut off on opening, and an answer without a score is
scored from the log. Of what was asked and not answered, the log knows: it may have been paid for.
"""

import fcntl
import hashlib
import os
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

import msgspec

from headworks.calls import NO_USAGE, Usage
from headworks.errors import CommandError, StorageError
from headworks.evals.append_log import AppendLog
from headworks.evals.golden import GoldenCase, GoldenFile, indexes_of
from headworks.evals.scorers import Answer, Calibration, Score

RUN_FILE = "run.json"
GOLDEN_COPY = "golden.jsonl"
LOG_FILE = "log.jsonl"
_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4,}")


MANY_PROMPTS = 20
"""So many prompts may be tried on a set before what it says of the next is to be doubted (evals reference, 2.5)."""


class Arm(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is compared: a model with a prompt and parameters.

    Attributes:
        name: as the reports call it.
        model: what is asked, `provider/model`.
        prompt_version: of the workload's prompt; "" where it has none.
        prompt_hash: of it.
        parameters: what is set beside the contract's own.
        identity: changes with everything that an answer depends on but the case: a hash.
    """

    name: str
    model: str
    identity: str
    prompt_version: str = ""
    prompt_hash: str = ""
    parameters: Mapping[str, object] = {}


class Climb(msgspec.Struct, frozen=True):
    """How `headworks select` climbs the ladder in a run, frozen before anything is asked.

    Attributes:
        margin: by less than this a rung may be worse than the reference.
        reference: a rung, or `best` for the dearest; "" for none.
    """

    margin: float
    reference: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is of. Written whole: what a run was made with must not depend on what is usual when it is read.

    Attributes:
        cases: how many are asked; a case is asked `repeats` times of each arm.
        split: the part of the golden set that is asked; "" for the whole.
        order: how cases are ordered: by the hash of seed and id.
        scorer: the identity of the scorer that the run was made with.
        gates: whether that scorer may decide; if not, the result is to be looked at and nothing more.
        calibration: of the judge, where it alone decides; None where something else does.
        climb: of a run of `headworks select`; None of one that asks every case of every arm.
        bar: the share that must be right, from the contract.
        versions: of Headworks and of the price table.
    """

    run: str
    workload: str
    created_us: int
    arms: tuple[Arm, ...]
    cases: int
    golden_hash: str
    scorer_hash: str
    repeats: int = 1
    seed: int = 1
    order: str = "sha256(seed, id)"
    scorer: Mapping[str, object] = {}
    gates: bool = True
    schema_hash: str = ""
    rules_hash: str = ""
    bar: float = 0.9
    versions: Mapping[str, str] = {}
    split: str = ""
    calibration: Calibration | None = None
    climb: Climb | None = None


class CallError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no answer.

    Attributes:
        code: for machines.
        message: for people; quotes neither case nor answer.
        is_infrastructure: it says nothing of model and prompt (a rate limit, a broken connection): asked again, then
            invalid. If not, it counts as wrong: a refusal, a timeout, an answer that breaks the schema.
        retry_after_s: seconds to wait, where the provider says so.
        may_retry: false where asking again at once cannot help: a key that is refused.
    """

    code: str
    message: str = ""
    is_infrastructure: bool = False
    retry_after_s: float | None = None
    may_retry: bool = True


class Reply(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What asking a case gave: an answer, or why there is none; and what it took.

    Attributes:
        withheld: where there is no answer, what the model had said: it broke the schema, say. To be looked at.
        cost_pico_usd: None where no price is known.
        latency_ms: from asking to the whole answer.
        served_model: the snapshot that the provider says it used.
    """

    answer: Answer | None = None
    error: CallError | None = None
    withheld: Answer | None = None
    usage: Usage = NO_USAGE
    cost_pico_usd: int | None = None
    latency_ms: float = 0.0
    served_model: str = ""
    call_id: str = ""


class Unit(msgspec.Struct, frozen=True, array_like=True):
    """One question: an arm, a case (its index in the golden set), and which time it is asked."""

    arm: int
    case: int
    repeat: int


class Asked(msgspec.Struct, frozen=True, tag="asked", tag_field="t"):
    """The entry before a model is asked."""

    unit: Unit


class Answered(msgspec.Struct, frozen=True, tag="answered", tag_field="t", omit_defaults=True):
    """The entry of what came back. `attempts` were made; `is_cached` says that it was paid for by an earlier run."""

    unit: Unit
    case_id: str
    reply: Reply
    attempts: int = 1
    is_cached: bool = False


class Scored(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the scorer said; or why it could not."""

    unit: Unit
    score: Score | None = None
    failed: str = ""


Verdict = Literal["right", "wrong", "invalid"]


class Result(msgspec.Struct, frozen=True):
    """One question with all that is known of it."""

    unit: Unit
    case: GoldenCase
    answered: Answered
    scored: Scored | None

    @property
    def verdict(self) -> Verdict:
        """*invalid* where infrastructure or the scorer failed: it counts neither way, and is counted as such."""
        error = self.answered.reply.error
        if error is not None:
            return "invalid" if error.is_infrastructure else "wrong"
        if self.scored is None or self.scored.score is None:
            return "invalid"
        return "right" if self.scored.score.is_acceptable else "wrong"


_decode_entry = msgspec.json.Decoder(Asked | Answered).decode
_decode_scored = msgspec.json.Decoder(Scored).decode
_NOWHERE = 2**64 - 1


class RunFolder:
    """One run on the disk. For one process at a time where it is written; close it, or use it as a context manager.

    State: for each unit, where its last answer and its score stand in their files, 16 bytes in all.

    Attributes:
        scorer_hash: whose scores are meant.
        cases: the golden set, as it was.
        order: the indexes of cases, as they are asked.
        lost: questions that were asked and whose answer never came: their process died. They may have been paid for.
        spent_pico_usd: what the run has cost, judges included; what came from the cache cost nothing.
        dearest_pico_usd: what the dearest question cost, wherever it was paid for; None while nothing is known.
    """

    def __init__(self, path: Path, manifest: Manifest, *, scorer_hash: str, is_writing: bool) -> None:
        self.path = path
        self.manifest = manifest
        self.scorer_hash = scorer_hash
        self._lock = _locked(path) if is_writing else -1
        try:
            self.cases = _cases_of(path / GOLDEN_COPY, manifest)
            self.order = case_order(self.cases, manifest.seed, indexes_of(self.cases, manifest.split))
            scores = path / scores_file(scorer_hash)
            self._log = AppendLog(path / LOG_FILE, is_writing=is_writing)
            self._scores = AppendLog(scores, is_writing=is_writing)
            self._answers_at = array("Q", [_NOWHERE]) * self._places
            self._scores_at = array("Q", [_NOWHERE]) * self._places
            self.lost = 0
            self.spent_pico_usd = 0
            self.dearest_pico_usd: int | None = None
            self._scan()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, folder: Path, manifest: Manifest, golden: Path) -> "RunFolder":
        """Begin a run.

        Arguments:
            folder: of all runs; is made if it is not there.
            golden: the cases, which are copied.

        Raises:
            StorageError: it cannot be written.
        """
        path = folder / manifest.run
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
            _write(path / GOLDEN_COPY, golden.read_bytes())
            _write(path / RUN_FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
        return cls(path, manifest, scorer_hash=manifest.scorer_hash, is_writing=True)

    @classmethod
    def open(cls, path: Path, *, scorer_hash: str = "", is_writing: bool = False) -> "RunFolder":
        """Open a run again, to go on with it or to look at it.

        Arguments:
            scorer_hash: whose scores are meant; "" for those that the run was made with.
            is_writing: nobody else may be writing then.

        Raises:
            CommandError: another process is at it.
            StorageError: it is no run, or not whole.
        """
        manifest = read_manifest(path)
        return cls(path, manifest, scorer_hash=scorer_hash or manifest.scorer_hash, is_writing=is_writing)

    @property
    def units(self) -> int:
        """How many questions the run has."""
        return self.manifest.cases * len(self.manifest.arms) * self.manifest.repeats

    @property
    def _places(self) -> int:
        """How many questions there would be if every case were asked: a case keeps its place whatever is asked."""
        return len(self.cases) * len(self.manifest.arms) * self.manifest.repeats

    def in_order(self) -> Iterator[Unit]:
        """Every question, in the run's order: all arms of a case next to one another, repeats last, so that a run that
        stops early has compared the same cases everywhere."""
        for repeat in range(self.manifest.repeats):
            for case in self.order:
                for arm in range(len(self.manifest.arms)):
                    yield Unit(arm, case, repeat)

    def answered(self, unit: Unit) -> Answered | None:
        """What came back; None if nothing has, yet."""
        at = self._answers_at[self._index(unit)]
        if at == _NOWHERE:
            return None
        entry = _decode_entry(self._log.line_at(at))
        assert isinstance(entry, Answered), "the offsets are of answers"
        return entry

    def scored(self, unit: Unit) -> Scored | None:
        """What the scorer said; None if it was not asked, yet."""
        at = self._scores_at[self._index(unit)]
        return None if at == _NOWHERE else _decode_scored(self._scores.line_at(at))

    def has_answer(self, unit: Unit) -> bool:
        """Whether something came back, and was written."""
        return self._answers_at[self._index(unit)] != _NOWHERE

    def has_score(self, unit: Unit) -> bool:
        """Whether the scorer was asked about it."""
        return self._scores_at[self._index(unit)] != _NOWHERE

    def result(self, unit: Unit) -> Result | None:
        """All that is known of a question; None if it was not answered."""
        answered = self.answered(unit)
        return None if answered is None else Result(unit, self.cases[unit.case], answered, self.scored(unit))

    def results(self) -> Iterator[Result]:
        """Every question that was answered, in the run's order, one at a time."""
        for unit in self.in_order():
            answered = self.answered(unit)
            if answered is not None:
                yield Result(unit, self.cases[unit.case], answered, self.scored(unit))

    def note_asked(self, unit: Unit) -> None:
        """Write that a model is about to be asked. It outlives this process, if not a power cut."""
        self._log.append(msgspec.json.encode(Asked(unit)))

    async def note_answered(self, entry: Answered) -> None:
        """Write what came back; when this returns, it is on the disk.

        Raises:
            StorageError: it is not.
        """
        at = self._log.append(msgspec.json.encode(entry))
        await self._log.synced()
        self._answers_at[self._index(entry.unit)] = at
        self._scores_at[self._index(entry.unit)] = _NOWHERE
        self._count_cost(entry)

    def note_scored(self, entry: Scored) -> None:
        """Write what the scorer said. Can be had again from the answer, so it need not be on the disk at once."""
        self._scores_at[self._index(entry.unit)] = self._scores.append(msgspec.json.encode(entry))
        if entry.score is not None:
            self.spent_pico_usd += entry.score.cost_pico_usd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files. Harmless to call twice."""
        for name in ("cases", "_log", "_scores"):
            if hasattr(self, name):
                getattr(self, name).close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _index(self, unit: Unit) -> int:
        return (unit.repeat * len(self.cases) + unit.case) * len(self.manifest.arms) + unit.arm

    def _fits(self, unit: Unit) -> bool:
        manifest = self.manifest
        return (
            0 <= unit.arm < len(manifest.arms)
            and 0 <= unit.case < len(self.cases)
            and 0 <= unit.repeat < manifest.repeats
        )

    def _count_cost(self, entry: Answered) -> None:
        cost = entry.reply.cost_pico_usd
        if cost is not None:
            self.dearest_pico_usd = max(self.dearest_pico_usd or 0, cost)
            self.spent_pico_usd += 0 if entry.is_cached else cost

    def _scan(self) -> None:
        """Learn from the files what there is."""
        waiting = bytearray(self._places)
        for at, line in self._log.lines():
            try:
                entry = _decode_entry(line)
            except msgspec.DecodeError:
                raise StorageError(f"{self.path / LOG_FILE} is damaged at byte {at:,}") from None
            if not self._fits(entry.unit):
                raise StorageError(f"{self.path / LOG_FILE} has an entry of another run at byte {at:,}")
            index = self._index(entry.unit)
            waiting[index] = isinstance(entry, Asked)
            if isinstance(entry, Answered):
                self._answers_at[index] = at
                self._count_cost(entry)
        self.lost = sum(waiting)
        for at, line in self._scores.lines():
            try:
                scored = _decode_scored(line)
            except msgspec.DecodeError:
                raise StorageError(f"the scores in {self.path} are damaged at byte {at:,}") from None
            if self._fits(scored.unit):
                self._scores_at[self._index(scored.unit)] = at
                self.spent_pico_usd += 0 if scored.score is None else scored.score.cost_pico_usd


def case_order(cases: Sequence[GoldenCase] | GoldenFile, seed: int, asked: Sequence[int] | None = None) -> "array[int]":
    """The order in which cases are asked: by the hash of seed and id, so that it is the same wherever a case stands.

    Arguments:
        asked: the indexes of those that are; None for all.
    """
    keys = {
        index: hashlib.sha256(f"{seed}\0{cases[index].id}".encode(errors="surrogatepass")).digest()
        for index in (range(len(cases)) if asked is None else asked)
    }
    return array("Q", sorted(keys, key=keys.__getitem__))


def read_manifest(path: Path) -> Manifest:
    """What a run is of.

    Raises:
        StorageError: it is no run.
    """
    try:
        return msgspec.json.decode((path / RUN_FILE).read_bytes(), type=Manifest)
    except OSError as error:
        raise StorageError(f"{path} is no eval run: {error.strerror or error}") from None
    except msgspec.DecodeError:
        raise StorageError(f"{path / RUN_FILE} is damaged, or of another release") from None


def scores_file(scorer_hash: str) -> str:
    """What the file of a scorer's scores is called."""
    return f"scores-{scorer_hash[:16]}.jsonl"


def list_runs(folder: Path) -> Iterator[Path]:
    """The runs in a folder, the latest first."""
    if folder.is_dir():
        yield from sorted((one for one in folder.iterdir() if _RUN_ID.fullmatch(one.name)), reverse=True)


def prompts_tried(folder: Path, workload: str, golden_hash: str, split: str = "") -> int:
    """How many prompts of a workload were run on a part of a golden set: each was a look at what is to decide. Runs of
    other parts, and those that cannot be read, are passed over."""
    found = set()
    for path in list_runs(folder):
        try:
            manifest = read_manifest(path)
        except StorageError:
            continue  # `headworks eval list` tells of it
        if manifest.split in ("train", "dev") and split not in ("", manifest.split):
            continue
        if (manifest.workload, manifest.golden_hash) == (workload, golden_hash):
            found |= {arm.prompt_hash for arm in manifest.arms}
    return len(found)


def find_run(folder: Path, name: str) -> Path:
    """The run of this id, or with an id that begins so; `last` for the latest.

    Raises:
        CommandError: none, or several.
    """
    runs = list(list_runs(folder))
    if name == "last" and runs:
        return runs[0]
    found = [run for run in runs if run.name.startswith(name)]
    exact = [run for run in found if run.name == name]
    if len(exact or found) != 1:
        what = f"{len(found)} eval runs begin" if found else "no eval run begins"
        raise CommandError(f"{what} with `{name[:40]}`; `headworks eval list` shows them")
    return (exact or found)[0]


def _cases_of(path: Path, manifest: Manifest) -> GoldenFile:
    cases = GoldenFile(path)
    if cases.hash != manifest.golden_hash or len(indexes_of(cases, manifest.split)) != manifest.cases:
        cases.close()
        raise StorageError(f"{path} is not what the run was made with")
    return cases


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _locked(path: Path) -> int:
    try:
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise CommandError(f"the run {path.name} is under way in another process") from None
    return descriptor
