"""A golden set's file, read line by line: memory holds one case at a time, and of the others eight bytes or so.

Every problem names file and line. None quotes what stands there: a case may hold what customers wrote.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.evals.golden.cases import GoldenCase, Part

MOST_LINE_BYTES = 8_000_000
"""A longer line is no case: it is a file that is something else."""

MOST_SHOWN = 20
"""Problems of one golden set that are named; a set in another format has one a line."""

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_KINDS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "variables": (msgspec.json.Decoder(dict[str, object]).decode, "an object"),
    "tags": (msgspec.json.Decoder(tuple[str, ...]).decode, "a list of texts"),
    "cluster": (_decode_text, "a text"),
    "must_pass": (msgspec.json.Decoder(bool).decode, "true or false"),
}

_SPLITS = (b'"train"', b'"dev"', b'"test"', b'"held-out"')


class CaseLine(msgspec.Struct, frozen=True):
    """A case with its place. `unknown` are the fields that no case has."""

    line: int
    case: GoldenCase
    unknown: tuple[str, ...] = ()


class CaseReader:
    """Goes through a golden set once.

        reader = CaseReader(path)
        for found in reader:
            ...
        if reader.problems: ...

    Arguments:
        path: the file.
        shown: how problems name it; as `path` says if empty.

    Attributes:
        problems: what is wrong, the first twenty of it.
        count: cases read so far.
    """

    def __init__(self, path: Path, *, shown: str = "") -> None:
        self._path = path
        self._shown = shown or str(path)
        self.problems: list[Problem] = []
        self.count = 0

    def __iter__(self) -> Iterator[CaseLine]:
        for _, found in self.places():
            yield found

    def places(self) -> Iterator[tuple[int, CaseLine]]:
        """Each case after the offset in bytes at which its line begins."""
        lines_of_ids: dict[bytes, int] = {}
        offset = 0
        try:
            with self._path.open("rb") as opened:
                for number, line in enumerate(iter(lambda: opened.readline(MOST_LINE_BYTES + 1), b""), 1):
                    begin, offset = offset, offset + len(line)
                    if len(line) > MOST_LINE_BYTES:
                        self._add(number, f"is longer than {MOST_LINE_BYTES:,} bytes: no golden set")
                        return
                    found = self._read(number, line, lines_of_ids)
                    if found is not None:
                        self.count += 1
                        yield begin, found
        except OSError as error:
            self._add(0, f"cannot be read: {error.strerror}")

    def _read(self, number: int, line: bytes, lines_of_ids: dict[bytes, int]) -> CaseLine | None:
        if not line.strip():
            return None
        try:
            line.decode()
        except UnicodeDecodeError:
            self._add(number, "is not UTF-8")
            return None
        try:
            fields = _decode_fields(line)
        except msgspec.DecodeError:
            self._add(number, "expected a JSON object")
            return None
        message = _fault(fields)
        if message:
            self._add(number, message)
            return None
        case = msgspec.json.decode(line, type=GoldenCase)
        known = hashlib.blake2b(case.id.encode(), digest_size=8).digest()
        if known in lines_of_ids:
            self._add(number, f"has the `id` of line {lines_of_ids[known]}")
            return None
        lines_of_ids[known] = number
        return CaseLine(number, case, tuple(name for name in fields if name not in GoldenCase.__struct_fields__))

    def _add(self, number: int, message: str) -> None:
        if len(self.problems) < MOST_SHOWN:
            self.problems.append(Problem(self._shown, number, 1 if number else 0, message))


def read_cases(path: Path) -> tuple[GoldenCase, ...]:
    """All cases, in the order of the file.

    Raises:
        ConfigError: it cannot be read, or a line is no case; carries the first twenty problems.
    """
    reader = CaseReader(path)
    cases = tuple(found.case for found in reader)
    if reader.problems:
        raise ConfigError(*reader.problems)
    return cases


def check_cases(path: Path, *, shown: str = "") -> tuple[Problem, ...]:
    """What keeps a file from being a golden set; a file without a case is none.

    Arguments:
        shown: how problems name the file; as `path` says if empty.
    """
    reader = CaseReader(path, shown=shown)
    for _ in reader:
        pass
    if not reader.count and not reader.problems:
        return (Problem(shown or str(path), 0, 0, "holds no case"),)
    return tuple(reader.problems)


class GoldenFile:
    """A golden set to which a run goes back again and again: a case is read when it is asked for.

    Close it, or use it as a context manager.

    Attributes:
        hash: of the file's bytes, SHA-256 in hexadecimal.
        parts: what each case may be used for, in the order of the file.
    """

    def __init__(self, path: Path) -> None:
        """Raises ConfigError: it is no golden set, or holds no case."""
        self._path = path
        reader = CaseReader(path)
        self._offsets = array("Q")
        self.parts: list[Part] = []
        for offset, found in reader.places():
            self._offsets.append(offset)
            self.parts.append(found.case.part)
        if reader.problems:
            raise ConfigError(*reader.problems)
        if not self._offsets:
            raise ConfigError(Problem(str(path), 0, 0, "holds no case"))
        digest = hashlib.sha256()
        self._opened = path.open("rb")
        while piece := self._opened.read(1 << 20):
            digest.update(piece)
        self.hash = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, index: int) -> GoldenCase:
        self._opened.seek(self._offsets[index])
        return msgspec.json.decode(self._opened.readline(), type=GoldenCase)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()


def _fault(fields: dict[str, msgspec.Raw]) -> str:
    """What is wrong with a case's fields; "" if nothing."""
    try:
        if not _decode_text(fields.get("id", b"null")):
            return "expected an `id`: a text of its own"
    except msgspec.DecodeError:
        return "expected an `id`: a text of its own"
    for name, (decode, expected) in _KINDS.items():
        if name in fields:
            try:
                decode(fields[name])
            except msgspec.DecodeError:
                return f"expected `{name}` to be {expected}"
    if "split" in fields and bytes(fields["split"]) not in _SPLITS:
        return "expected `split` to be `train`, `dev` or `test`"
    if "input" in fields and bytes(fields["input"])[:1] not in (b"[", b'"'):
        return "expected `input` to be a text or a list of items"
    return ""
