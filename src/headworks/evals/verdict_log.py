"""What was found of changes, kept beside the runs: the release of a prompt asks for it."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from headworks.evals.append_log import AppendLog
from headworks.evals.gate import Word

VERDICTS_FILE = "verdicts.jsonl"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found of one change of a workload.

    Attributes:
        at_us: when; Unix time.
        release: what tells apart what is sent: prompt, schema and parameters.
        prompt_version: as the prompt was called then.
        model: the rung in use, as the ladder names it.
        base: what it was held against, for people.
        base_release: what tells apart what that sent; "" where there was no base.
        golden_hash: of the cases, SHA-256 in hexadecimal.
        run: where the answers are.
        broken: cases that were right before and are wrong now, those that must pass included; the first of them.
        lost, won, cases: of the comparison.
        forced_why: why it went out although it is worse; "" where that did not happen.
    """

    at_us: int
    workload: str
    release: str
    prompt_version: str
    model: str
    word: Word
    reasons: tuple[str, ...] = ()
    base: str = ""
    base_release: str = ""
    golden_hash: str = ""
    run: str = ""
    broken: tuple[str, ...] = ()
    lost: int = 0
    won: int = 0
    cases: int = 0
    forced_why: str = ""


_decode = msgspec.json.Decoder(Verdict).decode


def keep_verdict(folder: Path, verdict: Verdict) -> None:
    """Write down what was found.

    Raises:
        StorageError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with closing(AppendLog(folder / VERDICTS_FILE, is_writing=True)) as log:
        log.append(msgspec.json.encode(verdict))


def find_verdict(folder: Path, workload: str, release: str) -> Verdict | None:
    """What was found last of a release of a workload; None if nothing was.

    Raises:
        StorageError: the file cannot be read.
    """
    return next((one for one in reversed(verdicts_of(folder, workload)) if one.release == release), None)


def verdicts_of(folder: Path, workload: str) -> Sequence[Verdict]:
    """Everything that was found of a workload, the oldest first.

    Raises:
        StorageError: the file cannot be read.
    """
    if not (folder / VERDICTS_FILE).exists():
        return []
    found = []
    with closing(AppendLog(folder / VERDICTS_FILE, is_writing=False)) as log:
        for _, line in log.lines():
            try:
                verdict = _decode(line)
            except msgspec.DecodeError:
                continue  # of another release of Headworks: what it says is not known here
            if verdict.workload == workload:
                found.append(verdict)
    return found
