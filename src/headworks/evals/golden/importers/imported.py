"""What every importer gives, and how it gets into a golden set."""

import hashlib
import os
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from headworks.errors import CommandError, ConfigError, Problem, StorageError
from headworks.evals.golden.cases import GoldenCase, case_line
from headworks.evals.golden.reading import CaseReader

MOST_BYTES = 256_000_000
"""A larger file is not read whole: split it."""

_MOST_NAMED = 5


class Imported(msgspec.Struct, frozen=True):
    """What an importer has found.

    Attributes:
        cases: in the order of the source.
        notes: what was left out or changed, in sentences.
        scorer: what scores such cases, as `evals.yaml` calls it; "" where the default will do.
    """

    cases: tuple[GoldenCase, ...]
    notes: tuple[str, ...] = ()
    scorer: str = ""


class Saved(msgspec.Struct, frozen=True):
    """What was written: new cases, and those left out because the set asks the same already; of these, those that
    expect something else than the set does."""

    added: int
    known: int
    differing: int = 0


def save_cases(path: Path, cases: Iterable[GoldenCase]) -> Saved:
    """Add cases to a golden set, which is made if it is not there. All of them or none; the file is replaced at once.

    A case that asks what the set asks already is left out.

    Raises:
        CommandError: an id is taken by a case that asks something else.
        ConfigError: the file there is no golden set.
        StorageError: it cannot be written.
    """
    ids: set[str] = set()
    asked: dict[str, bytes] = {}
    before = b""
    if path.exists():
        reader = CaseReader(path)
        for found in reader:
            ids.add(found.case.id)
            asked[found.case.asked_hash] = _expectation(found.case)
        if reader.problems:
            raise ConfigError(*reader.problems)
        before = path.read_bytes()
        if before and not before.endswith(b"\n"):
            before += b"\n"
    lines, taken, known, differing = list[bytes](), list[str](), 0, 0
    for case in cases:
        expected = asked.get(case.asked_hash)
        if expected is not None:
            known += 1
            differing += expected != _expectation(case)
        elif case.id in ids:
            taken.append(case.id)
        else:
            lines.append(case_line(case))
            ids.add(case.id)
            asked[case.asked_hash] = _expectation(case)
    if taken:
        names = ", ".join(f"`{name}`" for name in taken[:_MOST_NAMED])
        more = f" and {len(taken) - _MOST_NAMED} more" if len(taken) > _MOST_NAMED else ""
        raise CommandError(f"{path} has other cases with the ids {names}{more}: choose ids with --prefix")
    if lines:
        _replace(path, before + b"".join(lines))
    return Saved(len(lines), known, differing)


def _expectation(case: GoldenCase) -> bytes:
    """What is right, as few bytes that tell one from another; equal however the JSON is written."""
    value = msgspec.json.encode([case.has_expected, case.expected_value()], order="deterministic")
    return hashlib.sha256(value).digest()


def read_source(path: Path) -> str:
    """The text of a file to import.

    Raises:
        ConfigError: it cannot be read, is too large, or not UTF-8.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(Problem(str(path), 0, 0, f"is larger than {MOST_BYTES:,} bytes: split it"))
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(str(path), 0, 0, "is not UTF-8")) from None


class Ids:
    """Gives each case an id of its own: a given name made plain, or the prefix and a number."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._taken: Counter[str] = Counter()
        self._count = 0

    def next(self, name: str = "") -> str:
        """The next case's id."""
        self._count += 1
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        plain = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-")[:64]
        wanted = plain or f"{self._prefix}-{self._count:04}"
        self._taken[wanted] += 1
        while self._taken[wanted] > 1:
            wanted = f"{wanted}-{self._taken[wanted]}"
            self._taken[wanted] += 1
        return wanted


def raw(value: object) -> msgspec.Raw:
    """A value as the JSON that a case carries."""
    return msgspec.Raw(msgspec.json.encode(value))


def text_or_json(text: str) -> object:
    """A cell's value: what looks like an object or a list, and is one, decoded; everything else is text."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


def _replace(path: Path, content: bytes) -> None:
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
