"""The golden set of a workload: typical inputs with right answers, one JSON object a line."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from headworks.errors import ConfigError, Problem

_NOTHING = msgspec.Raw(b"[]")


class GoldenCase(msgspec.Struct, frozen=True):
    """One case. `input` are the caller's messages as the Responses API has them: a list of items, or a text."""

    id: str
    variables: Mapping[str, object] = {}
    input: msgspec.Raw = _NOTHING


_decode = msgspec.json.Decoder(GoldenCase).decode


def read_cases(path: Path) -> tuple[GoldenCase, ...]:
    """The cases in the order of the file.

    Raises:
        ConfigError: it cannot be read, or a line is no case; `check_files` says more.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise ConfigError(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(str(path), 0, 0, "is not UTF-8")) from None
    cases: list[GoldenCase] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cases.append(_decode(line))
        except msgspec.DecodeError:
            message = "is no case: expected an object with an `id` and `variables`"
            problems.append(Problem(str(path), number, 1, message))
    if problems:
        raise ConfigError(*problems)
    return tuple(cases)
